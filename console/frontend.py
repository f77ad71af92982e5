"""What a command needs from the place it was typed in: the TUI, the plain REPL or a batch process.

Commands never print and never draw. They hand over a Document, ask for a view, or ask the operator; each front end
does it its own way. All text handed over is clean (it passed engine/text.py) and plain (no markup, no escapes).
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


class View(enum.StrEnum):
    """The views that `open_view` may be asked for, by the names used in commands and key maps."""

    PANES = "panes"
    GATHERED = "gathered"
    FAILURES = "failures"
    QUEUE = "queue"
    RUNS = "runs"
    LOG = "log"
    DIFF = "diff"
    TIMEOUTS = "timeouts"
    OUTPUT = "output"
    RUN = "run"
    NODES = "nodes"
    TIMERS = "timers"
    HELP = "help"


@dataclass(frozen=True, slots=True)
class Document:
    """Something to read: plain, clean lines. level: "info", "warning" or "error".

    data: True for results (batch front ends write them to stdout), False for narration (stderr).
    """

    title: str
    lines: tuple[str, ...] = ()
    level: str = "info"
    data: bool = False

    @classmethod
    def of(cls, title: str, *lines: str, level: str = "info", data: bool = False) -> Document:
        """A document of these lines."""
        return cls(title, tuple(lines), level, data)

    @property
    def text(self) -> str:
        """All lines in one string; the title alone when there are none."""
        return "\n".join(self.lines) if self.lines else self.title


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Asks before something that cannot be undone. The default answer is always No.

    lines: what would happen: the folded node set, the exact command. nodes: how many nodes it touches.
    typed: what has to be typed to agree (None: a plain yes is enough). required: front ends without an operator may
    not agree on their own, not even with a general "yes to all" option, unless that option says so explicitly.
    """

    title: str
    lines: tuple[str, ...] = ()
    nodes: int = 0
    typed: str | None = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """An answer only the operator can give.

    kind: "host-keys", "secret" or "choice". rows: what it is about, as table rows. choices: the answers to choose
    from; empty: free text. secret: echo must be off and the answer never stored, logged or recorded.
    """

    title: str
    kind: str = "choice"
    rows: tuple[tuple[str, ...], ...] = ()
    choices: tuple[str, ...] = ()
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The operator's answer: the choice made, or the text typed (kept out of every repr, it may be a secret)."""

    choice: str = ""
    text: str = field(default="", repr=False)


class FrontEnd(Protocol):
    """The side of a front end that commands see; called in the console thread only."""

    @property
    def interactive(self) -> bool:
        """Whether an operator is there to be asked."""

    def show(self, document: Document) -> None:
        """Show a document; returns at once or when it was read."""

    def open_view(self, view: str, run: int | None = None, node: str | None = None, other: int | None = None) -> bool:
        """Open one of the names of View, if this front end has views; False: show the Document instead."""

    def confirm(self, confirmation: Confirmation) -> bool:
        """Ask before something dangerous; False unless the operator agreed. Input typed ahead must not count."""

    def ask(self, question: Question) -> Answer | None:
        """Ask for an answer; None when there is nobody to give one, or the operator gave up."""

    def leave(self, code: int) -> None:
        """End the front end with this exit code, after the command that called it."""


@runtime_checkable
class Editing(Protocol):
    """A front end that can open the operator's editor."""

    def edit(self, text: str, suffix: str) -> str | None:
        """The text after editing in $EDITOR; None when it was given up."""

    def remember(self, line: str) -> None:
        """Put a line that came from the editor into the prompt's history, as if it had been typed there."""


@runtime_checkable
class Pumping(Protocol):
    """A front end whose console thread is also its pump (batch): while a command waits, events must be applied."""

    def pump_until(self, done: Callable[[], bool], timeout: float | None) -> bool:
        """Apply events until `done()` is true; False after `timeout` seconds."""
