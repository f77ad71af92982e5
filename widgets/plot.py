"""Numbers out of answers, and the shapes they make. Pure; no screen."""

from __future__ import annotations

import math
import re
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


def numbers_of(run: RunView, nodes: Sequence[int], pattern: re.Pattern[str] | None = None) -> dict[int, float]:
    """Node number -> the first number of its answer, for nodes that have one."""
    values: dict[int, float] = {}
    for node in nodes:
        for line in run.lines(node, 0, min(LINES_LOOKED_AT, run.line_count(node))):
            value = number_in(line.text, pattern)
            if value is not None:
                values[node] = value
                break
    return values


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
