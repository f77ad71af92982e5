"""What the console did and said, oldest first."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from .cells import Row, safe
from .line_view import LineView
from .look import Look

#: Entries kept; the session's own log on disk has them all.
KEPT = 5_000
_ROLES = {"warning": "warn", "error": "failed"}


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line. at: wall clock, seconds since the epoch. level: "info", "warning" or "error"."""

    at: float
    level: str
    text: str


class LogBook:
    """The newest entries; may be written by any thread."""

    def __init__(self) -> None:
        self.entries: deque[LogEntry] = deque(maxlen=KEPT)
        self.version = 0

    def write(self, text: str, level: str = "info") -> None:
        """Add a text, one entry per line."""
        for line in text.splitlines() or [""]:
            self.entries.append(LogEntry(time.time(), level, safe(line)))
        self.version += 1


class LogView(LineView):
    """A LogBook on the screen; stays at the end unless the cursor was moved away from it."""

    TITLE_WORD = "log"
    HELP_TEXT = "What the console did and said. Ctrl-F searches."

    def __init__(self, book: LogBook, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter name
        super().__init__(id=id)
        self.book = book
        self._listed: list[LogEntry] = []
        self._matches: Callable[[str], bool] | None = None
        self._seen = -1

    def set_text_filter(self, matches: Callable[[str], bool] | None) -> None:
        """Show only entries that match (None: all)."""
        self._matches = matches
        self._seen = -1

    def tick(self, _now: float) -> None:
        """Take note of new entries."""
        if self._seen == self.book.version:
            return
        self._seen = self.book.version
        at_end = self.cursor_row >= self._rows - 1
        self._listed = [entry for entry in self.book.entries if self._matches is None or self._matches(entry.text)]
        self.update_rows()
        if at_end:
            self.move_cursor(self._rows - 1)

    def row_count(self) -> int:
        return len(self._listed)

    def empty_text(self) -> list[str]:
        return ["Nothing to tell yet." if not self.book.entries else "No entry passes the filter."]

    def paint(self, row: int, line: Row, look: Look) -> None:
        entry = self._listed[row]
        line.add(time.strftime("%H:%M:%S ", time.localtime(entry.at)), look.quiet)
        line.column("" if entry.level == "info" else entry.level, 8, look[_ROLES.get(entry.level, "quiet")])
        line.add(self.shifted(entry.text), look.text)

    def row_text(self, row: int) -> str:
        entry = self._listed[row]
        return f"{time.strftime('%H:%M:%S', time.localtime(entry.at))} {entry.level} {entry.text}"
