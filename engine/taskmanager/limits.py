"""Time limits of running jobs, also those that follow the median of the jobs that are done."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable

from .jobs import Job
from .runtimes import Runtimes

#: Seconds after which a limit that cannot be told yet (a percentage of too few run times) is looked at again.
LATER = 1.0


class Limits:
    """Moments at which jobs have run for too long. clock: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Job]] = []
        self._order = itertools.count()
        self._runtimes: dict[str, Runtimes] = {}

    def runtimes(self, run: str) -> Runtimes:
        """Run times of one run's jobs."""
        return self._runtimes.setdefault(run, Runtimes())

    def forget(self, run: str) -> None:
        """A run is over: its times are of no use any more."""
        self._runtimes.pop(run, None)

    def add(self, job: Job) -> None:
        """Watch over a job that starts now, if it has a limit."""
        if job.timeout is not None:
            limit = self._of(job)
            self._push(job, job.clock + limit if limit is not None else self._clock() + LATER)

    def next_moment(self) -> float:
        """When `passed` may have something, inf for never."""
        return self._heap[0][0] if self._heap else math.inf

    def passed(self) -> list[Job]:
        """Jobs whose limit has passed, taken out; jobs that ended meanwhile may be among them."""
        now = self._clock()
        found: list[Job] = []
        while self._heap and self._heap[0][0] <= now:
            _, _, job = heapq.heappop(self._heap)
            if job.ended:
                continue
            limit = self._of(job)
            if limit is not None and job.clock + limit <= now:
                found.append(job)
            else:
                self._push(job, now + LATER if limit is None else job.clock + limit)
        return found

    def _push(self, job: Job, moment: float) -> None:
        heapq.heappush(self._heap, (moment, next(self._order), job))

    def _of(self, job: Job) -> float | None:
        return self.runtimes(job.run).limit(job.timeout)
