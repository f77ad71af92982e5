"""Where `:queue add`, `status`, `cancel`, `retry` and `results` go: the session's own queue, or another process's.

The latter is reached on the socket that `clusterdeck queue serve` made.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ...engine.taskmanager.errors import FrameError, StoreUnavailable, TaskManagerError
from ...engine.taskmanager.remote import RemoteQueue
from ...engine.taskmanager.stores.base import Claim
from ...engine.taskmanager.tasks import Outcome, TaskState
from ...engine.text import sanitize_text
from .jobs import JobResult, QueueError
from .queue import QueueService

T = TypeVar("T")

#: More tasks than any queue has.
_EVERY = 10**9
#: Kinds of failures that are the queue's own: their messages say it all.
_OWN = ("CommandFailed", "CommandTimeout", "TaskLost", "TaskCancelled")
#: Tasks that one look shows.
LOOK = 500


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task as lists show it. state: a word of TaskState. age: seconds in that state."""

    id: str
    tag: str
    state: str
    age: float
    attempts: int
    where: str
    command: str


@dataclass(frozen=True, slots=True)
class Look:
    """A queue at one moment. counts: tag -> (waiting, running, finished). workers: processes and slots that work.

    ends: whether it was asked to end once it is empty. paused: whether nothing is handed out.
    """

    counts: dict[str, tuple[int, int, int]]
    tasks: list[TaskRow]
    workers: int
    ends: bool
    paused: bool


class Backend(Protocol):
    """A queue, wherever it is. Every method may raise QueueError."""

    def add(self, commands: Sequence[str], *, tag: str, retriable: bool) -> list[str]:
        """Queue commands; their ids."""

    def request(self, tag: str, parameters: Any, *, retriable: bool) -> str:
        """Queue a task for a Python worker, with a JSON value for its function; its id."""

    def look(self) -> Look:
        """How it is now."""

    def cancel(self, task: str) -> bool:
        """End a task; False when it is over or was never there."""

    def retry(self, task: str) -> bool:
        """Put a failed, lost or cancelled task back; False when it is none."""

    def retry_all(self, states: Sequence[TaskState]) -> int:
        """The same for all tasks in these states; how many. Those of this console's maps: `Maps.retry`."""

    def drain(self, *, undo: bool) -> None:
        """The queue ends once everything is done and fetched; undo: it does not."""

    def pause(self, paused: bool) -> None:
        """Begin no task until it is taken back; what runs goes on."""

    def results(self, limit: int) -> list[tuple[str, str, str, str]]:
        """Take what is finished: (task, state, what it was, output)."""


class LocalBackend:
    """The session's own queue."""

    def __init__(self, service: QueueService) -> None:
        self._service = service

    def add(self, commands: Sequence[str], *, tag: str, retriable: bool) -> list[str]:
        return self._service.add(commands, tag=tag, retriable=retriable)

    def request(self, tag: str, parameters: Any, *, retriable: bool) -> str:
        return self._service.request(tag, parameters, retriable=retriable)

    def look(self) -> Look:
        manager = self._service.manager
        now = manager.status()
        running = {event.task_id: event for event in self._service.running()}
        rows: list[TaskRow] = []
        for info in manager.tasks((TaskState.LEASED, TaskState.FAILED, TaskState.LOST, TaskState.WAITING), LOOK):
            event = running.get(info.id)
            since = info.ended or info.started or info.added
            where = "" if event is None else f"{event.node}/{event.slot}"
            command = self._service.command_of(info)
            age = max(0.0, time.time() - since)
            rows.append(TaskRow(info.id, info.tag, info.state.word, age, info.attempt, where, command))
        counts = _counted(now.waiting, now.running, now.finished)
        return Look(counts, rows, len(now.processes), now.termination is not None, now.paused)

    def cancel(self, task: str) -> bool:
        return self._service.cancel(task)

    def retry(self, task: str) -> bool:
        return self._service.manager.retry(task)

    def retry_all(self, states: Sequence[TaskState]) -> int:
        # What maps have retried must not be retried again because it has failed again by now.
        maps = {job.run.id for job in self._service.maps.all()}
        manager = self._service.manager
        again = [info.id for info in manager.tasks(states, _EVERY) if info.requester not in maps]
        return sum(manager.retry(task) for task in reversed(again))

    def drain(self, *, undo: bool) -> None:
        self._service.manager.terminate(None if undo else "drain")

    def pause(self, paused: bool) -> None:
        manager = self._service.manager
        manager.pause() if paused else manager.resume()

    def results(self, limit: int) -> list[tuple[str, str, str, str]]:
        found = [_of_job(result) for result in self._service.results.take(limit)]
        known = {task for task, *_ in found}
        while len(found) < limit and (outcome := self._service.manager.try_outcome(Claim())) is not None:
            if outcome.task_id not in known:
                found.append(_of_outcome(outcome, self._service.known_command(outcome.task_id)))
            self._service.forget(outcome.task_id)
        return found


