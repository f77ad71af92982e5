"""The task manager: requests go in, workers take them on a lease, outcomes come out, each exactly once.

The interface is that of ScientificPython's TaskManager with both spellings (compat.py), plus result by id and by
requester, time limits, cancel, retry limits and attempt tokens. Where the queue is kept is the store's business.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

from .compat import OriginalNames
from .errors import TaskManagerTermination, TaskRaisedException, UnknownProcess
from .requester_side import RequesterSide
from .stores import open_store
from .stores.base import Event, Store, Termination
from .tasks import ProcessInfo, TaskInfo, TaskState
from .waits import Waits
from .worker_side import WorkerSide

EVERY_STATE = tuple(TaskState)


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """One look at a queue. waiting, running, finished: tasks per tag. termination: see `TaskManager.terminate`."""

    waiting: dict[str, int]
    running: dict[str, int]
    finished: dict[str, int]
    processes: list[ProcessInfo]
    termination: str | None
    paused: bool


class TaskManager(RequesterSide, WorkerSide, OriginalNames):
    """A queue of tasks; every method may be called from any thread.

    store: a Store, or where it is: None or "memory://", "sqlite:///path", "redis://...", "rediss://...",
    "unix://path". options: for `open_store`. Time limits are seconds, None waits for ever, 0 does not wait; a limit
    that passes raises TimeoutError. With any store but memory, parameters, results and data items must be JSON values.
    """

    def __init__(self, store: Store | str | None = None, **options: Any) -> None:
        self._store: Store = open_store(store, **options) if store is None or isinstance(store, str) else store
        self._waits = Waits(self._store)

    @property
    def shared(self) -> bool:
        """Whether other processes use the same queue."""
        return self._store.shared

    @property
    def paused(self) -> bool:
        """Whether nothing is handed out for now."""
        return self._store.paused()

    # -- looking

    def number_of_active_processes(self) -> int:
        """How many processes are registered."""
        return len(self._store.processes())

    def active_process_info(self, process_id: int) -> Any:
        """What a process told of itself when it registered. Raises UnknownProcess."""
        for process in self._store.processes():
            if process.id == process_id:
                return process.info
        raise UnknownProcess(process_id)

    def processes(self) -> list[ProcessInfo]:
        """All registered processes with their last sign of life."""
        return self._store.processes()

    def number_of_tasks(self) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
        """Three dictionaries tag -> count: waiting, running, finished with a result that nobody fetched."""
        return self._store.counts()

    def tasks(self, states: Collection[TaskState] = EVERY_STATE, limit: int = 1000) -> list[TaskInfo]:
        """At most `limit` tasks in these states, for a view."""
        found = self._store.tasks(states, limit)
        return [
            task if task.parameters is None else replace(task, parameters=self._store.loads(task.parameters))
            for task in found
        ]

    def knows(self, task_id: str) -> bool:
        """Whether a task was requested and its outcome not fetched."""
        return self._store.known(task_id)

    def status(self) -> QueueStatus:
        """Counts, processes and mode in one look."""
        store = self._store
        return QueueStatus(*store.counts(), store.processes(), store.termination(), store.paused())

    # -- data items

    def store_data(self, **items: Any) -> None:
        """Keep data items that all processes may read, by label."""
        self._store.put_data({label: self._store.dumps(value) for label, value in items.items()})

    def retrieve_data(self, label: str) -> Any:
        """A data item. Raises KeyError."""
        return self._store.loads(self._store.get_data(label))

    def delete_data(self, label: str) -> None:
        """Forget a data item. Raises KeyError."""
        self._store.drop_data(label)

    # -- steering

    def terminate(self, mode: str | None = "drain") -> None:
        """Say that nothing more will be requested. None: take it back.

        drain: waiting tasks are still handed out and outcomes still fetched; whoever asks for more than there is gets
        TaskManagerTermination. now: everybody who waits or asks gets it at once; what a worker holds may still be
        stored. In a shared store this holds for everybody; to leave it alone, `close` instead.
        """
        self._store.terminate(None if mode is None else Termination(mode))

    def pause(self) -> None:
        """Hand out nothing until `resume`, for nobody; what runs goes on, and requests and results as always.

        A store that outlives this process keeps it.
        """
        self._store.pause(True)

    def resume(self) -> None:
        """Take `pause` back."""
        self._store.pause(False)

    def close(self) -> None:
        """Let go of the store; what it keeps stays kept. Idempotent."""
        self._store.close()

    def __enter__(self) -> TaskManager:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- waiting

    def subscribe(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call `listener` after changes, in whatever thread made them: it must be quick and only schedule work.

        The way of a loop that serves many workers without a thread for each. Returns what ends it.
        """
        return self._waits.subscribe(listener)

    def next_deadline(self) -> float:
        """Seconds until a silent process may have to be given up (`reap`), inf for never."""
        return self._store.next_deadline()

    def reap(self) -> None:
        """Give up silent processes now. Every blocking call does it by itself; a loop calls it at `next_deadline`."""
        self._store.reap()


__all__ = ["QueueStatus", "TaskManager", "TaskManagerTermination", "TaskRaisedException"]
