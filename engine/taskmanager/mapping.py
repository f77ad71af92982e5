"""`map`: one command over many arguments on all free slots, with a job log, a halt rule and a second chance."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from ..states import NodeState
from .driver import SlotDriver
from .errors import StoreUnavailable
from .halt import Halt
from .joblog import JobLine, JobLog, JobLogError, finished_jobs
from .jobs import CommandEnd, JobEvent, JobState
from .runtimes import check_timeout
from .slots import DEFAULT_TAG
from .stores.base import Change, Claim, Event
from .tasks import Outcome, TaskOptions, TaskState
from .template import Template

#: Requests put into the queue at once.
_BATCH = 1000
#: Ends after which a job may be tried once more.
RETRIED = (JobState.FAILED, JobState.TIMEOUT, JobState.LOST)


@dataclass(frozen=True, slots=True)
class MapOptions:
    """How a map runs.

    retriable: may run twice; else a job whose node vanished is adopted, or `lost`. timeout: seconds, or "300%" of the
    median. joblog: file. resume: skip the jobs in it; resume_failed: skip only those that succeeded.
    """

    tag: str = DEFAULT_TAG
    retriable: bool = False
    max_attempts: int = 3
    timeout: float | str | None = None
    halt: Halt | None = None
    joblog: str | None = None
    resume: bool = False
    resume_failed: bool = False


@dataclass(frozen=True, slots=True)
class MapProgress:
    """How far a map is. skipped: by resume. eta: seconds, None while too few are done to tell."""

    total: int
    waiting: int
    running: int
    done: int
    failed: int
    timeout: int
    lost: int
    cancelled: int
    skipped: int
    halted: bool
    eta: float | None

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.waiting == 0 and self.running == 0


class MapRun:
    """One map over a driver's slots; methods from any thread. `on_event` is called in the driver's thread.

    Raises TemplateError, JobLogError and ValueError before anything runs.
    """

    def __init__(
        self,
        driver: SlotDriver,
        command: str,
        arguments: Iterable[str],
        options: MapOptions = MapOptions(),
        on_event: Callable[[JobEvent], None] | None = None,
    ) -> None:
        check_timeout(options.timeout)
        self.id = f"map-{secrets.token_hex(4)}"
        self.options = options
        self._driver = driver
        self._manager = driver.manager
        self._template = Template(command).text
        self._on_event = on_event
        skip: set[int] = set()
        if options.joblog is not None and (options.resume or options.resume_failed):
            skip = finished_jobs(options.joblog, failed_again=options.resume_failed)
        numbered = list(enumerate(arguments, 1))
        self._todo = [(number, argument) for number, argument in numbered if number not in skip]
        self._skipped = len(numbered) - len(self._todo)
        appends = options.resume or options.resume_failed
        self._log = None if options.joblog is None else JobLog(options.joblog, append=appends)
        #: State per task; RETURNED stands for waiting.
        self._states: dict[str, JobState] = {}
        self._numbers: dict[str, int] = {}
        self._counts: dict[JobState, int] = dict.fromkeys(JobState, 0)
        self._sweeping = False
        #: Why the job log could not be written, and so no more jobs begin; empty where it could.
        self.trouble = ""
        self._halted = False
        self._all_in = False
        self._done = threading.Event()
        self._endings: list[Callable[[], None]] = []

    def start(self) -> MapRun:
        """Put all jobs into the queue; they begin at once."""
        self._endings = [self._driver.listen(self._heard, self.id), self._manager.subscribe(self._changed)]
        for start in range(0, len(self._todo), _BATCH):
            if self._halted:
                break
            self._add(self._todo[start : start + _BATCH])
        self._driver.post(self._all_added)
        return self

    def wait(self, timeout: float | None = None) -> bool:
        """Until nothing more will happen by itself; False when the time limit (seconds) passed first."""
        return self._done.wait(timeout)

    def progress(self) -> MapProgress:
        """A look at it."""
        return self._driver.ask(self._progress)

    def cancel(self, *, now: bool = True) -> None:
        """Start no more jobs; now: end the running ones too."""
        self._driver.post(lambda: self._halt(now))

    def retry(self, states: Sequence[JobState] = RETRIED, tasks: Iterable[str] | None = None) -> int:
        """Run the jobs that ended so once more, wherever they ran; how many. Those whose outcome was fetched cannot.

        tasks: only these, whoever's they are.
        """
        return self._driver.ask(lambda: self._retry(states, None if tasks is None else set(tasks)))

    def has(self, task_id: str) -> bool:
        """Whether a task is one of its jobs."""
        return task_id in self._numbers

    def forget(self) -> None:
        """Fetch the outcomes that were kept for `retry`."""
        for task_id in self._manager.ended_of(self.id):
            self._manager.try_outcome(Claim(task_id=task_id))

    def close(self) -> None:
        """Listen no more, close the job log. Jobs that are not over stay in the queue. Idempotent."""
        for end in self._endings:
            end()
        self._endings = []
        self._driver.post(lambda: self._driver.pool.forget_run(self.id))
        if self._log is not None:
            self._driver.ask(self._log.close)

    # -- in the driver's thread, or before it knows of the jobs

    def _add(self, jobs: Sequence[tuple[int, str]]) -> None:
        options = self.options
        common = {"command": self._template, "run": self.id, "retriable": options.retriable}
        if options.timeout is not None:
            common["timeout"] = options.timeout
        parameters = [{**common, "argument": argument, "number": number} for number, argument in jobs]
        task_options = TaskOptions(retriable=options.retriable, max_attempts=options.max_attempts)
        ids = self._manager.add_task_requests(options.tag, parameters, requester=self.id, options=task_options)
        numbers = dict(zip(ids, (number for number, _ in jobs), strict=True))
        self._driver.post(lambda: self._added(numbers))

    def _added(self, numbers: dict[str, int]) -> None:
        for task_id, number in numbers.items():
            self._numbers[task_id] = number
            if task_id not in self._states:  # a slot may have been faster
                self._move(task_id, JobState.RETURNED)
                self._look(task_id)
        if self._halted:
            self._cancel_waiting()

    def _all_added(self) -> None:
        self._all_in = True
        self._check_done()

    def _move(self, task_id: str, state: JobState) -> None:
        before = self._states.get(task_id)
        if before is not None:
            self._counts[before] -= 1
        self._states[task_id] = state
        self._counts[state] += 1

    def _heard(self, event: JobEvent) -> None:
        self._numbers.setdefault(event.task_id, event.number)
        self._move(event.task_id, event.state)
        if event.final:
            self._write(event)
            if event.state in (JobState.DONE, JobState.CANCELLED):
                # Its output went out with the event; failed and lost ones stay in the queue to be retried.
                with contextlib.suppress(StoreUnavailable):
                    self._manager.try_outcome(Claim(task_id=event.task_id))
            self._check_halt()
        if self._on_event is not None:
            self._on_event(event)
        if event.state is JobState.RETURNED:
            with contextlib.suppress(StoreUnavailable):
                self._look(event.task_id)  # others may have it, and its result, too
        self._check_done()

    def _changed(self, event: Event) -> None:
        """In any thread: an outcome of ours; if no slot told of it, it was cancelled (or failed) in the queue."""
        if event.change is Change.RESULT and event.requester == self.id:
            self._driver.post(lambda: self._look(event.task_id))
        elif event.change is Change.TASK and self._states.get(event.task_id) in RETRIED:
            self._driver.post(lambda: self._put_back(event.task_id))
        elif event.change is Change.ALL and self._manager.shared and not self._sweeping:
            # News may have been lost with a connection. One look for as many of these as come until it is made.
            self._sweeping = True
            self._driver.post(self._sweep)

    def _sweep(self) -> None:
        """Look for outcomes of ours that nobody told of."""
        self._sweeping = False
        for task_id in self._manager.ended_of(self.id):
            self._look(task_id)

    def _look(self, task_id: str) -> None:
        """An outcome of a job that no slot of ours has: it was cancelled, refused, or done by another console.

        What failed there stays in the queue to be retried, as what failed here.
        """
        state = self._states.get(task_id)
        if state not in (JobState.RETURNED, JobState.LOST):
            return
        outcome = self._manager.peek(task_id)
        if state is JobState.LOST and (outcome is None or outcome.state is not TaskState.DONE):
            return  # what was lost may still have ended well
        if outcome is not None and outcome.state not in (TaskState.FAILED, TaskState.LOST):
            outcome = self._manager.try_outcome(Claim(task_id=task_id))  # only one of us gets it
        if outcome is not None:
            state, end, node, runtime = _of(outcome)
        elif not self._manager.knows(task_id):
            reason = "its result was fetched by somebody else"
            state, end, node, runtime = JobState.CANCELLED, CommandEnd(NodeState.ABORTED, reason=reason), "", 0.0
        else:
            return
        number = self._numbers.get(task_id, 0)
        started = time.time() - runtime
        self._heard(JobEvent(task_id, self.id, number, state, node, 0, self._template, started, runtime, end, True))

    def _put_back(self, task_id: str) -> None:
        """Somebody retried a job of ours by its id, here or in another console."""
        if self._states[task_id] in RETRIED and self._manager.knows(task_id) and self._manager.peek(task_id) is None:
            self._halted = False
            self._move(task_id, JobState.RETURNED)
            self._check_done()

    def _write(self, event: JobEvent) -> None:
        if self._log is None or not event.node:
            return
        end = event.end
        status, signal = (end.rc if end.rc is not None else -1), 0
        if event.state is JobState.TIMEOUT:
            status, signal = -1, 15
        elif event.state in (JobState.LOST, JobState.CANCELLED):
            status, signal = -1, 1
        size = len(end.output) + len(end.error)
        times = (event.started, event.runtime)
        try:
            self._log.add(JobLine(event.number, event.node, *times, 0, size, status, signal, event.command))
        except JobLogError as error:
            # What it does not know, resuming would do twice: nothing more begins.
            self.trouble = str(error)
            self._halt(now=False)

    def _check_halt(self) -> None:
        halt = self.options.halt
        if halt is None or self._halted:
            return
        counts = self._counts
        failed = counts[JobState.FAILED] + counts[JobState.TIMEOUT] + counts[JobState.LOST]
        if halt.reached(failed, counts[JobState.DONE], len(self._todo)):
            self._halt(halt.now)

    def _halt(self, now: bool) -> None:
        self._halted = True
        self._cancel_waiting()
        if now:
            self._driver.pool.cancel_run(self.id)
        self._check_done()

    def _cancel_waiting(self) -> None:
        for task_id, state in list(self._states.items()):
            if state is JobState.RETURNED and self._manager.cancel(task_id):
                self._manager.try_outcome(Claim(task_id=task_id))
                self._move(task_id, JobState.CANCELLED)

    def _retry(self, states: Sequence[JobState], tasks: Collection[str] | None) -> int:
        self._halted = False
        if JobState.LOST in states and tasks is None:
            self._driver.pool.give_up_lost(self.id)
        count = 0
        again = [task_id for task_id, state in self._states.items() if state in states]
        for task_id in [task_id for task_id in reversed(again) if tasks is None or task_id in tasks]:
            before = self._states[task_id]
            self._move(task_id, JobState.RETURNED)  # first: a slot may take it during the call
            if self._manager.retry(task_id):
                count += 1
            elif self._states[task_id] is JobState.RETURNED:
                self._move(task_id, before)
        self._check_done()
        return count

    def _progress(self) -> MapProgress:
        counts, total = self._counts, len(self._todo)
        over = sum(counts[state] for state in JobState if state.finished) + counts[JobState.LOST]
        running = counts[JobState.RUNNING]
        waiting = 0 if self._halted and self._all_in else max(0, total - over - running)
        pool = self._driver.pool
        eta = pool.runtimes(self.id).eta(waiting + running, pool.slots)
        return MapProgress(
            total,
            waiting,
            running,
            counts[JobState.DONE],
            counts[JobState.FAILED],
            counts[JobState.TIMEOUT],
            counts[JobState.LOST],
            counts[JobState.CANCELLED],
            self._skipped,
            self._halted,
            eta,
        )

    def _check_done(self) -> None:
        busy = self._counts[JobState.RUNNING] + self._counts[JobState.RETURNED]
        idle = self._all_in and busy == 0
        if idle and not any(task_id in self._states for task_id in self._driver.pool.lost):  # these may be adopted
            self._done.set()
        else:
            self._done.clear()  # jobs were retried


def _of(outcome: Outcome) -> tuple[JobState, CommandEnd, str, float]:
    """What an outcome that came from elsewhere tells: state, end, node, run time. Its fields are not ours: checked."""
    if outcome.failure is not None:
        state = {TaskState.CANCELLED: JobState.CANCELLED, TaskState.LOST: JobState.LOST}.get(outcome.state)
        return state or JobState.FAILED, CommandEnd(NodeState.FAILED, reason=outcome.failure.message), "", 0.0
    fields = outcome.value if isinstance(outcome.value, dict) else {}
    output, node, runtime = fields.get("stdout"), fields.get("node"), fields.get("runtime")
    end = CommandEnd(NodeState.OK, 0, output.encode() if isinstance(output, str) else b"")
    return JobState.DONE, end, node if isinstance(node, str) else "", runtime if isinstance(runtime, float) else 0.0
