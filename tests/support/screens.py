"""Screens as files that can be read and compared: the text, and beside it which style every cell has in every theme.

A file of styles has a letter per cell (`.` for the most common style, ends of rows left out) and, for every letter,
the style in each theme.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import ascii_letters, digits

from rich.cells import cell_len
from rich.style import Style
from textual.strip import Strip

_LETTERS = ascii_letters + digits + "!#$%&*+-/:;<=>?@^_~|"
_TIME = re.compile(r"\d\d:\d\d:\d\d")
_WORDS = ("bold", "dim", "italic", "underline", "reverse", "strike")


def compare(path: Path, shown: str) -> None:
    """The screen is what is kept in this file, times of the day apart; UPDATE_SCREENS=1 keeps it anew."""
    text = "\n".join(line.rstrip() for line in _TIME.sub("00:00:00", shown).splitlines()) + "\n"
    if os.environ.get("UPDATE_SCREENS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    assert path.is_file(), f"{path.name} is missing; UPDATE_SCREENS=1 writes it"
    assert text == path.read_text("utf-8"), f"{path.name} differs; UPDATE_SCREENS=1 accepts it"


def styles(screens: Mapping[str, Sequence[Strip]]) -> str:
    """The file of styles for one screen in several themes. screens: theme -> rows."""
    grids = [_grid(strips) for strips in screens.values()]
    rows = [[tuple(cells) for cells in zip(*row, strict=True)] for row in zip(*grids, strict=True)]
    found = Counter(cell for row in rows for cell in row)
    order = [cell for cell, _ in found.most_common(1)]
    order += [cell for cell in dict.fromkeys(cell for row in rows for cell in row) if cell not in order]
    letters = dict(zip(order, "." + _LETTERS, strict=False))
    assert len(letters) == len(order), f"{len(order)} styles on one screen"
    lines = ["".join(letters[cell] for cell in row).rstrip(".") for row in rows]
    for cell, letter in letters.items():
        lines += ["", *(f"{letter} {theme:14}{style}" for theme, style in zip(screens, cell, strict=True))]
    return "\n".join(lines)


def _grid(strips: Sequence[Strip]) -> list[list[str]]:
    """Per row and cell, the style in words."""
    return [[_told(style) for text, style, _ in strip for _ in range(cell_len(text))] for strip in strips]


def _told(style: Style | None) -> str:
    if style is None:
        return "none"
    words = [word for word in _WORDS if getattr(style, word)]
    colours = [colour.name if colour is not None else "none" for colour in (style.color, style.bgcolor)]
    return " ".join((*colours, *words))
