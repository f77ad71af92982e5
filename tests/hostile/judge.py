"""The judges: what may stand in text that is shown, and in bytes that reach a terminal."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from textual.strip import Strip

#: Characters that a terminal draws as nothing, or that put others in another order, beside the categories below.
_HIDDEN = {0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}
_CONTROLS = ("Cc", "Cf", "Cs", "Zl", "Zp")
#: Format characters that are drawn: signs of numbers and verses in Arabic and Syriac script.
_DRAWN = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}


def foreign(text: str, allowed: str = "") -> list[str]:
    """Characters of `text` that a terminal would obey, hide or reorder, as code points with what is around them."""
    found: list[str] = []
    if text.isascii() and text.isprintable():
        return found
    for place, char in enumerate(text):
        bad = unicodedata.category(char) in _CONTROLS and ord(char) not in _DRAWN
        if char not in allowed and (bad or ord(char) in _HIDDEN):
            found.append(f"U+{ord(char):04X} in {text[max(0, place - 20) : place + 20]!r}")
    return found


def foreign_in_strips(strips: Iterable[Strip]) -> list[str]:
    """The same for what a widget painted; control segments and links are foreign, too."""
    found: list[str] = []
    for strip in strips:
        for segment in strip:
            found += foreign(segment.text)
            if segment.control:
                found.append(f"control segment {segment!r}")
            if segment.style is not None and segment.style.link:
                found.append(f"link {segment.style.link!r}")
    return found


#: What prompt_toolkit, our printer and our progress line write; none of it has the corpus' parameters.
_OURS = re.compile(rb"\x1b\[\??(?!6;6)[0-9;]*[ABCDHJKmhln]")
_COLOURS = re.compile(rb"\x1b\[(?!6;6)[0-9;]*m")
_MODES = re.compile(rb"\x1b\[\?(\d+)[hl]")
_KNOWN_MODES = {b"1", b"7", b"12", b"25", b"2004"}
_MARKED = re.compile(rb"<(\d{4})>(.*?)</\1>", re.DOTALL)


def foreign_in_terminal(data: bytes) -> list[str]:
    """What a terminal would obey in recorded bytes and is not ours: any sequence but ours, any control character but
    those of line ends, and anything at all between the marks of the corpus that is no text.
    """
    found = [f"mode {mode!r}" for mode in set(_MODES.findall(data)) - _KNOWN_MODES]
    rest = _OURS.sub(b"", data)
    found += foreign(rest.decode("utf-8", "surrogateescape"), "\r\n\x08\t")
    for number, shown in _MARKED.findall(_COLOURS.sub(b"", data)):
        found += [
            f"attack {int(number)}: {what}" for what in foreign(shown.decode("utf-8", "surrogateescape"), "\r\n\t")
        ]
    return found
