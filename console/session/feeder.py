"""What a run's commands read: every node gets all of it from the beginning, and its source waits for the slowest.

Nothing here grows with the size of the input. What nodes that have started have all read is forgotten; where nodes may
still start (they wait for the fanout, for a wave, or are tried again), it is kept in a nameless file on disk.
Everything is called in the engine's thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from ...engine.errors import EngineClientError
from ..runs.spool import Spool

#: Bytes that a node is ahead of what its command has taken.
_AHEAD = 256 * 1024
#: Bytes that the source is ahead of the slowest node; also what is kept in memory before a file is made.
_WINDOW = 1024 * 1024
_PIECE = 64 * 1024


class _Reader:
    """The command of one node, or the one command of several (`pdsh`, or `%hosts` with the worker exec)."""

    __slots__ = ("client", "closed", "nodes", "owed", "position", "pushing")

    def __init__(self, client: Any) -> None:
        self.client = client
        self.nodes = 0
        self.position = 0
        self.owed = 0
        self.closed = False
        self.pushing = False


class Feeder:
    """The standard input of one run.

    spool: makes the file for what must be kept. refused: hears, once, why input does not reach a node. overflow: what
    must be kept does not fit on disk; nodes that have not started must not start, as they would get half of it.
    """

    def __init__(
        self, spool: Callable[[], Spool], refused: Callable[[str], None], overflow: Callable[[], None]
    ) -> None:
        self._make_spool = spool
        self._refused = refused
        self._overflow = overflow
        self._spool: Spool | None = None
        self._pieces: deque[bytes] = deque()
        #: Where the first of the pieces stands in the whole input, and where the last of them ends.
        self._base = 0
        self._end = 0
        self._eof = False
        #: Whether nodes may still start, and must then find the beginning.
        self._keeps = True
        self._readers: dict[str, _Reader] = {}
        self._takers: list[Callable[[], None]] = []
        self._told = False

    def feed(self, data: bytes | None, taken: Callable[[], None] | None = None) -> None:
        """More input; None ends it. taken: called when there is room for more (at once, if there is)."""
        if data is None:
            self._eof = True
        else:
            for start in range(0, len(data), _PIECE):
                self._pieces.append(data[start : start + _PIECE])
            self._end += len(data)
            self._store()
        if taken is not None:
            self._takers.append(taken)
        self._go_on()

    def started(self, key: str, client: Any) -> None:
        """A command runs on one (more) of its nodes, whose name(s) are the key: it gets all, from the beginning."""
        reader = self._readers.get(key)
        if reader is None:
            reader = self._readers[key] = _Reader(client)
        reader.nodes += 1
        self._push(reader)

    def written(self, key: str, size: int) -> None:
        """A command has taken so many bytes."""
        reader = self._readers.get(key)
        if reader is not None:
            reader.owed -= size
            self._push(reader)
            self._release()

    def deaf(self, key: str) -> None:
        """A command has closed its input, and goes on: the others must not wait for it."""
        reader = self._readers.get(key)
        if reader is not None:
            reader.closed = True
            self._release()

    def ended(self, key: str) -> None:
        """A node of a command is over."""
        reader = self._readers.get(key)
        if reader is None:
            return
        reader.nodes -= 1
        if not reader.nodes:
            del self._readers[key]
            self._release()

    def keep(self, flag: bool) -> None:
        """Whether nodes may still start."""
        if self._keeps and not flag:
            self._keeps = False
            self._release()

    def close(self) -> None:
        """The run is over: let the source go, and the file."""
        self._readers.clear()
        self._pieces.clear()
        takers, self._takers = self._takers, []
        for taken in takers:
            taken()
        if self._spool is not None:
            self._spool.close()

    # -- keeping

    def _store(self) -> None:
        """Put onto disk what those who start later will want, once it is more than a little."""
        if not self._keeps or (self._spool is None and self._end - self._base <= _WINDOW):
            return
        if self._spool is None:
            self._spool = self._make_spool()
        while self._pieces:
            if self._spool.append(self._pieces[0]) is None:
                self._keeps = False
                self._overflow()
                return
            self._base += len(self._pieces.popleft())

    def _forget(self) -> None:
        """Drop from memory what nobody will want: all that stands on disk already stands before the pieces."""
        if self._keeps:
            return
        slowest = min((reader.position for reader in self._readers.values() if not reader.closed), default=self._end)
        while self._pieces and self._base + len(self._pieces[0]) <= slowest:
            self._base += len(self._pieces.popleft())

    def _piece(self, position: int) -> bytes:
        """Some bytes that stand at this place."""
        stored = 0 if self._spool is None else self._spool.size
        if position < stored:
            assert self._spool is not None
            return self._spool.read(position, min(_PIECE, stored - position))
        place = self._base
        for piece in self._pieces:
            if position < place + len(piece):
                return piece if position == place else piece[position - place :]
            place += len(piece)
        return b""

    # -- giving

    def _go_on(self) -> None:
        for reader in list(self._readers.values()):
            self._push(reader)
        self._release()

    def _push(self, reader: _Reader) -> None:
        if reader.pushing or reader.closed:
            return
        reader.pushing = True  # a client may have written before `write` returns
        try:
            while reader.owed < _AHEAD and reader.position < self._end:
                piece = self._piece(reader.position)
                if not piece:
                    break
                reader.position += len(piece)
                reader.owed += len(piece)
                reader.client.write(piece)
            if self._eof and reader.position >= self._end:
                reader.closed = True
                reader.client.set_write_eof()
        except EngineClientError as error:
            reader.closed = True
            if self._end and not self._told:  # where there was nothing to give, nothing is lost
                self._told = True
                self._refused(str(error))
        finally:
            reader.pushing = False

    def _release(self) -> None:
        """Let the source go on, where the slowest node is near enough."""
        self._forget()
        if not self._takers:
            return
        open_ones = [reader.position for reader in self._readers.values() if not reader.closed]
        slowest = min(open_ones, default=0 if self._keeps and not self._readers else self._end)
        if self._eof or self._end - slowest <= _WINDOW:
            takers, self._takers = self._takers, []
            for taken in takers:
                taken()
