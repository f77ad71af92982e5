"""The timers of a session, as its front end sees them: added, listed, cancelled, and judged by their rounds."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import replace

from ..language.conditions import judge_round, read_until
from ..runs.events import TimerEnded, TimerFired
from ..runs.runs import Run
from .engine_thread import EngineThread
from .live_engine import LiveEngine
from .timers import TimerDriver, TimerInfo


class TimerDesk:
    """`applied` belongs to the pump, the rest to any thread."""

    def __init__(self, engine: LiveEngine) -> None:
        self._engine = engine
        self._numbers = itertools.count(1)
        self._timers: dict[int, TimerInfo] = {}

    def add(self, info: TimerInfo, fire: Callable[[EngineThread, TimerInfo], int]) -> TimerInfo:
        """Check a timer, number it and arm it; `fire` begins a round, in the engine's thread.

        Raises ValueError, and RefusedError where there is no engine any more.
        """
        if info.delay < 0 or (info.interval is not None and info.interval <= 0):
            raise ValueError("a timer needs a delay of 0 or more and an interval above 0 seconds")
        if info.until is not None:
            read_until(info.until)
        engine = self._engine.get()
        info = replace(info, id=next(self._numbers))
        driver = TimerDriver(
            info,
            lambda now: fire(engine, now),
            engine.is_running,
            lambda now, run: engine.batcher.event(TimerFired(now.id, now.rounds, run, now.missed), now=True),
            lambda now: engine.batcher.event(TimerEnded(now.id, now.reason), now=True),
        )
        self._timers[info.id] = info
        engine.post(lambda: engine.add_timer(driver))
        return info

    def all(self) -> list[TimerInfo]:
        """Oldest first, ended ones included."""
        return list(self._timers.values())

    def cancel(self, number: int) -> bool:
        """End a timer; False when it is not known or has ended."""
        info = self._timers.get(number)
        if info is None or not info.active:
            return False
        return self._engine.post(lambda engine: engine.cancel_timer(number, "cancelled"))

    def run_over(self, run: Run) -> None:
        """A round ended: see whether it is the one that `until` waits for. In a thread of its own, as looking
        through the output of many nodes takes its time, and the pump must not wait for it."""
        info = self._timers.get(run.timer or 0)
        if info is None or info.until is None:
            return
        until = info.until

        def judge() -> None:
            try:
                holds, reason = judge_round(until, run)
                reason = f"--until {until}: {reason}" if holds else ""
            except Exception as error:  # a timer that nobody judges any more would stand still without a word
                reason = f"--until {until}: {type(error).__name__}: {error}"
            self._engine.post(lambda engine: engine.judge_round(info.id, run.id, reason))

        threading.Thread(target=judge, name="timer-until", daemon=True).start()

    def applied(self, event: TimerFired | TimerEnded) -> None:
        """Take an event in."""
        info = self._timers[event.timer]
        if isinstance(event, TimerEnded):
            info = replace(info, active=False, reason=event.reason)
        else:
            last = info.last_run if event.run is None else event.run
            info = replace(info, rounds=event.round, missed=event.missed, last_run=last)
        self._timers[event.timer] = info
