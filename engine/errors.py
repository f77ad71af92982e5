"""The exceptions of the engine, one tree per family; the names and the trees are those that ClusterShell users know."""

from __future__ import annotations

import builtins

# -- Task


class TaskException(Exception):  # noqa: N818  (the name is part of the interface)
    """Base of everything that a Task raises of its own."""


class TaskError(TaskException):
    """Something asked of a Task cannot be done."""


class TimeoutError(TaskError, builtins.TimeoutError):  # noqa: A001  (the name is part of the interface)
    """The time given to `resume()` or `run()` is over; also a built-in TimeoutError."""


class AlreadyRunningError(TaskError):
    """`resume()` was called from a handler of the Task that is running."""


class TaskMsgTreeError(TaskError):
    """Output of a stream that is not recorded was asked for (see the default `<stream>_msgtree`)."""


# -- Worker


class WorkerException(Exception):  # noqa: N818
    """Base of everything that a worker raises of its own."""


class WorkerError(WorkerException):
    """A worker is used in a way, or at a time, that it does not allow."""


#: A worker was made with arguments that make no sense: plain `ValueError`, as scripts expect.
WorkerBadArgumentError = ValueError


# -- EngineClient


class EngineClientException(Exception):  # noqa: N818
    """Base of everything that an engine client raises of its own."""


class EngineClientEOF(EngineClientException):
    """A stream of a client ended."""


class EngineClientError(EngineClientException):
    """A client cannot do what was asked."""


class EngineClientNotSupportedError(EngineClientError):
    """This kind of client has no such operation (writing to pdsh, say)."""


# -- Engine


class EngineException(Exception):  # noqa: N818
    """Base of everything that the event loop raises of its own."""


class EngineAbortException(EngineException):
    """Unwinds the loop after `Task.abort()`.

    kill: whether the Task is unbound from its thread as well.
    """

    def __init__(self, kill: bool) -> None:
        super().__init__(kill)
        self.kill = kill


class EngineTimeoutException(EngineException):
    """The loop ran for as long as it was allowed to."""


class EngineNotSupportedError(EngineException):
    """The host has no such way of waiting for descriptors; engineid: its name."""

    def __init__(self, engineid: str) -> None:
        super().__init__(f"engine {engineid!r} is not supported on this host")
        self.engineid = engineid


class EngineIllegalOperationError(EngineException):
    """A timer or the loop is used at a time that it does not allow."""


class EngineAlreadyRunningError(EngineIllegalOperationError):
    """The loop was entered while it runs."""
