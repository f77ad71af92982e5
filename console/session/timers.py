"""Timers of a session: commands that run later or again and again, on the engine's timers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ClusterShell.NodeSet import NodeSet

from ...engine.text import sanitize_text
from ..runs.options import RunOptions


@dataclass(frozen=True, slots=True)
class TimerInfo:
    """A timer and how far it got. delay, interval: seconds; interval None = once.

    until: a condition such as `@failed` (see language/conditions.py); the timer ends after the first round for which
    it holds.
    """

    id: int
    command: str
    nodes: NodeSet
    options: RunOptions
    delay: float
    interval: float | None
    count: int | None = None
    until: str | None = None
    rounds: int = 0
    missed: int = 0
    active: bool = True
    last_run: int | None = None
    reason: str = ""

    @property
    def endless(self) -> bool:
        """Whether it goes on until somebody cancels it."""
        return self.interval is not None and self.count is None and self.until is None


class TimerDriver:
    """One timer in the engine's thread; the handler of its EngineTimer.

    fire: begins a round and returns its run's id. still_running: whether a run has not ended. fired: hears of every
    round (run id or None for a missed one), ended: of the end.

    Where there is a condition, a round counts as going on until it was `judged`, which the console does on the run's
    model: no further round begins before it is known whether there is to be one.
    """

    def __init__(
        self,
        info: TimerInfo,
        fire: Callable[[TimerInfo], int],
        still_running: Callable[[int], bool],
        fired: Callable[[TimerInfo, int | None], None],
        ended: Callable[[TimerInfo], None],
    ) -> None:
        self.info = info
        self._fire = fire
        self._still_running = still_running
        self._fired = fired
        self._ended = ended
        self._timer: Any = None
        self._unjudged: int | None = None
        self._forget: Callable[[], object] = lambda: None

    def start(self, task: Any, forget: Callable[[], object]) -> None:
        """Arm the engine's timer; `forget` is called when it will not fire again."""
        self._forget = forget
        interval = -1.0 if self.info.interval is None else self.info.interval
        self._timer = task.timer(self.info.delay, self, interval)

    def ev_timer(self, _timer: Any) -> None:
        """The moment of a round: run it, or count it as missed while the round before still runs."""
        info = self.info
        if not info.active:
            return
        last = info.last_run
        if last is not None and (last == self._unjudged or self._still_running(last)):
            self.info = replace(info, missed=info.missed + 1)
            self._fired(self.info, None)
            return
        try:
            number = self._fire(info)
        except Exception as error:
            # A round that is refused (no record, no nodes) ends its timer and nothing else.
            self.cancel(sanitize_text(str(error)) or type(error).__name__)
            return
        self.info = replace(info, rounds=info.rounds + 1, last_run=number)
        self._unjudged = number if info.until is not None else None
        self._fired(self.info, number)
        if info.interval is None:
            self.cancel("done")
        elif info.count is not None and self.info.rounds >= info.count:
            self.cancel(f"{info.count} rounds done")

    def cancel(self, reason: str) -> None:
        """Never fire again; idempotent."""
        if not self.info.active:
            return
        self.info = replace(self.info, active=False, reason=reason)
        if self._timer is not None:
            self._timer.invalidate()
        self._forget()
        self._ended(self.info)

    def lost(self, reason: str) -> None:
        """The engine died, and its timers with it."""
        self._timer = None
        self.cancel(reason)

    def judged(self, number: int, reason: str) -> None:
        """What `until` makes of a round that ended: the reason to end the timer, or "" to go on."""
        if number == self._unjudged:
            self._unjudged = None
            if reason:
                self.cancel(reason)
