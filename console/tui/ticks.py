"""What happens a few dozen times a second: events are told to whom they concern, and what changed is painted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from textual.css.query import NoMatches

from ...widgets.log_view import LogBook
from ...widgets.queue_snapshot import QueueSnapshot
from ..runs.events import RunFinished, SessionEvent
from .deck import Deck
from .errands import GLANCE, Errand, look_at_queue
from .folding import Folding
from .housekeeping import Collector
from .news import Newsreader
from .screens.main import MainScreen

#: Seconds between two drawings of the prompt while runs go on.
PROMPT_INTERVAL = 0.5


class Host(Protocol):
    """What is needed of the app."""

    session: Any
    queue: Any
    main: MainScreen
    deck: Deck
    book: LogBook


class Ticks:
    """Of one app; UI thread only. call: runs something in the UI thread, from any thread."""

    def __init__(self, app: Host, news: Newsreader, folding: Folding, call: Callable[..., None]) -> None:
        self._app = app
        self._news = news
        self._folding = folding
        self.collector = Collector()
        self._queue_errand = Errand(lambda: look_at_queue(app.queue), self._queue_seen, call)
        self._prompt_stale = False
        self._prompt_drawn = -math.inf
        self._prompt_version = -1

    def tick(self, now: float, events: Sequence[SessionEvent]) -> None:
        """Take in what the session gave; now: seconds, monotonic."""
        main, deck = self._app.main, self._app.deck
        if events:
            self._prompt_stale = True
            if any(isinstance(event, RunFinished) for event in events):
                self._prompt_drawn = -math.inf  # it must not tell for half a second that a run goes on that is over
            deck.take(events)
            self._news.read(events)
        if deck.follow_newest():
            self._folding.run_began()
        self._look_at_queue(now)
        self.collector.tick(now, bool(events) or main.painter.stale)
        with suppress(NoMatches):  # the first ticks come before all widgets are there, the last after they are gone
            main.painter.tick(now)
            self._redraw_prompt(now)

    def _look_at_queue(self, now: float) -> None:
        main, queue = self._app.main, self._app.queue
        if queue is not None and queue.used:
            if main.view == "queue":
                self._queue_errand.maybe(now)
            elif queue.version != main.painter.queue.version:  # its tab tells how much is to be done
                self._queue_errand.maybe(now, GLANCE)

    def _queue_seen(self, seen: QueueSnapshot | Exception) -> None:
        if isinstance(seen, QueueSnapshot):
            self._app.main.painter.queue = seen
        else:
            self._app.book.write(f"the queue cannot be read: {seen}", "warning")

    def _redraw_prompt(self, now: float) -> None:
        """The prompt tells the selection and how far runs are: drawn anew when that changed.

        Twice a second at most, but at once when a run ended.
        """
        version = self._app.session.selection.version
        if version != self._prompt_version or (self._prompt_stale and now - self._prompt_drawn >= PROMPT_INTERVAL):
            self._prompt_version, self._prompt_drawn, self._prompt_stale = version, now, False
            self._app.main.prompt.redraw()
