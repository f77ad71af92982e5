"""Numbers out of answers, and the shapes they make. Pure; no screen."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from .views import RunView

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:[.,]\d+)?(?:[eE][-+]?\d+)?")
_SPARKS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
#: Lines of an answer that are looked at for the number.
LINES_LOOKED_AT = 50


def number_in(text: str, pattern: re.Pattern[str] | None = None) -> float | None:
    """The first number of a text, or that of the pattern's group (of its whole match without one)."""
    if pattern is not None:
        found = pattern.search(text, 0, 4096)
        if found is None:
            return None
        text = found[1] if pattern.groups and found[1] is not None else found[0]
    number = _NUMBER.search(text, 0, 4096)
    if number is None:
        return None
    try:
        value = float(number[0].replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


class Numbers:
    """The first number of every node's answer, found a slice at a time: what was looked at is not looked at again."""

    def __init__(self, run: RunView, pattern: re.Pattern[str] | None = None) -> None:
        self.run = run
        self.values: dict[int, float] = {}
        self._pattern = pattern
        self._looked = [0] * len(run.names)
        self._at = 0
        self._version = -1

    @property
    def pending(self) -> bool:
        """Whether there is output that was not looked at."""
        return self._at < len(self._looked) or self._version != self.run.output_version

    def step(self, until: float) -> None:
        """Look on until the moment `until` of `time.perf_counter()`."""
        run = self.run
        if self._at >= len(self._looked):
            self._at = 0
        if self._at == 0:
            self._version = run.output_version
        while self._at < len(self._looked):
            self._look(self._at)
            self._at += 1
            if time.perf_counter() >= until:
                return

    def _look(self, node: int) -> None:
        count = min(LINES_LOOKED_AT, self.run.line_count(node))
        looked = self._looked[node]
        if count < looked:  # tried again: its answer begins anew
            self.values.pop(node, None)
            looked = 0
        self._looked[node] = count
        if node in self.values or looked >= count:
            return
        first = min(count, looked + 1)  # mostly the first line has it
        for start, stop in ((looked, first), (first, count)):
            for line in self.run.lines(node, start, stop) if stop > start else ():
                value = number_in(line.text, self._pattern)
                if value is not None:
                    self.values[node] = value
                    return


@dataclass(frozen=True, slots=True)
class Summary:
    """What numbers have in common."""

    count: int
    low: float
    high: float
    mean: float
    median: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Summary | None:
        """The summary, None without any number."""
        if not values:
            return None
        ordered = sorted(values)
        middle = len(ordered) // 2
        median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
        return cls(len(ordered), ordered[0], ordered[-1], math.fsum(ordered) / len(ordered), median)


def levels(values: dict[int, float], count: int) -> dict[int, int]:
    """Node number -> step 0 .. count-1 between the lowest and the highest number."""
    if not values:
        return {}
    low, high = min(values.values()), max(values.values())
    width = (high - low) or 1.0
    return {node: min(count - 1, int((value - low) / width * count)) for node, value in values.items()}


def histogram(values: Sequence[float], bins: int) -> list[tuple[float, float, int]]:
    """(from, to, how many) for `bins` equal steps; one step if all numbers are equal."""
    if not values:
        return []
    low, high = min(values), max(values)
    if low == high:
        return [(low, high, len(values))]
    step = (high - low) / bins
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int((value - low) / step))] += 1
    return [(low + step * number, low + step * (number + 1), count) for number, count in enumerate(counts)]


def sparkline(values: Sequence[float | None]) -> str:
    """One character per number, a gap where there is none."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    width = (high - low) or 1.0
    steps = len(_SPARKS) - 1
    return "".join(" " if value is None else _SPARKS[round((value - low) / width * steps)] for value in values)


def told(value: float) -> str:
    """A number in few characters."""
    if value == int(value) and abs(value) < 1e12:
        return str(int(value))
    return f"{value:.4g}"
