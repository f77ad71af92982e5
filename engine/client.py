"""EngineClient: what the loop drives, one per process, channel or set of streams.

Life of a client: QUEUED (scheduled) -> PREPARING (only if `prepare` says so: a connection is being made, no fanout
slot is taken) -> READY (waits for a slot) -> RUNNING -> DONE. The loop calls `prepare`, `start`, `kill` and `hold`;
the client calls `finish(end)` exactly once when it is over, at any time after it was scheduled. Everything happens in
the Task's thread.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from .errors import (
    EngineClientEOF,
    EngineClientError,
    EngineClientException,
    EngineClientNotSupportedError,
)
from .reactor import Deadline, Reactor
from .spawn import Reaper
from .states import NodeEnd, NodeState

__all__ = [
    "ClientEngine",
    "ClientState",
    "ClientWorker",
    "EngineClient",
    "EngineClientEOF",
    "EngineClientError",
    "EngineClientException",
    "EngineClientNotSupportedError",
]


class ClientState(enum.IntEnum):
    """Where a client stands in its life."""

    IDLE = 0
    QUEUED = 1
    PREPARING = 2
    READY = 3
    RUNNING = 4
    DONE = 5


class ClientEngine(Protocol):
    """The loop, as a client sees it."""

    @property
    def reactor(self) -> Reactor: ...

    @property
    def reaper(self) -> Reaper: ...

    @property
    def holding(self) -> bool:
        """Whether output is not to be read just now: a client that starts, starts on hold."""

    def info(self, key: str) -> Any:
        """The Task's info value `key` (`connect_timeout`, `ssh_user`, ...), None if it has none."""

    def debug(self, text: str) -> None:
        """A line for the Task's `print_debug`, if debugging is on."""

    def ready(self, client: EngineClient) -> None:
        """A client whose `prepare` returned False may now be started."""

    def postpone(self, client: EngineClient) -> bool:
        """Called in `start`: the system lacks descriptors or processes; start me again when another has ended.

        False: nothing else runs, so there is nothing to wait for; the client is to end.
        """

    def finished(self, client: EngineClient) -> None:
        """A client is over (called by `EngineClient.finish`)."""


class ClientWorker(Protocol):
    """The worker, as its client sees it: what happened, in the words of workers/base.py."""

    SNAME_STDIN: str
    SNAME_STDOUT: str
    SNAME_STDERR: str

    @property
    def infos(self) -> Mapping[str, Any]:
        """Info values of this worker's own, over the Task's."""

    @property
    def fanout(self) -> int | None:
        """Limit of this worker's own: FANOUT_UNLIMITED, FANOUT_DEFAULT (the Task's) or a number."""

    def _on_start(self) -> None: ...

    def _on_connect(self, node: Any) -> None: ...

    def _on_pickup(self, node: Any) -> None: ...

    def _on_lines(self, node: Any, sname: str, lines: list[bytes]) -> None: ...

    def _on_written(self, node: Any, sname: str, size: int) -> None: ...

    def _on_deaf(self, node: Any, sname: str) -> None: ...

    def _on_progress(self, node: Any, done: int, total: int) -> None: ...

    def _on_end(self, node: Any, end: NodeEnd) -> None: ...

    def _on_client_closed(self, client: EngineClient) -> None: ...


