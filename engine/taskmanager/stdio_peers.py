"""Python workers on nodes: `clusterdeck worker --stdio MODULE...` started over the connections that a Task keeps.

No port is opened and nothing is installed by us; SSH authenticates both ends. What the node says is frames, checked
like those of any stranger; it may work and read shared items, nothing else.
"""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ClusterShell.NodeSet import NodeSet

from ..defaults import load_worker_class
from ..loop import FANOUT_UNLIMITED
from ..states import NodeEnd, NodeState
from ..task import Task
from .jobs import NodeView
from .manager import TaskManager
from .nodes import FIRST_REST, LONGEST_REST
from .service import Peer, Service
from .stores.base import Change, Event

#: Seconds between looks at the clock (silent processes).
TICK = 1.0
#: Seconds that a worker gets to end by itself after the last word.
PATIENCE = 5.0
#: Seconds that `close` waits for the Task.
CLOSING = 2.0
#: Ends after which a node is tried again; a worker that ended by itself would only do so once more.
_AGAIN = (NodeState.LOST, NodeState.UNREACHABLE)
_ERRORS_KEPT = 4000

Ended = Callable[[str, NodeEnd, bytes], None]


class StdioPeers:
    """Starts workers on nodes and serves them in the Task's thread. Methods from any thread.

    A node that cannot be reached, or whose connection is lost, is tried again until it leaves; what it held goes to
    others. on_end: told node, end and the last of its error output, in the Task's thread. worker: the engine worker's
    name.
    """

    def __init__(
        self, manager: TaskManager, task: Task, *, worker: str | None = None, on_end: Ended | None = None
    ) -> None:
        self._service = Service(manager)
        self._task = task
        self._worker = worker
        self._on_end = on_end
        self._news = False
        self._nodes: dict[str, _NodeWorker] = {}
        self._unsubscribe = manager.subscribe(self._changed)
        self._timer = task.timer(TICK, self, interval=TICK, autoclose=True)

    @property
    def peers(self) -> int:
        """How many are connected."""
        return self._service.peers

    def nodes(self) -> list[NodeView]:
        """A look at all nodes. states: starting, up, draining, down (tried again), gone (its worker ended)."""
        return [node.view() for node in list(self._nodes.values())]

    def start(
        self, nodes: Iterable[str], modules: Sequence[str], *, slots: int = 1, program: str = "clusterdeck"
    ) -> None:
        """Nodes join: a worker on each, unless it has one already.

        program: as it is called there, for the node's shell. modules: as they are named there.
        """
        command = f"exec {program} worker --stdio --slots {int(slots)} {shlex.join(modules)}"
        names = list(nodes)

        def start() -> None:
            for name in names:
                old = self._nodes.get(name)
                if old is not None and old.state != "gone":
                    old.leaving = False
                    continue
                self._nodes[name] = _NodeWorker(self, name, command, int(slots))
                self._nodes[name].begin()

        self._task.engine.submit(start)

    def leave(self, nodes: Iterable[str]) -> list[str]:
        """Nodes leave: their workers end after the tasks at hand. Those that took part."""
        known = [name for name in nodes if name in self._nodes]

        def leave() -> None:
            for name in known:
                if name in self._nodes:
                    self._nodes[name].leave()

        self._task.engine.submit(leave)
        return known

    def stop(self) -> None:
        """Ask all workers to leave after the task at hand, also those that are just starting."""

        def stop() -> None:
            self._service.stop()
            for node in list(self._nodes.values()):
                node.leave()

        self._task.engine.submit(stop)

    def close(self) -> None:
        """Serve no more; workers that are left lose their tasks to others. Not from the Task's thread.

        Waits for at most CLOSING seconds, so that the manager may be closed next.
        """
        self._unsubscribe()
        over = threading.Event()

        def end() -> None:
            self._timer.invalidate()
            for node in list(self._nodes.values()):
                node.leaving = True
            for peer in self._service.all_peers():
                peer.lost()
            over.set()

        self._task.engine.submit(end)
        over.wait(CLOSING)

    # -- in the Task's thread

    def launch(self, node: _NodeWorker, command: str) -> None:
        """Start the command on the node."""
        worker_class = self._task.default("distant_worker") if self._worker is None else load_worker_class(self._worker)
        if self._worker == "exec":
            command = command.replace("%", "%%")
        # One engine worker each: what is written to one goes to all of its nodes.
        worker = worker_class(NodeSet(node.name), handler=node, timeout=None, command=command, stderr=True)
        worker.fanout = FANOUT_UNLIMITED
        self._task.schedule(worker)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call something in that many seconds, unless the Task ends before."""
        self._task.timer(seconds, _Later(call), autoclose=True)

    def connected(self, worker: Any, name: str) -> Peer:
        """A node's worker began to run."""

        def close() -> None:
            worker.set_write_eof()  # a worker that means well ends by itself
            self.later(PATIENCE, worker.abort)

        return self._service.peer(worker.write, close, name)

    def ended(self, node: _NodeWorker, end: NodeEnd, errors: bytes) -> None:
        """A node's worker is over."""
        if node.leaving and self._nodes.get(node.name) is node:
            del self._nodes[node.name]
        if self._on_end is not None:
            self._on_end(node.name, end, errors)

    def ev_timer(self, _timer: Any) -> None:
        """Look at the clock."""
        self._service.tick()

    def _changed(self, event: Event) -> None:
        if event.change is Change.RESULT and event.task_id in self._service.holders:
            self._task.engine.submit(lambda: self._service.ended_elsewhere(event.task_id))
        if not self._news:
            self._news = True
            self._task.engine.submit(self._serve)

    def _serve(self) -> None:
        self._news = False
        self._service.serve()


