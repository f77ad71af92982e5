"""Searching in shown text: plain words, or a regular expression between slashes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..engine.patterns import BoundedPattern, compile_pattern

#: Rows that a search reads at once.
CHUNK = 1_000


class Search:
    """One search; false when there is nothing to search for.

    text: what was typed. A text of the form `/.../` is a regular expression, anything else is looked for as it is,
    without regard to upper and lower case unless it has an upper-case letter. `error` says why a pattern cannot be
    used; it then finds nothing.
    """

    __slots__ = ("_pattern", "error", "text")

    def __init__(self, text: str = "") -> None:
        self.text = text
        self.error = ""
        self._pattern: BoundedPattern | None = None
        if not text:
            return
        flags = re.NOFLAG if any(character.isupper() for character in text) else re.IGNORECASE
        if len(text) > 2 and text.startswith("/") and text.endswith("/"):
            self._pattern = self._compile(text[1:-1], flags)
        else:
            self._pattern = compile_pattern(re.escape(text), flags)

    def _compile(self, expression: str, flags: re.RegexFlag) -> BoundedPattern | None:
        try:
            return compile_pattern(expression, flags)
        except ValueError as error:
            self.error = str(error)
            return None

    def __bool__(self) -> bool:
        return self._pattern is not None

    def found_in(self, text: str) -> bool:
        """Whether the text has a match."""
        return self._pattern is not None and self._pattern.search(text) is not None

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Start and end of every match that is not empty."""
        if self._pattern is None:
            return []
        return [found.span() for found in self._pattern.finditer(text) if found.end() > found.start()]


def around(at: int, rows: int, step: int) -> Iterator[tuple[int, int]]:
    """All rows in pieces from the one beside `at` on and around the end (step 1) or the beginning (-1), `at` last."""
    if step > 0:
        for first, last in ((at + 1, rows), (0, at + 1)):
            yield from ((start, min(last, start + CHUNK)) for start in range(first, last, CHUNK))
    else:
        for first, last in ((0, at), (at, rows)):
            yield from ((max(first, stop - CHUNK), stop) for stop in range(last, first, -CHUNK))