class RemoteBackend:
    """A queue that another process serves on a Unix socket. Use as a context manager, or call `close`."""

    def __init__(self, path: str) -> None:
        try:
            self._queue = RemoteQueue(path)
        except (StoreUnavailable, FrameError) as error:
            raise QueueError(sanitize_text(str(error))) from error

    def close(self) -> None:
        """Hang up."""
        self._queue.close()

    def add(self, commands: Sequence[str], *, tag: str, retriable: bool) -> list[str]:
        parameters = [{"command": command, "retriable": retriable} for command in commands]
        return self._said(lambda: self._queue.add(tag, parameters, retriable=retriable))

    def request(self, tag: str, parameters: Any, *, retriable: bool) -> str:
        return self._said(lambda: self._queue.add(tag, [parameters], retriable=retriable))[0]

    def look(self) -> Look:
        now = self._said(self._queue.status)
        rows = []
        for fields in self._said(lambda: self._queue.tasks(["running", "failed", "lost", "waiting"], LOOK)):
            since = float(fields.get("ended") or fields.get("started") or fields.get("added") or 0.0)
            age = max(0.0, time.time() - since)
            attempts = int(fields.get("attempt") or 0)
            task, tag, state = (str(fields[name]) for name in ("id", "tag", "state"))
            about = sanitize_text(str(fields.get("parameters") or ""))
            rows.append(TaskRow(task, tag, state, age, attempts, "", about))
        counts = _counted(now["waiting"], now["running"], now["finished"])
        return Look(counts, rows, len(now["processes"]), now["termination"] is not None, bool(now["paused"]))

    def cancel(self, task: str) -> bool:
        return self._said(lambda: self._queue.cancel(task))

    def retry(self, task: str) -> bool:
        return self._said(lambda: self._queue.retry(task))

    def retry_all(self, states: Sequence[TaskState]) -> int:
        return self._said(lambda: self._queue.retry_all([state.word for state in states]))

    def drain(self, *, undo: bool) -> None:
        self._said(lambda: self._queue.terminate(None if undo else "drain"))

    def pause(self, paused: bool) -> None:
        self._said(self._queue.pause if paused else self._queue.resume)

    def results(self, limit: int) -> list[tuple[str, str, str, str]]:
        found: list[tuple[str, str, str, str]] = []
        words = [state.word for state in TaskState if state.finished]
        listed = self._said(lambda: self._queue.tasks(words, LOOK))
        about = {str(fields["id"]): sanitize_text(str(fields.get("parameters") or "")) for fields in listed}
        while len(found) < limit:
            outcome = self._said(self._queue.outcome)
            if outcome is None:
                break
            found.append(_of_outcome(outcome, about.get(outcome.task_id, "")))
        return found

    @staticmethod
    def _said(call: Callable[[], T]) -> T:
        try:
            return call()
        except (StoreUnavailable, FrameError, TaskManagerError) as error:
            raise QueueError(sanitize_text(str(error))) from error


def _counted(
    waiting: dict[str, int], running: dict[str, int], finished: dict[str, int]
) -> dict[str, tuple[int, int, int]]:
    tags = sorted({*waiting, *running, *finished})
    return {tag: (waiting.get(tag, 0), running.get(tag, 0), finished.get(tag, 0)) for tag in tags}


def _of_job(result: JobResult) -> tuple[str, str, str, str]:
    what = f"{result.node}: {result.command}"
    if result.rc:
        what += f" (rc {result.rc})"
    elif result.reason:
        what += f" ({result.reason})"
    return result.task, result.state.value, what, (result.output + result.error).decode("utf-8", "replace")


def _of_outcome(outcome: Outcome, command: str) -> tuple[str, str, str, str]:
    value = outcome.value
    if outcome.failure is not None:
        kind, message = outcome.failure.type_name, outcome.failure.message
        why = message if kind in _OWN else f"{kind}: {message}".removesuffix(": ")
        what = f"{command} ({why})".lstrip()
        return outcome.task_id, outcome.state.word, what, outcome.failure.traceback
    if isinstance(value, dict) and "stdout" in value:
        node = f"{value.get('node')}: " if value.get("node") else ""
        text = str(value.get("stdout") or "") + str(value.get("stderr") or "")
        return outcome.task_id, outcome.state.word, f"{node}{command}".strip(": "), text
    return outcome.task_id, outcome.state.word, command, "" if value is None else _shown(value)


def _shown(value: object) -> str:
    """What a Python worker returned; a queue in memory takes any object."""
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def default_socket(state: Path) -> Path:
    """Where `:queue serve` serves if nothing else is said."""
    return state / "queue.sock"


def is_served(path: str) -> bool:
    """Whether somebody listens there; what a killed process left behind does not count."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except OSError:
            return False
    return True
