"""Values of the queue: states, ids with their attempt token, options, outcomes."""

from __future__ import annotations

import enum
import json
import re
import traceback as traceback_module
from dataclasses import dataclass, field
from typing import Any

from .errors import TaskRaisedException, remote_exception

#: Tags and requesters are names, not prose: they become parts of ids, of method names and of keys in a shared store.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:+-]{0,79}", re.ASCII)
#: `tag_number`, as in the original.
TASK_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:+-]{0,79}_[0-9]{1,18}", re.ASCII)

#: Longest message and traceback kept of a failure, in characters.
MESSAGE_LIMIT = 4_000
TRACEBACK_LIMIT = 64_000
#: Longest description of a task in a view.
TEXT_LIMIT = 500


class TaskState(enum.IntEnum):
    """WAITING -> LEASED -> one of the others; LEASED -> WAITING when a task is given back."""

    WAITING = 0
    LEASED = 1
    DONE = 2
    FAILED = 3
    CANCELLED = 4
    LOST = 5

    @property
    def word(self) -> str:
        """`waiting`, `running`, `done`, `failed`, `cancelled`, `lost`."""
        return "running" if self is TaskState.LEASED else self.name.lower()

    @property
    def finished(self) -> bool:
        """Whether an outcome is waiting to be fetched."""
        return self >= TaskState.DONE


class TaskId(str):
    """A task's id that also carries the token of the hand-out it came from.

    It is a plain string to everybody else (old slave loops pass it back unchanged); `attempt` lets the manager refuse
    results of a hand-out that is no longer the current one. Sent through JSON it becomes a plain string: there the
    token is a field of its own.
    """

    __slots__ = ("attempt",)
    attempt: int

    def __new__(cls, value: str, attempt: int) -> TaskId:
        self = str.__new__(cls, value)
        self.attempt = attempt
        return self

    def __reduce__(self) -> tuple[type[TaskId], tuple[str, int]]:
        return (TaskId, (str(self), self.attempt))


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """How one task may be treated.

    retriable: whether it may be run again after a worker that had it vanished. max_attempts: how many vanished workers
    it survives before it fails with TaskLost. not_on: nodes that shall not get it while others can.
    """

    retriable: bool = True
    max_attempts: int = 3
    not_on: frozenset[str] = frozenset()


DEFAULT_OPTIONS = TaskOptions()


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task failed, as data; `exception` only inside the process that raised it."""

    type_name: str
    message: str
    traceback: str = ""
    exception: BaseException | None = field(default=None, compare=False)

    @classmethod
    def of(cls, exception: BaseException, traceback: str | None = None) -> Failure:
        """The failure for an exception; the traceback text is made from it when None."""
        if traceback is None:
            traceback = "".join(traceback_module.format_exception(exception))
        try:
            message = str(exception)[:MESSAGE_LIMIT]
        except Exception:  # its text is its author's code
            message = "its text cannot be had"
        return cls(type(exception).__name__, message, traceback[-TRACEBACK_LIMIT:], exception)

    def raised(self, task_id: str, tag: str) -> TaskRaisedException:
        """What the one who fetches the result gets."""
        exception = self.exception or remote_exception(self.type_name, self.message, self.traceback)
        return TaskRaisedException(task_id, tag, exception, self.traceback)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one task: exactly one of these comes out for every request that went in."""

    task_id: str
    tag: str
    state: TaskState
    value: Any = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """One task as a view shows it. added, started, ended: wall clock, seconds since the epoch, 0.0 = not yet.

    parameters: None also where they are too long for a view.
    """

    id: str
    tag: str
    state: TaskState
    attempt: int
    losses: int
    owner: int | None
    requester: str | None
    added: float
    started: float
    ended: float
    parameters: Any = None

    @property
    def text(self) -> str:
        """What it is about: its command (and item), or its parameters. At most TEXT_LIMIT characters; not clean."""
        given = self.parameters
        if given is None:
            return ""
        if isinstance(given, dict) and isinstance(given.get("command"), str):
            item = f" ::: {given['argument']}" if "argument" in given else ""
            return f"{given['command']}{item}"[:TEXT_LIMIT]
        try:
            return json.dumps(given, ensure_ascii=False, default=str)[:TEXT_LIMIT]
        except (TypeError, ValueError, RecursionError):  # any object may be in a queue in memory
            return ""


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """One registered process. period: promised seconds between pings (None: never given up for silence).

    silent: seconds since it was last heard of.
    """

    id: int
    info: Any
    period: float | None
    silent: float
    running: int


def check_name(value: object, what: str) -> str:
    """`value` if it can be a tag or requester; ValueError otherwise."""
    if not isinstance(value, str) or NAME.fullmatch(value) is None:
        raise ValueError(f"{what} {value!r}: use 1 to 80 letters, digits and _ . @ : + -, not starting with a mark")
    return value
