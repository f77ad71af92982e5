"""The colours that nodes give their output, as styles of the theme in use.

The sixteen named colours become the theme's own, so that they can be read on its background; other colours are kept
where they can be read and replaced where not. Themes of the terminal's palette get the nearest of its colours, themes
without colours only weight and underline.
"""

from __future__ import annotations

from rich.color import Color as TerminalColor
from rich.color import ColorSystem
from rich.style import Style
from textual.color import Color

from ..engine.sgr import Colour, TextStyle
from .look import Look

#: Roles for black, red, green, yellow, blue, magenta, cyan and white; the bright ones are the same but grey.
_PALETTE = ("quiet", "failed", "ok", "timeout", "running", "lost", "accent", "text")
_BRIGHT_BLACK = 8
#: Contrast under which a text counts as unreadable on its background.
READABLE = 3.0
#: Styles remembered per theme; a node can ask for sixteen million.
_REMEMBERED = 1024

_on = True


def use_node_colours(flag: bool) -> None:
    """Show nodes' own colours, or not, from the next painting on. One setting for the whole process."""
    global _on
    _on = flag


def node_colours() -> bool:
    """Whether nodes' own colours are shown."""
    return _on


def style_of(wanted: TextStyle, look: Look, plain: Style) -> Style:
    """The style for a span of output. plain: what the line has where nothing is asked for."""
    key = (wanted, plain)
    style = look.node_styles.get(key)
    if style is None:
        if len(look.node_styles) >= _REMEMBERED:
            look.node_styles.clear()
        style = look.node_styles[key] = _made(wanted, look, plain)
    return style


def _made(wanted: TextStyle, look: Look, plain: Style) -> Style:
    words = Style(
        bold=wanted.bold or None,
        dim=wanted.dim or None,
        italic=wanted.italic or None,
        underline=wanted.underline or None,
        reverse=wanted.reverse or None,
        strike=wanted.strike or None,
    )
    if look.colourless:
        return plain + words
    if look.background.ansi is not None:
        return plain + words + Style(color=_of_terminal(wanted.foreground), bgcolor=_of_terminal(wanted.background))
    if wanted.foreground is None and wanted.background is None:
        return plain + words
    # Black behind a text is the background.
    behind = _of_theme(wanted.background, look) if wanted.background else look.background
    text = _of_theme(wanted.foreground, look) if wanted.foreground is not None else _rich(plain.color, look)
    if contrast(text, behind) < READABLE:
        text = max((Color(0, 0, 0), Color(255, 255, 255)), key=lambda colour: contrast(colour, behind))
    return plain + words + Style(color=text.rich_color, bgcolor=behind.rich_color)


def _of_terminal(colour: Colour) -> TerminalColor | None:
    """The nearest of the terminal's sixteen; its own black would be unreadable where that is the background."""
    if colour is None or colour == 0:
        return None
    made = TerminalColor.from_ansi(colour) if isinstance(colour, int) else TerminalColor.from_rgb(*colour)
    return made.downgrade(ColorSystem.STANDARD)


def _of_theme(colour: int | tuple[int, int, int], look: Look) -> Color:
    if not isinstance(colour, int):
        return Color(*colour)
    if colour < 16:
        return _rich(look["quiet" if colour == _BRIGHT_BLACK else _PALETTE[colour % 8]].color, look)
    return Color.from_rich_color(TerminalColor.from_ansi(colour))


def _rich(colour: TerminalColor | None, look: Look) -> Color:
    return look.background.inverse if colour is None else Color.from_rich_color(colour)


def contrast(one: Color, other: Color) -> float:
    """How well two colours can be told apart, from 1 to 21 (the ratio of WCAG 2)."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: Color) -> float:
    parts = (value / 255 for value in (colour.r, colour.g, colour.b))
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
