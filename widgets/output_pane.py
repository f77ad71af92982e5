"""One pane of live output: follows the newest line until the operator looks back, and says what is waiting."""

from __future__ import annotations

from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region
from textual.strip import Strip

from .actions import bindings
from .board import name_width
from .cells import Row, safe
from .look import Look
from .messages import Held
from .output_view import OutputView
from .painted import painted
from .reasons import told
from .since import Since
from .sources import LineSource
from .texts import Texts
from .views import OutputLine


class OutputPane(OutputView):
    """The lines of one source. Scrolling up stops following; End (or f) follows again."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("pane.follow", "row.colours"),
    ]
    TITLE_WORD = "output"
    PAINTS_MATCHES = True
    HELP_TEXT = "Live output. Looking back holds it; End or f follows again. y copies a line, Y all of it."

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter name
        super().__init__(id=id)
        self.source: LineSource | None = None
        self.following = True
        self._held_at = 0
        self._gone = 0
        self._seen: tuple[int, int] = (-1, -1)
        self._window: list[tuple[str, OutputLine]] = []
        self._window_start = 0
        self._name_width = 0
        self._since: Since | None = None

    # -- the model

    def show(self, source: LineSource | None) -> None:
        """Show other lines, from the newest on."""
        self.source = source
        self._walk.stop()
        names = source.run.names if source is not None and source.node is None else ()
        self._name_width = min(24, name_width(names))
        self.following = True
        self._shift = 0
        self._seen = (-1, -1)
        self._gone = source.gone if source is not None else 0
        self.tick()

    def set_since(self, since: Since | None) -> None:
        """Mark what is different from the round before (None: nothing to compare with)."""
        if since is not self._since:
            self._since = since
            self.refresh()

    @property
    def waiting(self) -> int:
        """Lines that arrived since following stopped."""
        source = self.source
        return 0 if self.following or source is None else max(0, source.gone + source.count() - self._held_at)

    def tick(self) -> bool:
        """Take note of new lines; True if anything changed."""
        run = self.source.run if self.source is not None else None
        seen = (run.output_version, run.version) if run is not None else (0, 0)
        if seen == self._seen:
            # A layout that came after the last lines (the first frame, a scrollbar) can have undone the scrolling.
            if self.following and self.scroll_offset.y != max(0, self._rows - self.size.height):
                self._to_end()
            return False
        self._seen = seen
        gone = self.source.gone if self.source is not None else 0
        slid, self._gone = gone - self._gone, gone
        self.update_rows()
        if self.following:
            self._to_end()
        elif slid:  # what is read stays where it is, until it goes itself
            self.cursor_row = max(0, self.cursor_row - slid)
            self.scroll_to(y=max(0, self.scroll_offset.y - slid), animate=False, immediate=True)
        return True

    def _to_end(self) -> None:
        self.cursor_row = max(0, self._rows - 1)
        self.scroll_to(y=max(0, self._rows - self.size.height), animate=False, immediate=True)

    def on_resize(self, _event: events.Resize) -> None:
        if self.following:
            self._to_end()

    def row_count(self) -> int:
        return self.source.count() if self.source is not None else 0

    def empty_text(self) -> list[str]:
        if self.source is None:
            return ["No run is shown yet.", "Type a command below and press Enter: it runs on every selected node."]
        node = self.source.node
        if node is not None and (reason := self.source.run.reason(node)):
            return [told(self.source.run.failure_kind(node), reason, self.source.title)]
        return ["No output." if self.source.run.ended is not None else "No output yet."]

    # -- painting

    def _entry(self, row: int) -> tuple[str, OutputLine] | None:
        start = self._window_start
        if not start <= row < start + len(self._window):
            return None
        return self._window[row - start]

    def render_lines(self, crop: Region) -> list[Strip]:
        if self.source is not None:
            top = self.scroll_offset.y
            self._window_start = top
            self._window = self.source.read(top, min(self._rows, top + self.size.height + 1))
        return super().render_lines(crop)

    def paint(self, row: int, line: Row, look: Look) -> None:
        entry = self._entry(row)
        if entry is None:
            return
        name, output = entry
        node = self.source.node if self.source is not None else None
        changed = new = False
        if self._since is not None:
            number = self._since.number(name) if node is None else node
            changed = number in self._since.marked
            new = changed and self._since.is_new(number, output.text)
        if name:
            line.name(name, self._name_width, look["changed" if changed else "title"])
            line.add(" \N{BOX DRAWINGS LIGHT VERTICAL} ", look["rule"])
        hit = self.hit_style(row, look)
        for piece in painted(output, look, self.search, hit, self._shift, line.left, changed=new):
            line.add(piece.text, piece.style)

    def row_style(self, row: int, look: Look) -> Style | None:
        if self.following or not self.has_focus:
            return None
        return super().row_style(row, look)

    def row_text(self, row: int) -> str:
        lines = self.source.read(row, row + 1) if self.source is not None else []
        return self._plain(lines[0]) if lines else ""

    @staticmethod
    def _plain(entry: tuple[str, OutputLine]) -> str:
        name, line = entry
        return f"{name}: {safe(line.text)}" if name else safe(line.text)

    def texts(self, start: int, stop: int) -> Texts:
        source = self.source
        if source is None:
            return Texts()
        if source.node is None:  # the newest lines of many nodes are in memory
            return Texts(self._plain(entry) for entry in source.read(start, stop))
        texts = Texts()
        excerpt = source.run.excerpt(source.node, start, stop)
        texts.add_lines(stop - start, excerpt, lambda lines: [safe(line.text) for line in lines])
        return texts

    @property
    def arrangement(self) -> object:
        return self.source, self._gone

    # -- following

    def _hold(self) -> None:
        if self.following:
            self.following = False
            self._held_at = self._gone + self._rows
            self._seen = (-1, -1)
            self.post_message(Held())

    def move_cursor(self, row: int) -> None:
        if row < self._rows - 1:
            self._hold()
        super().move_cursor(row)

    def action_last(self) -> None:
        self._walk.stop()
        self.following = True
        self._seen = (-1, -1)
        self.post_message(Held())
        self.tick()

    def action_follow(self) -> None:
        if self.following:
            self._hold()
            self.refresh()
        else:
            self.action_last()

    def on_mouse_scroll_up(self, _event: events.MouseScrollUp) -> None:
        self._hold()

    def on_mouse_scroll_down(self, _event: events.MouseScrollDown) -> None:
        if self.scroll_offset.y >= self._rows - self.size.height - 3:
            self.action_last()

    @property
    def copied_from(self) -> str:
        return self.source.title if self.source is not None else ""
