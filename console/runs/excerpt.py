"""Some lines of a node, wherever they are: chosen under the run's lock, read without it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...engine.text import clean_line
from .events import STREAM_NAMES
from .pages import Pages, Place

if TYPE_CHECKING:
    from ...widgets.views import OutputLine

#: A shown line ends here with a counted mark; the store keeps the whole line.
SHOWN_LINE_BYTES = 64 * 1024
#: What stands for a line that is still being read.
READING = "reading \N{HORIZONTAL ELLIPSIS}"


class Excerpt:
    """Lines in order. A call may wait for the disk, in any thread; `at_hand` never does, `seen` not in the screen's."""

    __slots__ = ("_beside", "_pages", "_parts")

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        #: (stream, lines), or (stream, where they stand, first, last).
        self._parts: list[tuple[int, Sequence[bytes]] | tuple[int, Place, int, int]] = []
        self._beside: list[Place] = []

    def add(self, stream: int, lines: Sequence[bytes]) -> None:
        """Lines that are in memory."""
        self._parts.append((stream, lines))

    def add_place(self, stream: int, place: Place, first: int, last: int) -> None:
        """Lines `first` to `last` (half open) of a block on disk."""
        self._parts.append((stream, place, first, last))

    def add_beside(self, place: Place) -> None:
        """A block before or after, which is what will be looked at next."""
        self._beside.append(place)

    @property
    def at_hand(self) -> bool:
        """Whether no disk is needed; if not, nothing is asked of it."""
        for number, part in enumerate(self._parts):
            if len(part) == 4:
                page = self._pages.find(part[1], want=False)
                if page is None:
                    return False
                self._parts[number] = (part[0], page[part[2] : part[3]])
        return True

    def raw(self) -> list[tuple[int, bytes]]:
        """The lines as (stream, bytes without the line end)."""
        found: list[tuple[int, bytes]] = []
        for part in self._parts:
            lines = part[1] if len(part) == 2 else self._read(part[1])[part[2] : part[3]]
            found.extend((part[0], line) for line in lines)
        return found

    def _read(self, place: Place) -> Sequence[bytes]:
        page = self._pages.find(place, want=False)
        return place.read() if page is None else page

    def raw_seen(self) -> Sequence[tuple[int, bytes | None]]:
        """The same; in the screen's thread, which never waits, None for lines that are still being read."""
        if not self._pages.spared:
            return self.raw()
        found: list[tuple[int, bytes | None]] = []
        pages: list[tuple[int, Sequence[bytes | None]]] = []
        for place in self._beside:  # wanted first, so read last
            self._pages.find(place)
        for part in reversed(self._parts):
            if len(part) == 2:
                pages.append(part)
                continue
            page = self._pages.find(part[1])
            pages.append((part[0], [None] * (part[3] - part[2]) if page is None else page[part[2] : part[3]]))
        for stream, lines in reversed(pages):
            found.extend((stream, line) for line in lines)
        return found

    def __call__(self) -> list[OutputLine]:
        """The lines as they may be shown."""
        from ...widgets.views import OutputLine  # batch runs never need one

        return [OutputLine(shown(line), STREAM_NAMES[stream], coloured(line)) for stream, line in self.raw()]

    def seen(self) -> list[OutputLine]:
        """The same; in the screen's thread, which never waits, lines that are still being read say so."""
        from ...widgets.views import OutputLine

        return [
            OutputLine(READING, STREAM_NAMES[stream], here=False)
            if line is None
            else OutputLine(shown(line), STREAM_NAMES[stream], coloured(line))
            for stream, line in self.raw_seen()
        ]


def shown(line: bytes) -> str:
    """One line as it may be shown: through the gate, and of bounded length."""
    if len(line) > SHOWN_LINE_BYTES:
        more = len(line) - SHOWN_LINE_BYTES
        return f"{clean_line(line[:SHOWN_LINE_BYTES])} [{more} bytes more]"
    return clean_line(line)


def coloured(line: bytes) -> bytes:
    """The line itself where it has colours of its own that may be shown (engine.sgr), else b""."""
    return line if b"\x1b[" in line and len(line) <= SHOWN_LINE_BYTES else b""
