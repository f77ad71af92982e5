"""EngineTimer: a handler's method called once or again and again by the loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from .errors import EngineIllegalOperationError
from .reactor import Deadline


class TimerHost(Protocol):
    """The loop, as a timer sees it."""

    def arm(self, when: float, callback: Callable[[], None]) -> Deadline: ...

    def timer_gone(self, timer: EngineTimer) -> None: ...

    def keeps_running(self) -> bool: ...


class EngineTimer:
    """Calls `handler.ev_timer(timer)` `fire_delay` seconds after it was added to a Task, then every `interval` seconds.

    fire_delay: seconds, 0 = at the first turn of the loop. interval: seconds, 0 or less = only once.
    autoclose: does not keep the Task running. All methods belong to the Task's thread; `Task.timer()` is the way to
    make one from any thread. The next date of a repeater is the previous date plus the interval, so it does not
    drift; after a stall it catches up, one call per turn of the loop. Raises AssertionError without a handler and
    ValueError for what is no number of seconds. The semantic is that of ClusterShell's EngineTimer, but for the
    catching up, which is a burst there.
    """

    # Scripts hang values of their own on their timers, so there is room for them, taken only where it is used.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_deadline",
        "_due",
        "_host",
        "_rearmed",
        "_valid",
        "autoclose",
        "eh",
        "fire_delay",
        "interval",
    )

    def __init__(self, fire_delay: float, interval: float = -1.0, autoclose: bool = False, handler: Any = None) -> None:
        assert handler is not None, "a timer needs a handler"
        self.fire_delay = _seconds("fire delay", fire_delay)
        self.interval = _seconds("interval", interval)
        self.autoclose = autoclose
        self.eh = handler
        self._valid = True
        self._due = 0.0
        self._host: TimerHost | None = None
        self._deadline: Deadline | None = None
        self._rearmed = False

    def is_valid(self) -> bool:
        """Whether the timer may still fire."""
        return self._valid

    def invalidate(self) -> None:
        """Never fire again. Idempotent, allowed in any handler, also for a timer that is due in the same turn."""
        self._valid = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        host, self._host = self._host, None
        if host is not None:
            host.timer_gone(self)

    def set_nextfire(self, fire_delay: float, interval: float = -1) -> None:
        """Fire `fire_delay` seconds from now and replace the interval (seconds; by default: no repeat).

        Raises EngineIllegalOperationError for an invalidated timer, and ValueError for what is no number of seconds.
        """
        if not self._valid:
            raise EngineIllegalOperationError(f"set_nextfire({fire_delay!r}) on a timer that is no longer valid")
        self.fire_delay = _seconds("fire delay", fire_delay)
        self.interval = _seconds("interval", interval)
        self._rearmed = True
        self._due = time.monotonic() + self.fire_delay
        if self._host is not None:
            self._arm(self._host)

    def __repr__(self) -> str:
        state = "valid" if self._valid else "invalid"
        return f"<EngineTimer of {self.fire_delay} s, interval {self.interval} s, {state}>"

    # -- for the loop

    def attach(self, host: TimerHost, due: float) -> None:
        """Taken up by a loop, `host`: fire at `due`, seconds of the monotonic clock; not if invalidated before."""
        if not self._valid:
            return
        self._host = host
        self._due = due
        self._arm(host)

    @property
    def attached(self) -> bool:
        """Whether a loop has taken the timer up."""
        return self._host is not None

    def _arm(self, host: TimerHost) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = host.arm(self._due, self._fire)

    def _fire(self) -> None:
        host = self._host
        if host is None or not self._valid or not host.keeps_running():
            return
        self._deadline = None
        self._rearmed = False
        self.eh.ev_timer(self)
        if not self._valid or self._rearmed:
            return
        if self.interval > 0:
            self._due += self.interval
            self._arm(host)
        else:
            self.invalidate()


def _seconds(what: str, value: float) -> float:
    if not isinstance(value, int | float) or value != value:
        raise ValueError(f"{what} of a timer must be a number of seconds, not {value!r}")
    return value
