"""What is done with the texts of rows: they are searched, copied and handed to a pager or an editor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rich.style import Style
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.timer import Timer

from .background import Background
from .finder import Finder
from .look import Look
from .match_walk import MatchWalk
from .messages import PagerRequested, TextCopied, Told
from .search import Search
from .strips import between
from .texts import Texts

#: More than this is not put on a clipboard: terminals drop or choke on longer OSC 52 sequences.
CLIPBOARD_LINES = 20_000
#: Seconds after which it is told that a disk is waited for, and the beginning of what is told.
TOLD_AFTER = 1.0
SLOW_DISK = "Reading, the disk takes its time:"
#: Rows whose texts are asked for at once.
_CHUNK = 500


class TextRows(ScrollView):
    """Rows with texts and a cursor; a subclass gives `row_text`, or `texts` where rows may have to be read first."""

    #: What the footer calls this view.
    TITLE_WORD = "rows"

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter name
        super().__init__(id=id)
        self.cursor_row = 0
        self.search = Search()
        self._walk = MatchWalk(self, self._matched, self._nothing_matched)
        self._copies = Background("copy")
        self._rows = 0
        self._arrangements = 0

    def row_text(self, row: int) -> str:
        """The whole text of a row, for the clipboard, the pager and searching."""
        return ""

    def texts(self, start: int, stop: int) -> Texts:
        """The texts of the rows from `start` to before `stop`."""
        return Texts(self.row_text(row) for row in range(start, stop))

    def all_texts(self) -> Iterator[Texts]:
        """Everything that the view has, folded or not, a piece at a time."""
        for start in range(0, self._rows, _CHUNK):
            yield self.texts(start, min(self._rows, start + _CHUNK))

    def on_unmount(self) -> None:
        self._walk.close()
        self._copies.close()

    if TYPE_CHECKING:

        def move_cursor(self, row: int) -> None:
            """Put the cursor on a row."""

    # -- search

    def hit_style(self, row: int, look: Look) -> Style:
        """The style of the search's matches in a row."""
        return look["current-match" if row == self.cursor_row else "match"]

    def finder(self, start: int, stop: int) -> Finder:
        """Finds the matching rows from `start` to before `stop`."""
        return Finder.of(self.search, start, self.texts(start, stop))

    @property
    def arrangement(self) -> object:
        """Another one when rows may have changed their places; rows that come at the end do not count."""
        return self._arrangements

    def action_match(self, step: int) -> None:
        """To the next (1) or previous (-1) row that matches the search."""
        if not self.search:
            return
        self._walk.start(self.cursor_row, self._rows, step)

    def _matched(self, row: int, far: bool) -> bool:
        """Go to a row that matched, if it still does. What stands on a disk does not change."""
        finder = self.finder(row, row + 1)
        if row >= self._rows or (finder.at_hand and not finder()):
            return False
        self.move_cursor(row)
        if far:
            self.post_message(Told(f"Found in line {row + 1} of {self._rows}."))
        return True

    def _nothing_matched(self) -> None:
        self.post_message(Told("Nothing matches."))

    def search_changed(self) -> None:
        """Another text is looked for, or none any more; for views that fold rows."""

    def set_search(self, text: str) -> None:
        """Search for `text` (a `/regex/` is one) and go to the first match at or after the cursor."""
        self.search = Search(text)
        self._walk.stop()
        self.search_changed()
        if self.search and self._rows:
            self._walk.start(self.cursor_row - 1, self._rows, 1, told=False)
        self.refresh()

    # -- copies of what is shown

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The text under the mouse's selection, whole rows in their full length.

        None while it is being read from a disk; it is copied when that is done.
        """
        first = selection.start.y if selection.start else 0
        last = min(selection.end.y if selection.end else self._rows - 1, self._rows - 1, first + CLIPBOARD_LINES)
        if last < first:
            return None
        texts = self.texts(first, last + 1)
        if texts.at_hand:
            return between(texts(), selection, last), "\n"
        self._copy([texts], f"{last + 1 - first} lines", lambda lines: between(lines, selection, last))
        return None

    def action_copy_row(self) -> None:
        if self._rows:
            self._copy([self.texts(self.cursor_row, self.cursor_row + 1)], "1 line")

    def action_copy_all(self) -> None:
        pieces: list[Texts] = []
        count = 0
        for texts in self.all_texts():
            pieces.append(texts)
            count += texts.count
            if count >= CLIPBOARD_LINES:
                break
        self._copy(pieces, "")

    @property
    def copied_from(self) -> str:
        """Whose lines are copied, for the word about it."""
        return ""

    @property
    def copying(self) -> bool:
        """Whether a copy waits for a disk."""
        return self._copies.busy

    def _copy(self, pieces: list[Texts], what: str, joined: Callable[[list[str]], str] = "\n".join) -> None:
        """Put texts on the clipboard: at once, or when the disk has given them."""

        def read() -> list[str]:
            return [text for texts in pieces for text in texts()][:CLIPBOARD_LINES]

        def done(lines: list[str]) -> None:
            if late is not None:
                late.stop()
            if lines:
                whose = f" of {source}" if (source := self.copied_from) and not what else ""
                self.post_message(TextCopied(joined(lines), what or f"{len(lines)} lines{whose}"))

        late: Timer | None = None
        if all(texts.at_hand for texts in pieces):
            done(read())
        else:
            late = self.set_timer(TOLD_AFTER, lambda: self.post_message(Told(f"{SLOW_DISK} it is copied then.")))
            self._copies.submit(read, done)

    def action_pager(self) -> None:
        self.post_message(PagerRequested(self.TITLE_WORD, self.all_texts))

    def action_editor(self) -> None:
        self.post_message(PagerRequested(self.TITLE_WORD, self.all_texts, "editor"))
