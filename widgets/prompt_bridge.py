"""What prompt_toolkit has drawn, taken over as Textual strips.

No terminal is emulated: after each render the screen object of prompt_toolkit's renderer is read, cell by cell, and its
styles are converted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from prompt_toolkit.application import Application
from prompt_toolkit.data_structures import Size
from prompt_toolkit.layout.screen import Char
from prompt_toolkit.output import DummyOutput
from prompt_toolkit.output.color_depth import ColorDepth
from prompt_toolkit.styles import Attrs
from rich.cells import cell_len
from rich.color import ColorParseError
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from ..engine.text import sanitize_text

_BLANK = Char(" ", "")
_ANSI_COLORS = {
    "ansiblack": "black",
    "ansired": "red",
    "ansigreen": "green",
    "ansiyellow": "yellow",
    "ansiblue": "blue",
    "ansimagenta": "magenta",
    "ansicyan": "cyan",
    "ansigray": "white",
    "ansibrightblack": "bright_black",
    "ansibrightred": "bright_red",
    "ansibrightgreen": "bright_green",
    "ansibrightyellow": "bright_yellow",
    "ansibrightblue": "bright_blue",
    "ansibrightmagenta": "bright_magenta",
    "ansibrightcyan": "bright_cyan",
    "ansiwhite": "bright_white",
}


class SizedOutput(DummyOutput):
    """An output that only has a size: prompt_toolkit lays out for it and paints nothing.

    columns, rows: the size in cells; any thread may set them, prompt_toolkit reads them before each render.
    """

    def __init__(self, columns: int, rows: int) -> None:
        self.size = Size(rows=rows, columns=columns)

    def get_size(self) -> Size:
        return self.size

    def get_default_color_depth(self) -> ColorDepth:
        # The console converts colours itself, to whatever its own terminal can show.
        return ColorDepth.TRUE_COLOR

    def get_rows_below_cursor_position(self) -> int:
        # A known number keeps prompt_toolkit from asking a terminal for its cursor position.
        return self.size.rows


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One finished render: only the rows in use, and where the cursor stands (in cells)."""

    rows: tuple[Strip, ...]
    cursor_x: int
    cursor_y: int
    cursor_width: int
    text: str
    """What stands in the input line."""
    keys_read: int
    """How many key presses are in it."""

    @property
    def height(self) -> int:
        return len(self.rows)


EMPTY = Snapshot((), 0, 0, 1, "", 0)


class ScreenReader:
    """Turns prompt_toolkit's rendered screens into snapshots. Used in the prompt's thread only."""

    def __init__(self) -> None:
        self._styles: dict[str, Style] = {}
        self._styles_of: object = None

    def read(self, app: Application[str], text: str, keys_read: int) -> Snapshot | None:
        """The last render of `app`; None right after a line was accepted, when there is none."""
        screen = app.renderer.last_rendered_screen
        if screen is None:
            return None
        self._follow_style_changes(app)
        size = app.output.get_size()
        cursor = screen.get_cursor_position(app.layout.current_window)
        buffer, height = screen.data_buffer, min(screen.height, size.rows)
        rows = [self._row(app, buffer.get(y, {}), size.columns) for y in range(height)]
        used = max([cursor.y + 1, *(y + 1 for y, (_, visible) in enumerate(rows) if visible)])
        strips = tuple(strip for strip, _ in rows[:used])
        width = max(1, buffer[cursor.y][cursor.x].width)
        return Snapshot(strips, cursor.x, cursor.y, width, text, keys_read)

    def _follow_style_changes(self, app: Application[str]) -> None:
        current = (app.renderer.style.invalidation_hash(), app.style_transformation.invalidation_hash())
        if current != self._styles_of:
            self._styles_of = current
            self._styles.clear()

    def _style(self, app: Application[str], name: str) -> Style:
        style = self._styles.get(name)
        if style is None:
            attrs = app.style_transformation.transform_attrs(app.renderer.style.get_attrs_for_style_str(name))
            style = self._styles[name] = rich_style(attrs)
        return style

    def _row(self, app: Application[str], cells: Mapping[int, Char], columns: int) -> tuple[Strip, bool]:
        """A row as a strip, and whether anything of it can be seen."""
        segments: list[Segment] = []
        run, run_style, visible = "", Style.null(), False
        x, end = 0, min(columns, max(cells, default=-1) + 1)
        while x < end:
            cell = cells.get(x, _BLANK)
            width = max(1, cell.width)
            text = shown(cell.char, width)
            style = self._style(app, cell.style)
            if style is not run_style and run:
                segments.append(Segment(run, run_style))
                run = ""
            run, run_style = run + text, style
            visible = visible or text.strip() != "" or style.bgcolor is not None or bool(style.reverse)
            x += width
        if run:
            segments.append(Segment(run, run_style))
        return Strip(segments), visible


@lru_cache(4096)
def shown(char: str, width: int) -> str:
    """A cell's text as it may be painted: through the gate, and exactly `width` cells wide.

    prompt_toolkit shows control characters itself; the marks that turn the writing direction and their like pass it,
    and the two libraries do not agree on the width of every character.
    """
    safe = sanitize_text(char).replace("\n", " ").replace("\t", " ")
    if cell_len(safe) != width:
        safe = "\N{REPLACEMENT CHARACTER}".ljust(width) if char.strip() else " " * width
    return safe


@lru_cache(4096)
def rich_style(attrs: Attrs) -> Style:
    """prompt_toolkit's attributes as a Rich style; what is not set stays open for the widget's own colours."""
    return Style(
        color=_color(attrs.color),
        bgcolor=_color(attrs.bgcolor),
        bold=attrs.bold or None,
        dim=attrs.dim or None,
        italic=attrs.italic or None,
        underline=attrs.underline or None,
        strike=attrs.strike or None,
        blink=attrs.blink or None,
        reverse=attrs.reverse or None,
        conceal=attrs.hidden or None,
    )


def _color(name: str | None) -> str | None:
    if not name or name in ("default", "ansidefault"):
        return None
    color = _ANSI_COLORS.get(name) or f"#{name}"
    try:
        Style(color=color)
    except (ColorParseError, ValueError):  # a style with a colour nobody knows must not stop the prompt
        return None
    return color
