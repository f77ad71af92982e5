"""Launcher: which clients wait for their start, in what order they begin, and when there is room for one more.

Belongs to the Task's thread.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from .client import ClientState, EngineClient
from .fanout import FANOUT_DEFAULT, Fanout

#: Seconds of starting after which timers and output get their turn.
_START_BUDGET = 0.01


class Launcher:
    """info: reads the Task's info. begin: starts a client that has been given its slot; it may end in there."""

    def __init__(self, info: Callable[[str], Any], begin: Callable[[EngineClient], None]) -> None:
        self._begin = begin
        self._fanout = Fanout(info)
        self._queued: deque[EngineClient] = deque()
        self._ready: deque[EngineClient] = deque()
        #: The ready ones of each worker that has a fanout of its own: they neither wait for nor block the others.
        self._apart: dict[Any, deque[EngineClient]] = {}
        #: No new start before one of the running clients has ended: the system is out of something.
        self._short = False

    # -- who waits

    def add(self, client: EngineClient) -> None:
        """A client was scheduled."""
        client.state = ClientState.QUEUED
        self._queued.append(client)

    def ready(self, client: EngineClient) -> None:
        """A client that was preparing may be started as soon as there is a slot."""
        if client.state is ClientState.PREPARING:
            client.state = ClientState.READY
            self._line_of(client).append(client)

    def postpone(self, client: EngineClient) -> bool:
        """Start a client again, before the others, when a running one has ended; False if none runs."""
        self._fanout.release(client)
        if self._fanout.running == 0:
            self._fanout.take(client)
            return False
        self._short = True
        client.state = ClientState.READY
        if client.deadline is not None:
            client.deadline.cancel()
            client.deadline = None
        self._line_of(client).appendleft(client)
        return True

    def over(self, client: EngineClient) -> None:
        """A client has ended: its slot, if it had one, is free."""
        self._fanout.release(client)
        self._short = False

    def clear(self) -> None:
        """Nobody waits any more."""
        self._queued.clear()
        self._ready.clear()
        self._apart.clear()

    def run_ended(self) -> None:
        """What was short in this run may not be in the next one."""
        self._short = False

    def _line_of(self, client: EngineClient) -> deque[EngineClient]:
        """Where a ready client waits for its slot."""
        worker = client.worker
        return self._ready if worker.fanout is FANOUT_DEFAULT else self._apart.setdefault(worker, deque())

    # -- starting

    @property
    def has_waiting(self) -> bool:
        """Whether anybody waits, for whatever."""
        return bool(self._queued or self._ready or self._apart)

    def can_start(self) -> bool:
        """Whether `start` would find something to do: its budget was used up, or a handler has made something."""
        if self._queued:
            return True
        if self._short:
            return False
        if self._ready and not self._fanout.full():
            return True
        return any(self._fanout.free_apart(worker) for worker in self._apart)

    def start(self) -> None:
        """Start what may be started, for some milliseconds."""
        pause = time.monotonic() + _START_BUDGET
        queued, ready, fanout = self._queued, self._ready, self._fanout
        while queued:
            self._take_up(queued.popleft())
            if time.monotonic() > pause:
                break
        if self._apart:
            self._start_apart(pause)
        while ready and not self._short and not fanout.full():
            self._launch(ready.popleft())
            if time.monotonic() > pause:
                return

    def _take_up(self, client: EngineClient) -> None:
        if client.state is not ClientState.QUEUED:
            return
        client.state = ClientState.PREPARING
        if not client.prepares:
            self.ready(client)
            return
        client.worker._on_start()
        if client.state is ClientState.PREPARING and client.prepare():
            self.ready(client)

    def _start_apart(self, pause: float) -> None:
        """Start what waits under limits of its workers' own."""
        for worker, line in list(self._apart.items()):
            while line and not self._short and self._fanout.free_apart(worker):
                self._launch(line.popleft())
                if time.monotonic() > pause:
                    break
            if not line:
                self._apart.pop(worker, None)

    def _launch(self, client: EngineClient) -> None:
        if client.state is not ClientState.READY:
            return
        client.worker._on_start()
        if client.state is not ClientState.READY:
            return
        client.state = ClientState.RUNNING
        self._fanout.take(client)
        self._begin(client)
