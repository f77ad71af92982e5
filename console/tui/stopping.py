"""Ctrl-C, Ctrl-Z and the way out: what stops a run, the screen or the console, and what asks first."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from textual.screen import ModalScreen

from ..frontend import Confirmation
from ..repl import suspend
from .deck import Deck
from .screens.dialogs import ConfirmDialog

T = TypeVar("T")
#: Seconds in which another Ctrl-C means more than the one before.
ESCALATION = 3.0
#: Runs and timers named when leaving asks.
NAMED = 10


class Host(Protocol):
    """What is needed of the app."""

    session: Any
    deck: Deck

    def tell(self, text: str, level: str = "information") -> None: ...

    def open_dialog(self, dialog: ModalScreen[T], answered: Callable[[T | None], None]) -> None: ...

    def suspend(self) -> AbstractContextManager[Any]: ...

    def end(self, code: int) -> None: ...


class Stopping:
    """Of one app; UI thread only. clock: seconds, monotonic."""

    def __init__(self, app: Host, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock
        self._pressed_at = -ESCALATION
        self._pressed = 0

    def interrupt(self) -> None:
        """Once: the run on show, or the newest. Twice: all runs. Three times: asks whether to leave.

        What was gathered stays, and nothing ever quits here without an answer.
        """
        app = self._app
        runs = app.session.runs.running
        now = self._clock()
        self._pressed = self._pressed + 1 if now - self._pressed_at < ESCALATION else 1
        self._pressed_at = now
        if not runs:
            self._pressed = 0
            app.tell("Nothing runs. Ctrl-Q leaves.", "information")
        elif self._pressed > 2:
            self._pressed = 0
            self.leave()
        elif self._pressed == 2:
            app.session.abort(None)
            app.tell(f"Stopping all {len(runs)} runs; results so far stay. Once more asks to leave.", "warning")
        else:
            shown = app.deck.run
            run = shown if shown is not None and shown in runs else runs[-1]
            app.session.abort(run.id)
            more = " Once more stops all runs." if len(runs) > 1 else ""
            app.tell(f"Stopping #{run.id}; results so far stay.{more}", "warning")

    def leave(self) -> None:
        """Leave; asks first if runs or timers are alive."""
        app = self._app
        runs = app.session.runs.running
        timers = [timer for timer in app.session.timers() if timer.active]
        if not runs and not timers:
            app.end(0)
            return
        lines = [f"#{run.id} {run.line}" for run in runs[:NAMED]]
        lines += [f"timer {timer.id}: {timer.command}" for timer in timers[:NAMED]]
        alive = [
            f"{len(each)} {word}{'s' * (len(each) != 1)}" for each, word in ((runs, "run"), (timers, "timer")) if each
        ]
        one = len(lines) == 1
        told = f"{' and '.join(alive)} {'is' if one else 'are'} alive. Stop {'it' if one else 'them'} and leave?"
        asked = Confirmation(told, tuple(lines))
        app.open_dialog(ConfirmDialog(asked), lambda agreed: app.end(0) if agreed else None)

    def suspend(self) -> None:
        """Into the background, the terminal as the shell left it, until `fg`."""
        above = suspend.wrappers()
        if above is None:
            self._app.tell(suspend.NO_SHELL, "warning")
            return
        with self._app.suspend():
            suspend.stop(above)
