"""The pump of the full-screen console: drains the session a few dozen times a second, in the UI thread.

It stands on the event loop's own timer and not on Textual's: an idle tick costs some microseconds, no message.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from ..runs.events import SessionEvent

#: Seconds of every tick that may go into applying events; the rest of the tick belongs to keys and painting.
BUDGET = 0.012


class Drained(Protocol):
    """What the pump needs of a session."""

    def drain(self, budget: float = BUDGET) -> list[SessionEvent]: ...


class Pump:
    """Calls `tick(now, events)` at `rate` per second, with what the session gave. UI thread only."""

    def __init__(
        self,
        session: Drained,
        rate: float,
        tick: Callable[[float, Sequence[SessionEvent]], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._session = session
        self._interval = 1.0 / max(1.0, min(rate, 60.0))
        self._tick = tick
        self._failed = failed
        self._handle: asyncio.TimerHandle | None = None
        self._context: contextvars.Context | None = None
        self.ticks = 0

    def start(self) -> None:
        """Begin; must be called in a running loop, in the context that the ticks shall see."""
        self._context = contextvars.copy_context()
        self._schedule()

    def stop(self) -> None:
        """No further tick."""
        self._context = None
        if self._handle is not None:
            self._handle.cancel()

    def _schedule(self) -> None:
        if self._context is not None:
            loop = asyncio.get_running_loop()
            self._handle = loop.call_later(self._interval, self._once, context=self._context)

    def _once(self) -> None:
        self.ticks += 1
        try:
            self._tick(time.monotonic(), self._session.drain(BUDGET))
        except Exception as error:
            # A tick that fails would fail thirty times a second, unseen behind the screen: end with the error told.
            self._context = None
            self._failed(error)
        self._schedule()
