"""What is laid over a painted row: the cursor, the mouse's selection, the matches of a search."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual.selection import Selection
from textual.strip import Strip

from .cells import width_of

#: A match in a row whose colours are turned round.
_BACK = Style(bold=True, underline=True, reverse=False)


def lay_over(strip: Strip, style: Style, keep: Style | None = None) -> Strip:
    """The row with another background and weight; the colours of its pieces keep their meaning.

    Not where the background comes from turning a row's colours round: every piece would get another one.
    keep: the style of pieces that must stand out of the row and stay as they are; turned back in a row turned round.
    """
    colour = style.color if style.reverse else None
    over = Style(color=colour, bgcolor=style.bgcolor, bold=style.bold, underline=style.underline, reverse=style.reverse)
    kept = _BACK if style.reverse else keep
    pieces = [Segment(text, kept if keep and own == keep else (own or style) + over) for text, own, _ in strip]
    return Strip(pieces, strip.cell_length)


def lay_over_part(strip: Strip, start: int, end: int, style: Style) -> Strip:
    """The row with `style` over its cells from `start` to before `end` (-1: the last)."""
    width = strip.cell_length
    end = width if end == -1 else min(end, width)
    if start >= end:
        return strip
    return Strip.join([strip.crop(0, start), lay_over(strip.crop(start, end), style), strip.crop(end, width)])


def with_matches(strip: Strip, spans: Sequence[tuple[int, int]], hit: Style) -> Strip:
    """The row with `hit` in place of the styles of some characters. spans: start and end of each part, in order."""
    text = strip.text
    parts: list[Strip] = []
    at = 0
    for first, last in spans:
        start, end = width_of(text[:first]), width_of(text[:last])
        parts += [strip.crop(at, start), Strip([Segment(piece, hit) for piece, _, _ in strip.crop(start, end)])]
        at = end
    return Strip.join([*parts, strip.crop(at, strip.cell_length)]) if parts else strip


def between(lines: list[str], selection: Selection, last: int) -> str:
    """The text that the mouse has marked in the full lines of the marked rows. last: the number of the last row."""
    if selection.end and selection.end.y == last:
        lines[-1] = lines[-1][: selection.end.x]
    if selection.start:
        lines[0] = lines[0][selection.start.x :]
    return "\n".join(lines)
