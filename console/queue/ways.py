"""The ways of tasks over this console's slots, for the view of the queue."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ...engine.taskmanager.jobs import JobEvent, JobState
from ...engine.text import sanitize_text

#: Tasks and steps of each that are kept; the oldest go first.
TASKS_KEPT = 10_000
STEPS_KEPT = 20
#: What is kept of an output to be looked at: bytes, and lines of these.
GLIMPSE_BYTES = 500
GLIMPSE_LINES = 5


@dataclass(frozen=True, slots=True)
class Step:
    """Something became of a task. at: seconds since the epoch. text: one clean line."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """How a task ended here. at: seconds since the epoch. command, lines (the last ones of its output): clean."""

    task: str
    state: JobState
    node: str
    command: str
    at: float
    lines: tuple[str, ...]


class Ways:
    """Where each task ran and how that ended, also when its result was taken and the queue has forgotten it.

    `heard` in one thread at a time, everything else in any.
    """

    def __init__(self) -> None:
        self._ways: dict[str, tuple[Step, ...]] = {}
        self._ended: dict[str, Ended] = {}

    def heard(self, event: JobEvent) -> None:
        """One more step of one task."""
        steps = self._ways.pop(event.task_id, ())
        while len(self._ways) >= TASKS_KEPT:
            del self._ways[next(iter(self._ways))]
        now = time.time()
        self._ways[event.task_id] = (*steps, Step(now, _text(event)))[-STEPS_KEPT:]
        self._ended.pop(event.task_id, None)  # it runs again
        if event.final:
            while len(self._ended) >= TASKS_KEPT:
                del self._ended[next(iter(self._ended))]
            command = sanitize_text(event.command)
            lines = tuple(glimpse(event.end.output + event.end.error))
            self._ended[event.task_id] = Ended(event.task_id, event.state, event.node, command, now, lines)

    def of(self, task: str) -> tuple[Step, ...]:
        """The steps of a task, oldest first."""
        return self._ways.get(task, ())

    def ended(self) -> list[Ended]:
        """What ended here, the newest first."""
        return list(self._ended.values())[::-1]

    def lines_of(self, task: str) -> tuple[str, ...]:
        """The last lines of what a task put out, clean; none while it runs."""
        ended = self._ended.get(task)
        return ended.lines if ended is not None else ()


def glimpse(output: bytes) -> list[str]:
    """The last lines of an output, clean, cut where they are long: enough to see how it went."""
    text = output[-GLIMPSE_BYTES:].decode("utf-8", "replace")
    return sanitize_text(text).splitlines()[-GLIMPSE_LINES:]


def _text(event: JobEvent) -> str:
    where = f"{event.node} slot {event.slot}" if event.node else "no node"
    if event.state is JobState.RUNNING:
        return sanitize_text(f"began on {where}")
    end = event.end
    why = end.reason or ("" if end.rc is None else f"exit status {end.rc}")
    text = f"{event.state.value} on {where} after {event.runtime:.1f} s" + (f": {why}" if why else "")
    return sanitize_text(text).replace("\n", " ")
