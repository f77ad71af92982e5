"""Questions of the console to the operator, in a plain terminal: never answered by what was typed before them."""

from __future__ import annotations

from collections.abc import Iterable

from prompt_toolkit import PromptSession
from prompt_toolkit.history import DummyHistory

from ...engine.text import clean_text_line
from ..documents import table
from ..frontend import Answer, Confirmation, Question
from .printer import Paint
from .terminal import Terminal


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
        choice = self._choice(lines, question.choices)
        return None if choice is None else Answer(choice=choice)

    def _choice(self, lines: list[str], choices: tuple[str, ...]) -> str | None:
        """A choice by its word or as much of it as is clear; nothing else counts."""
        text = (self._line(lines, f"{', '.join(choices)}? ") or "").strip().lower()
        found = [choice for choice in choices if text and choice.lower().startswith(text)]
        exact = [choice for choice in choices if choice.lower() == text]
        return exact[0] if exact else found[0] if len(found) == 1 else None

    def _rows(self, rows: Iterable[tuple[str, ...]]) -> list[str]:
        return [f"  {line}" for line in table([[clean_text_line(cell) for cell in row] for row in rows])]

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
