"""A few threads for calls that can only block: names to addresses, key files with a passphrase, the agent.

Their number does not grow with the nodes. A thread ends when nothing was asked of it for a while; all are daemons, so a
resolver that hangs does not keep the program from leaving.
"""

from __future__ import annotations

import errno
import queue
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from ..reactor import Reactor

T = TypeVar("T")
_IDLE = 2.0


class _Job(NamedTuple):
    function: Callable[[], Any]
    done: Callable[[Any, Exception | None], None]


class Background:
    """At most `limit` threads; `run` and `close` belong to the reactor's thread."""

    def __init__(self, reactor: Reactor, name: str, limit: int) -> None:
        self._reactor = reactor
        self._name = name
        self._limit = limit
        self._work: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0
        self._closed = False

    def run(self, function: Callable[[], T], done: Callable[[T | None, Exception | None], None]) -> None:
        """Call `function` in a thread, then `done(result, error)` in the reactor's; not at all after `close`.

        Where the system has no thread left for us, `done` gets an OSError (EAGAIN).
        """
        self._work.put(_Job(function, done))
        with self._lock:
            start = self._threads < self._limit and self._idle < self._work.qsize()
            self._threads += start
        if start:
            self._start_thread()

    def _start_thread(self) -> None:
        try:
            threading.Thread(target=self._serve, name=f"ssh-{self._name}", daemon=True).start()
        except RuntimeError:
            with self._lock:
                self._threads -= 1
                alone = self._threads == 0
            while alone and not self._work.empty():  # else the others see to it
                job = self._work.get()
                if job is not None:
                    self._tell(job, None, OSError(errno.EAGAIN, "no thread is left here"))

    def _tell(self, job: _Job, result: Any, error: Exception | None) -> None:
        self._reactor.call_soon_threadsafe(lambda: None if self._closed else job.done(result, error))

    def _serve(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            try:
                job = self._work.get(timeout=_IDLE)
            except queue.Empty:
                job = None
            with self._lock:
                self._idle -= 1
                if job is None and (self._closed or self._work.empty()):
                    self._threads -= 1
                    return
            if job is not None and not self._closed:
                self._do(job)

    def _do(self, job: _Job) -> None:
        result: Any = None
        problem: Exception | None = None
        try:
            result = job.function()
        except Exception as error:
            problem = error
        self._tell(job, result, problem)

    def close(self) -> None:
        """Answer nobody any more; threads end when their present call returns."""
        self._closed = True
        for _ in range(self._limit):
            self._work.put(None)
