"""The console's task queue: commands that wait for a free slot of any node.

The queue itself, the slots and the maps are engine.taskmanager's; this puts them together for one session. Nodes that
`join` work for everything that is queued; a map with nodes of its own has slots of its own.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ...engine.taskmanager.driver import SlotDriver
from ...engine.taskmanager.errors import StoreUnavailable
from ...engine.taskmanager.jobs import JobEvent, JobState, NodeView, Runner
from ...engine.taskmanager.manager import QueueStatus, TaskManager
from ...engine.taskmanager.slots import DEFAULT_TAG
from ...engine.taskmanager.sockets import SocketServer
from ...engine.taskmanager.stores import REDIS_SCHEMES
from ...engine.taskmanager.stores.base import Claim
from ...engine.taskmanager.tasks import TaskInfo, TaskOptions
from ...engine.text import sanitize_text
from ..language.redact import redact
from ..session.checks import check_worker
from ..session.service import Service
from .jobs import JobResult, QueueError, TaskRow, folded
from .maps import Maps
from .node_workers import NodeWorkers
from .results import Results
from .ways import Ended, Step, Ways


class QueueService:
    """See the module's text. Methods from any thread, but never from a listener of theirs.

    runner: makes what runs the commands, given a name that no other console uses; by default, the session's engine.
    """

    def __init__(self, session: Service, runner: Callable[[str], Runner] | None = None) -> None:
        self._session = session
        self._runner = runner or self._engine_runner
        self._lock = threading.RLock()
        self._manager: TaskManager | None = None
        self._pool: SlotDriver | None = None
        self._workers: NodeWorkers | None = None
        self._server: SocketServer | None = None
        self._mine: dict[str, str] = {}
        self._running: dict[str, JobEvent] = {}
        self._ways = Ways()
        #: What ended on this console's slots since it was last asked.
        self.results = Results()
        self.maps = Maps(session, lambda: self.pool, self._driver)
        self._version = 0

    def _engine_runner(self, name: str) -> Runner:
        from ...engine.taskmanager.task_runner import TaskRunner  # pulls the workers in; most consoles never queue

        check_worker(self._session.settings.run.worker)
        return TaskRunner(self._session.engine_task(), pool=name, worker=self._session.settings.run.worker)

    @property
    def manager(self) -> TaskManager:
        """The task manager; made when first asked for. Raises QueueError where its store cannot be had."""
        with self._lock:
            if self._manager is None:
                settings = self._session.settings.queue
                options = {"name": settings.name, "allow_plain": settings.allow_plain} if self.is_shared else {}
                try:
                    self._manager = TaskManager(settings.store or None, **options)
                except (StoreUnavailable, ValueError) as error:
                    raise QueueError(f"queue.store: {sanitize_text(str(error))}") from error
                self._manager.subscribe(lambda _event: self._changed())
                self._session.at_close(self.close)
            return self._manager

    @property
    def is_shared(self) -> bool:
        """Whether it is kept where other processes reach it by themselves."""
        return self._session.settings.queue.store.partition(":")[0] in REDIS_SCHEMES

    @property
    def used(self) -> bool:
        """Whether the queue was ever touched in this session."""
        return self._manager is not None

    @property
    def version(self) -> int:
        """Grows with every change."""
        return self._version

    def _note(self, what: str, **content: Any) -> None:
        """Into the audit log; raises where it is required and cannot be written, and then nothing is run."""
        self._session.note(what, content)

    def _changed(self) -> None:
        self._version += 1

    # -- nodes

    @property
    def pool(self) -> SlotDriver:
        """The slots that work for everything that is queued."""
        with self._lock:
            if self._pool is None:
                self._pool = self._driver((DEFAULT_TAG,))
            return self._pool

    def _driver(self, tags: Sequence[str]) -> SlotDriver:
        driver = SlotDriver(self.manager, self._runner(f"p{secrets.token_hex(6)}"), tags=tags)
        driver.listen(self._heard)
        return driver.start()

    def join(self, slots: Mapping[str, int]) -> None:
        """Nodes work for the queue from now on, with so many slots each."""
        self._note("queue join", nodes=folded(slots), count=len(slots))
        self.pool.add_nodes(slots)
        self._changed()

    def leave(self, names: Iterable[str], *, drain: bool = False) -> list[str]:
        """Nodes leave after their running jobs, Python workers on them too; those that took part.

        drain: their slots stay listed, but take no more.
        """
        names = list(names)
        known = {view.name for view in self.nodes()}
        gone = [name for name in names if name in known]
        for name in gone:
            (self.pool.drain_node if drain else self.pool.remove_node)(name)
        if self._workers is not None:
            gone += [name for name in self._workers.leave(names) if name not in known]
        self._changed()
        return gone

    def start_workers(
        self, nodes: Iterable[str], modules: Sequence[str], slots: int, program: str = "clusterdeck"
    ) -> None:
        """Python workers on nodes take the tasks that their modules have functions for, `slots` at a time each."""
        nodes = list(nodes)
        self._note("queue workers", nodes=folded(nodes), count=len(nodes), modules=list(modules), program=program)
        with self._lock:
            if self._workers is None:
                self._workers = NodeWorkers(self._session, self.manager)
            workers = self._workers
        workers.start(nodes, modules, slots, program)
        self._changed()

    def worker_nodes(self) -> list[NodeView]:
        """The nodes with Python workers."""
        return [] if self._workers is None else self._workers.nodes()

    def nodes(self) -> list[NodeView]:
        """The nodes that work for the queue."""
        return [] if self._pool is None else self._pool.nodes()

    # -- tasks

    def add(self, commands: Sequence[str], *, tag: str = DEFAULT_TAG, retriable: bool = False) -> list[str]:
        """Queue commands; their ids. Raises QueueError, ValueError."""
        if not all(command.strip() for command in commands):
            raise QueueError("an empty command is not queued")
        self._note("queue add", command=redact("; ".join(commands[:100])), count=len(commands), tag=tag)
        parameters = [{"command": command, "retriable": retriable} for command in commands]
        ids = self.manager.add_task_requests(tag, parameters, options=TaskOptions(retriable=retriable))
        self._mine.update(zip(ids, commands, strict=True))
        return ids

    def request(self, tag: str, parameters: Any, *, retriable: bool = False) -> str:
        """Queue a task for a Python worker; its id. parameters: a JSON value. Raises QueueError, ValueError."""
        self._note("queue add", command=redact(json.dumps(parameters)), count=1, tag=tag)
        return self.manager.add_task_request(tag, parameters, options=TaskOptions(retriable=retriable))

    def known_command(self, task: str) -> str:
        """What a task of this console runs, clean; empty where that is not known."""
        event = self._running.get(task)
        return sanitize_text(event.command if event is not None else self._mine.get(task, ""))

    def command_of(self, info: TaskInfo) -> str:
        """What a task runs, or its parameters, clean; empty where they are too long."""
        return self.known_command(info.id) or sanitize_text(info.text)

    def forget(self, task: str) -> None:
        """Its result was fetched: nobody will ask for its command again."""
        self._mine.pop(task, None)

    def way_of(self, task: str) -> tuple[Step, ...]:
        """What became of a task on this console's slots, oldest first: where it ran and how that ended."""
        return self._ways.of(task)

    def ended(self) -> list[Ended]:
        """What ended on this console's slots, the newest first, also what the queue has forgotten since."""
        return self._ways.ended()

    def result_lines(self, task: str) -> tuple[str, ...]:
        """The last lines of what a task put out on this console's slots, clean."""
        return self._ways.lines_of(task)

    def status(self) -> QueueStatus:
        """How many wait, run and are finished, per tag, and who works; may wait for a store on another machine."""
        return self.manager.status()

    def drained(self) -> bool:
        """Whether it was asked to end once it is empty, and is; what this process's own console kept is not counted."""
        now = self.manager.status()
        return now.termination is not None and not (now.waiting or now.running or now.finished)

    def tasks(self, limit: int = 1000) -> list[TaskRow]:
        """At most that many tasks with what they run; may wait for a store on another machine."""
        return [TaskRow(info, self.command_of(info)) for info in self.manager.tasks(limit=limit)]

    def running(self) -> list[JobEvent]:
        """Jobs that run on this console's slots now, or are hoped for on nodes that went away."""
        return list(self._running.values())

    def cancel(self, task: str) -> bool:
        """End a task, waiting or running; False when it is over or was never there."""
        return self.manager.cancel(task)

    # -- results

    def _heard(self, event: JobEvent) -> None:
        """In a driver's thread: what became of a job."""
        self._version += 1
        self._ways.heard(event)
        if event.state in (JobState.RUNNING, JobState.LOST) and not event.final:
            self._running[event.task_id] = event
            return
        self._running.pop(event.task_id, None)
        if not event.final:
            return
        end = event.end
        result = JobResult(
            event.task_id, event.state, event.node, event.command, end.rc, end.output, end.error, end.reason,
            event.runtime,
        )  # fmt: skip
        self.results.keep(result)
        self._note(
            "queue job", task=event.task_id, node=event.node, command=redact(event.command), state=event.state.value,
            rc=end.rc, seconds=round(event.runtime, 3),
        )  # fmt: skip
        if event.task_id in self._mine and event.state in (JobState.DONE, JobState.CANCELLED):
            # Its output is here now; what failed stays in the queue, to be retried.
            self._mine.pop(event.task_id, None)
            self.manager.try_outcome(Claim(task_id=event.task_id))

    # -- others

    def serve(self, path: str) -> SocketServer:
        """Let other processes of this user use the queue through a socket. Raises QueueError."""
        with self._lock:
            if self._server is not None:
                raise QueueError(f"the queue is served at {self._server.path} already")
            try:
                self._server = SocketServer(self.manager, path).start()
            except StoreUnavailable as error:
                raise QueueError(sanitize_text(str(error))) from error
            return self._server

    def close(self) -> None:
        """End slots, maps and the server; tasks that run go back, or are lost if they may not run twice. Idempotent."""
        with self._lock:
            pool, self._pool = self._pool, None
            server, self._server = self._server, None
            workers, self._workers = self._workers, None
            manager, self._manager = self._manager, None
        if server is not None:
            server.close()
        if workers is not None:
            workers.close()
        self.maps.close()
        if pool is not None:
            pool.close()
        if manager is not None:
            manager.close()
