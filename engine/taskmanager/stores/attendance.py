"""Who works for a queue of this process, and who is told of its changes; the base of the memory store."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from typing import Any

from ..errors import StoreUnavailable
from ..leases import Process, Processes
from ..tasks import ProcessInfo
from .base import Change, Event, Listener
from .polite_lock import PoliteLock
from .records import Journal, Task

#: Seconds until tasks that could not be given back, as the journal could not be written, are given back.
AGAIN = 1.0


class Attendance:
    """The processes of a store, its lock and its news. factor: periods of silence before a process is given up."""

    def __init__(self, factor: float) -> None:
        self._lock = PoliteLock()
        self._processes = Processes(factor)
        self._events: deque[Event] = deque()
        self._listener: Listener | None = None
        self._journal: Journal | None = None

    def listen(self, listener: Listener) -> None:
        self._listener = listener

    def watch(self) -> None:
        """Nobody else can change it."""

    def _tell(self) -> None:
        """Tell what happened; called without the lock, so that a listener may call the store."""
        events, listener = self._events, self._listener
        while events:
            try:
                event = events.popleft()
            except IndexError:  # another thread told it
                return
            if listener is not None:
                listener(event)

    def register(self, period: float | None, info: Any) -> int:
        with self._lock:
            process = self._processes.add(period, info, time.monotonic())
            if self._journal is not None:
                try:
                    self._journal.next_process(process.id + 1)
                except StoreUnavailable:
                    self._processes.remove(process.id)
                    raise
            self._events.append(Event(Change.ALL))  # waiters compute their next deadline anew
        self._tell()
        return process.id

    def unregister(self, process_id: int) -> bool:
        try:
            with self._lock:
                process = self._processes.by_id.get(process_id)
                if process is not None:
                    self._release(process)
        finally:
            self._tell()
        return process is not None

    def ping(self, process_id: int) -> bool:
        with self._lock:
            now = time.monotonic()
            self._reap(now)
            process = self._processes.by_id.get(process_id)
            if process is not None:
                self._processes.heard(process, now)
        self._tell()
        return process is not None

    def processes(self) -> list[ProcessInfo]:
        with self._lock:
            now = time.monotonic()
            self._reap(now)
            found = [
                ProcessInfo(p.id, p.info, p.period, now - p.heard, len(p.leases))
                for p in self._processes.by_id.values()
            ]
        self._tell()
        return found

    def reap(self) -> None:
        with self._lock:
            self._reap(time.monotonic())
        self._tell()

    def next_deadline(self) -> float:
        return max(0.0, self._processes.next_deadline - time.monotonic())

    def _reap(self, now: float) -> None:
        if now >= self._processes.next_deadline:
            for process in self._processes.overdue(now):
                with contextlib.suppress(StoreUnavailable):
                    self._release(process)

    def _release(self, process: Process) -> None:
        """Forget a process and give its tasks back; where the journal cannot be written, the rest of them later."""
        self._processes.remove(process.id)
        try:
            # Newest first: each goes to the front, so the oldest ends up foremost.
            for task in reversed(list(process.leases.values())):
                self._take_back(task, lost=True, not_on=None)
        except StoreUnavailable:
            self._processes.give_up_later(process, time.monotonic() + AGAIN)
            raise
        self._events.append(Event(Change.ALL))  # with the last process a drain may be over

    def _take_back(self, task: Task, *, lost: bool, not_on: str | None) -> None:
        """Put a leased task back to the front, or end it. The caller holds the lock."""
        raise NotImplementedError
