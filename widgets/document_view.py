"""A text that a command handed over: help, settings, a list of timers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType

from .actions import bindings
from .cells import Row, safe
from .line_view import LineView
from .look import Look


class DocumentView(LineView):
    """Lines to read and scroll, in the place of a view; Escape goes back to the view before."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(
        "document.close", "row.search", "row.match", "row.match-back", "row.left", "row.right"
    )
    TITLE_WORD = "document"
    HELP_TEXT = "A text to read. Escape closes it."

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter name
        super().__init__(id=id)
        self.title = ""
        self.lines: Sequence[str] = ()
        self._level = "info"

    def show(self, title: str, lines: Sequence[str], level: str = "info") -> None:
        """Show a text from its beginning."""
        self.title = safe(title)
        self.lines = lines
        self._level = level
        self._shift = 0
        self.cursor_row = 0
        self.scroll_to(y=0, animate=False, immediate=True)
        self.update_rows()

    def row_count(self) -> int:
        return len(self.lines)

    def empty_text(self) -> list[str]:
        return [self.title or "Nothing to show."]

    def paint(self, row: int, line: Row, look: Look) -> None:
        plain = look["stderr"] if self._level == "error" else look.text
        hit = self.hit_style(row, look)
        line.add(" ")
        for piece in self.search.pieces(safe(self.lines[row])[self._shift :], plain, hit):
            line.add(piece.text, piece.style)

    def row_style(self, row: int, look: Look) -> None:
        return None

    def row_text(self, row: int) -> str:
        return safe(self.lines[row])

    def action_cursor(self, step: int) -> None:
        """Scroll: a text has no row to stand on."""
        top = self.scroll_offset.y + step
        self.scroll_to(y=top, animate=False, immediate=True)
        self.cursor_row = max(0, min(len(self.lines) - 1, top))
        self.refresh()
