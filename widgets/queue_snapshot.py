"""The queue at one moment, as the view of it and whoever looks at the queue agree on. Values only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

#: Seconds of silence after which a process is marked.
LATE = 30.0


@dataclass(frozen=True, slots=True)
class QueueTask:
    """One task. state: waiting, running, finished, failed, lost or cancelled; age: seconds in that state."""

    id: str
    tag: str
    state: str
    where: str = ""
    age: float = 0.0
    attempts: int = 1
    text: str = ""
    way: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QueueProcess:
    """A worker process. ping: seconds since it was last heard of. late: it has promised to be heard of sooner."""

    id: str
    where: str
    ping: float
    slots: str = ""
    late: bool = False


@dataclass(frozen=True, slots=True)
class QueueWorker:
    """A node whose slots take tasks. state: up, resting, down, draining, gone; trouble: why it is not up."""

    name: str
    state: str
    slots: int
    running: int
    done: int
    failed: int
    trouble: str = ""
    pool: str = ""


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """The queue at one moment. version grows with every change. notes: why it stands still, where it does."""

    version: int = 0
    tasks: Sequence[QueueTask] = ()
    processes: Sequence[QueueProcess] = ()
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    workers: Sequence[QueueWorker] = ()
    maps: Sequence[str] = ()
    notes: Sequence[str] = ()
