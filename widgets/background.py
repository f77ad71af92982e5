"""Work that is too long for a key to wait: done in a thread, one job at a time, the answer handed back to the loop."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")
Job = tuple[Callable[[], Any], Callable[[Any], None]]


class Background:
    """A thread that lives while there are jobs, and does not keep the program from ending.

    `submit` and `close` belong to the thread of the event loop. A job answers for its own errors.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._jobs: deque[Job] = deque()
        self._running = False

    def submit(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Run `work` in the thread, then `done` with its answer in the loop. `work` may read no widget or model.

        It may wait for a disk: excerpts of models are made for that.
        """
        with self._lock:
            self._jobs.append((work, done))
            if self._running:
                return
            self._running = True
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._main, args=(loop,), name=f"clusterdeck-{self._name}", daemon=True).start()

    async def result(self, work: Callable[[], T]) -> T:
        """The answer of `work`; for coroutines, which may be cancelled meanwhile."""
        answered: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.submit(work, lambda answer: None if answered.done() else answered.set_result(answer))
        return await answered

    @property
    def busy(self) -> bool:
        """Whether there are jobs that are not over."""
        return self._running

    def _main(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            with self._lock:
                if not self._jobs:
                    self._running = False
                    return
                work, done = self._jobs.popleft()
            try:
                answer = work()
            except Exception:
                # A bug in one job must neither end the others nor pass unseen.
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))
                continue
            with suppress(RuntimeError):  # the loop has just ended
                loop.call_soon_threadsafe(done, answer)

    def close(self) -> None:
        """Let the thread end after the job it is at."""
        with self._lock:
            self._jobs.clear()
