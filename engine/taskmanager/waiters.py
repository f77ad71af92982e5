"""Threads that wait for a task, a result or room, in the order in which they came, woken one by one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")


class Waiter(Generic[K]):
    """One waiting thread and what it waits for."""

    __slots__ = ("_gate", "key", "woken")

    def __init__(self, key: K) -> None:
        self.key = key
        self.woken = False
        self._gate = threading.Semaphore(0)

    def wait(self, timeout: float | None) -> None:
        """Until woken, or for `timeout` seconds."""
        self._gate.acquire(timeout=timeout)

    def wake(self) -> None:
        """Let the thread look again. The caller holds the line's lock."""
        if not self.woken:
            self.woken = True
            self._gate.release()


class WaitLine(Generic[K]):
    """The line. A waiter joins *before* it looks for the last time, so nothing can slip between looking and waiting.

    A woken waiter may find that somebody else was faster, or take something else than what it was woken for. So
    whoever was woken wakes the next one that could have something (`wake_one` with what is still there): no change is
    swallowed by a waiter that had no use for it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._line: dict[int, Waiter[K]] = {}

    def __bool__(self) -> bool:
        return bool(self._line)

    def join(self, key: K) -> Waiter[K]:
        """Stand at the end of the line."""
        waiter = Waiter(key)
        with self._lock:
            self._line[id(waiter)] = waiter
        return waiter

    def rearm(self, waiter: Waiter[K]) -> None:
        """The waiter is about to look: what changes from now on wakes it again."""
        with self._lock:
            waiter.woken = False

    def leave(self, waiter: Waiter[K]) -> None:
        """Step out of the line."""
        with self._lock:
            self._line.pop(id(waiter), None)

    def wake_one(self, suits: Callable[[K], bool]) -> None:
        """Wake the first one not yet woken whose key suits."""
        with self._lock:
            for waiter in self._line.values():
                if not waiter.woken and suits(waiter.key):
                    waiter.wake()
                    return

    def wake_all(self, suits: Callable[[K], bool] | None = None) -> None:
        """Wake everyone whose key suits (None: everyone)."""
        with self._lock:
            for waiter in self._line.values():
                if suits is None or suits(waiter.key):
                    waiter.wake()
