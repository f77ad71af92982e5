"""One task as the stores of this process keep it, and the journal that they write first."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Protocol

from ..leases import Process
from ..tasks import TaskInfo, TaskOptions, TaskState
from .base import RawOutcome


class Task:
    """Everything known of one task; changed only by MemoryStore, under its lock."""

    __slots__ = (
        "added", "attempt", "ended", "id", "losses", "max_attempts", "not_on", "number", "owner", "payload",
        "place", "requester", "result", "retriable", "started", "state", "tag",
    )  # fmt: skip

    def __init__(self, number: int, tag: str, payload: Any, requester: str | None, options: TaskOptions) -> None:
        self.number = number
        self.id = f"{tag}_{number}"
        self.tag = tag
        self.payload = payload
        self.requester = requester
        self.retriable = options.retriable
        self.max_attempts = options.max_attempts
        self.not_on = options.not_on
        self.state: TaskState = TaskState.WAITING
        self.attempt = 0
        self.losses = 0
        self.owner: Process | None = None
        self.place = number
        self.added = time.time()
        self.started = 0.0
        self.ended = 0.0
        self.result: Any = None


class Journal(Protocol):
    """Where changes are written before they are made; StoreUnavailable when that fails (and nothing changes)."""

    def added(self, tasks: Sequence[Task]) -> None: ...
    def leased(self, task: Task, attempt: int, started: float) -> None: ...
    def waiting(self, task: Task, place: int, losses: int, not_on: frozenset[str]) -> None: ...
    def ended(self, task: Task, state: TaskState, payload: Any, losses: int, ended: float) -> None: ...
    def dropped(self, task: Task) -> None: ...
    def next_process(self, process_id: int) -> None: ...
    def put_data(self, items: dict[str, Any]) -> None: ...
    def drop_data(self, label: str) -> None: ...
    def paused(self, paused: bool) -> None: ...


def outcome_of(task: Task) -> RawOutcome:
    """How one task ended; the payload still encoded."""
    return RawOutcome(task.id, task.tag, task.state, task.result)


#: Characters of encoded parameters that a view is given.
SHORT = 4000


def info_of(task: Task) -> TaskInfo:
    """One task as a view shows it; parameters still encoded."""
    owner = None if task.owner is None else task.owner.id
    times = (task.added, task.started, task.ended)
    return TaskInfo(
        task.id, task.tag, task.state, task.attempt, task.losses, owner, task.requester, *times, task.payload
    )
