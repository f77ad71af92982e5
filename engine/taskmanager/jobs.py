"""Values of the node slots: a job, how its command ended, what became of it, and who runs commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from ..states import NodeState
from .tasks import TaskId

#: Bytes of output and of error output kept per job.
OUTPUT_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class CommandEnd:
    """How a command on a node ended.

    state: OK, FAILED (by `rc`), UNREACHABLE (surely not started), LOST (was running, or may have been, when the
    connection went), ABORTED (by `Runner.cancel`), TIMEOUT. reason: one clean line where `rc` does not tell.
    """

    state: NodeState
    rc: int | None = None
    output: bytes = b""
    error: bytes = b""
    reason: str = ""


class JobState(StrEnum):
    """LOST: the connection went while it ran; it is adopted when the node comes back, or given up, or retried."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    TIMEOUT = "timeout"
    LOST = "lost"
    CANCELLED = "cancelled"
    RETURNED = "returned"

    @property
    def finished(self) -> bool:
        """Whether the job is over (not running, not lost with hope, not waiting again)."""
        return self in (JobState.DONE, JobState.FAILED, JobState.TIMEOUT, JobState.CANCELLED)


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something became of a job. run, number: whose and which (parameters of the task), "" and 0 if they do not say.

    started: wall clock, runtime: seconds. final: no more events will come for this task (unless it is retried).
    """

    task_id: str
    run: str
    number: int
    state: JobState
    node: str
    slot: int
    command: str
    started: float
    runtime: float
    end: CommandEnd
    final: bool


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node for a view. state: starting, up, resting, down, draining, gone. retry_in: seconds to the next try."""

    name: str
    state: str
    slots: int
    running: int
    done: int
    failed: int
    lost: int
    retry_in: float
    reason: str


class Runner(Protocol):
    """Runs commands on nodes. `on_done` is called exactly once, in any thread, also for cancelled ones."""

    def run(
        self, node: str, slot: int, command: str, on_done: Callable[[CommandEnd], None], *, token: str | None = None
    ) -> Any:
        """Start a command; a handle for `cancel`. token: leave a note on the node, to adopt it or to end it by."""

    def adopt(self, node: str, slot: int, token: str, on_done: Callable[[CommandEnd | None], None]) -> Any:
        """Find out how the command with that token ended, waiting while it runs; None: it surely never started."""

    def cancel(self, handle: Any) -> None:
        """End a command and what it started; its `on_done` follows (ABORTED, or the end that this gave it)."""

    def clean(self, nodes: Iterable[str]) -> None:
        """Begin to remove what `run` left on nodes for `adopt`; `settle` waits for it."""

    def settle(self, timeout: float) -> bool:
        """Wait until nothing runs any more; False when `timeout` seconds were not enough."""


class Job:
    """A task on its way through a slot; the pool's own."""

    __slots__ = (
        "cancelled", "clock", "command", "ended", "handle", "node", "number", "parameters", "retriable",
        "run", "slot", "started", "tag", "taken", "task_id", "timed_out", "timeout", "token",
    )  # fmt: skip

    def __init__(self, task_id: TaskId, tag: str, parameters: dict[str, Any], token: str) -> None:
        self.task_id = task_id
        self.tag = tag
        self.parameters = parameters
        self.run = _text(parameters.get("run"))
        self.number = _number(parameters.get("number"))
        self.timeout = parameters.get("timeout")
        self.retriable = parameters.get("retriable") is True
        self.token = token
        self.command = ""
        self.node = ""
        self.slot = 0
        self.started = 0.0
        self.clock = 0.0
        self.handle: Any = None
        self.cancelled = False
        self.ended = False
        self.timed_out = False
        #: Whether another console has its task by now, or its result.
        self.taken = False


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0
