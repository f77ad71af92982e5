"""How long jobs took: the median, a time limit from it, and when the rest will be done."""

from __future__ import annotations

import bisect
import re

#: Jobs that must have succeeded before a percentage of their median means anything (as in GNU parallel).
ENOUGH = 3
_PERCENT = re.compile(r"([1-9][0-9]{0,5})%")


class Runtimes:
    """Run times of the jobs that succeeded, in seconds; keeps at most `most` of them, evenly thinned out."""

    def __init__(self, most: int = 10_000) -> None:
        self._sorted: list[float] = []
        self._most = most

    def add(self, seconds: float) -> None:
        """One more."""
        bisect.insort(self._sorted, seconds)
        if len(self._sorted) > self._most:
            self._sorted = self._sorted[::2]

    @property
    def median(self) -> float | None:
        """The median, None while there are too few."""
        times = self._sorted
        if len(times) < ENOUGH:
            return None
        middle = len(times) // 2
        return times[middle] if len(times) % 2 else (times[middle - 1] + times[middle]) / 2

    def limit(self, timeout: float | str | None) -> float | None:
        """Seconds that a job may take: a number as it is, "300%" of the median; None for no limit (yet)."""
        if timeout is None or isinstance(timeout, (int, float)):
            return timeout
        median = self.median
        return None if median is None else median * percent_of(timeout) / 100

    def eta(self, left: int, slots: int) -> float | None:
        """Seconds until `left` jobs on `slots` slots are done; None while there are too few to tell."""
        median = self.median
        return None if median is None or slots < 1 else median * left / slots


def parse_timeout(text: str | None) -> float | str | None:
    """A time limit in words: seconds, or a percentage of the median. ValueError."""
    if text is None:
        return None
    if _PERCENT.fullmatch(text):
        return text
    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e9:
        raise ValueError(f"timeout {text!r}: write seconds, or a percentage of the median such as 300%")
    return seconds


def check_timeout(timeout: object) -> None:
    """ValueError unless it is None, seconds above 0 or a percentage."""
    if isinstance(timeout, str):
        percent_of(timeout)
    elif timeout is not None and not (type(timeout) in (int, float) and 0 < float(str(timeout)) < 1e9):
        raise ValueError(f"timeout {timeout!r}: seconds above 0, or a percentage")


def percent_of(text: str) -> int:
    """The number in "300%". ValueError."""
    match = _PERCENT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no percentage")
    return int(match[1])
