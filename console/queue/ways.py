"""The ways of tasks over this console's slots, for the view of the queue."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ...engine.taskmanager.jobs import JobEvent, JobState
from ...engine.text import sanitize_text

#: Tasks and steps of each that are kept; the oldest go first.
TASKS_KEPT = 10_000
STEPS_KEPT = 20


@dataclass(frozen=True, slots=True)
class Step:
    """Something became of a task. at: seconds since the epoch. text: one clean line."""

    at: float
    text: str


class Ways:
    """Where each task ran and how that ended. `heard` in one thread at a time, `of` in any."""

    def __init__(self) -> None:
        self._ways: dict[str, tuple[Step, ...]] = {}

    def heard(self, event: JobEvent) -> None:
        """One more step of one task."""
        steps = self._ways.pop(event.task_id, ())
        while len(self._ways) >= TASKS_KEPT:
            del self._ways[next(iter(self._ways))]
        self._ways[event.task_id] = (*steps, Step(time.time(), _text(event)))[-STEPS_KEPT:]

    def of(self, task: str) -> tuple[Step, ...]:
        """The steps of a task, oldest first."""
        return self._ways.get(task, ())


def _text(event: JobEvent) -> str:
    where = f"{event.node} slot {event.slot}" if event.node else "no node"
    if event.state is JobState.RUNNING:
        return sanitize_text(f"began on {where}")
    end = event.end
    why = end.reason or ("" if end.rc is None else f"exit status {end.rc}")
    text = f"{event.state.value} on {where} after {event.runtime:.1f} s" + (f": {why}" if why else "")
    return sanitize_text(text).replace("\n", " ")
