"""The way to the next match: near ones at once, far ones piece by piece beside everything else that the screen does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from .background import Background
from .finder import Finder
from .search import around

#: Rows that are looked through before the key returns: what is near is there without a flicker.
AT_ONCE = 2_000

Pieces = Iterator[tuple[int, int]]


class Walked(Protocol):
    """A view that is searched."""

    def finder(self, start: int, stop: int) -> Finder: ...


class MatchWalk:
    """One walk at a time, another one ends it; `stop` wherever the operator goes elsewhere. UI thread only.

    arrived: called with the row of a match, and whether to tell that it was far away; it returns False when the row is
    no match any more. lost: called when a long way led to nothing.
    """

    def __init__(self, view: Walked, arrived: Callable[[int, bool], bool], lost: Callable[[], None]) -> None:
        self._view = view
        self._arrived = arrived
        self._lost = lost
        self._background = Background("search")
        self._walk = 0
        self._told = True
        #: Whether a walk goes on.
        self.walking = False

    def start(self, at: int, rows: int, step: int, *, told: bool = True) -> None:
        """Look through all `rows` from the one beside `at` on, down (1) or up (-1) and around; `at` itself last.

        told: whether the way is worth a word; not while the search is still being typed.
        """
        self.stop()
        self._told = told
        pieces = around(at, rows, step)
        looked = 0
        for start, stop in pieces:
            finder = self._view.finder(start, stop)
            if not finder.at_hand:
                self.walking = True
                self._look(finder, self._walk, pieces, step)
                return
            if self._go(finder(), step, far=False):
                return
            looked += stop - start
            if looked >= AT_ONCE:
                self.walking = True
                self._further(self._walk, pieces, step)
                return

    def stop(self) -> None:
        """Give up the walk that goes on."""
        self._walk += 1
        self.walking = False

    def close(self) -> None:
        """The view goes away."""
        self.stop()
        self._background.close()

    def _further(self, walk: int, pieces: Pieces, step: int) -> None:
        piece = next(pieces, None)
        if piece is None:
            self.stop()
            if self._told:
                self._lost()
        else:
            self._look(self._view.finder(*piece), walk, pieces, step)

    def _look(self, finder: Finder, walk: int, pieces: Pieces, step: int) -> None:
        """Rows were chosen here, where models may be read; the thread looks through them, and may wait for a disk."""
        self._background.submit(finder, lambda rows: self._looked(walk, pieces, step, rows))

    def _looked(self, walk: int, pieces: Pieces, step: int, rows: list[int]) -> None:
        if walk == self._walk and not self._go(rows, step, far=True):
            self._further(walk, pieces, step)

    def _go(self, rows: list[int], step: int, *, far: bool) -> bool:
        """To the first of the matching rows that still is one."""
        return any(self._arrived(row, far and self._told) for row in rows[::step])
