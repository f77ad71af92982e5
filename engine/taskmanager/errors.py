"""What can go wrong with a task queue; every class says what a caller would do about it."""

from __future__ import annotations

from typing import Any


class TaskManagerError(Exception):
    """Base of the errors that a task manager raises about its use."""


class TaskManagerTermination(Exception):  # noqa: N818 - the original's name, scripts catch it
    """The manager was terminated and has nothing more to give to this caller; a loop over tasks or results ends."""


class TaskRaisedException(Exception):  # noqa: N818 - the original's name, scripts catch it
    """The task whose result was fetched had failed.

    task_id, tag: the task. exception: what it raised (in another process: `RemoteError`, or a built-in exception of
    the short list in `remote_exception`). traceback: its text, hostile like all text that comes from a worker.
    """

    def __init__(self, task_id: str, tag: str, exception: BaseException, traceback: str) -> None:
        super().__init__(task_id, tag, exception, traceback)
        self.task_id = task_id
        self.tag = tag
        self.exception = exception
        self.traceback = traceback

    def __str__(self) -> str:
        return f"task {self.task_id} ({self.tag}) failed: {type(self.exception).__name__}: {self.exception}"


class UnknownProcess(TaskManagerError, ValueError):  # noqa: N818
    """No such process: it never registered, or it was given up; a worker that sees this registers again."""

    def __init__(self, process_id: Any) -> None:
        super().__init__(f"no process {process_id!r} is registered: it left, or was silent too long; register again")
        self.process_id = process_id


class UnknownTask(TaskManagerError, KeyError):  # noqa: N818
    """No such task: never requested, or its result was already fetched."""

    def __init__(self, task_id: str) -> None:
        super().__init__(task_id)
        self.task_id = task_id

    def __str__(self) -> str:
        return f"no task {self.task_id!r}: never requested here, or its result was already fetched"


class StaleTask(TaskManagerError):  # noqa: N818
    """The caller does not hold this task (any more): it was given to another, cancelled or finished. Drop it."""

    def __init__(self, task_id: str, attempt: int | None) -> None:
        super().__init__(f"task {task_id!r} is not held by attempt {attempt}: it was given on, cancelled or finished")
        self.task_id = task_id
        self.attempt = attempt


class TaskLost(TaskManagerError):  # noqa: N818
    """Every worker that took the task vanished, or one did and the task may not be run twice."""


class TaskCancelled(TaskManagerError):  # noqa: N818
    """The task was cancelled before it finished."""


class QueueFull(TaskManagerError):  # noqa: N818
    """The bounded queue is full; ask again later or give a timeout."""


class StoreUnavailable(TaskManagerError):  # noqa: N818
    """The store behind the queue cannot be used: out of reach, locked by another manager, full, or refused."""


class FrameError(TaskManagerError):
    """The peer sent something that is not a frame of this protocol; the connection is closed."""


class RemoteError(Exception):
    """An exception that a worker in another process raised, as data.

    type_name, message, traceback: text that the worker sent, never evaluated.
    """

    def __init__(self, type_name: str, message: str, traceback: str = "") -> None:
        super().__init__(f"{type_name}: {message}" if message else type_name)
        self.type_name = type_name
        self.message = message
        self.traceback = traceback


#: Exceptions that are rebuilt by name; all take one message and have no side effect. Nothing else ever is.
_REBUILT: dict[str, type[Exception]] = {
    kind.__name__: kind
    for kind in (
        ArithmeticError,
        AssertionError,
        AttributeError,
        EOFError,
        IndexError,
        KeyError,
        LookupError,
        MemoryError,
        NotImplementedError,
        OSError,
        OverflowError,
        PermissionError,
        FileNotFoundError,
        RuntimeError,
        TaskCancelled,
        TaskLost,
        TimeoutError,
        TypeError,
        ValueError,
        ZeroDivisionError,
    )
}


def remote_exception(type_name: str, message: str, traceback: str) -> Exception:
    """The exception object for a failure that came as data: a known harmless type, else `RemoteError`."""
    kind = _REBUILT.get(type_name)
    return RemoteError(type_name, message, traceback) if kind is None else kind(message)
