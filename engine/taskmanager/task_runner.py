"""Runs the commands of node slots with the workers of a Task, over the connections that it keeps anyway."""

from __future__ import annotations

import itertools
import secrets
import threading
from collections.abc import Callable, Iterable
from typing import Any

from ClusterShell.NodeSet import NodeSet

from ..defaults import load_worker_class
from ..loop import FANOUT_UNLIMITED
from ..results import Results
from ..states import NodeEnd, NodeState
from ..task import Task
from ..workers.stream import write_or_leave
from . import markers
from .jobs import OUTPUT_LIMIT, CommandEnd

#: Seconds that ending a command on its node may take before only the channel is closed.
ENDING_LIMIT = 10.0
#: Seconds that a node has to remove its notes.
CLEANING_LIMIT = 3.0


class _NoResults(Results):
    """Keeps nothing: a queue runs for days, and each job's output goes out with its end."""

    def __init__(self) -> None:
        super().__init__(lambda _sname: False)

    def add_lines(self, worker: Any, key: Any, sname: str, lines: list[bytes]) -> None:
        """Not kept."""

    def set_retcode(self, worker: Any, key: Any, rc: int) -> None:
        """Not kept."""

    def add_timeout(self, worker: Any, key: Any) -> None:
        """Not kept."""


class _QuietTask:
    """A Task as its workers see it, but without results."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.results = _NoResults()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)


class _Collector:
    """The handler of one command."""

    def __init__(self, on_done: Callable[[CommandEnd], None]) -> None:
        self._on_done: Callable[[CommandEnd], None] | None = on_done
        self._parts: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
        self._room = {"stdout": OUTPUT_LIMIT, "stderr": OUTPUT_LIMIT}

    def ev_lines(self, _worker: Any, _node: str, sname: str, lines: list[bytes]) -> None:
        """Output: the first OUTPUT_LIMIT bytes of each stream are kept."""
        room = self._room.get(sname, 0)
        for line in lines:
            if room <= 0:
                break
            self._parts[sname].append(line[:room])
            room -= len(line) + 1
        if sname in self._room:
            self._room[sname] = room

    def ev_end(self, _worker: Any, _node: str, end: NodeEnd) -> None:
        """The one end."""
        self.finish(end.state, end.rc, "" if end.failure is None else end.failure.reason)

    def finish(self, state: NodeState, rc: int | None = None, reason: str = "") -> None:
        """Tell it, once."""
        on_done, self._on_done = self._on_done, None
        if on_done is not None:
            output, error = (b"".join(line + b"\n" for line in self._parts[name]) for name in ("stdout", "stderr"))
            on_done(CommandEnd(state, rc, output, error, reason))


class TaskRunner:
    """A Runner over a running Task. pool: name for the notes on nodes, letters and digits; None: a new one.

    worker: "paramiko", "ssh", "exec", ...; None: the Task's default distant worker at the time. The Task must keep
    running; `lost` ends what is under way when it does not. Methods from any thread.
    """

    def __init__(self, task: Task, *, pool: str | None = None, worker: str | None = None) -> None:
        # Several consoles may use the same node as the same user.
        pool = secrets.token_hex(5) if pool is None else pool
        if not pool.isalnum():
            raise ValueError(f"pool {pool!r}: letters and digits only")
        self._task = task
        self._quiet: Any = _QuietTask(task)
        self._pool = pool
        self._worker = worker
        #: Worker, handler, and where its note is (node, name, token).
        self._running: dict[int, tuple[Any, _Collector, tuple[str, str, str] | None]] = {}
        #: Nodes where notes of killed consoles were removed, with the first job there.
        self._tidied: set[str] = set()
        self._handles = itertools.count(1)
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)

    def run(
        self, node: str, slot: int, command: str, on_done: Callable[[CommandEnd], None], *, token: str | None = None
    ) -> Any:
        """See Runner."""
        note = None
        if token is not None:
            note = (node, markers.marker_name(self._pool, node, slot), token)
            command = markers.wrapped(command, *note[1:], tidy=node not in self._tidied)
            self._tidied.add(node)
        return self._launch(node, command, on_done, note)

    def _launch(
        self,
        node: str,
        command: str,
        on_done: Callable[[CommandEnd], None],
        note: tuple[str, str, str] | None,
        timeout: float | None = None,
    ) -> int:
        handle = next(self._handles)

        def done(end: CommandEnd) -> None:
            with self._idle:
                self._running.pop(handle, None)
                self._idle.notify_all()
            on_done(end)

        collector = _Collector(done)
        worker = self._make(node, command, collector, timeout)
        with self._lock:
            self._running[handle] = (worker, collector, note)
        self._task.engine.submit(lambda: self._begin(worker, collector))
        return handle

    def adopt(self, node: str, slot: int, token: str, on_done: Callable[[CommandEnd | None], None]) -> Any:
        """See Runner."""

        def answered(end: CommandEnd) -> None:
            if end.state is not NodeState.OK:
                on_done(CommandEnd(NodeState.LOST, reason=end.reason or "the node does not tell"))
                return
            word, status = markers.answer(end.output)
            if word == "none":
                on_done(None)
            elif status is None:
                on_done(CommandEnd(NodeState.FAILED, reason="it died with the connection"))
            else:
                on_done(CommandEnd(NodeState.FAILED if status else NodeState.OK, status, reason=""))

        return self.run(node, slot, markers.question(markers.marker_name(self._pool, node, slot), token), answered)

    def cancel(self, handle: Any) -> None:
        """See Runner. Ends what the command started on the node, then its channel."""
        with self._lock:
            entry = self._running.get(handle)
        if entry is None:
            return
        worker, _, note = entry
        if note is None:
            worker.abort()
            return
        node, name, token = note
        # Without a terminal, closing a channel ends nothing on the node; and what the wrapper started can only be
        # found while the wrapper lives.
        self._launch(node, markers.ending(name, token), lambda _end: worker.abort(), None, timeout=ENDING_LIMIT)

    def settle(self, timeout: float) -> bool:
        """Wait until nothing runs any more; False when `timeout` seconds were not enough."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._running, timeout)

    def clean(self, nodes: Iterable[str]) -> None:
        """See Runner. A node that does not answer in time keeps its notes."""
        for node in nodes:
            self._launch(node, markers.cleaning(self._pool), lambda _end: None, None, timeout=CLEANING_LIMIT)

    def lost(self, reason: str = "the engine ended") -> None:
        """The Task will tell no more ends: end everything as LOST."""
        with self._lock:
            running, self._running = self._running, {}
        for _, collector, _ in running.values():
            collector.finish(NodeState.LOST, None, reason)

    def _make(self, nodes: str, command: str, handler: Any, timeout: float | None = None) -> Any:
        worker_class = self._task.default("distant_worker") if self._worker is None else load_worker_class(self._worker)
        if self._worker == "exec":
            command = command.replace("%", "%%")
        worker = worker_class(NodeSet(nodes), handler=handler, timeout=timeout, command=command, stderr=True)
        # Slots are the limit here; the Task's fanout is that of the operator's own commands.
        worker.fanout = FANOUT_UNLIMITED
        return worker

    def _begin(self, worker: Any, collector: _Collector) -> None:
        try:
            worker._set_task(self._quiet)
            worker._schedule()
            write_or_leave(worker)
        except Exception as error:
            collector.finish(NodeState.FAILED, None, f"{type(error).__name__}: {error}")
