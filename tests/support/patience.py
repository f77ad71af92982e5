"""Time limits under test, where something must have happened before they are over, however busy the machine is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

#: Seconds: enough on a quiet machine, on a busy one, on one that hardly moves.
LIMITS = (0.3, 1.5, 6.0, 24.0)


def with_time_enough(
    attempt: Callable[[float], T], begun: Callable[[T], object], limits: Sequence[float] = LIMITS
) -> T:
    """What `attempt(limit)` gives with the first limit in which what must come before the end had `begun`.

    With the last one it is handed out in any case, for the test to judge.
    """
    for limit in limits[:-1]:
        found = attempt(limit)
        if begun(found):
            return found
    return attempt(limits[-1])
