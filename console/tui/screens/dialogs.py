"""Questions that stop for an answer: agree to something dangerous, host keys, secrets.

Keys typed before a dialog was on the screen never reach it: for a moment after it opened it takes none at all.
"""

from __future__ import annotations

import math
import time
from typing import ClassVar, Generic, TypeVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from ....engine.text import sanitize_text
from ...frontend import Answer, Confirmation, Question

#: Seconds after opening in which keys are dropped: they were meant for what was there before.
DEAF = 0.35

T = TypeVar("T")


def _clean(text: str) -> str:
    return sanitize_text(text).replace("\t", "    ")


class Body(VerticalScroll, can_focus=False):
    """All of a dialog but its buttons: it scrolls where there is no room for both."""

    DEFAULT_CLASSES = "dialog-body"


class Dialog(ModalScreen[T], Generic[T]):
    """The frame of all dialogs. Subclasses give `rows` and the buttons; the safe answer has the focus."""

    HORIZONTAL_BREAKPOINTS = [(0, "-slim"), (50, "-fit")]  # noqa: RUF012 - as Textual has them
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (12, "-short"), (18, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "give_up", "Cancel", priority=True),
        Binding("ctrl+c", "give_up", "Cancel", priority=True),
        Binding("left,up", "app.focus_previous", "Back"),
        Binding("right,down", "app.focus_next", "Next"),
        Binding("pageup", "page(-1)", "Page up"),
        Binding("pagedown", "page(1)", "Page down"),
    ]

    #: Not simply the first widget, to which the body would be scrolled.
    AUTO_FOCUS = ""
    #: What has the focus at the beginning, whether or not the terminal has it.
    FIRST: ClassVar[str] = "#cancel"

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title_text = _clean(title)
        self._opened = math.inf

    def on_mount(self) -> None:
        self._opened = time.monotonic()
        for button in self.query(Button):
            # While a button plays that it was pressed it ignores Enter: a quick second answer would be lost.
            button.active_effect_duration = 0
        self.query(self.FIRST).focus()  # none may be there: the program may end while the dialog comes up

    @property
    def deaf(self) -> bool:
        """Whether keys are still dropped; the app does so, before any widget or binding sees them."""
        return self.precedes(time.monotonic())

    def precedes(self, moment: float) -> bool:
        """Whether a key pressed then (monotonic seconds) was not meant for it, however late it is handed on."""
        return moment - self._opened < DEAF

    def action_give_up(self) -> None:
        if not self.deaf:
            self.dismiss(None)

    def action_page(self, step: int) -> None:
        """Move through what the question is about; the focus stays where it is."""
        for lines in self.query(".dialog-lines, .dialog-body"):
            lines.scroll_relative(y=step * max(1, lines.size.height - 1), animate=False)

    def title_and(self, lines: tuple[str, ...]) -> ComposeResult:
        """The title and what it is about, as plain text."""
        yield Static(self._title_text, markup=False, classes="dialog-title")
        if lines:
            with VerticalScroll(classes="dialog-lines", can_focus=False):
                yield Static("\n".join(_clean(line) for line in lines), markup=False)


class ConfirmDialog(Dialog[bool]):
    """Agree or not; Cancel has the focus. Where a text has to be typed, only that text agrees."""

    def __init__(self, confirmation: Confirmation) -> None:
        super().__init__(confirmation.title)
        self._confirmation = confirmation

    def compose(self) -> ComposeResult:
        asked = self._confirmation
        with Vertical():
            with Body():
                yield from self.title_and(asked.lines)
                if asked.nodes:
                    word = "node" if asked.nodes == 1 else "nodes"
                    yield Static(f"This touches {asked.nodes} {word}.", markup=False)
                if asked.typed is not None:
                    yield Static(f"Type  {_clean(asked.typed)}  to agree.", markup=False, classes="dialog-hint")
                    yield Input(id="typed", compact=True, select_on_focus=False)
            with Horizontal():
                yield Button("Cancel", id="cancel")
                yield Button("Go ahead", id="agree", variant="warning", disabled=asked.typed is not None)

    def on_key(self, event: events.Key) -> None:
        """What is typed while a button has the focus goes into the line that asks for it."""
        if event.character and event.is_printable and isinstance(self.focused, Button):
            for line in self.query(Input):
                event.stop()
                line.focus()
                line.insert_text_at_cursor(event.character)

    @on(Input.Changed, "#typed")
    def _typed(self, event: Input.Changed) -> None:
        self.query_one("#agree", Button).disabled = event.value.strip() != self._confirmation.typed

    @on(Input.Submitted, "#typed")
    def _entered(self, event: Input.Submitted) -> None:
        if event.value.strip() == self._confirmation.typed:
            self.dismiss(True)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "agree" and not self.deaf)

    def action_give_up(self) -> None:
        if not self.deaf:
            self.dismiss(False)


