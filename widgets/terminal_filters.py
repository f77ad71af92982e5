"""What Textual still has to do to a painted row before it reaches the terminal."""

from __future__ import annotations

from textual.filter import ANSIToTruecolor, LineFilter
from textual.widget import Widget


def line_filters(widget: Widget) -> list[LineFilter]:
    """The app's filters (such as for NO_COLOR), without the one that turns the terminal's own colours into others."""
    keep_all = widget.app.native_ansi_color
    return [one for one in widget.get_line_filters() if keep_all or not isinstance(one, ANSIToTruecolor)]
