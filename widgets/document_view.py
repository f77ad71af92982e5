"""A text that a command handed over: help, settings, a list of timers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.selection import Selection

from .actions import bindings
from .cells import Row, folds, safe
from .finder import Finder
from .line_view import LineView
from .look import Look
from .texts import Texts

#: What the lines after the first of a long line stand under: what follows its first column, or its own beginning.
_COLUMN = re.compile(r" *(?:\S+(?: \S+)* {2,})?")


class DocumentView(LineView):
    """Lines to read and scroll, folded to the width, in the place of a view; Escape goes back to the view before."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("document.close")
    TITLE_WORD = "document"
    HELP_TEXT = "A text to read. Escape closes it."
    PAINTS_MATCHES = True

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter name
        super().__init__(id=id)
        self.title = ""
        self.lines: Sequence[str] = ()
        self._level = "info"
        #: Number of the line, where the row's part of it begins and ends, cells that it is indented by.
        self._parts: list[tuple[int, int, int, int]] = []
        self._folded_to = 0

    def show(self, title: str, lines: Sequence[str], level: str = "info") -> None:
        """Show a text from its beginning."""
        self.title = safe(title)
        self.lines = [safe(line) for line in lines]
        self._level = level
        self.cursor_row = 0
        self._fold()
        self.scroll_to(y=0, animate=False, immediate=True)
        self.update_rows()

    def on_resize(self, _event: events.Resize) -> None:
        if self.row_width != self._folded_to:
            at = self._parts[self.cursor_row][0] if self._parts else 0
            self._fold()
            self.update_rows()
            row = next((row for row, part in enumerate(self._parts) if part[0] == at), 0)
            self.cursor_row = row
            self.scroll_to(y=row, animate=False, immediate=True)
        else:
            self.update_rows()

    def _fold(self) -> None:
        self._folded_to = self.row_width
        width = max(8, self._folded_to - 2)
        self._parts = []
        for number, line in enumerate(self.lines):
            column = _COLUMN.match(line)
            hang = column.end() if column is not None else 0
            if hang > width // 2:
                hang = 0
            for start, end in folds(line, width, hang):
                self._parts.append((number, start, end, hang if start else 0))

    def row_count(self) -> int:
        return len(self._parts)

    def empty_text(self) -> list[str]:
        return [self.title or "Nothing to show."]

    def paint(self, row: int, line: Row, look: Look) -> None:
        plain = look["stderr"] if self._level == "error" else look.text
        number, start, end, hang = self._parts[row]
        line.add(" " * (1 + hang))
        text, at = self.lines[number], start
        for first, last in self.search.spans(text) if self.search else ():
            first, last = max(first, start), min(last, end)
            if first < last:
                line.add(text[at:first], plain).add(text[first:last], self.hit_style(row, look))
                at = last
        line.add(text[at:end], plain)

    def row_style(self, row: int, look: Look) -> None:
        return None

    def row_text(self, row: int) -> str:
        """The whole line that the row is of."""
        return self.lines[self._parts[row][0]]

    def all_texts(self) -> Iterator[Texts]:
        yield Texts(self.lines)

    def finder(self, start: int, stop: int) -> Finder:
        """A match that is folded over several rows is found in the one where it begins."""
        search, lines = self.search, self.lines
        parts = self._parts[start:stop]

        def find() -> list[int]:
            found: list[int] = []
            for row, (number, first, end, _hang) in enumerate(parts, start):
                after = end + lines[number].startswith(" ", end)
                if any(first <= at < after for at, _ in search.spans(lines[number])):
                    found.append(row)
            return found

        return Finder(find)

    def action_cursor(self, step: int) -> None:
        """Scroll: a text has no row to stand on."""
        top = max(0, min(self.max_scroll_y, self.scroll_offset.y + step))
        self.scroll_to(y=top, animate=False, immediate=True)
        self.cursor_row = max(0, min(self._rows - 1, top))
        self.refresh()

    def action_page(self, step: int) -> None:
        self.action_cursor(step * max(1, self.size.height - 1))

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """What is marked with the mouse, as it is folded."""
        shown = "\n".join(" " * (1 + hang) + self.lines[number][start:end] for number, start, end, hang in self._parts)
        return selection.extract(shown), "\n"
