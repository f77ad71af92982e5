"""The line of free slots: which nodes take part, and which slot takes the next task."""

from __future__ import annotations

import math
import random
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..states import NodeState
from .errors import StoreUnavailable, UnknownProcess
from .jobs import CommandEnd, Job, JobEvent, JobState, NodeView, Runner
from .limits import Limits
from .manager import TaskManager
from .nodes import Node, NodeHealth, Slot
from .runtimes import Runtimes, check_timeout
from .stores.base import Change, Event
from .tasks import TaskId, TaskState
from .template import render

DEFAULT_TAG = "shell"
#: Seconds for which a job whose node went away is hoped for before its task is LOST (or goes to another node).
ADOPTION = 60.0
#: Seconds between pings of slots on a store that others share: they give the tasks of a killed console back after four
#: of them in silence. Elsewhere the queue's own end is known.
PERIOD = 30.0

Post = Callable[[Callable[[], None]], None]


class SlotLine:
    """Nodes that come and go, the line of their free slots, and the handing out of tasks to them.

    Every method in the owner's thread.

    post: runs a call in the owner's thread soon; may be used from any. on_event: told what becomes of jobs. tags: of
    the tasks that every node takes. adoption: seconds, see ADOPTION. clock: monotonic seconds.
    """

    def __init__(
        self,
        manager: TaskManager,
        runner: Runner,
        *,
        post: Post,
        on_event: Callable[[JobEvent], None] | None = None,
        tags: Iterable[str] = (DEFAULT_TAG,),
        adoption: float = ADOPTION,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.manager = manager
        self._runner = runner
        self._post = post
        self._on_event = on_event
        self._tags = tuple(tags)
        self._adoption = adoption
        self._clock = clock
        self._nodes: dict[str, Node] = {}
        self._free: deque[Slot] = deque()
        self._jobs: dict[str, Slot] = {}
        self._lost: dict[str, tuple[float, Slot]] = {}
        self._limits = Limits(clock)
        #: Nodes that rest or are down, and some that were: all that must be looked at when time passes.
        self._away: set[Node] = set()
        self._successes = 0
        self._next_ping = math.inf
        #: Whether some task may have nodes to avoid: then a slot that gets nothing says nothing about the others.
        self._avoiding = False
        #: Whether some node takes tags that others do not.
        self._tagged = False
        self._news = False
        #: Whether some slot could not be registered because the store was away.
        self._unlined = False
        self._closed = False
        self._unsubscribe = manager.subscribe(self._changed)

    # -- nodes

    def add_node(self, name: str, slots: int = 1, tags: Iterable[str] = ()) -> None:
        """A node joins, with tags of its own beside the pool's; one that is there is used again with its old slots."""
        node = self._nodes.get(name)
        if node is None:
            if slots < 1:
                raise ValueError(f"node {name!r}: at least one slot")
            node = self._new_node(name, slots, (*self._tags, *tags))
            self._tagged = self._tagged or node.tags != self._tags
        node.leaving = False
        if node.health is NodeHealth.DRAINING:
            node.health = NodeHealth.UP
        self._line_up(node)
        self.dispatch()

    def add_nodes(self, slots: Mapping[str, int]) -> None:
        """Several nodes join; their first slots are used before their second ones."""
        for name, count in slots.items():
            if name not in self._nodes:
                if count < 1:
                    raise ValueError(f"node {name!r}: at least one slot")
                self._new_node(name, count, self._tags)
        nodes = [self._nodes[name] for name in slots]
        for number in range(max(slots.values(), default=0)):
            for node in nodes:
                if number < len(node.slots):
                    self._free_slot(node.slots[number])
        self.dispatch()

    def _new_node(self, name: str, slots: int, tags: tuple[str, ...]) -> Node:
        node = self._nodes[name] = Node(name, slots, tags)
        # Each at a moment of its own: thousands of pings at once would hold everything up.
        node.ping_at = self._clock() + random.uniform(0.0, PERIOD) if self.manager.shared else math.inf
        self._next_ping = min(self._next_ping, node.ping_at)
        return node

    def drain_node(self, name: str) -> None:
        """The node takes no more jobs; what runs there goes on. KeyError."""
        self._nodes[name].health = NodeHealth.DRAINING

    def remove_node(self, name: str) -> None:
        """Drain it, and forget it when its last job ended. KeyError."""
        node = self._nodes[name]
        self.drain_node(name)
        node.leaving = True
        self._forget_if_empty(node)

    def node_lost(self, name: str, reason: str = "connection lost") -> None:
        """The connection to a node is known to be gone; its jobs' ends follow from the runner."""
        node = self._nodes.get(name)
        if node is not None and node.health is not NodeHealth.DRAINING:
            node.went_down(self._clock(), reason)
            self._away.add(node)
            self._sign_off(node)

    def node_back(self, name: str) -> None:
        """A node can be reached again: ask how its lost jobs ended, and use it."""
        node = self._nodes.get(name)
        if node is None or node.health is NodeHealth.DRAINING:
            return
        node.came_up()
        for task_id, (_, slot) in list(self._lost.items()):
            if slot.node is node and slot.job is not None:
                self._adopt(task_id, slot, slot.job)
        self._line_up(node)
        self.dispatch()

    def nodes(self) -> list[NodeView]:
        """A look at all nodes."""
        now = self._clock()
        return [node.view(now) for node in self._nodes.values()]

    def used_nodes(self) -> list[str]:
        """Nodes that can be reached and on which jobs were run: they have notes of us."""
        return [node.name for node in self._nodes.values() if node.used and node.health is not NodeHealth.DOWN]

    @property
    def slots(self) -> int:
        """Slots of nodes that are up."""
        return sum(len(node.slots) for node in self._nodes.values() if node.health is NodeHealth.UP)

    @property
    def running(self) -> int:
        """Jobs that run now, lost ones with hope not counted."""
        return len(self._jobs) - len(self._lost)

    @property
    def lost(self) -> list[str]:
        """Tasks whose node went away and that may still be adopted."""
        return list(self._lost)

    def runtimes(self, run: str) -> Runtimes:
        """Run times of one run's jobs."""
        return self._limits.runtimes(run)

    def forget_run(self, run: str) -> None:
        """Nothing more will be asked about a run."""
        self._limits.forget(run)

    def _line_up(self, node: Node) -> None:
        for slot in node.slots:
            self._free_slot(slot)

    def _free_slot(self, slot: Slot) -> None:
        """Put a slot into the line of free ones, unless its node is away, or it is busy or in line already."""
        if slot.job is not None or slot.free or slot.node.health is not NodeHealth.UP:
            return
        if slot.process_id is None:
            try:
                slot.process_id = self._register(slot)
            except StoreUnavailable:
                self._unlined = True  # `tick` tries again
                return
        slot.free = True
        self._free.append(slot)

    def _register(self, slot: Slot) -> int:
        period = PERIOD if self.manager.shared else None
        return self.manager.register_process(period, {"node": slot.node.name, "slot": slot.number})

    def _ping(self, now: float) -> None:
        """Signs of life for the slots of the nodes whose turn it is."""
        if now < self._next_ping:
            return
        for node in [node for node in self._nodes.values() if node.ping_at <= now]:
            node.ping_at = now + PERIOD
            for slot in node.slots:
                if slot.process_id is None:
                    continue
                try:
                    self.manager.ping(slot.process_id)
                except UnknownProcess:  # given up: what it ran is another's by now, and its late result is refused
                    slot.process_id = self._register(slot)
                    if slot.job is not None and slot.job.retriable:
                        self._taken(slot.job)
        self._next_ping = min((node.ping_at for node in self._nodes.values()), default=math.inf)

    def _sign_off(self, node: Node) -> None:
        """Unregister the idle slots of a node that is away; a new id when it comes back fences what was before."""
        for slot in node.slots:
            if slot.job is None and slot.process_id is not None:
                self.manager.unregister_process(slot.process_id)
                slot.process_id = None

    def _forget_if_empty(self, node: Node) -> None:
        if node.leaving and not any(slot.job for slot in node.slots):
            self._sign_off(node)
            if self._nodes.pop(node.name, None) is not None and node.used:
                self._runner.clean([node.name])

    # -- handing out

    def _changed(self, event: Event) -> None:
        if event.change is Change.RESULT:
            slot = self._jobs.get(event.task_id)
            if slot is not None and slot.job is not None and not slot.job.ended:
                self._post(lambda: self._over_elsewhere(event.task_id))
        elif event.change is Change.ALL:
            # A pause may be over, in which nothing could be learned of tasks that avoid nodes.
            self._avoiding = True
        if event.change in (Change.TASK, Change.ALL) and not self._news:
            self._news = True
            self._post(self._look)

    def _over_elsewhere(self, task_id: str) -> None:
        """A task that runs here has an outcome: it was cancelled in the manager, or this console was given up."""
        slot = self._jobs.get(task_id)
        if slot is None or slot.job is None or slot.job.ended or slot.job.cancelled:
            return
        outcome = self.manager.peek(task_id)
        if outcome is not None and outcome.state in (TaskState.DONE, TaskState.FAILED):
            self._taken(slot.job)
        elif outcome is None and self.manager.knows(task_id):
            return  # late news of an attempt before this one
        elif outcome is None or outcome.state is TaskState.CANCELLED:
            self._stop(slot, slot.job)
        # LOST: nobody else may run it, and how it ends here is taken after all.

    def _taken(self, job: Job) -> None:
        """Others have the task, as nothing was heard of this console: its command here is of no use."""
        job.taken = True
        if job.task_id not in self._lost:
            self._runner.cancel(job.handle)

    def _look(self) -> None:
        self._news = False
        self.dispatch()

    def dispatch(self) -> None:
        """Give every free slot a task, as long as there are any."""
        if self._closed:
            return
        idle: list[Slot] = []
        refused: set[Node] = set()
        nothing: set[tuple[str, ...]] = set()
        for _ in range(len(self._free)):
            slot = self._free.popleft()
            node = slot.node
            if node.health is not NodeHealth.UP:
                slot.free = False
                if slot.process_id is not None and node.health is not NodeHealth.DRAINING:
                    self.manager.unregister_process(slot.process_id)
                    slot.process_id = None
                continue
            if not node.takes or node in refused or node.tags in nothing:
                idle.append(slot)
                continue
            try:
                filled = self._fill(slot)
            except BaseException:
                self._free.extendleft((slot, *reversed(idle)))
                raise
            if filled:
                continue
            idle.append(slot)
            refused.add(node)
            if not self._avoiding:
                nothing.add(node.tags)
                if not self._tagged:
                    break
        self._free.extendleft(reversed(idle))
        if self._avoiding and idle:
            self._dispatch_avoided()

    def _dispatch_avoided(self) -> None:
        """Tasks that avoid every node that is up may run on any of them after all."""
        # Tasks that none of these slots takes are no reason to ask for all of them at every end of a job.
        self._avoiding = self.manager.has_task(None if self._tagged else self._tags)
        if not self._avoiding:
            return
        up = [node.name for node in self._nodes.values() if node.health is NodeHealth.UP]
        refused: set[Node] = set()
        for _ in range(len(self._free)):
            slot = self._free.popleft()
            try:
                filled = slot.node.takes and slot.node not in refused and self._fill(slot, up)
            except BaseException:
                self._free.appendleft(slot)
                raise
            if not filled:
                self._free.append(slot)
                refused.add(slot.node)

    def _fill(self, slot: Slot, up: Sequence[str] | None = None) -> bool:
        """Take a task and start it; False when there is none for this slot.

        up: all nodes that may be used; then a task that avoids all of them is taken, too.
        """
        node = slot.node
        while True:
            try:
                taken = self.manager.try_task(node.tags, slot.process_id, node.name, up)
            except UnknownProcess:  # another manager of a shared store gave it up
                slot.process_id = self._register(slot)
                continue
            if taken is None:
                return False
            if self._start(slot, *taken):
                return True

    def _start(self, slot: Slot, task_id: TaskId, tag: str, parameters: Any) -> bool:
        node = slot.node
        try:
            command = render(parameters, slot.number, node.name)
            check_timeout(parameters.get("timeout"))
        except (TypeError, ValueError) as error:
            self.manager.storeException(task_id, error)
            return False
        job = Job(task_id, tag, parameters, secrets.token_hex(8))
        job.command, job.node, job.slot = command, node.name, slot.number
        job.started, job.clock = time.time(), self._clock()
        slot.job, slot.free = job, False
        node.running += 1
        node.used = True
        self._jobs[task_id] = slot
        self._limits.add(job)
        self._tell(job, JobState.RUNNING, CommandEnd(NodeState.RUNNING), final=False)
        job.handle = self._runner.run(
            node.name,
            slot.number,
            command,
            lambda end: self._post(lambda: self._ended(slot, job, end)),
            token=job.token,
        )
        return True

    def _ended(self, slot: Slot, job: Job, end: CommandEnd) -> None:
        raise NotImplementedError

    def _stop(self, slot: Slot, job: Job) -> None:
        raise NotImplementedError

    def _adopt(self, task_id: str, slot: Slot, job: Job) -> None:
        raise NotImplementedError

    def _tell(self, job: Job, state: JobState, end: CommandEnd, *, final: bool) -> None:
        if self._on_event is not None:
            runtime = self._clock() - job.clock
            where = (job.node, job.slot, job.command, job.started, runtime)
            self._on_event(JobEvent(job.task_id, job.run, job.number, state, *where, end, final))
