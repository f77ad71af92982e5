"""A wish for a connection, and its fulfilment."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..states import Failure
from .connection import Connection


class Lease:
    """A wish for a connection to a node; one of the callbacks is called once, unless `cancel` came first.

    limit: seconds that an attempt may take for this wish; dialing: called when connecting begins; forsaken: called by
    `cancel`.
    """

    __slots__ = ("_failed", "_forsaken", "_ready", "dialing", "limit", "over", "since")

    def __init__(
        self,
        ready: Callable[[Connection], None],
        failed: Callable[[Failure], None],
        dialing: Callable[[], None] | None,
        limit: float,
        forsaken: Callable[[Lease], None],
    ) -> None:
        self.limit = limit
        self.dialing = dialing
        self.since = time.monotonic()
        self.over = False
        self._ready = ready
        self._failed = failed
        self._forsaken = forsaken

    def give(self, connection: Connection) -> None:
        """The connection stands."""
        if not self.over:
            self.over = True
            self._ready(connection)

    def refuse(self, failure: Failure) -> None:
        """There will be none."""
        if not self.over:
            self.over = True
            self._failed(failure)

    def cancel(self) -> None:
        """Not wanted any more."""
        if not self.over:
            self.over = True
            self._forsaken(self)
