"""The filter line and the search line: one row, result and count beside it while typing, earlier lines on Up."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input

from .cells import Row, width_of
from .look import Look
from .messages import FilterChanged, FilterClosed, SearchChanged, SearchClosed
from .title_line import PaintedLine

#: Lines that Up brings back.
REMEMBERED = 50
#: Cells for the count or the error behind the line.
NOTE_WIDTH = 34


class EntryLabel(PaintedLine):
    """The word before the line, or the count behind it."""

    def __init__(self, text: str = "", role: str = "key", *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._text = text
        self._role = role

    @property
    def text(self) -> str:
        """What is shown."""
        return self._text

    def show(self, text: str, role: str = "quiet") -> None:
        """Show a text in the style of a role."""
        if (text, role) != (self._text, self._role):
            self._text, self._role = text, role
            self.refresh()

    def on_mount(self) -> None:
        # A width that followed the text would lay the whole screen out anew at every key.
        self.styles.width = len(self._text) + 1 if self._text else NOTE_WIDTH

    def paint(self, line: Row, look: Look, row: int) -> None:
        line.add(" " * max(0, line.left - width_of(self._text) - 1)).add(self._text, look[self._role])


class FirstOffered(Suggester):
    """Shows the best completion behind the cursor; Right takes it."""

    def __init__(self, entry: LineEntry) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._entry = entry

    async def get_suggestion(self, value: str) -> str | None:
        return next((line for line in self._entry.complete(value) if line.startswith(value)), None)


class LineEntry(Horizontal):
    """A line for typing; says every change, Enter and Escape by message. Hidden while it is not needed."""

    def __init__(
        self,
        label: str,
        changed: Callable[[str, bool], Message],
        closed: Callable[[], Message],
        *,
        id: str | None = None,  # noqa: A002 - Textual's own parameter name
    ) -> None:
        super().__init__(id=id)
        self._label = label
        self._on_changed = changed
        self._on_closed = closed
        self._earlier: list[str] = []
        #: Whole lines that a line may become, best first; Tab goes through them.
        self.complete: Callable[[str], Sequence[str]] = lambda _line: ()
        self._offered: tuple[Sequence[str], int] = ((), 0)
        self._recall = -1
        self.note = EntryLabel(role="quiet")
        self.input = Input(compact=True, select_on_focus=False, suggester=FirstOffered(self))

    def compose(self) -> ComposeResult:
        yield EntryLabel(self._label)
        yield self.input
        yield self.note

    def on_mount(self) -> None:
        self.display = False

    def open(self) -> None:
        """Show the line, with what stood in it, and move there."""
        self.display = True
        self._recall = -1
        self.screen.set_focus(self.input)
        self.input.cursor_position = len(self.input.value)

    def close(self, *, keep: bool = False) -> None:
        """Hide the line; keep: what stands in it stays in force and visible."""
        if not keep:
            with self.prevent(Input.Changed):
                self.input.value = ""
        self.display = keep

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self._on_changed(event.value, False))

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        value = event.value.strip()
        if value:
            self._earlier = [value, *(line for line in self._earlier if line != value)][:REMEMBERED]
        self.post_message(self._on_changed(event.value, True))

    def key_escape(self, event: events.Key) -> None:
        event.stop()
        # Whoever hears this moves the focus first: a hidden line would give it to the next widget of its choice.
        self.post_message(self._on_closed())

    def key_up(self, event: events.Key) -> None:
        event.stop()
        self._bring(1)

    def key_down(self, event: events.Key) -> None:
        event.stop()
        self._bring(-1)

    def key_tab(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        offered, at = self._offered
        if not (offered and self.input.value == offered[at]):
            offered, at = list(self.complete(self.input.value)), -1
        if offered:
            self._offered = offered, (at + 1) % len(offered)
            self.input.value = offered[self._offered[1]]
            self.input.cursor_position = len(self.input.value)

    def _bring(self, step: int) -> None:
        at = self._recall + step
        if -1 <= at < len(self._earlier):
            self._recall = at
            self.input.value = self._earlier[at] if at >= 0 else ""
            self.input.cursor_position = len(self.input.value)


class FilterBar(LineEntry):
    """`filter: @web state:failed        12 of 128`; Enter makes what passes the selection."""

    HELP_TEXT = (
        "Node sets, globs, state:, rc:, out:/regex/, /regex/, plain text. Tab completes, Enter selects what passes."
    )

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter name
        super().__init__(" filter:", FilterChanged, FilterClosed, id=id)


class SearchBar(LineEntry):
    """`search: word or /regex/`; Enter goes to the matches, n and N move between them."""

    HELP_TEXT = "A word, or /regex/. Enter goes to the matches; n and N move on and back."

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter name
        super().__init__(" search:", SearchChanged, SearchClosed, id=id)
