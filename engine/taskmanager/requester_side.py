"""What somebody does who wants work done: requests tasks, fetches their outcomes, cancels and retries them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeVar

from .errors import QueueFull, TaskManagerTermination, UnknownTask
from .stores.base import ANY_RESULT, Claim, RawOutcome, Store, Termination
from .tasks import DEFAULT_OPTIONS, Failure, Outcome, TaskOptions, TaskState, check_name
from .waits import Waits

T = TypeVar("T")


class RequesterSide:
    """The part of TaskManager that requesters use; every method from any thread."""

    _store: Store
    _waits: Waits

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

    def cancel(self, task_id: str) -> bool:
        """End a waiting or running task now; its requester gets TaskCancelled. False when it is over or unknown."""
        return self._store.cancel(task_id)

    def retry(self, task_id: str) -> bool:
        """Put a failed, lost or cancelled task whose outcome nobody fetched back to the front; False for others."""
        return self._store.retry(task_id)

    def retry_all(self, states: Collection[TaskState] = (TaskState.FAILED, TaskState.LOST)) -> int:
        """`retry` for all tasks in these states, oldest foremost; how many."""
        return sum(self._store.retry(task.id) for task in reversed(self._store.tasks(states, 1_000_000)))

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


def _requester(process_id: int | None, requester: str | None) -> str | None:
    if requester is not None:
        return check_name(requester, "requester")
    return None if process_id is None else f"process-{process_id}"


def _value(outcome: Outcome) -> tuple[str, str, Any]:
    if outcome.failure is not None:
        raise outcome.failure.raised(outcome.task_id, outcome.tag)
    return outcome.task_id, outcome.tag, outcome.value
