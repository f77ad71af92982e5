"""Node-set expressions for the filter, resolved in a thread: the screen asks at every key and never waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from queue import SimpleQueue

from ...widgets.filter_model import Resolution

#: Expressions remembered; typing leaves many behind.
REMEMBERED = 256
#: Seconds after which an expression that nobody asked for again is not worth asking a group program.
STALE = 1.0
_WAITING = Resolution(None, pending=True)


class ExpressionResolver:
    """Answers at once from what is known, and asks for what is not. `forget` after groups or results changed.

    The thread is a daemon: a group program that hangs must not keep the console from ending.
    """

    def __init__(self, resolve: Callable[[str], Iterable[str]]) -> None:
        self._resolve = resolve
        self._lock = threading.Lock()
        self._known: dict[str, Resolution] = {}
        self._wanted: dict[str, float] = {}
        self._asked: SimpleQueue[str | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def __call__(self, expression: str) -> Resolution:
        """What is known of the expression now."""
        with self._lock:
            self._wanted[expression] = time.monotonic()
            known = self._known.get(expression)
            if known is not None:
                return known
            if len(self._known) >= REMEMBERED:
                oldest = next(iter(self._known))
                del self._known[oldest]
                self._wanted.pop(oldest, None)
            self._known[expression] = _WAITING
            if self._thread is None:
                self._thread = threading.Thread(target=self._main, name="clusterdeck-filter", daemon=True)
                self._thread.start()
        self._asked.put(expression)
        return _WAITING

    def _main(self) -> None:
        while (expression := self._asked.get()) is not None:
            self._ask(expression)

    def _ask(self, expression: str) -> None:
        with self._lock:
            if time.monotonic() - self._wanted.get(expression, 0.0) > STALE:
                # Typed over while it waited: asked anew if somebody wants it again.
                self._known.pop(expression, None)
                return
        try:
            answer = Resolution(frozenset(self._resolve(expression)))
        except Exception as error:  # whatever a group program or the parser raises is the operator's to read
            answer = Resolution(None, error=str(error) or type(error).__name__)
        with self._lock:
            self._known[expression] = answer

    def forget(self) -> None:
        """Ask anew: the selection, saved sets or results of runs changed."""
        with self._lock:
            self._known = {key: value for key, value in self._known.items() if value.pending}

    def close(self, timeout: float = 0.5) -> None:
        """End the thread; one that waits for a group program is left behind after `timeout` seconds."""
        if self._thread is not None:
            self._asked.put(None)
            self._thread.join(timeout)