class QuestionDialog(Dialog[Answer | None]):
    """A choice or a text; giving up is the answer None. A secret shows no character and is kept nowhere."""

    FIRST = "#answer, #cancel"

    def __init__(self, question: Question) -> None:
        super().__init__(question.title)
        self._question = question

    def compose(self) -> ComposeResult:
        asked = self._question
        with Vertical():
            with Body():
                yield from self.title_and(_table(asked.rows))
                if not asked.choices:
                    yield Input(id="answer", compact=True, password=asked.secret or asked.kind == "secret")
            with Horizontal():
                yield Button("Cancel", id="cancel")
                for number, choice in enumerate(asked.choices):
                    yield Button(Content(_clean(choice)), id=f"choice-{number}")
                if not asked.choices:
                    yield Button("Send", id="send")

    @on(Input.Submitted, "#answer")
    def _entered(self, event: Input.Submitted) -> None:
        if not self.deaf:
            self.dismiss(Answer(text=event.value))

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        identifier = event.button.id or ""
        if self.deaf or identifier == "cancel":
            self.dismiss(None)
        elif identifier == "send":
            self.dismiss(Answer(text=self.query_one("#answer", Input).value))
        else:
            self.chosen(self._question.choices[int(identifier.removeprefix("choice-"))])

    def chosen(self, choice: str) -> None:
        """A choice was taken."""
        self.dismiss(Answer(choice=choice))


class HostKeysDialog(QuestionDialog):
    """One question for all unknown keys. A line beside the choices says which nodes to accept, or where to look."""

    _HINT = "For all of them leave the line empty. Else: accept NODES, or import from FILE or !PROGRAM (empty: DNS)."

    def compose(self) -> ComposeResult:
        asked = self._question
        with Vertical():
            with Body():
                yield from self.title_and(_table(asked.rows))
                yield Static(self._HINT, markup=False, id="hint", classes="dialog-hint")
                yield Input(id="which", compact=True)
            with Horizontal():
                yield Button("Cancel", id="cancel")
                for number, choice in enumerate(asked.choices):
                    yield Button(Content(_clean(choice)), id=f"choice-{number}")

    @on(Input.Submitted, "#which")
    def _to_the_choices(self, event: Input.Submitted) -> None:
        # Enter in the line decides nothing: what is done with it is the buttons' to say.
        event.stop()
        self.query_one("#choice-0", Button).focus()

    def chosen(self, choice: str) -> None:
        which = self.query_one("#which", Input).value.strip()
        problem = self._problem(which) if choice == "accept" else ""
        if problem:
            self.query_one("#hint", Static).update(Content(problem))
            self.query_one("#which", Input).focus()
        else:
            self.dismiss(Answer(choice=f"{choice} {which}" if which and choice != "refuse" else choice))

    def _problem(self, which: str) -> str:
        """What is wrong with the nodes to accept; their keys would be refused without a word."""
        from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet, NodeSetException

        try:
            nodes = NodeSet(which, resolver=RESOLVER_NOGROUP)
        except NodeSetException as error:
            return _clean(f"{which}: {error}")
        if which and not any(row[0] in nodes for row in self._question.rows if row):
            return _clean(f"none of these hosts is in {which}")
        return ""


def question_dialog(question: Question) -> QuestionDialog:
    """The dialog for a kind of question."""
    return (HostKeysDialog if question.kind == "host-keys" else QuestionDialog)(question)


def _table(rows: tuple[tuple[str, ...], ...], limit: int = 200) -> tuple[str, ...]:
    """Rows with their columns under each other; at most `limit` of them."""
    shown = [[_clean(cell) for cell in row] for row in rows[:limit]]
    columns = max((len(row) for row in shown), default=0)
    widths = [max((len(row[column]) for row in shown if column < len(row)), default=0) for column in range(columns)]
    lines = ["  ".join(cell.ljust(widths[column]) for column, cell in enumerate(row)).rstrip() for row in shown]
    if len(rows) > limit:
        lines.append(f"... and {len(rows) - limit} more")
    return tuple(lines)
