"""Fanout: how many clients may run at once, by the Task's limit and by limits of workers' own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from .client import ClientWorker, EngineClient
from .errors import EngineIllegalOperationError

#: Values of a worker's own fanout: no limit, and the Task's limit.
FANOUT_UNLIMITED = -1
FANOUT_DEFAULT = None


class Fanout:
    """Counts running clients. info: reads the Task's info, whose `fanout` is read live."""

    def __init__(self, info: Callable[[str], Any]) -> None:
        self._info = info
        #: Clients that count against the Task's fanout.
        self.used = 0
        #: Clients that run, under whatever limit, and whose end gives back what another one may lack.
        self.running = 0
        self._by_worker: dict[Any, int] = {}

    @property
    def limit(self) -> int:
        """The Task's fanout. Raises EngineIllegalOperationError if it is not a positive number (or -1)."""
        fanout = self._info("fanout")
        if isinstance(fanout, bool) or not isinstance(fanout, int) or (fanout < 1 and fanout != FANOUT_UNLIMITED):
            raise EngineIllegalOperationError(f"info 'fanout' must be a positive number of commands, not {fanout!r}")
        return sys.maxsize if fanout == FANOUT_UNLIMITED else fanout

    def full(self) -> bool:
        """Whether the Task's limit is reached."""
        return self.used >= self.limit

    def free_apart(self, worker: ClientWorker) -> bool:
        """Whether a client of a worker that has a limit of its own may start."""
        own = worker.fanout
        return own is None or own < 0 or self._by_worker.get(worker, 0) < own

    def take(self, client: EngineClient) -> None:
        """A client starts."""
        own = client.worker.fanout
        if own is None:
            self.used += 1
        elif own > 0:
            self._by_worker[client.worker] = self._by_worker.get(client.worker, 0) + 1
        client.slot = own
        self.running += client.scarce

    def release(self, client: EngineClient) -> None:
        """A client is over; nothing happens if it holds no slot."""
        own, client.slot = client.slot, 0
        if own != 0:
            self.running -= client.scarce
        if own is None:
            self.used -= 1
        elif own > 0:
            left = self._by_worker[client.worker] - 1
            if left:
                self._by_worker[client.worker] = left
            else:
                del self._by_worker[client.worker]
