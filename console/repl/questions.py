"""Questions of the console to the operator, in a plain terminal: never answered by what was typed before them."""

from __future__ import annotations

from collections.abc import Sequence

from prompt_toolkit import PromptSession
from prompt_toolkit.history import DummyHistory

from ...engine.text import clean_text_line
from ..commands.documents import table
from ..frontend import Answer, Confirmation, Question
from .printer import Paint
from .terminal import Terminal

#: Rows of a question that are shown; a fleet's worth of unknown keys would scroll the question away.
SHOWN_ROWS = 100


class Asker:
    """Asks, one question at a time. Any thread; a question waits until the prompt is not shown."""

    def __init__(self, terminal: Terminal, paint: Paint) -> None:
        self._terminal = terminal
        self._paint = paint

    def confirm(self, confirmation: Confirmation) -> bool:
        """True only for a yes, or for the right words where they have to be typed."""
        lines = [self._paint.bold(clean_text_line(confirmation.title))]
        lines += [f"  {clean_text_line(line)}" for line in confirmation.lines]
        if confirmation.typed is None:
            return (self._line(lines, "go on? [y/N] ") or "").strip().lower() in ("y", "yes")
        wanted = confirmation.typed
        return (self._line(lines, f"type {clean_text_line(wanted)} to go on: ") or "").strip() == wanted

    def ask(self, question: Question) -> Answer | None:
        """The answer; None when the operator gave up or said nothing of use."""
        lines = [self._paint.bold(clean_text_line(question.title)), *self._rows(question.rows)]
        if question.secret or not question.choices:
            text = self._line(lines, "(not shown) " if question.secret else "> ", secret=question.secret)
            return None if text is None else Answer(text=text)
        if question.kind == "host-keys":
            lines.append(
                self._paint.faint("  accept NODES takes the keys of those nodes only; import FILE, import !PROGRAM")
            )
            lines.append(
                self._paint.faint("  or import (DNS) takes those that are found there, and asks for the others")
            )
        text = (self._line(lines, f"{', '.join(question.choices)}? ") or "").strip()
        choice = chosen(text, question.choices, more=question.kind == "host-keys")
        return None if choice is None else Answer(choice=choice)

    def _rows(self, rows: Sequence[tuple[str, ...]]) -> list[str]:
        width = max(map(len, rows), default=0)
        cells = [[clean_text_line(cell) for cell in row] + [""] * (width - len(row)) for row in rows[:SHOWN_ROWS]]
        lines = [f"  {line}" for line in table(cells)]
        return lines if len(rows) <= SHOWN_ROWS else [*lines, f"  ... and {len(rows) - SHOWN_ROWS} more"]

    def _line(self, lines: list[str], message: str, *, secret: bool = False) -> str | None:
        """A line typed after all this was shown; None when the operator gave up."""
        terminal = self._terminal
        with terminal.keyboard:
            terminal.write("".join(f"{line}\n" for line in lines))
            terminal.drop_typeahead()
            session: PromptSession[str] = PromptSession(
                message, is_password=secret, history=DummyHistory(), input=terminal.input, output=terminal.output
            )
            try:
                return terminal.ask(session)
            except (EOFError, KeyboardInterrupt):
                return None


def chosen(text: str, choices: Sequence[str], *, more: bool = False) -> str | None:
    """The choice that was typed, in full or as much of it as is clear; None otherwise.

    more: what follows the first word belongs to the answer (`accept node[1-3]`).
    """
    word, _, rest = text.strip().partition(" ")
    found = [choice for choice in choices if word and choice.lower().startswith(word.lower())]
    exact = [choice for choice in choices if choice.lower() == word.lower()]
    rest = rest.strip()
    if (rest and not more) or not (exact or len(found) == 1):
        return None
    choice = (exact or found)[0]
    return f"{choice} {rest}" if rest else choice
