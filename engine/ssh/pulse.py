"""Signs of life of one connection, from which the pool judges whether it still stands."""

from __future__ import annotations

import time


class Pulse:
    """Moments are those of `time.monotonic()`."""

    __slots__ = ("asked", "heard", "unanswered")

    def __init__(self) -> None:
        #: When the server was heard last.
        self.heard = time.monotonic()
        #: When a session was asked for first since then; 0: none since.
        self.asked = 0.0
        #: Signs of life that were asked for and did not come.
        self.unanswered = 0

    def beat(self) -> None:
        """The server said something."""
        self.heard = time.monotonic()
        self.asked = 0.0

    def ask(self) -> None:
        """A session is asked for."""
        self.asked = self.asked or time.monotonic()

    def begin_anew(self) -> None:
        """Silence counts from now on: before, nobody listened."""
        self.heard = time.monotonic()
