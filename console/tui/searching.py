"""The search line and the view that it searches: how many rows match, and which of them the cursor is on."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING

from ...widgets.background import Background
from ...widgets.line_entry import SearchBar
from ...widgets.line_view import LineView
from ...widgets.search import CHUNK

if TYPE_CHECKING:
    from .screens.main import MainScreen

#: Rows beyond this many are not counted; `n` goes to them all the same.
COUNTED_ROWS = 200_000


class Tally:
    """The matching rows of one search in one view, counted a piece at a time: read here, matched in a thread."""

    def __init__(self, view: LineView, background: Background) -> None:
        self._view = view
        self._background = background
        self._arrangement = view.arrangement
        self._found = array("l")
        self._before: array[int] | None = None
        self._at = 0
        self._busy = self._whole = False
        self.ended = False

    def step(self) -> None:
        """Count on, if there are rows that were not looked at; from the beginning if rows changed their places."""
        view = self._view
        if self._busy or self.ended or not view.is_attached:
            return
        if view.arrangement != self._arrangement:
            self._arrangement = view.arrangement
            self._before = self._found if self._whole else self._before
            self._found, self._at, self._whole = array("l"), 0, False
        stop = min(view.row_count(), COUNTED_ROWS, self._at + CHUNK)
        if stop <= self._at:
            self._before, self._whole = None, True
            return
        self._busy = True
        arrangement = self._arrangement
        self._background.submit(view.finder(self._at, stop), lambda rows: self._seen(arrangement, stop, rows))

    def _seen(self, arrangement: object, stop: int, rows: list[int]) -> None:
        self._busy = False
        if arrangement == self._arrangement:
            self._found.extend(rows)
            self._at = stop
        self.step()

    def told(self) -> str:
        """`3 of 41`; with a `+` while not all rows are counted, or where there are too many."""
        found = self._found if self._before is None else self._before  # the last whole count, until there is another
        rows = self._view.row_count()
        more = "+" if self._at < rows and self._before is None else ""
        if not found:
            return "counting" if more else "no match"
        row = self._view.cursor_row
        place = bisect_left(found, row)
        here = f"{place + 1} of " if place < len(found) and found[place] == row else ""
        matches = "" if here else " match" if len(found) == 1 and not more else " matches"
        return f"{here}{len(found):,}{more}{matches}"


class Searching:
    """The search of one MainScreen. UI thread only."""

    def __init__(self, screen: MainScreen) -> None:
        self._screen = screen
        self._view: LineView | None = None
        self._tally: Tally | None = None
        self._background = Background("count")

    @property
    def _bar(self) -> SearchBar:
        return self._screen.query_one("#search", SearchBar)

    def open(self, view: LineView) -> None:
        """Ask what to look for in a view."""
        if self._view is not None and self._view is not view:
            self._drop()
        self._view = view
        self._bar.open()

    def change(self, text: str, *, final: bool) -> None:
        """Look for another text. final: Enter was pressed, the keys go back to the view."""
        view = self._view
        if view is None:
            return
        view.set_search(text)
        if self._tally is not None:
            self._tally.ended = True
        self._tally = Tally(view, self._background) if view.search else None
        self.tick()
        if final:
            self._screen.set_focus(view)
            self._bar.close(keep=bool(view.search))

    def tick(self) -> None:
        """Count on, and tell how many matches there are."""
        view, tally = self._view, self._tally
        if view is None:
            return
        if tally is not None:
            tally.step()
        note = view.search.error or (f"{tally.told()}   n next, N back" if tally is not None else "")
        self._bar.note.show(note, "warn" if view.search.error else "quiet")

    def close(self) -> None:
        """No search any more."""
        view = self._view
        self._drop()
        if view is not None:
            self._screen.set_focus(view)
        self._bar.close()

    def _drop(self) -> None:
        if self._view is not None:
            self._view.set_search("")
        if self._tally is not None:
            self._tally.ended = True
        self._view = self._tally = None

    @property
    def place(self) -> tuple[object, int]:
        """The view and its cursor, which the count depends on."""
        return self._view, self._view.cursor_row if self._view is not None else 0

    def end(self) -> None:
        """The screen goes away."""
        self._background.close()
