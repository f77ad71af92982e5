"""Python's collector of cycles, kept out of the operator's way.

With the models of ten thousand nodes a full collection looks at hundreds of thousands of objects and stops every
thread meanwhile: a tenth of a second that a key would have to wait. The models have no cycles and go away by
counting, so full collections can wait for a moment in which nothing happens.
"""

from __future__ import annotations

import gc

#: Seconds without events or keys after which a moment counts as quiet.
QUIET = 3.0
#: Seconds between two full collections in quiet moments, and at the latest.
INTERVAL = 60.0
LATEST = 900.0
#: Small steps: the middle generation holds what survived a few of the youngest's collections, and looking at it must
#: stay under some milliseconds while a thousand nodes are being connected.
_THRESHOLDS = (4_000, 3, 1_000_000)


class Collector:
    """Moves full collections into quiet moments between `start` and `stop`. One per process."""

    def __init__(self) -> None:
        self._before: tuple[int, int, int] | None = None
        self._busy_at = 0.0
        self._collected_at = 0.0

    def start(self, now: float) -> None:
        """What was imported and built so far lives as long as the process: never look at it again."""
        self._before = gc.get_threshold()
        gc.freeze()
        gc.set_threshold(*_THRESHOLDS)
        self._busy_at = self._collected_at = now

    def stop(self) -> None:
        """As it was before."""
        if self._before is not None:
            gc.set_threshold(*self._before)
            gc.unfreeze()
            self._before = None

    def tick(self, now: float, busy: bool) -> bool:
        """Collect if it is time; True if it did."""
        if busy:
            self._busy_at = now
        since = now - self._collected_at
        if self._before is None or since < INTERVAL or (now - self._busy_at < QUIET and since < LATEST):
            return False
        gc.collect()
        self._collected_at = now
        return True
