"""The pump of the plain REPL: one small thread that applies events to the runs and shows them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from ..crash import write_crash_report
from ..runs.events import QuestionAsked, SessionEvent
from ..runs.run_store import RunStore
from ..settings.settings import Settings
from .printer import Printer, Shown

#: Writes to the terminal per second, at most: output that arrives in between is written together.
RATE = 25.0
#: Seconds of applying events before what they gave is shown. Applying is much quicker than showing: more at a time
#: would only be a longer wait for what Ctrl-C says.
_BUDGET = 0.004
#: Seconds between two drawings of the prompt's counts while runs go on.
_REFRESH = 0.2


class Drained(Protocol):
    """What the pump needs of a session."""

    settings: Settings

    @property
    def runs(self) -> RunStore: ...

    def drain(self, budget: float = ...) -> list[SessionEvent]: ...

    def wait_batch(self, timeout: float | None) -> bool: ...


class Pump:
    """Drains `session` until `stop`.

    show: writes text; may block, and then the nodes are held back. asked: a question of the engine; may wait for the
    operator. refresh: the counts changed. All are called in the pump's thread.
    """

    def __init__(
        self,
        session: Drained,
        printer: Printer,
        show: Callable[[Shown], None],
        asked: Callable[[QuestionAsked], None],
        refresh: Callable[[], None],
    ) -> None:
        self._session = session
        self._printer = printer
        self._show = show
        self._asked = asked
        self._refresh = refresh
        self._stop = threading.Event()
        self._refreshed = 0.0
        self._counts: tuple[tuple[int, int], ...] = ()
        self._thread = threading.Thread(target=self._main, name="clusterdeck-pump", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout: float = 2.0) -> bool:
        """Show what is there, then end; False if the thread did not within `timeout` seconds."""
        self._stop.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _main(self) -> None:
        while not self._stop.is_set():
            if self._session.wait_batch(0.1):
                begun = time.monotonic()
                if self._once():
                    self._stop.wait(max(0.0, begun + 1.0 / RATE - time.monotonic()))
            self._refresh_counts()
        while self._once():
            pass

    def _once(self) -> bool:
        """Apply and show a little; True if something was shown."""
        try:
            return self._take(self._session.drain(_BUDGET))
        except Exception as error:  # the pump must live as long as the session: without it all runs would stand still
            write_crash_report(error, ["an event could not be shown"])
            return False

    def _take(self, events: Sequence[SessionEvent]) -> bool:
        if not events:
            return False
        mode = str(self._session.settings.screen.output)
        with self._session.runs.lock:
            shown = self._printer.take(events, mode)
        if shown.both:
            self._show(shown)
        for event in events:
            if isinstance(event, QuestionAsked):
                self._asked(event)
        return bool(shown.both)

    def _refresh_counts(self) -> None:
        """When the counts have changed, and not too often: over a slow line every drawing costs."""
        now = time.monotonic()
        if now - self._refreshed < _REFRESH:
            return
        runs = self._session.runs.running
        counts = tuple((run.id, run.version) for run in runs)
        if counts != self._counts:
            self._counts, self._refreshed = counts, now
            self._refresh()
