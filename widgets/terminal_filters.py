"""What Textual still has to do to a painted row before it reaches the terminal."""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import ANSIToTruecolor, LineFilter
from textual.widget import Widget

#: Signs that Textual's own widgets draw, by what they look like: corners, lines, edges, bars, and the rest.
_PLAIN = {
    **dict.fromkeys(map(ord, "╭╮╰╯┌┐└┘├┤┬┴┼┏┓┗┛╔╗╚╝"), "+"),
    **dict.fromkeys(map(ord, "─━═▔▁"), "-"),
    **dict.fromkeys(map(ord, "│┃║▌▐▎▏▕▊▍▋▉"), "|"),
    **dict.fromkeys(map(ord, "▂▃▄▅▆▇"), " "),
    **{ord(sign): plain for sign, plain in {"█": "#", "…": "~", "•": "*", "·": ".", "🔎": "> "}.items()},
}


class PlainSigns(LineFilter):
    """For terminals and fonts that have only ASCII: what Textual draws by itself, in other signs of the same width."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment if segment.text.isascii() else Segment(segment.text.translate(_PLAIN), segment.style)
            for segment in segments
        ]


def line_filters(widget: Widget) -> list[LineFilter]:
    """The app's filters (such as for NO_COLOR), without the one that turns the terminal's own colours into others.

    And without the one for signs: what we paint ourselves has the right ones, and nodes' output is left as it is.
    """
    without = PlainSigns if widget.app.native_ansi_color else PlainSigns | ANSIToTruecolor
    return [one for one in widget.get_line_filters() if not isinstance(one, without)]