class _Later:
    """A timer's handler that makes a call."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call

    def ev_timer(self, _timer: Any) -> None:
        self._call()


class _NodeWorker:
    """The worker of one node, and the handler of its engine worker; `view` from any thread."""

    def __init__(self, owner: StdioPeers, name: str, command: str, slots: int) -> None:
        self.name = name
        self.leaving = False
        self.state = "starting"
        self._owner = owner
        self._command = command
        self._slots = slots
        self._peer: Peer | None = None
        self._errors = b""
        self._reason = ""
        self._rest = FIRST_REST
        self._again = 0.0
        #: Tasks that ended well, failed and were lost on connections before the present one.
        self._before = (0, 0, 0)

    def begin(self) -> None:
        """Start it, or start it again."""
        if self.leaving:
            self._owner.ended(self, NodeEnd(NodeState.ABORTED), b"")
            return
        self.state, self._reason, self._errors = "starting", "", b""
        self._owner.launch(self, self._command)

    def leave(self) -> None:
        """End after the tasks at hand."""
        self.leaving = True
        if self._peer is not None:
            self._peer.stop()
        elif self.state == "gone":
            self._owner.ended(self, NodeEnd(NodeState.ABORTED), b"")

    def view(self) -> NodeView:
        """A look at it."""
        peer, state = self._peer, self.state
        running, counts = 0, self._before
        if peer is not None:
            running = peer.held
            counts = _sum(counts, peer.counts)
            if peer.introduced:
                state = "draining" if self.leaving else "up"
        wait = max(0.0, self._again - time.monotonic()) if state == "down" else 0.0
        return NodeView(self.name, state, self._slots, running, *counts, wait, self._reason)

    def ev_pickup(self, worker: Any, node: str) -> None:
        self._peer = self._owner.connected(worker, node)
        if self.leaving:
            self._peer.stop()

    def ev_lines(self, _worker: Any, _node: str, sname: str, lines: list[bytes]) -> None:
        # A frame is two whole lines, so cutting at line ends and joining again gives the same bytes.
        data = b"\n".join(lines) + b"\n"
        if sname == "stdout" and self._peer is not None:
            self._peer.feed(data)
        elif sname != "stdout":
            self._errors = (self._errors + data)[-_ERRORS_KEPT:]

    def ev_end(self, _worker: Any, _node: str, end: NodeEnd) -> None:
        peer, self._peer = self._peer, None
        if peer is not None:
            if peer.introduced:
                self._rest = FIRST_REST
            peer.lost()
            self._before = _sum(self._before, peer.counts)
        self._reason = _why(end, self._errors)
        self.state = "gone"
        if end.state in _AGAIN and not self.leaving:
            self.state, self._again = "down", time.monotonic() + self._rest
            self._owner.later(self._rest, self.begin)
            self._rest = min(self._rest * 2, LONGEST_REST)
        self._owner.ended(self, end, self._errors)


def _sum(one: tuple[int, int, int], other: tuple[int, int, int]) -> tuple[int, int, int]:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def _why(end: NodeEnd, errors: bytes) -> str:
    """Why it is over: the last line of what it said, or else what the engine knows. Not clean."""
    said = errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
    if said:
        return said
    if end.failure is not None:
        return end.failure.reason
    return "" if end.rc == 0 else f"its worker ended with status {end.rc}"
