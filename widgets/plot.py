"""The shapes that numbers make. Pure; no screen."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

#: Eight steps from low to high.
_SPARKS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
#: Numbers further than this many widths of their middle half from it stand apart in a heat map.
FENCE = 1.5
#: What the steps of a histogram may be, times a power of ten.
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


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


def heat_edges(values: Sequence[float], count: int) -> list[float]:
    """Where at most `count` steps of colour begin, the lowest number first; the last step has no end.

    Even steps, but between what most numbers are: a few far away (Tukey's fences) have a step of their own at their
    end, for otherwise one of them would give all others the same colour. Where most numbers are equal there is no
    such range, and the steps follow the different numbers that there are.
    """
    if not values:
        return []
    ordered = sorted(values)
    low, high = ordered[0], ordered[-1]
    if low == high:
        return [low]
    quarter, most = ordered[len(ordered) // 4], ordered[len(ordered) * 3 // 4]
    reach = FENCE * (most - quarter)
    if not reach:
        different = sorted(set(ordered))
        taken = min(count, len(different))
        return [different[step * len(different) // taken] for step in range(taken)]
    first = bisect_left(ordered, quarter - reach)
    last = bisect_right(ordered, most + reach) - 1
    below = [low] if first else []
    above = [ordered[last + 1]] if last + 1 < len(ordered) else []
    steps = count - len(below) - len(above)
    width = (ordered[last] - ordered[first]) / steps
    return [*below, *(ordered[first] + width * step for step in range(steps)), *above]


def levels(values: Mapping[int, float], edges: Sequence[float]) -> dict[int, int]:
    """Node number -> the step, from 0, that its number falls into."""
    return {node: max(0, bisect_right(edges, value) - 1) for node, value in values.items()}


def histogram(values: Sequence[float], bins: int) -> list[tuple[float, float, int]]:
    """(from, to, how many) for about `bins` steps between round numbers; one step if all numbers are equal."""
    if not values:
        return []
    low, high = min(values), max(values)
    rough = (high - low) / bins
    if rough == 0:
        return [(low, high, len(values))]
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next((factor * unit for factor in _STEPS if factor * unit >= rough), rough) or rough
    start = math.floor(low / step) * step
    counts = [0] * min(bins + 2, int((high - start) / step) + 1)
    for value in values:
        counts[min(len(counts) - 1, max(0, int((value - start) / step)))] += 1
    edges = [start + step * number for number in range(len(counts) + 1)]
    return [(edge, following, count) for (edge, following), count in zip(pairwise(edges), counts, strict=True)]


def edges_told(edges: Sequence[float]) -> list[str]:
    """Rising numbers with as many decimals as tell them apart, all alike."""
    if any(abs(edge) >= 1e7 for edge in edges):
        return [told(edge) for edge in edges]
    for decimals in range(7):
        texts = [f"{edge:.{decimals}f}" for edge in edges]
        if all(abs(float(text) - edge) <= 1e-9 * max(1.0, abs(edge)) for text, edge in zip(texts, edges, strict=True)):
            return texts
    return [told(edge) for edge in edges]


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
