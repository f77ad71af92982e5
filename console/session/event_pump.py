"""The pump's side of a session: takes what the engine sent and applies it to the run models."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..runs.events import (
    CopyProgressed,
    NodesChanged,
    NodesRestarted,
    OutputArrived,
    RunFinished,
    RunStarted,
    SessionEvent,
    TimerEnded,
    TimerFired,
)
from ..runs.run_store import RunStore
from ..runs.runs import Run
from .live_engine import LiveEngine
from .outbox import Outbox


class EventPump:
    """Belongs to one thread, the pump's. on_finish: hears of every run whose end is applied, before its `done` is set.

    on_timer: hears of what timers did; on_round: of a finished run that was a timer's.
    """

    def __init__(
        self,
        runs: RunStore,
        outbox: Outbox,
        engine: LiveEngine,
        on_finish: Callable[[Run], None] | None,
        on_timer: Callable[[TimerFired | TimerEnded], None],
        on_round: Callable[[Run], None],
    ) -> None:
        self._runs = runs
        self._outbox = outbox
        self._engine = engine
        self._on_finish = on_finish
        self._on_timer = on_timer
        self._on_round = on_round

    def drain(self, budget: float) -> list[SessionEvent]:
        """Apply what arrived, for about `budget` seconds, and return it."""
        applied: list[SessionEvent] = []
        deadline = time.monotonic() + budget
        while True:
            batch, release = self._outbox.pop()
            if release:
                self._engine.post(lambda engine: engine.release())
            if batch is None:
                return applied
            finished: list[Run] = []
            with self._runs.lock:
                for event in batch.events:
                    self._apply(event, finished)
                self._runs.relieve()
            for run in finished:
                if self._on_finish is not None:
                    self._on_finish(run)
                run.done.set()
                if run.timer is not None:
                    self._on_round(run)
            applied.extend(batch.events)
            if time.monotonic() >= deadline:
                return applied

    def wait(self, timeout: float | None) -> bool:
        """Block until something arrived; False after `timeout` seconds."""
        return self._outbox.wait(timeout)

    def _apply(self, event: SessionEvent, finished: list[Run]) -> None:
        match event:
            case RunStarted() | NodesChanged() | NodesRestarted() | OutputArrived() | CopyProgressed() | RunFinished():
                run = self._runs.get(event.run)
                if run is not None:
                    run.apply(event)
                    if isinstance(event, RunFinished):
                        finished.append(run)
            case TimerFired() | TimerEnded():
                self._on_timer(event)
            case _:
                pass
