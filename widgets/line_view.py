"""The base of every view made of rows: only the rows on the screen are ever painted.

Painting overrides `render_lines` and so passes by Textual's style cache; borders and padding do not apply here.
"""

from __future__ import annotations

from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from .actions import bindings
from .cells import Row, safe, sentences
from .look import Look, LookCache
from .strips import lay_over, lay_over_part, with_matches
from .terminal_filters import line_filters
from .text_rows import TextRows


class LineView(TextRows, can_focus=True):
    """Rows with a cursor. Subclasses give `row_count`, `paint` and `row_text`; the model keeps the data."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("row.up", "row.down", "row.page-up", "row.page-down", "row.first", "row.last", "row.copy"),
        *bindings("row.copy-all", "row.pager", "row.editor", "row.search", "row.match", "row.match-back"),
        *bindings("row.left", "row.right"),
    ]

    #: Whether `paint` marks what the search found; otherwise it is marked in what was painted.
    PAINTS_MATCHES = False

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter name
        super().__init__(id=id)
        self._looks = LookCache()
        #: Characters of a row's text that are scrolled out on the left.
        self._shift = 0
        #: Whether some row is longer than the view is wide, and the characters of the longest text that moves.
        self._cut = False
        self._longest = 0

    # -- for subclasses

    def row_count(self) -> int:
        """How many rows there are now."""
        return 0

    def paint(self, row: int, line: Row, look: Look) -> None:
        """Add the pieces of `row` to `line`."""

    def row_style(self, row: int, look: Look) -> Style | None:
        """A style laid over the whole row, such as the cursor's."""
        if row == self.cursor_row:
            return look["cursor"] if self.has_focus else look["idle-cursor"]
        return None

    def empty_text(self) -> list[str]:
        """What stands there when there are no rows: what this view is for, and the next step."""
        return []

    def activate(self, row: int) -> None:
        """Enter or a double click on a row."""

    # -- painting

    @property
    def look(self) -> Look:
        """The styles of the theme in use."""
        return self._looks.get(self.app)

    @property
    def row_width(self) -> int:
        """Cells of a row: what the scrollbar leaves."""
        return self.scrollable_content_region.width

    def update_rows(self) -> None:
        """Take note of the number of rows and repaint; cheap enough for every tick."""
        self._arrangements += 1
        rows = self.row_count()
        if rows != self._rows or self.virtual_size.width != self.size.width:
            self._rows = rows
            self.cursor_row = max(0, min(self.cursor_row, rows - 1))
            self._resize_content(rows)
        self.refresh()

    def _resize_content(self, rows: int) -> None:
        """Textual lays the screen out anew for every virtual size; needed only when the scrollbar comes or goes."""
        old, new = self.virtual_size, Size(self.size.width, rows)
        height = self.container_size.height
        if old.width == new.width and (old.height > height) == (rows > height) == self.show_vertical_scrollbar:
            self.set_reactive(Widget.virtual_size, new)
            if self.show_vertical_scrollbar:
                self.vertical_scrollbar.window_virtual_size = rows
            if self.scroll_offset.y > self.max_scroll_y:
                self.scroll_to(y=self.max_scroll_y, animate=False, immediate=True)
        else:
            self.virtual_size = new

    def render_lines(self, crop: Region) -> list[Strip]:
        """Paint the visible rows; see the module's text for why this and not `render_line`."""
        width = self.row_width
        look = self.look
        filters = line_filters(self)
        top = self.scroll_offset.y
        strips: list[Strip] = []
        self._cut, self._longest = False, 0
        empty = None if self._rows else sentences(self.empty_text(), width)
        for y in range(crop.y, crop.bottom):
            row = top + y
            line = Row(width, look.text)
            if row < self._rows:
                strip = self._painted(row, line, look)
            else:
                if empty is not None and y < len(empty):
                    text, first = empty[y]
                    line.add(text, look.text if first else look.quiet)
                strip = line.strip()
            if crop.x or crop.width != width:
                strip = strip.crop_extend(crop.x, crop.right, look.text)
            for line_filter in filters:
                strip = strip.apply_filter(line_filter, look.background)
            strips.append(strip)
        return strips

    def _painted(self, row: int, line: Row, look: Look) -> Strip:
        self.paint(row, line, look)
        self._cut |= line.cut
        strip = line.strip()
        hit = self.hit_style(row, look) if self.search else None
        if hit is not None and not self.PAINTS_MATCHES:
            strip = with_matches(strip, self.search.spans(strip.text), hit)
        if (over := self.row_style(row, look)) is not None:
            strip = lay_over(strip, over, hit)
        selection = self.text_selection
        if selection is not None and (span := selection.get_span(row)) is not None:
            style = self.screen.get_component_rich_style("screen--selection")
            strip = lay_over_part(strip, *span, style)
        # Offsets are what the mouse selects text by; they cost as much as the rest of the row.
        return strip.apply_offsets(0, row) if self.mouse_hover else strip

    # -- movement

    def watch_has_focus(self, _has_focus: bool) -> None:
        super().watch_has_focus(_has_focus)
        self.refresh()

    def on_enter(self, _event: events.Enter) -> None:
        self.refresh()

    def on_resize(self, _event: events.Resize) -> None:
        self.update_rows()

    def move_cursor(self, row: int) -> None:
        """Put the cursor on a row and scroll so that it can be seen."""
        self._walk.stop()
        last = self._rows - 1
        row = max(0, min(row, last))
        self.cursor_row = row
        height = max(1, self.size.height)
        top = self.scroll_offset.y
        if row < top:
            self.scroll_to(y=row, animate=False, immediate=True)
        elif row >= top + height:
            self.scroll_to(y=row - height + 1, animate=False, immediate=True)
        self.refresh()

    def action_cursor(self, step: int) -> None:
        self.move_cursor(self.cursor_row + step)

    def action_page(self, step: int) -> None:
        self.move_cursor(self.cursor_row + step * max(1, self.size.height - 1))

    def action_first(self) -> None:
        self.move_cursor(0)

    def action_last(self) -> None:
        self.move_cursor(self._rows - 1)

    def action_open(self) -> None:
        if self._rows:
            self.activate(self.cursor_row)

    def on_click(self, event: events.Click) -> None:
        row = self.scroll_offset.y + event.y
        if row >= self._rows:
            return
        self.move_cursor(row)
        if event.chain == 2:
            self.activate(row)

    def action_shift(self, cells: int) -> None:
        """Show what is further right, where something is cut there, or (below 0) further left."""
        ends = 0 < self._longest <= self._shift + cells  # what is still cut does not move, or is a mark of that
        if cells < 0 or (self._cut and not ends):
            self._shift = max(0, self._shift + cells)
            self.refresh()

    def shifted(self, text: str) -> str:
        """A row's text without what is scrolled out on the left."""
        clean = safe(text)
        self._longest = max(self._longest, len(clean))
        return clean[self._shift :]

    def selection_updated(self, selection: Selection | None) -> None:
        self.refresh()
