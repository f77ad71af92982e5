"""What ended on this console's slots and was not looked at yet."""

from __future__ import annotations

import threading
from collections import deque

from .jobs import JobResult

#: Results that are kept to be looked at, and bytes of their output; the oldest go first.
KEPT_RESULTS = 10_000
KEPT_BYTES = 64 * 1024 * 1024


class Results:
    """Keeps results within caps until somebody takes them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._results: deque[JobResult] = deque()
        self._bytes = 0

    def keep(self, result: JobResult) -> None:
        """One more."""
        with self._lock:
            self._results.append(result)
            self._bytes += _size(result)
            while len(self._results) > 1 and (self._bytes > KEPT_BYTES or len(self._results) > KEPT_RESULTS):
                self._bytes -= _size(self._results.popleft())

    def take(self, limit: int = 1000) -> list[JobResult]:
        """Those that ended since it was last asked, oldest first."""
        with self._lock:
            taken = [self._results.popleft() for _ in range(min(limit, len(self._results)))]
            self._bytes -= sum(map(_size, taken))
            return taken


def _size(result: JobResult) -> int:
    return len(result.output) + len(result.error)
