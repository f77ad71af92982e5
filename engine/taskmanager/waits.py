"""How calls of one manager block: on what they wait, and which change wakes whom."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from .stores.base import Change, Claim, Event, Store
from .waiters import WaitLine

T = TypeVar("T")

#: Longest sleep of a waiter on a shared store, seconds: a wake-up that got lost with a connection costs no more.
SHARED_PAUSE = 1.0


class Waits:
    """The three lines of waiting threads of one manager, and those who only want to be told. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._takers = WaitLine[Sequence[str] | None]()
        self._collectors = WaitLine[Claim]()
        self._askers = WaitLine[None]()
        self._subscribers: list[Callable[[Event], None]] = []
        self._subscribing = threading.Lock()
        store.listen(self._changed)

    def for_task(self, tags: Sequence[str] | None, look: Callable[[], T | None], timeout: float | None) -> T:
        """Block until `look` finds a task of these tags. TimeoutError."""
        return self._wait(self._takers, tags, look, timeout)

    def for_result(self, claim: Claim, look: Callable[[], T | None], timeout: float | None) -> T:
        """Block until `look` finds an outcome that fits the claim. TimeoutError."""
        return self._wait(self._collectors, claim, look, timeout)

    def for_room(self, look: Callable[[], T | None], timeout: float | None) -> T:
        """Block until `look` could add a task. TimeoutError."""
        return self._wait(self._askers, None, look, timeout)

    def subscribe(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call `listener` after every change; returns what ends it."""
        with self._subscribing:
            self._subscribers = [*self._subscribers, listener]
        self._store.watch()

        def end() -> None:
            with self._subscribing:
                self._subscribers = [each for each in self._subscribers if each is not listener]

        return end

    def _changed(self, event: Event) -> None:
        if event.change is Change.TASK:
            if self._takers:
                self._wake(self._takers, lambda tags: tags is None or event.tag in tags)
        elif event.change is Change.RESULT:
            if self._collectors:
                self._wake_collectors(event)
        elif event.change is Change.SPACE:
            self._wake(self._askers, lambda _: True)
        else:
            for line in (self._takers, self._collectors, self._askers):
                line.wake_all()
        for listener in self._subscribers:
            listener(event)

    def _wake(self, line: WaitLine[Any], suits: Callable[[Any], bool]) -> None:
        if self._store.shared:
            line.wake_all(suits)
        else:
            line.wake_one(suits)

    def _wake_collectors(self, event: Event) -> None:
        # Those who wait for this very task must look even when another gets the outcome: to hear that it is gone.
        self._collectors.wake_all(lambda claim: claim.task_id == event.task_id)
        self._wake(
            self._collectors,
            lambda claim: (
                claim.task_id is None
                and (claim.tag is None or claim.tag == event.tag)
                and (claim.requester is None or claim.requester == event.requester)
            ),
        )

    def _wait(self, line: WaitLine[Any], key: Any, look: Callable[[], T | None], timeout: float | None) -> T:
        """Look until there is something; see WaitLine for why this cannot miss a change."""
        end = math.inf if timeout is None else time.monotonic() + timeout
        self._store.watch()
        waiter = line.join(key)
        try:
            while True:
                line.rearm(waiter)
                found = look()
                if found is not None:
                    return found
                self._pass_on(line)
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError("nothing came within the time limit")
                pause = min(left, self._store.next_deadline(), SHARED_PAUSE if self._store.shared else math.inf)
                waiter.wait(None if pause == math.inf else pause)
                self._store.reap()
        finally:
            line.leave(waiter)
            self._pass_on(line)

    def _pass_on(self, line: WaitLine[Any]) -> None:
        """Wake the next one for whom there is something: this waiter may have been woken in its stead."""
        if self._store.shared or not line:
            return
        if line is self._takers:
            line.wake_one(self._store.may_take)
        elif line is self._collectors:
            line.wake_one(self._store.may_collect)
        else:
            line.wake_one(lambda _: self._store.may_add())
