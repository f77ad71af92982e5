"""Work that is too long for a key to wait: done in a thread, one job at a time, the answer handed back to the loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

Job = tuple[Callable[[], Any], Callable[[Any], None]]


class Background:
    """A thread that starts with its first job. `submit` and `close` belong to the thread of the event loop."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running = False

    def submit(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Run `work` in the thread, then `done` with its answer in the loop. `work` may read no widget or model."""
        if not self._running:
            self._running = True
            self._loop = asyncio.get_running_loop()
            threading.Thread(target=self._main, name=f"clusterdeck-{self._name}", daemon=True).start()
        self._jobs.put((work, done))

    def _main(self) -> None:
        while (job := self._jobs.get()) is not None:
            work, done = job
            answer = work()
            loop = self._loop
            if loop is not None:
                with suppress(RuntimeError):  # the loop has just ended
                    loop.call_soon_threadsafe(done, answer)

    def close(self) -> None:
        """Let the thread end after the job it is at."""
        if self._running:
            self._running = False
            self._jobs.put(None)
