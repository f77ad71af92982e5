"""A few threads for calls that can only block: names to addresses, key files with a passphrase, the agent.

Their number does not grow with the nodes. A thread ends when nothing was asked of it for a while; all are daemons, so a
resolver that hangs does not keep the program from leaving.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

from ..reactor import Reactor

T = TypeVar("T")
_IDLE = 2.0


class Background:
    """At most `limit` threads; `run` and `close` belong to the reactor's thread."""

    def __init__(self, reactor: Reactor, name: str, limit: int) -> None:
        self._reactor = reactor
        self._name = name
        self._limit = limit
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0
        self._closed = False

    def run(self, function: Callable[[], T], done: Callable[[T | None, Exception | None], None]) -> None:
        """Call `function` in a thread, then `done(result, error)` in the reactor's; not at all after `close`."""

        def work() -> None:
            result: T | None = None
            error: Exception | None = None
            try:
                result = function()
            except Exception as problem:
                error = problem
            self._reactor.call_soon_threadsafe(lambda: None if self._closed else done(result, error))

        self._work.put(work)
        with self._lock:
            start = self._threads < self._limit and self._idle < self._work.qsize()
            self._threads += start
        if start:
            threading.Thread(target=self._serve, name=f"ssh-{self._name}", daemon=True).start()

    def _serve(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            try:
                work = self._work.get(timeout=_IDLE)
            except queue.Empty:
                work = None
            with self._lock:
                self._idle -= 1
                if work is None and (self._closed or self._work.empty()):
                    self._threads -= 1
                    return
            if work is not None and not self._closed:
                work()

    def close(self) -> None:
        """Answer nobody any more; threads end when their present call returns."""
        self._closed = True
        for _ in range(self._limit):
            self._work.put(None)