class EngineClient:
    """Base of all clients. Subclasses give `start`, `kill`, and where they can `prepare`, `hold` and `write`.

    key: the node (or key) that the worker's callbacks are called with. timeout: seconds from `start`, None or
    negative = none, 0 = at once. autoclose: does not keep the Task running.
    """

    #: Whether the loop calls `prepare`; set by classes that have one.
    prepares = False
    #: Whether its end gives back descriptors or processes of the engine's own, so that another may wait for it.
    scarce = True

    def __init__(self, worker: ClientWorker, key: Any, timeout: float | None = None, autoclose: bool = False) -> None:
        self.worker = worker
        self.key = key
        self.timeout = check_timeout(timeout)
        self.autoclose = autoclose
        self.state = ClientState.IDLE
        self.picked = False
        #: The loop's: the limit that its slot counts against (None: the Task's fanout), 0 = it holds no slot.
        self.slot: int | None = 0
        #: The loop's: set while the client is scheduled.
        self.engine: ClientEngine | None = None
        self.deadline: Deadline | None = None

    # -- what the loop calls

    def prepare(self) -> bool:
        """Make ready what `start` needs, without blocking; True = `start` may be called now.

        False = a connection is under way: the client calls `self.engine.ready(self)` when it stands, or `finish`
        when it failed. Called once, and only where the class attribute `prepares` is true.
        """
        return True

    def start(self) -> None:
        """Begin: open descriptors or a channel, then call `pickup()`. A failure is a `finish` with rc 255."""
        raise NotImplementedError

    def kill(self, timed_out: bool) -> None:
        """Stop now: close everything and call `finish`; in any state before DONE. timed_out: its time is over."""
        self.finish(self.killed(timed_out))

    def hold(self, flag: bool) -> None:
        """flag: stop reading output (True) or go on (False)."""

    def write(self, data: bytes, sname: str | None = None) -> None:
        """Queue bytes (`data`) for the stream `sname`, None = all.

        Before the start they are kept, after its end they are dropped. Raises EngineClientNotSupportedError where
        there is no input.
        """
        raise EngineClientNotSupportedError(f"{type(self).__name__}: cannot write {len(data)} bytes, no input stream")

    def set_write_eof(self, sname: str | None = None) -> None:
        """Close the stream `sname`, None = all, when all is written; may precede the start.

        Raises EngineClientNotSupportedError where there is no input.
        """
        raise EngineClientNotSupportedError(f"{type(self).__name__}: cannot close its input, no input stream")

    # -- for subclasses

    @property
    def running(self) -> bool:
        """Whether it was started and is not over."""
        return self.state is ClientState.RUNNING

    @property
    def loop(self) -> ClientEngine:
        """The loop. Raises EngineClientError for a client that is not scheduled."""
        if self.engine is None:
            raise EngineClientError(f"{type(self).__name__} of {self.key!r} is not scheduled")
        return self.engine

    def info(self, key: str) -> Any:
        """The info value `key` for this client: its worker's own, else the Task's, None if neither has it."""
        own = self.worker.infos
        return own[key] if key in own else self.loop.info(key)

    def pickup(self) -> None:
        """Tell that the command has started; once."""
        if not self.picked:
            self.picked = True
            self.report_pickup()

    def finish(self, end: NodeEnd) -> None:
        """The client is over: give the slot back, tell the worker how (`end`). Later calls do nothing.

        A return code implies a pickup, so a node that could not even be reached is picked up first.
        """
        if self.state is ClientState.DONE:
            return
        self.state = ClientState.DONE
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None
        try:
            if end.rc is not None:
                self.pickup()
            self.report_end(end)
        finally:
            if self.engine is not None:
                self.engine.finished(self)

    def killed(self, timed_out: bool) -> NodeEnd:
        """The end of a client that was stopped; timed_out: as its time was over."""
        return NodeEnd(NodeState.TIMEOUT if timed_out else NodeState.ABORTED)

    # A client of several nodes reports for each of them.

    @property
    def nodes(self) -> Sequence[Any]:
        """The nodes (or the one key) that it stands for."""
        return [self.key]

    def report_pickup(self) -> None:
        """Tell the worker of the start."""
        self.worker._on_pickup(self.key)

    def report_end(self, end: NodeEnd) -> None:
        """Tell the worker of the end."""
        self.worker._on_end(self.key, end)

    def report_lines(self, sname: str, lines: list[bytes]) -> None:
        """Tell the worker of a chunk of output: whole lines of the stream `sname`."""
        self.worker._on_lines(self.key, sname, lines)


def check_timeout(timeout: float | None) -> float | None:
    """A timeout in seconds, None where there is none (None or negative).

    Raises ValueError for what is not a number.
    """
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout != timeout:
        raise ValueError(f"timeout must be a number of seconds or None, not {timeout!r}")
    return None if timeout < 0 else timeout
