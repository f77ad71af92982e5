"""Which rows of a piece match a search: made where rows may be read, looked through in any thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .search import Search
from .texts import Texts


@dataclass(frozen=True, slots=True)
class Finder:
    """A call gives the numbers of the matching rows, ascending. at_hand: whether it would not wait for a disk."""

    find: Callable[[], list[int]]
    at_hand: bool = True

    def __call__(self) -> list[int]:
        return self.find()

    @classmethod
    def of(cls, search: Search, start: int, texts: Texts) -> Finder:
        """The rows from `start` on, which have these texts."""
        return cls(lambda: [row for row, text in enumerate(texts(), start) if search.found_in(text)], texts.at_hand)
