"""The task manager: requests go in, workers take them on a lease, outcomes come out, each exactly once.

The interface is that of ScientificPython's TaskManager with both spellings (compat.py), plus result by id and by
requester, time limits, cancel, retry limits and attempt tokens. Where the queue is kept is the store's business.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from .compat import OriginalNames
from .errors import QueueFull, StaleTask, TaskManagerTermination, TaskRaisedException, UnknownProcess, UnknownTask
from .stores import open_store
from .stores.base import ANY_RESULT, Claim, Event, RawOutcome, Store, Termination
from .tasks import DEFAULT_OPTIONS, Failure, Outcome, ProcessInfo, TaskId, TaskInfo, TaskOptions, TaskState, check_name
from .waits import Waits

T = TypeVar("T")

EVERY_STATE = tuple(TaskState)


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """One look at a queue. waiting, running, finished: tasks per tag."""

    waiting: dict[str, int]
    running: dict[str, int]
    finished: dict[str, int]
    processes: list[ProcessInfo]
    termination: str | None


class TaskManager(OriginalNames):
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

    # -- requests

    def add_task_request(
        self,
        tag: str,
        parameters: Any = None,
        process_id: int | None = None,
        *,
        requester: str | None = None,
        options: TaskOptions = DEFAULT_OPTIONS,
        timeout: float | None = 0.0,
    ) -> str:
        """Put a request at the end of the queue; its task id. When it returns, a store with a journal has it on disk.

        process_id or requester: whose results they are (`get_result_of`). timeout: how long to wait for room in a
        bounded queue before QueueFull. After `terminate("now")` raises TaskManagerTermination.
        """
        check_name(tag, "tag")
        owner = _requester(process_id, requester)
        payload = self._store.dumps(parameters)
        try:
            return self._admitted(lambda: self._store.add(tag, payload, owner, options))
        except QueueFull:
            if timeout == 0.0:
                raise
        return self._waits.for_room(
            lambda: self._if_room(lambda: self._store.add(tag, payload, owner, options)), timeout
        )

    def add_task_requests(
        self,
        tag: str,
        parameters: Iterable[Any],
        *,
        requester: str | None = None,
        options: TaskOptions = DEFAULT_OPTIONS,
    ) -> list[str]:
        """Several requests with one tag, all or none; QueueFull at once when there is no room for all.

        In Redis more than 10,000 go in steps of so many: if the server goes in the middle, the first ones stay.
        """
        check_name(tag, "tag")
        payloads = [self._store.dumps(each) for each in parameters]
        return self._admitted(lambda: self._store.add_many(tag, payloads, _requester(None, requester), options))

    def _admitted(self, add: Callable[[], T]) -> T:
        if self._store.termination() is Termination.NOW:
            raise TaskManagerTermination
        return add()

    def _if_room(self, add: Callable[[], T]) -> T | None:
        try:
            return self._admitted(add)
        except QueueFull:
            return None

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
        ended = self._store.termination() is not None  # asked first: what comes in between must not be missed
        taken = self._store.take(tags, process_id)
        if taken is None and ended:
            raise TaskManagerTermination
        return taken

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

    # -- results

    def get_any_result(self, timeout: float | None = None) -> tuple[str, str, Any]:
        """Fetch the oldest outcome: (task id, tag, result). Blocks.

        Raises TaskRaisedException for a task that failed, TaskManagerTermination once the manager is terminated and no
        outcome can come any more.
        """
        return _value(self.get_outcome(ANY_RESULT, timeout))

    def get_result_with_tag(self, tag: str, timeout: float | None = None) -> tuple[str, Any]:
        """Fetch the oldest outcome of a tag: (task id, result). Blocks; errors as `get_any_result`."""
        task_id, _, result = _value(self.get_outcome(Claim(tag=tag), timeout))
        return task_id, result

    def get_result(self, task_id: str, timeout: float | None = None) -> Any:
        """Fetch the outcome of one task. Blocks; also raises UnknownTask (never requested, or fetched by another)."""
        return _value(self.get_outcome(Claim(task_id=task_id), timeout))[2]

    def get_result_of(self, requester: str | int, timeout: float | None = None) -> tuple[str, str, Any]:
        """Fetch the oldest outcome of one requester (a name, or a process id). Blocks."""
        name = _requester(requester, None) if isinstance(requester, int) else requester
        return _value(self.get_outcome(Claim(requester=name), timeout))

    def get_outcome(self, claim: Claim = ANY_RESULT, timeout: float | None = None) -> Outcome:
        """Fetch an outcome as data, bad ends included. Blocks; raises TaskManagerTermination, UnknownTask."""
        raw = self._store.collect(claim)
        if raw is None:
            raw = self._waits.for_result(claim, lambda: self._collect_or_end(claim), timeout)
        return self._outcome(raw)

    def try_outcome(self, claim: Claim = ANY_RESULT) -> Outcome | None:
        """The same without waiting."""
        raw = self._store.collect(claim)
        return None if raw is None else self._outcome(raw)

    def peek(self, task_id: str) -> Outcome | None:
        """The outcome of a task without fetching it, so that it can still be retried; None when there is none."""
        raw = self._store.peek(task_id)
        return None if raw is None else self._outcome(raw)

    def ended_of(self, requester: str) -> list[str]:
        """The tasks of one requester whose outcome waits to be fetched, oldest first."""
        return self._store.ended_of(requester)

    def _collect_or_end(self, claim: Claim) -> RawOutcome | None:
        mode = self._store.termination()
        ended = mode is Termination.NOW or (mode is Termination.DRAIN and not self._more_to_come())
        known = claim.task_id is None or self._store.known(claim.task_id)
        raw = self._store.collect(claim)
        if raw is None and not known:
            raise UnknownTask(claim.task_id or "")
        if raw is None and ended:
            raise TaskManagerTermination
        return raw

    def _more_to_come(self) -> bool:
        """Whether, while draining, an outcome may still appear: tasks run, or wait and somebody is there to run."""
        counts = self._store.counts()
        return bool(counts.running or (counts.waiting and self._store.processes()))

    def _outcome(self, raw: RawOutcome) -> Outcome:
        value = self._store.loads(raw.payload)
        if raw.state is TaskState.DONE:
            return Outcome(raw.task_id, raw.tag, raw.state, value)
        failure = value if isinstance(value, Failure) else Failure(**value)
        return Outcome(raw.task_id, raw.tag, raw.state, None, failure)

    # -- looking and steering

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
        return QueueStatus(*self._store.counts(), self._store.processes(), self._store.termination())

    def cancel(self, task_id: str) -> bool:
        """End a waiting or running task now; its requester gets TaskCancelled. False when it is over or unknown."""
        return self._store.cancel(task_id)

    def retry(self, task_id: str) -> bool:
        """Put a failed, lost or cancelled task whose outcome nobody fetched back to the front; False for others."""
        return self._store.retry(task_id)

    def retry_all(self, states: Collection[TaskState] = (TaskState.FAILED, TaskState.LOST)) -> int:
        """`retry` for all tasks in these states, oldest foremost; how many."""
        return sum(self._store.retry(task.id) for task in reversed(self._store.tasks(states, 1_000_000)))

    def store_data(self, **items: Any) -> None:
        """Keep data items that all processes may read, by label."""
        self._store.put_data({label: self._store.dumps(value) for label, value in items.items()})

    def retrieve_data(self, label: str) -> Any:
        """A data item. Raises KeyError."""
        return self._store.loads(self._store.get_data(label))

    def delete_data(self, label: str) -> None:
        """Forget a data item. Raises KeyError."""
        self._store.drop_data(label)

    def terminate(self, mode: str = "drain") -> None:
        """Say that nothing more will be requested.

        drain: waiting tasks are still handed out and outcomes still fetched; whoever asks for more than there is gets
        TaskManagerTermination. now: everybody who waits or asks gets it at once; what a worker holds may still be
        stored. In a shared store this holds for everybody; to leave it alone, `close` instead.
        """
        self._store.terminate(Termination(mode))

    def resume(self) -> None:
        """Take `terminate` back."""
        self._store.terminate(None)

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


def _token(task_id: str, attempt: int | None) -> int | None:
    return getattr(task_id, "attempt", None) if attempt is None else attempt


def _requester(process_id: int | None, requester: str | None) -> str | None:
    if requester is not None:
        return check_name(requester, "requester")
    return None if process_id is None else f"process-{process_id}"


def _value(outcome: Outcome) -> tuple[str, str, Any]:
    if outcome.failure is not None:
        raise outcome.failure.raised(outcome.task_id, outcome.tag)
    return outcome.task_id, outcome.tag, outcome.value


__all__ = ["QueueStatus", "TaskManager", "TaskManagerTermination", "TaskRaisedException"]
