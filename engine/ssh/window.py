"""How many may do something expensive at once: a queue of places, each of which is lent to the next while it stalls."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ..reactor import Deadline, Reactor

#: Seconds after which a place that is held is given to the next as well: what is silent holds nobody up.
LEND_AFTER = 1.0
#: Under way at once, lent places included.
_MOST = 1024


class Window:
    """limit() is asked live. `ask` puts into the queue; `begin` is called in a later turn, when there is a place."""

    def __init__(self, reactor: Reactor, limit: Callable[[], int]) -> None:
        self._reactor = reactor
        self._limit = limit
        self._queue: deque[Place] = deque()
        self._held = 0
        self._under_way = 0
        self._fill_due = False

    @property
    def idle(self) -> bool:
        """Whether nobody waits and nobody is under way."""
        return not self._queue and not self._under_way

    @property
    def under_way(self) -> int:
        """Places given and not yet given back, lent ones included."""
        return self._under_way

    def ask(self, begin: Callable[[], None]) -> Place:
        """Queue for a place."""
        place = Place(self, begin)
        self._queue.append(place)
        self.look()
        return place

    def look(self) -> None:
        """See soon whether somebody can begin."""
        if not self._fill_due:
            self._fill_due = True
            self._reactor.call_soon(self._fill)

    def _fill(self) -> None:
        self._fill_due = False
        while self._queue and self._held < max(1, self._limit()) and self._under_way < _MOST:
            place = self._queue.popleft()
            if not place.over:
                self._held += 1
                self._under_way += 1
                place.take(self._reactor)

    def count_back(self, *, held: bool, ended: bool) -> None:
        """A place was lent (held, not ended) or given back."""
        self._held -= held
        self._under_way -= ended
        self.look()


class Place:
    """One place, or the wish for it: `free` takes back the wish or gives the place back."""

    __slots__ = ("_begin", "_lending", "_window", "over")

    def __init__(self, window: Window, begin: Callable[[], None]) -> None:
        self._window = window
        self._begin: Callable[[], None] | None = begin
        self._lending: Deadline | None = None
        self.over = False

    def take(self, reactor: Reactor) -> None:
        """The window has a place."""
        begin, self._begin = self._begin, None
        self._lending = reactor.call_later(LEND_AFTER, self._lend)
        if begin is not None:
            begin()

    def _lend(self) -> None:
        self._lending = None
        self._window.count_back(held=True, ended=False)

    def keep(self) -> None:
        """It moves on: the place is not lent any more, if it was not lent already."""
        if self._lending is not None:
            self._lending.cancel()

    def free(self) -> None:
        """Idempotent."""
        if self.over:
            return
        self.over = True
        if self._begin is not None:
            self._begin = None
            return
        lending, self._lending = self._lending, None
        if lending is not None:
            lending.cancel()
        self._window.count_back(held=lending is not None, ended=True)
