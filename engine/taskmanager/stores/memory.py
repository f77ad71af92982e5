"""The queue in this process's memory; the SQLite store is this one with a journal that is written first."""

from __future__ import annotations

import itertools
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from ..errors import QueueFull, UnknownProcess
from ..leases import DEFAULT_FACTOR, Process
from ..tasks import DEFAULT_OPTIONS, Failure, TaskId, TaskInfo, TaskOptions, TaskState
from .attendance import Attendance
from .base import ANY_RESULT, Change, Claim, Counts, Event, RawOutcome, Termination
from .lanes import Lanes
from .outcomes import Outcomes
from .records import Task, info_of, outcome_of

WAITING = TaskState.WAITING
LEASED = TaskState.LEASED
#: What the requester of a lost task reads.
LOST_MESSAGE = "the worker that ran it vanished and it may not be run twice"


class MemoryStore(Attendance):
    """See `Store`. limit: most waiting tasks (None: no bound). factor: periods of silence before a process is given up.

    One lock; no method waits for anything else than that lock (and, with a journal, the disk).
    """

    shared = False

    def __init__(self, *, limit: int | None = None, factor: float = DEFAULT_FACTOR) -> None:
        super().__init__(factor)
        self._limit = limit
        self._numbers = itertools.count()
        self._fronts = itertools.count(-1, -1)
        self._tasks: dict[str, Task] = {}
        self._waiting = Lanes[Task]()
        self._outcomes = Outcomes()
        self._running: dict[str, int] = {}
        self._data: dict[str, Any] = {}
        self._termination: Termination | None = None
        self._paused = False

    def dumps(self, value: Any) -> Any:
        return value

    def loads(self, payload: Any) -> Any:
        return payload

    # -- tasks

    def add(self, tag: str, payload: Any, requester: str | None, options: TaskOptions = DEFAULT_OPTIONS) -> str:
        return self.add_many(tag, (payload,), requester, options)[0]

    def add_many(
        self, tag: str, payloads: Iterable[Any], requester: str | None, options: TaskOptions = DEFAULT_OPTIONS
    ) -> list[str]:
        with self._lock:
            tasks = [Task(next(self._numbers), tag, payload, requester, options) for payload in payloads]
            if self._limit is not None and len(self._waiting) + len(tasks) > self._limit:
                raise QueueFull(f"{len(self._waiting)} of {self._limit} tasks are waiting already")
            if self._journal is not None:
                self._journal.added(tasks)
            for task in tasks:
                self._admit(task)
        self._tell()
        return [task.id for task in tasks]

    def _admit(self, task: Task) -> None:
        self._tasks[task.id] = task
        self._waiting.append(task.tag, task.id, task)
        self._events.append(Event(Change.TASK, task.tag, task.id, task.requester))

    def take(
        self,
        tags: Sequence[str] | None,
        process_id: int | None,
        node: str | None = None,
        nodes: Collection[str] | None = None,
    ) -> tuple[TaskId, str, Any] | None:
        try:
            with self._lock:
                now = time.monotonic()
                if now >= self._processes.next_deadline:
                    self._reap(now)
                process: Process | None = None
                if process_id is not None:
                    process = self._processes.by_id.get(process_id)
                    if process is None:
                        raise UnknownProcess(process_id)
                    self._processes.heard(process, now)
                task = self._next(tags, node, nodes)
                if task is None:
                    return None
                attempt, started = task.attempt + 1, time.time()
                if self._journal is not None:
                    self._journal.leased(task, attempt, started)
                task.attempt, task.started, task.state, task.owner = attempt, started, LEASED, process
                self._waiting.remove(task.tag, task.id)
                self._running[task.tag] = self._running.get(task.tag, 0) + 1
                if process is not None:
                    process.leases[task.id] = task
                if self._limit is not None:
                    self._events.append(Event(Change.SPACE))
                return TaskId(task.id, attempt), task.tag, task.payload
        finally:
            if self._events:
                self._tell()

    def _next(self, tags: Sequence[str] | None, node: str | None, nodes: Collection[str] | None) -> Task | None:
        if self._paused or self._termination is Termination.NOW or not self._waiting:
            return None
        if node is None:
            return self._waiting.first(tags)
        for task in self._waiting.iterate(tags):
            if node not in task.not_on or (nodes is not None and task.not_on.issuperset(nodes)):
                return task
        return None

    def _held(self, task_id: str, attempt: int | None, *states: TaskState) -> Task | None:
        """The task, if it is this attempt's and in one of these states; without a token a first hand-out is meant."""
        task = self._tasks.get(task_id)
        if task is None or task.state not in states or task.attempt != (1 if attempt is None else attempt):
            return None
        return task

    def finish(self, task_id: str, attempt: int | None, state: TaskState, payload: Any) -> bool:
        with self._lock:
            task = self._held(task_id, attempt, LEASED, TaskState.LOST)
            if task is not None:
                self._end(task, state, payload, task.losses)
        if self._events:
            self._tell()
        return task is not None

    def give_back(self, task_id: str, attempt: int | None, *, lost: bool = False, not_on: str | None = None) -> bool:
        with self._lock:
            task = self._held(task_id, attempt, LEASED)
            if task is not None:
                self._take_back(task, lost=lost, not_on=not_on)
        self._tell()
        return task is not None

    def cancel(self, task_id: str) -> bool:
        with self._lock:
            task = self._tasks.get(task_id)
            if task is None or task.state.finished:
                return False
            failure = self.dumps(Failure("TaskCancelled", "cancelled before it finished"))
            self._end(task, TaskState.CANCELLED, failure, task.losses)
        self._tell()
        return True

    def retry(self, task_id: str) -> bool:
        with self._lock:
            task = self._tasks.get(task_id)
            if task is None or task.state not in (TaskState.FAILED, TaskState.CANCELLED, TaskState.LOST):
                return False
            self._to_front(task, 0, task.not_on)
        self._tell()
        return True

    def _unlease(self, task: Task) -> None:
        if task.state is not LEASED:
            return
        left = self._running[task.tag] - 1
        if left:
            self._running[task.tag] = left
        else:
            del self._running[task.tag]
        if task.owner is not None:
            task.owner.leases.pop(task.id, None)
            task.owner = None

    def _take_back(self, task: Task, *, lost: bool, not_on: str | None) -> None:
        losses = task.losses + lost
        if lost and not task.retriable:
            self._end(task, TaskState.LOST, self.dumps(Failure("TaskLost", LOST_MESSAGE)), losses)
        elif lost and losses >= task.max_attempts:
            message = f"{losses} workers vanished while they had it"
            self._end(task, TaskState.FAILED, self.dumps(Failure("TaskLost", message)), losses)
        else:
            self._to_front(task, losses, task.not_on if not_on is None else task.not_on | {not_on})

    def _to_front(self, task: Task, losses: int, not_on: frozenset[str]) -> None:
        place = next(self._fronts)
        if self._journal is not None:
            self._journal.waiting(task, place, losses, not_on)
        if task.state.finished:
            self._outcomes.remove(task)
        self._unlease(task)
        task.state, task.place, task.losses, task.not_on = WAITING, place, losses, not_on
        task.result, task.started, task.ended = None, 0.0, 0.0
        self._waiting.prepend(task.tag, task.id, task)
        self._events.append(Event(Change.TASK, task.tag, task.id, task.requester))

    def _end(self, task: Task, state: TaskState, payload: Any, losses: int) -> None:
        ended = time.time()
        if self._journal is not None:
            self._journal.ended(task, state, payload, losses, ended)
        if task.state is WAITING:
            self._waiting.remove(task.tag, task.id)
            if self._limit is not None:
                self._events.append(Event(Change.SPACE))
        elif task.state.finished:
            self._outcomes.remove(task)
        self._unlease(task)
        task.state, task.result, task.losses, task.ended = state, payload, losses, ended
        self._outcomes.add(task)
        self._events.append(Event(Change.RESULT, task.tag, task.id, task.requester))

    def collect(self, claim: Claim = ANY_RESULT) -> RawOutcome | None:
        with self._lock:
            task = self._claimed(claim)
            if task is not None:
                if self._journal is not None:
                    self._journal.dropped(task)
                self._outcomes.remove(task)
                del self._tasks[task.id]
                if self._termination is not None:
                    self._events.append(Event(Change.ALL))  # who waits for more may now be told that there is none
        if self._events:
            self._tell()
        return None if task is None else outcome_of(task)

    def peek(self, task_id: str) -> RawOutcome | None:
        with self._lock:
            task = self._claimed(Claim(task_id))
            return None if task is None else outcome_of(task)

    def _claimed(self, claim: Claim) -> Task | None:
        if claim.task_id is not None:
            task = self._tasks.get(claim.task_id)
            return task if task is not None and task.state.finished else None
        return self._outcomes.first(claim)

    def ended_of(self, requester: str) -> list[str]:
        with self._lock:
            return self._outcomes.of(requester)

    def known(self, task_id: str) -> bool:
        return task_id in self._tasks

    def counts(self) -> Counts:
        with self._lock:
            self._reap(time.monotonic())
            counts = Counts(self._waiting.counts(), dict(self._running), self._outcomes.counts())
        self._tell()
        return counts

    def may_add(self) -> bool:
        return self._limit is None or len(self._waiting) < self._limit

    def may_take(self, tags: Sequence[str] | None) -> bool:
        with self._lock:
            held = self._paused or self._termination is Termination.NOW
            return not held and self._waiting.first(tags) is not None

    def may_collect(self, claim: Claim) -> bool:
        with self._lock:
            return self._claimed(claim) is not None

    def tasks(self, states: Collection[TaskState], limit: int) -> list[TaskInfo]:
        with self._lock:
            found: list[Task] = []
            if WAITING in states:
                found += itertools.islice(self._waiting.iterate(None), limit)
            if LEASED in states:
                found += itertools.islice((t for t in self._tasks.values() if t.state is LEASED), limit)
            if any(state.finished for state in states):
                found += itertools.islice((t for t in self._outcomes if t.state in states), limit)
            return [info_of(task) for task in found[:limit]]

    # -- data items, life

    def put_data(self, items: dict[str, Any]) -> None:
        with self._lock:
            if self._journal is not None:
                self._journal.put_data(items)
            self._data.update(items)

    def get_data(self, label: str) -> Any:
        return self._data[label]

    def drop_data(self, label: str) -> None:
        with self._lock:
            if label not in self._data:
                raise KeyError(label)
            if self._journal is not None:
                self._journal.drop_data(label)
            del self._data[label]

    def terminate(self, mode: Termination | None) -> None:
        with self._lock:
            self._termination = mode
            self._events.append(Event(Change.ALL))
        self._tell()

    def termination(self) -> Termination | None:
        return self._termination

    def pause(self, paused: bool) -> None:
        with self._lock:
            if self._journal is not None:
                self._journal.paused(paused)
            self._paused = paused
            self._events.append(Event(Change.ALL))
        self._tell()

    def paused(self) -> bool:
        return self._paused

    def close(self) -> None:
        """Nothing to give back: memory goes with the object."""
