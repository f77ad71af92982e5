"""One painted line: the caption of a pane, of the node list, of a panel."""

from __future__ import annotations

from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from ..engine.states import NodeState
from .cells import Row, fit, safe, width_of
from .look import Look, LookCache
from .terminal_filters import line_filters


class PaintedLine(Widget):
    """A widget of few rows that paints itself from styles of the look; never markup."""

    ROWS = 1

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, classes=classes)
        self._looks = LookCache()

    @property
    def look(self) -> Look:
        """The styles of the theme in use."""
        return self._looks.get(self.app)

    def paint(self, line: Row, look: Look, row: int) -> None:
        """Add the pieces of the row."""

    def render_lines(self, crop: Region) -> list[Strip]:
        look = self.look
        filters = line_filters(self)
        strips = []
        for y in range(crop.y, crop.bottom):
            line = Row(self.size.width, look.text)
            self.paint(line, look, y)
            strip = line.strip(self.fill(look))
            if crop.x or crop.width != self.size.width:
                strip = strip.crop_extend(crop.x, crop.right, look.text)
            for line_filter in filters:
                strip = strip.apply_filter(line_filter, look.background)
            strips.append(strip)
        return strips

    def fill(self, look: Look) -> Style | None:
        """Style of what is left free on the right; None: the plain background."""
        return None


class TitleLine(PaintedLine):
    """`-- title ------------- note --`: a caption that says by weight and symbol whether its view has the focus."""

    def __init__(self, title: str = "", *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._title = title
        self._note = ""
        self._state: int | None = None
        self._active = False

    def show(self, title: str, note: str = "", *, state: int | None = None, active: bool = False) -> None:
        """Set all at once; repaints only what changed. state: a NodeState, painted before the title."""
        new = (title, note, state, active)
        if new != (self._title, self._note, self._state, self._active):
            self._title, self._note, self._state, self._active = new
            self.refresh()

    @property
    def text(self) -> str:
        """The title, for tests and screen readers."""
        return self._title

    @property
    def note(self) -> str:
        """What stands on the right."""
        return self._note

    def paint(self, line: Row, look: Look, row: int) -> None:
        rule = look["accent"] if self._active else look["rule"]
        note = safe(self._note)
        dash = "\N{BOX DRAWINGS HEAVY HORIZONTAL}" if self._active else "\N{BOX DRAWINGS LIGHT HORIZONTAL}"
        line.add(dash, rule)
        line.add(" ")
        room = line.left - (width_of(note) + 4 if note else 2)
        title = safe(self._title)
        if self._state is not None:
            line.add(NodeState(self._state).symbol + " ", look.state(self._state))
            room -= 2
        line.add(fit(title, min(max(0, room), width_of(title))), look["title"] if self._active else look.text)
        line.add(" ")
        dashes = max(0, line.left - (width_of(note) + 3 if note else 0))
        line.add(dash * dashes, rule)
        if note:
            line.add(" ").add(note, look["warn"]).add(" ")
