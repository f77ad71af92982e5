"""EventHandler, and how the methods of a user's handler are found and called.

A handler's methods are looked up once per worker. Methods that are not overridden cost nothing later on. The
signatures of ClusterShell's first generation (only the worker as argument) are recognised by their number of
positional parameters and called with a DeprecationWarning.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any


class EventHandler:
    """Base of the user's handlers; every method is optional. All are called in the Task's thread.

    Order for one worker: ev_start; per node ev_pickup, then ev_read and ev_written, then ev_hup (not if it timed out or
    was aborted); ev_close after the last node. In ev_hup and ev_close the results are complete and readable. Handlers
    may schedule, write, abort and change settings; what they raise leaves `Task.resume()`. The semantic is that of
    ClusterShell's EventHandler; methods with its first signatures (only the worker) are called as they were, with a
    DeprecationWarning.

    worker is the Worker; node is a node name (str), or the key of a local worker; sname the stream, "stdout" or
    "stderr". Our own additions are looked up by name and not defined here:

    - `ev_lines(worker, node, sname, lines)`: a whole chunk, a list of lines, instead of `ev_read`;
    - `ev_connect(worker, node)`: connecting begins, before `ev_pickup`;
    - `ev_end(worker, node, end)`: once per node, whatever the end; end is a NodeEnd;
    - `ev_progress(worker, node, done, total)`: bytes of a copy, at most ten times a second and node;
    - `ev_deaf(worker, node, sname)`: the other side has closed a stream that is written to; what is written is lost.
    """

    def ev_start(self, worker: Any) -> None:
        """Called once, before the first `ev_pickup`: worker starts. What is written to it now reaches every node."""

    def ev_pickup(self, worker: Any, node: Any) -> None:
        """Called when the command of worker on one node starts."""

    def ev_read(self, worker: Any, node: Any, sname: str, msg: bytes) -> None:
        """Called for each line of output of worker on node; sname: its stream; msg: bytes without line end."""

    def ev_written(self, worker: Any, node: Any, sname: str, size: int) -> None:
        """Called after `size` bytes were written to worker's stream `sname` on node."""

    def ev_hup(self, worker: Any, node: Any, rc: int | None) -> None:
        """Called when the command of worker on one node ended; not when it timed out or was aborted.

        rc: exit status, 128 + N after signal N, 255 if not started or no connection, None for streams.
        """

    def ev_close(self, worker: Any, timedout: bool) -> None:
        """Called once, when all of worker is done (not if it never started); timedout: at least one node timed out."""

    def ev_error(self, worker: Any) -> None:
        """Called for each line on stderr of worker, which is in `worker.current_errmsg`, before `ev_read`.

        Deprecated. An `ev_read` of one argument is not called for such lines.
        """

    def ev_port_start(self, port: Any) -> None:
        """Called once, when the loop takes up a port."""

    def ev_msg(self, port: Any, msg: Any) -> None:
        """Called for each message that arrives at a port, in order; msg: the object that was sent."""

    def ev_timer(self, timer: Any) -> None:
        """Called when a timer fires."""


class Hooks:
    """The methods of one handler that are worth calling; None for the rest."""

    __slots__ = (
        "close",
        "connect",
        "deaf",
        "end",
        "error",
        "hup",
        "legacy_read",
        "lines",
        "pickup",
        "progress",
        "read",
        "start",
        "timeout",
        "written",
    )

    def __init__(self, handler: object | None) -> None:
        self.start = _method(handler, "ev_start")
        self.written = _method(handler, "ev_written")
        self.connect = _method(handler, "ev_connect")
        self.lines = _method(handler, "ev_lines")
        self.end = _method(handler, "ev_end")
        self.progress = _method(handler, "ev_progress")
        self.deaf = _method(handler, "ev_deaf")
        self.timeout = _method(handler, "ev_timeout")
        self.pickup = _modern(handler, "ev_pickup", "ev_pickup(self, worker, node)")
        self.hup = _modern(handler, "ev_hup", "ev_hup(self, worker, node, rc)")
        self.close = _modern(handler, "ev_close", "ev_close(self, worker, timedout)")
        read = _method(handler, "ev_read")
        self.legacy_read = read is not None and _is_legacy(read)
        self.read = _modern(handler, "ev_read", "ev_read(self, worker, node, sname, msg)")
        self.error = _method(handler, "ev_error")


def _method(handler: object | None, name: str) -> Callable[..., Any] | None:
    """The handler's own method `name`, None if it is missing or EventHandler's empty one."""
    method = getattr(handler, name, None)
    if method is None or not callable(method):
        return None
    if getattr(method, "__func__", None) is getattr(EventHandler, name, _NOTHING):
        return None
    found: Callable[..., Any] = method
    return found


_NOTHING = object()


def _is_legacy(method: Callable[..., Any]) -> bool:
    function = getattr(method, "__func__", None)
    code = getattr(function if function is not None else method, "__code__", None)
    if code is None:
        return False
    return bool(code.co_argcount + (function is None) == 2)


def _modern(handler: object | None, name: str, signature: str) -> Callable[..., Any] | None:
    """The method behind its present signature, whichever it has."""
    method = _method(handler, name)
    if method is None or not _is_legacy(method):
        return method
    legacy = method

    def call(worker: Any, *_: Any) -> None:
        warnings.warn(f"{name}(self, worker) is deprecated, declare {signature}", DeprecationWarning, stacklevel=2)
        legacy(worker)

    return call


def warn_timeout() -> None:
    """The warning that goes with a call of a handler's ev_timeout."""
    warnings.warn("ev_timeout(self, worker) is deprecated, use ev_close(self, worker, timedout)", DeprecationWarning, 2)


#: A handler-less worker's hooks.
NO_HOOKS = Hooks(None)


def hooks_of(handler: object | None) -> Hooks:
    """The hooks of a handler, as it is defined now."""
    return NO_HOOKS if handler is None else Hooks(handler)
