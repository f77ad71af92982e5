"""What a worker does with a queue: it registers, gives signs of life, takes tasks on a lease and ends them."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

from .errors import StaleTask, TaskManagerTermination, UnknownProcess
from .stores.base import Store, Termination
from .tasks import Failure, TaskId, TaskState
from .waits import Waits


class WorkerSide:
    """The part of TaskManager that workers use; every method from any thread."""

    _store: Store
    _waits: Waits

    # -- processes

    def register_process(self, watchdog_period: float | None = None, info: Any = None) -> int:
        """Register a compute process; its id.

        watchdog_period: seconds within which it promises to ping; after four of them in silence it is given up and
        its tasks go back. None: it is never given up.
        """
        if watchdog_period is not None and not (0 < watchdog_period < math.inf):
            raise ValueError(f"watchdog period {watchdog_period!r}: give seconds above 0, or None")
        return self._store.register(watchdog_period, info)

    def unregister_process(self, process_id: int) -> bool:
        """The process leaves: its tasks go back to the front. False when it is not registered (any more)."""
        return self._store.unregister(process_id)

    def ping(self, process_id: int) -> None:
        """A sign of life. Raises UnknownProcess when the process was given up: it must stop and register again."""
        if not self._store.ping(process_id):
            raise UnknownProcess(process_id)

    # -- taking and ending tasks

    def get_any_task(self, process_id: int | None = None, timeout: float | None = None) -> tuple[TaskId, str, Any]:
        """Lease the oldest waiting task: (task id, tag, parameters). Blocks.

        Raises TaskManagerTermination once the manager is terminated and nothing waits, UnknownProcess.
        """
        return self.get_task(None, process_id, timeout)

    def get_task_with_tag(
        self, tag: str, process_id: int | None = None, timeout: float | None = None
    ) -> tuple[TaskId, Any]:
        """Lease the oldest waiting task of a tag: (task id, parameters). Blocks; errors as `get_any_task`."""
        task_id, _, parameters = self.get_task((tag,), process_id, timeout)
        return task_id, parameters

    def get_task(
        self, tags: Sequence[str] | None, process_id: int | None = None, timeout: float | None = None
    ) -> tuple[TaskId, str, Any]:
        """Lease the oldest waiting task of any of these tags (None: of all). Blocks; errors as `get_any_task`."""
        taken = self._store.take(tags, process_id)
        if taken is None:
            taken = self._waits.for_task(tags, lambda: self._take_or_end(tags, process_id), timeout)
        task_id, tag, payload = taken
        return task_id, tag, self._store.loads(payload)

    def try_task(
        self,
        tags: Sequence[str] | None = None,
        process_id: int | None = None,
        node: str | None = None,
        nodes: Collection[str] | None = None,
    ) -> tuple[TaskId, str, Any] | None:
        """The same without waiting: None when there is nothing; `subscribe` tells when to ask again.

        node: pass over tasks that shall not run there, unless `nodes` is given and the task shall run on none of them.
        """
        taken = self._store.take(tags, process_id, node, nodes)
        return None if taken is None else (taken[0], taken[1], self._store.loads(taken[2]))

    def has_task(self, tags: Sequence[str] | None = None) -> bool:
        """Whether a task (of these tags) waits to be handed out now; cheap."""
        return self._store.may_take(tags)

    def _take_or_end(self, tags: Sequence[str] | None, process_id: int | None) -> tuple[TaskId, str, Any] | None:
        ended = self._ended()  # asked first: what comes in between must not be missed
        taken = self._store.take(tags, process_id)
        if taken is None and ended:
            raise TaskManagerTermination
        return taken

    def _ended(self) -> bool:
        """Whether nothing will be handed out any more; what waits in a paused queue will be."""
        mode = self._store.termination()
        if mode is Termination.DRAIN and self._store.paused():
            return not self._store.counts().waiting
        return mode is not None

    def store_result(self, task_id: str, result: Any, attempt: int | None = None) -> bool:
        """The task ended well. attempt: the token, where the id does not carry it (see TaskId). Never blocks.

        Raises StaleTask when this attempt does not hold the task any more: drop the result.
        """
        return self._held(task_id, attempt, self._finish(task_id, attempt, TaskState.DONE, result))

    def store_exception(
        self, task_id: str, exception: BaseException | Failure, traceback: str | None = None, attempt: int | None = None
    ) -> bool:
        """The task failed; who fetches its result gets TaskRaisedException. Otherwise as `store_result`."""
        failure = exception if isinstance(exception, Failure) else Failure.of(exception, traceback)
        return self._held(task_id, attempt, self._finish(task_id, attempt, TaskState.FAILED, failure))

    def return_task(self, task_id: str, attempt: int | None = None, *, not_on: str | None = None) -> bool:
        """Give a task back, unstarted: it goes to the very front. not_on: a node to avoid now. Raises StaleTask."""
        return self._held(task_id, attempt, self._store.give_back(task_id, _token(task_id, attempt), not_on=not_on))

    def lose_task(self, task_id: str, attempt: int | None = None, *, not_on: str | None = None) -> bool:
        """The worker that had the task vanished: back to the front, or LOST, or failed for good (see TaskOptions)."""
        token = _token(task_id, attempt)
        return self._held(task_id, attempt, self._store.give_back(task_id, token, lost=True, not_on=not_on))

    def _finish(self, task_id: str, attempt: int | None, state: TaskState, value: Any) -> bool:
        return self._store.finish(task_id, _token(task_id, attempt), state, self._store.dumps(value))

    def _held(self, task_id: str, attempt: int | None, held: bool) -> bool:
        if not held:
            raise StaleTask(task_id, _token(task_id, attempt))
        return True


def _token(task_id: str, attempt: int | None) -> int | None:
    return getattr(task_id, "attempt", None) if attempt is None else attempt
