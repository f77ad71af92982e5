"""A lock for short work by many threads."""

from __future__ import annotations

import threading
import time

#: Seconds between two looks at a taken lock, and looks before a thread waits for it like everybody else.
PAUSE = 0.0002
LOOKS = 50


class PoliteLock:
    """A context manager that lets one thread in at a time.

    threading.Lock wakes the first waiter when it is released, and that one then holds the lock while it still waits
    for the interpreter's own: all others stop there, and each step costs two switches of threads. With two free cores
    four threads are then a third as fast as one. Here a waiter sleeps for a moment instead, and takes the lock when
    it runs anyway. After `LOOKS` of them it queues up, so nobody waits for ever.
    """

    __slots__ = ("_acquire", "_release")

    def __init__(self) -> None:
        lock = threading.Lock()
        self._acquire, self._release = lock.acquire, lock.release

    def __enter__(self) -> None:
        if not self._acquire(False):
            self._wait()

    def __exit__(self, *_: object) -> None:
        self._release()

    def _wait(self) -> None:
        for _ in range(LOOKS):
            time.sleep(PAUSE)
            if self._acquire(False):
                return
        self._acquire()
