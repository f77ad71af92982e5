"""The console's task queue: commands wait here until a slot of a node is free.

The queue itself is engine.taskmanager's; it is made when it is first used. What runs the tasks on nodes is attached
with `slots`, so that queues can be filled and looked at before any node takes part.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..engine.taskmanager.errors import UnknownTask
from ..engine.taskmanager.manager import QueueStatus, TaskManager
from ..engine.taskmanager.stores.base import Claim
from ..engine.taskmanager.tasks import Outcome, TaskInfo, TaskOptions, TaskState
from .service import Service

DEFAULT_TAG = "shell"
#: Tasks that one `:queue map` may add; a slip of the keyboard must not fill the memory.
MAX_ITEMS = 1_000_000


class QueueError(ValueError):
    """Something the queue cannot do; one line with the remedy."""


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task as lists show it."""

    info: TaskInfo
    command: str


class QueueService:
    """Fills, shows and empties the queue of one session. Any thread may call it."""

    def __init__(self, session: Service, address: str | None = None) -> None:
        self._session = session
        self._address = address
        self._manager: TaskManager | None = None
        self._commands: dict[str, str] = {}

    @property
    def manager(self) -> TaskManager:
        """The task manager; made when first asked for."""
        if self._manager is None:
            self._manager = TaskManager(self._address)
        return self._manager

    @property
    def used(self) -> bool:
        """Whether the queue was ever touched in this session."""
        return self._manager is not None

    def add(self, command: str, *, tag: str = DEFAULT_TAG, retriable: bool = False) -> str:
        """Queue a command; the task's id. Raises QueueError, ValueError."""
        return self.add_many([command], tag=tag, retriable=retriable)[0]

    def add_many(self, commands: Iterable[str], *, tag: str = DEFAULT_TAG, retriable: bool = False) -> list[str]:
        """Queue commands; their ids."""
        wanted = list(commands)
        if len(wanted) > MAX_ITEMS:
            raise QueueError(f"{len(wanted)} tasks are too many at once: at most {MAX_ITEMS}")
        if not all(command.strip() for command in wanted):
            raise QueueError("an empty command is not queued")
        parameters: list[Any] = [{"command": command, "retriable": retriable} for command in wanted]
        ids = self.manager.add_task_requests(tag, parameters, options=TaskOptions(retriable=retriable))
        self._commands.update(zip(ids, wanted, strict=True))
        return ids

    def status(self) -> QueueStatus:
        """How many wait, run and are finished, per tag, and the processes that take part."""
        return self.manager.status()

    def tasks(self, states: Sequence[TaskState] = tuple(TaskState), limit: int = 1000) -> list[TaskRow]:
        """Tasks in these states, oldest first."""
        return [TaskRow(info, self._commands.get(info.id, "")) for info in self.manager.tasks(states, limit)]

    def cancel(self, task: str) -> bool:
        """Cancel a task that waits; False when it runs or is finished. Raises QueueError where there is none."""
        return self._known(task, self.manager.cancel)

    def _known(self, task: str, act: Callable[[str], bool]) -> bool:
        try:
            done = act(task)
        except UnknownTask:
            done = False
        if not done and all(row.info.id != task for row in self.tasks(limit=MAX_ITEMS)):
            raise QueueError(f"there is no task {task!a}: :queue lists them")
        return done

    def cancel_all(self) -> int:
        """Cancel all tasks that wait; how many."""
        return sum(self.manager.cancel(row.info.id) for row in self.tasks((TaskState.WAITING,), MAX_ITEMS))

    def retry(self, task: str) -> bool:
        """Queue a failed, lost or cancelled task once more; False when it is none of these."""
        return self._known(task, self.manager.retry)

    def retry_all(self, states: Sequence[TaskState]) -> int:
        """Queue all tasks in these states once more; how many."""
        return self.manager.retry_all(states)

    def collect(self, limit: int = 1000) -> list[tuple[str, Outcome]]:
        """Take finished outcomes out of the queue: (command, outcome), at most `limit`."""
        found: list[tuple[str, Outcome]] = []
        while len(found) < limit and (outcome := self.manager.try_outcome(Claim())) is not None:
            found.append((self._commands.pop(outcome.task_id, ""), outcome))
        return found

    def close(self) -> None:
        """Give everything back."""
        manager, self._manager = self._manager, None
        if manager is not None:
            manager.close()


def expand(template: str, items: Iterable[str]) -> list[str]:
    """A command per item: `{}` becomes the item as one word, or it is put at the end."""
    if "{}" in template:
        return [template.replace("{}", shlex.quote(item)) for item in items]
    return [f"{template} {shlex.quote(item)}" for item in items]


def split_items(text: str) -> tuple[str, list[str]]:
    """`CMD ::: a b c` as the command and its items; without `:::`, no items. Raises QueueError."""
    head, mark, tail = text.partition(" ::: ")
    if not mark:
        return text, []
    try:
        return head, shlex.split(tail)
    except ValueError as error:
        raise QueueError(f"items after ::: cannot be read: {error}") from None
