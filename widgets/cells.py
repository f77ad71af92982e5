"""Text measured in terminal cells: cutting, padding, and the last look at what is painted.

All text that reaches a widget has passed the gate already (engine/text.py). `safe` is the second lock: it costs one
C call per string that is clean, and whatever a programming error lets through still cannot drive the terminal.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from ..engine.text import sanitize_text

#: Marks a text that was cut.
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
#: Fills bars.
BAR = "\N{LOWER SEVEN EIGHTHS BLOCK}"
#: The signs that we draw ourselves, for terminals and fonts that have only ASCII.
_ASCII = str.maketrans(
    "\u2500\u2501\u2502\u2026\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588\u00b7", "-=|~.:-=+*#@ "
)
_signs: dict[int, int] | None = None


def use_ascii(flag: bool) -> None:
    """Draw with ASCII characters only, from the next painting on. One setting for the whole process."""
    global _signs
    _signs = _ASCII if flag else None


def safe(text: str) -> str:
    """`text` with nothing in it that a terminal would obey; one line, tabs as four spaces."""
    if text.isprintable():
        return text
    return sanitize_text(text).replace("\t", "    ").replace("\n", "\N{SYMBOL FOR NEWLINE}")


def width_of(text: str) -> int:
    """Cells that a text takes."""
    return len(text) if text.isascii() else cell_len(text)


def fit(text: str, width: int, *, right: bool = False) -> str:
    """`text` in exactly `width` cells: padded (on the left if `right`), or cut with an ellipsis."""
    if width <= 0:
        return ""
    size = width_of(text)
    if size > width:
        return set_cell_size(text, width - 1) + ELLIPSIS
    return " " * (width - size) + text if right else text + " " * (width - size)


def fit_name(text: str, width: int) -> str:
    """A name in exactly `width` cells; what is cut is its middle, because names differ at their ends."""
    if width_of(text) <= width or width < 5 or not text.isascii():
        return fit(text, width)
    tail = (width - 1) * 3 // 5
    return text[: width - 1 - tail] + ELLIPSIS + text[len(text) - tail :]


def clock(seconds: float | None) -> str:
    """Seconds as people read them, in at most six cells up to 99 minutes: `40ms`, `1.3s`, `41s`, `2:05`, `1:02:05`."""
    if seconds is None:
        return ""
    if seconds < 0.9995:
        return f"{max(0.0, seconds) * 1000:.0f}ms"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def quantity(count: float) -> str:
    """A number of bytes in a unit that fits five characters: `820 B`, `1.5 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


class Row:
    """One painted row: pieces added from the left until the width is used up, then padded to it."""

    __slots__ = ("_base", "_left", "_pieces", "_width", "cut")

    def __init__(self, width: int, base: Style) -> None:
        #: Whether something did not fit.
        self.cut = False
        self._width = width
        self._left = width
        self._base = base
        self._pieces: list[Segment] = []

    @property
    def left(self) -> int:
        """Cells that are still free."""
        return self._left

    def add(self, text: str, style: Style | None = None) -> Row:
        """Put `text` behind what is there, cut to what is free."""
        if self._left <= 0 or not text:
            self.cut |= bool(text)
            return self
        text = safe(text)
        if _signs is not None:
            text = text.translate(_signs)
        size = width_of(text)
        if size > self._left:
            text = set_cell_size(text, self._left - 1) + (ELLIPSIS if _signs is None else "~")
            size = self._left
            self.cut = True
        self._pieces.append(Segment(text, style or self._base))
        self._left -= size
        return self

    def column(self, text: str, width: int, style: Style | None = None, *, right: bool = False) -> Row:
        """Put `text` in a column of exactly `width` cells."""
        text, width = safe(text), min(width, self._left)
        self.cut |= width_of(text) > width
        return self.add(fit(text, width, right=right), style)

    def name(self, text: str, width: int, style: Style | None = None) -> Row:
        """Put a name in a column of exactly `width` cells; a long one keeps its end."""
        return self.add(fit_name(safe(text), min(width, self._left)), style)

    def strip(self, fill: Style | None = None) -> Strip:
        """The row as Textual wants it, padded to its width."""
        if self._left > 0:
            self._pieces.append(Segment(" " * self._left, fill or self._base))
            self._left = 0
        return Strip(self._pieces, self._width)


def folds(text: str, width: int, hang: int = 0) -> list[tuple[int, int]]:
    """Where a text is cut into lines of at most `width` cells: start and end of each, the blank between words left out.

    hang: cells that all lines but the first have less. A word that is longer than a line is cut.
    """
    found: list[tuple[int, int]] = []
    start, room = 0, max(1, width)
    while True:
        end = start + _fitting(text[start : start + room + 1], room)
        if end >= len(text):
            return [*found, (start, len(text))]
        cut = text.rfind(" ", start, end + 1)
        if cut <= start or not text[start:cut].strip():
            cut = end
        found.append((start, cut))
        start = cut + 1 if text[cut] == " " else cut
        room = max(1, width - hang)


def _fitting(text: str, room: int) -> int:
    """How many characters fit into so many cells; at least one."""
    if text.isascii():
        return min(len(text), room)
    cells = 0
    for number, character in enumerate(text):
        cells += cell_len(character)
        if cells > room:
            return max(1, number)
    return len(text)


def sentences(texts: Sequence[str], width: int) -> list[tuple[str, bool]]:
    """Rows for a view that is empty, and whether each is of the first sentence, which stands out."""
    rows = [("", False)]
    for number, text in enumerate(map(safe, texts)):
        rows.extend((f"  {text[start:end]}", number == 0) for start, end in folds(text, max(8, width - 4)))
    return rows
