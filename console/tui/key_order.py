"""Keys one at a time: the next is given to whoever has the focus when the one before has been dealt with.

Textual puts a key into the queue of the widget that has the focus when the key arrives, and what a key brings about
comes by further messages: of `/node3`, written by a fast typist or a program in one piece, all six keys would have
gone to the view, and the letters would have been its commands.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from textual.dom import DOMNode
from textual.events import Event

if TYPE_CHECKING:
    from textual.app import App

#: Seconds after which the next key waits no longer: a widget may have gone with what was sent behind its key.
PATIENCE = 1.0
#: How often the way of a key is walked at most; more than four times only while messages pour in.
ROUNDS = 10
#: So many times nothing must be found on it: a widget may have one message in hand that its queue no longer tells of.
QUIET = 2
#: Seconds between two looks whether what a key asked for is known.
PAUSE = 0.02


class KeyOrder:
    """The keys and pastes of one app. UI thread only.

    give: hands one of them over, as Textual does. When it has returned, a call follows the key on its way, from the
    focus through every parent to the app: where the call comes out of a queue, the key has been handled. It goes
    again, as long as something that the key may have caused is still in a queue there, or the focus has moved to
    what is not ready yet (a dialog, the palette).

    awaited: whether a key asked for something that is still being looked up, and that moves the focus when it is known.
    """

    def __init__(
        self, app: App[int], give: Callable[[Event], Awaitable[None]], awaited: Callable[[], bool] = lambda: False
    ) -> None:
        self._app = app
        self._give = give
        self._awaited = awaited
        self._waiting: deque[Event] = deque()
        self._turn = 0
        self._overdue: asyncio.TimerHandle | None = None

    async def take(self, event: Event) -> None:
        """Give the key now, or when those before it have been dealt with."""
        self._waiting.append(event)
        if self._overdue is None:
            await self._next(self._turn)

    async def _next(self, turn: int) -> None:
        """The turn is over: the next key, if there is one."""
        if turn != self._turn:
            return
        self._turn += 1
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None
        if self._waiting:
            event = self._waiting.popleft()
            self._overdue = self._after(PATIENCE, self._next, self._turn)
            way = self._way()
            await self._give(event)
            await self._follow(self._turn, way, 0, ROUNDS, QUIET)

    def _way(self) -> Sequence[DOMNode]:
        """From what has the keys now to the app."""
        return (self._app.focused or self._app.screen).ancestors_with_self

    def _after(self, seconds: float, call: Callable[..., Awaitable[None]], *arguments: object) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, self._app.call_later, call, *arguments)

    async def _follow(self, turn: int, way: Sequence[DOMNode], place: int, rounds: int, quiet: int) -> None:
        """Go on behind what is queued at this place of the way; what is closed has no queue any more."""
        if turn != self._turn:
            return
        while place < len(way):
            if way[place].call_later(self._follow, turn, way, place + 1, rounds, quiet):
                return
            place += 1
        now = self._way()
        both = [*(node for node in way if node not in now), *now]
        loud = now[0] not in way or any(node.message_queue_size for node in both)
        quiet = QUIET if loud else quiet - 1
        if rounds > 1 and quiet:
            await self._follow(turn, both, 0, rounds - 1, quiet)
        elif self._awaited():
            self._after(PAUSE, self._follow, turn, both, 0, ROUNDS, QUIET)
        else:
            await self._next(turn)
