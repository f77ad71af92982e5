"""Who holds what, and until when: registered processes and their deadlines, without a thread or a poll."""

from __future__ import annotations

import heapq
import itertools
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .stores.records import Task

#: A process is given up after this many of its periods of silence (the original's figure).
DEFAULT_FACTOR = 4.0


class Process:
    """One registered process and the tasks that it holds, oldest first. All times: monotonic seconds."""

    __slots__ = ("deadline", "heard", "id", "info", "leases", "period")

    def __init__(self, process_id: int, period: float | None, info: Any, now: float) -> None:
        self.id = process_id
        self.period = period
        self.info = info
        self.heard = now
        self.deadline = math.inf
        self.leases: dict[str, Task] = {}


class Processes:
    """All registered processes; ids count from `first` and are never used again. The caller holds its own lock.

    Deadlines sit in a heap that is corrected only when one comes due, so a ping costs two assignments.
    """

    def __init__(self, factor: float = DEFAULT_FACTOR, first: int = 0) -> None:
        self.factor = factor
        self.by_id: dict[int, Process] = {}
        #: Earliest moment at which `overdue` may have something; inf when nobody promised pings.
        self.next_deadline = math.inf
        self._ids = itertools.count(first)
        self._heap: list[tuple[float, int]] = []
        self._unfinished: dict[int, Process] = {}

    def add(self, period: float | None, info: Any, now: float) -> Process:
        """Register; the process is overdue `factor` periods after it was last heard."""
        process = Process(next(self._ids), period, info, now)
        self.by_id[process.id] = process
        if period is not None:
            process.deadline = now + period * self.factor
            heapq.heappush(self._heap, (process.deadline, process.id))
            self.next_deadline = self._heap[0][0]
        return process

    def heard(self, process: Process, now: float) -> None:
        """The process gave a sign of life."""
        process.heard = now
        if process.period is not None:
            process.deadline = now + process.period * self.factor

    def remove(self, process_id: int) -> Process | None:
        """Forget a process; None when it is not known. Its heap entry dies when it comes due."""
        return self.by_id.pop(process_id, None)

    def give_up_later(self, process: Process, moment: float) -> None:
        """Forget a process whose tasks could not be given back: `overdue` brings it once more, at that moment."""
        self.by_id.pop(process.id, None)
        self._unfinished[process.id] = process
        process.deadline = moment
        heapq.heappush(self._heap, (moment, process.id))
        self.next_deadline = self._heap[0][0]

    def overdue(self, now: float) -> list[Process]:
        """Take out (of the heap, not of `by_id`) the processes that were silent too long."""
        gone: list[Process] = []
        heap = self._heap
        while heap and heap[0][0] <= now:
            _, process_id = heapq.heappop(heap)
            process = self.by_id.get(process_id) or self._unfinished.pop(process_id, None)
            if process is None:
                continue
            if process.deadline <= now:
                gone.append(process)
            else:
                heapq.heappush(heap, (process.deadline, process_id))
        self.next_deadline = heap[0][0] if heap else math.inf
        return gone
