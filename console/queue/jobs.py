"""Values of the console's task queue: how a task ended, one map, and its progress in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ClusterShell.NodeSet import NodeSet

from ...engine.taskmanager.driver import SlotDriver
from ...engine.taskmanager.jobs import JobState
from ...engine.taskmanager.mapping import MapProgress, MapRun
from ...engine.taskmanager.tasks import TaskInfo

#: What is said where tasks do not begin for that reason.
PAUSED = "the queue is paused: :queue resume lets it go on"


class QueueError(ValueError):
    """Something the queue cannot do; one line with the remedy."""


@dataclass(frozen=True, slots=True)
class JobResult:
    """How a task ended. output, error: as the node sent them. runtime: seconds."""

    task: str
    state: JobState
    node: str
    command: str
    rc: int | None
    output: bytes
    error: bytes
    reason: str
    runtime: float


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task of the queue. command: clean, empty where this console does not know it."""

    info: TaskInfo
    command: str


@dataclass(eq=False)
class MapJob:
    """One `:queue map`. own: it has slots of its own, which nobody else uses."""

    number: int
    template: str
    total: int
    slots: dict[str, int]
    run: MapRun
    driver: SlotDriver
    own: bool
    told: bool = False

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.run.wait(0)

    def summary(self) -> str:
        """How it is, in words."""
        trouble = self.run.trouble
        return f"map {self.number}: {counts(self.run.progress())}" + (f"; {trouble}" if trouble else "")

    def close(self, *, forget: bool = False) -> None:
        """End it and its slots; may wait for nodes. forget: what failed of it cannot be retried any more."""
        if forget and self.own:  # nobody else takes its tasks
            self.run.forget()
        self.run.close()
        if self.own:
            self.driver.close()


def folded(nodes: Iterable[str]) -> str:
    """Nodes as one expression."""
    return str(NodeSet.fromlist(list(nodes)))


def counts(progress: MapProgress) -> str:
    """How far a map is, in words."""
    parts = [
        f"{word} {number}"
        for word, number in (
            ("done", progress.done), ("failed", progress.failed), ("timeout", progress.timeout),
            ("lost", progress.lost), ("cancelled", progress.cancelled), ("running", progress.running),
            ("waiting", progress.waiting), ("skipped", progress.skipped),
        )
        if number
    ]  # fmt: skip
    text = f"{', '.join(parts) or 'nothing to do'} of {progress.total + progress.skipped}"
    if progress.halted:
        text += ", halted"
    if progress.eta is not None and progress.eta >= 1 and progress.waiting + progress.running:
        text += f", about {progress.eta:.0f} s to go"
    return text
