"""Regular expressions of the operator on text of nodes, which may be made to stop them.

Python's `re` tries every way in which the repeats of an expression can share a text, and nobody can interrupt it. So
the ways are counted beforehand: an expression whose number of ways grows without measure is refused, and of any other
one only as much of a line is looked at as can be looked at in some milliseconds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

#: Characters of a line that are looked at, at most and at least.
LINE_LIMIT = 4096
_SHORTEST = 32
#: Steps that one search may take, by our reckoning; they are less in truth.
_BUDGET = 2e7
_REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT)


def compile_pattern(expression: str, flags: re.RegexFlag = re.NOFLAG) -> BoundedPattern:
    """The compiled expression. Raises ValueError, with one line, for one that is wrong or could take for ever."""
    try:
        pattern = re.compile(expression, flags)
        tokens = list(_parser.parse(expression, flags))
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(str(error) or type(error).__name__) from None
    return BoundedPattern(pattern, _limit(tokens))


class BoundedPattern:
    """A compiled expression; `limit`: how many characters of a line it looks at. Thread-safe."""

    __slots__ = ("_pattern", "limit")

    def __init__(self, pattern: re.Pattern[str], limit: int) -> None:
        self._pattern = pattern
        self.limit = limit

    @property
    def groups(self) -> int:
        """How many groups it has."""
        return self._pattern.groups

    def search(self, text: str) -> re.Match[str] | None:
        """The first match."""
        return self._pattern.search(text, 0, self.limit)

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """All matches, from left to right."""
        return self._pattern.finditer(text, 0, self.limit)


def _limit(tokens: list[Any]) -> int:
    anchored = bool(tokens) and tokens[0][0] is sre.AT and tokens[0][1] in (sre.AT_BEGINNING, sre.AT_BEGINNING_STRING)
    size = LINE_LIMIT
    while size >= _SHORTEST:
        if _ways(tokens, size) * (1 if anchored else size) <= _BUDGET:
            return size
        size //= 2
    raise ValueError("so many repeats could take for ever")


def _ways(tokens: Iterable[Any], size: int) -> float:
    """In how many ways these, one after the other, can match some part of a text of `size` characters."""
    return math.prod(_ways_of(kind, value, size) for kind, value in tokens)


def _ways_of(kind: Any, value: Any, size: int) -> float:
    if kind in _REPEATS:
        least, most, inner = value
        return _ways_of_repeat(least, most, inner, size)
    if kind is sre.SUBPATTERN:
        return _ways(value[3], size)
    if kind is sre.ATOMIC_GROUP:
        return _ways(value, size)
    if kind in (sre.ASSERT, sre.ASSERT_NOT):
        return _ways(value[1], size)
    if kind is sre.GROUPREF_EXISTS:
        return sum(_ways(part, size) for part in value[1:] if part is not None)
    if kind is sre.BRANCH:
        return _ways_of_branches(value[1], size)
    return 1


def _ways_of_repeat(least: int, most: int, inner: Iterable[Any], size: int) -> float:
    ways = _ways(inner, size)
    if most <= 1:
        return ways + (least == 0)
    if ways > 1:
        raise ValueError("a repeated group inside a repeat could take for ever")
    return max(1, min(int(most), size) - least + 1)


def _ways_of_branches(branches: list[Any], size: int) -> float:
    """Where each begins with a character of its own there is no choice between them."""
    firsts = [part[0] if len(part) else (None, None) for part in branches]
    ways = [_ways(part, size) for part in branches]
    if all(kind is sre.LITERAL for kind, _ in firsts) and len({value for _, value in firsts}) == len(firsts):
        return max(ways)
    return sum(ways)
