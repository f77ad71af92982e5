"""What the session tells: into the log, and to the operator where it matters now."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from textual.screen import ModalScreen

from ...widgets.cells import clock
from ...widgets.log_view import LogBook
from ..frontend import Answer, Question
from ..runs.events import (
    Notice,
    QuestionAsked,
    QuestionSettled,
    RunFinished,
    RunStarted,
    SessionEvent,
    TimerEnded,
    TimerFired,
)
from .deck import Deck
from .screens.dialogs import QuestionDialog, question_dialog

T = TypeVar("T")
#: A run longer than this (seconds) that is not on show says when it ended.
LONG_RUN = 10.0
#: Seconds between two toasts about changes that one timer saw; all of them are in the log.
QUIET = 30.0


class Host(Protocol):
    """What is needed of the app."""

    session: Any
    deck: Deck
    book: LogBook

    def tell(self, text: str, level: str = "information") -> None: ...

    def open_dialog(self, dialog: ModalScreen[T], answered: Callable[[T | None], None]) -> None: ...

    def run_worker(self, work: Any, *, thread: bool, exit_on_error: bool, group: str) -> Any: ...


class Newsreader:
    """Reads events, in the UI thread. One question is asked at a time; the others wait.

    shown_ended: called when the run on show has ended.
    """

    def __init__(self, app: Host, shown_ended: Callable[[], None]) -> None:
        self._app = app
        self._shown_ended = shown_ended
        self._waiting: list[QuestionAsked] = []
        self._open: tuple[int, QuestionDialog] | None = None
        #: Until when a timer's changes are only logged.
        self._quiet: dict[int, float] = {}

    def read(self, events: Sequence[SessionEvent]) -> None:
        """Take note of events; output and states of nodes are the models' business."""
        for event in events:
            match event:
                case RunStarted(run=number):
                    self._started(number)
                case RunFinished(run=number):
                    self._finished(number)
                case Notice(level=level, text=text, run=number):
                    if level == "info" and self._is_round(number):
                        self._app.book.write(text)
                    else:
                        self._app.tell(text, "information" if level == "info" else level)
                case TimerEnded(timer=number, reason=reason):
                    self._app.tell(f"timer {number} ended: {reason}")
                case TimerFired(timer=number, round=rounds, run=None, missed=missed):
                    self._app.book.write(f"timer {number}: round {rounds} missed ({missed} in all)", "warning")
                case QuestionAsked():
                    self._waiting.append(event)
                    self._ask()
                case QuestionSettled(question=number):
                    self._settled(number)
                case _:
                    pass

    def _is_round(self, number: int | None) -> bool:
        """Whether a notice is about a timer's round that shows by itself what it did, or that came right after one."""
        run = self._app.session.runs.get(number) if number is not None else None
        if run is None or run.timer is None:
            return False
        shown = self._app.deck.run
        now = time.monotonic()
        if (shown is not None and shown.timer == run.timer) or now < self._quiet.get(run.timer, 0.0):
            return True
        self._quiet[run.timer] = now + QUIET
        return False

    def _started(self, number: int) -> None:
        run = self._app.session.runs.get(number)
        if run is not None:
            self._app.book.write(f"#{number} {run.line}  on {len(run.names)} nodes")

    def _finished(self, number: int) -> None:
        run = self._app.session.runs.get(number)
        if run is None:
            return
        took = clock(run.ended - run.started) if run.ended is not None else ""
        text = f"#{number} ended after {took}: {run.summary()}"
        self._app.book.write(text)
        if run is self._app.deck.run:
            self._shown_ended()
        elif run.ended is not None and run.ended - run.started >= LONG_RUN:
            self._app.tell(text)

    # -- questions

    def _ask(self) -> None:
        if self._open is not None or not self._waiting:
            return
        asked = self._waiting.pop(0)
        question = Question(asked.title, asked.kind, asked.rows, asked.choices, secret=asked.kind == "secret")
        dialog = question_dialog(question)
        self._open = (asked.question, dialog)
        self._app.open_dialog(dialog, lambda answer: self._answered(asked, answer))

    def _answered(self, asked: QuestionAsked, answer: Answer | None) -> None:
        self._open = None
        given: str | None
        if asked.choices:
            given = answer.choice if answer is not None else asked.choices[-1]
        else:
            given = answer.text if answer is not None else None
        session = self._app.session
        # What is accepted is written to the audit log and to known_hosts: disks may be slow.
        self._app.run_worker(
            lambda: session.answer(asked.question, given), thread=True, exit_on_error=False, group="answers"
        )
        self._ask()

    def _settled(self, number: int) -> None:
        self._waiting = [asked for asked in self._waiting if asked.question != number]
        if self._open is not None and self._open[0] == number:
            dialog = self._open[1]
            self._open = None
            if dialog.is_attached and dialog.is_current:
                dialog.dismiss(None)
            self._ask()
