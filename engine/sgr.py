"""Colours of node output: the one kind of escape sequence that may survive the gate, as values and never as bytes.

`styled_line` cuts one line into spans of clean text with a style each; who paints them makes escapes of its own. A
style ends with its line, so that no node can colour what stands after it. SGR codes as in ECMA-48 8.3.117, the
extended colours as in xterm (38;5;N and 38;2;R;G;B, with `;` or `:`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from .text import clean_text_line, has_stacks, sanitize_text

#: A palette colour 0..255, or (red, green, blue) of 0..255 each, or None for the terminal's own.
Colour = int | tuple[int, int, int] | None

_TAB = 8
_SGR = re.compile("(?:\x1b\\[|\x9b)([0-9;:]{0,64})m")


@dataclass(frozen=True, slots=True)
class TextStyle:
    """How a span looks; blinking and concealed text are not offered to nodes."""

    foreground: Colour = None
    background: Colour = None
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    reverse: bool = False
    strike: bool = False


PLAIN = TextStyle()

_SWITCHES: dict[int, dict[str, bool]] = {
    1: {"bold": True},
    2: {"dim": True},
    3: {"italic": True},
    4: {"underline": True},
    7: {"reverse": True},
    9: {"strike": True},
    21: {"underline": True},
    22: {"bold": False, "dim": False},
    23: {"italic": False},
    24: {"underline": False},
    27: {"reverse": False},
    29: {"strike": False},
}


@dataclass(frozen=True, slots=True)
class Span:
    """Clean text in one style."""

    text: str
    style: TextStyle


def styled_line(data: bytes) -> list[Span]:
    """The spans of one line of node output (bytes without a line end); their texts joined are `clean_line(data)`."""
    text = data.decode("utf-8", "replace").rstrip("\r")
    spans: list[Span] = []
    style = PLAIN
    start = column = 0
    for match in _SGR.finditer(text):
        column = _append(spans, text[start : match.start()], style, column)
        style = _apply(style, match.group(1))
        start = match.end()
    _append(spans, text[start:], style, column)
    if not text.isascii() and has_stacks("".join(span.text for span in spans)):
        return [Span(clean_text_line(text), PLAIN)]  # the marks of one character were spread over several spans
    return spans


def _append(spans: list[Span], text: str, style: TextStyle, column: int) -> int:
    """Add a piece of the line that begins in `column`; returns the column after it."""
    whole = text.rstrip("\r")  # the gate takes carriage returns off ends of lines, which a piece's end is not
    clean = sanitize_text(whole).replace("\n", "\N{SYMBOL FOR NEWLINE}")
    clean += "\N{SYMBOL FOR CARRIAGE RETURN}" * (len(text) - len(whole))
    if not clean:
        return column
    if "\t" in clean:
        before = column % _TAB
        clean = (" " * before + clean).expandtabs(_TAB)[before:]
    if spans and spans[-1].style == style:
        spans[-1] = Span(spans[-1].text + clean, style)
    else:
        spans.append(Span(clean, style))
    return column + len(clean)


def _apply(style: TextStyle, parameters: str) -> TextStyle:
    codes = iter([int(part) if part else 0 for part in parameters.replace(":", ";").split(";")])
    for code in codes:
        if code == 0:
            style = PLAIN
        elif code in _SWITCHES:
            style = replace(style, **_SWITCHES[code])
        elif code in (38, 48):
            colour = _extended(codes)
            style = replace(style, foreground=colour) if code == 38 else replace(style, background=colour)
        elif code in (39, 49):
            style = replace(style, foreground=None) if code == 39 else replace(style, background=None)
        elif 30 <= code <= 37 or 90 <= code <= 97:
            style = replace(style, foreground=code - 30 if code < 90 else code - 82)
        elif 40 <= code <= 47 or 100 <= code <= 107:
            style = replace(style, background=code - 40 if code < 100 else code - 92)
    return style


def _extended(codes: Iterator[int]) -> Colour:
    kind = next(codes, None)
    if kind == 5:
        return min(next(codes, 0), 255)
    if kind == 2:
        red, green, blue = (min(next(codes, 0), 255) for _ in range(3))
        return (red, green, blue)
    return None
