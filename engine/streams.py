"""Byte streams of one client: lines out of chunks, and a queue of bytes to write."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable

#: One read takes what a pipe holds.
CHUNK = 65536


class LineBuffer:
    """Cuts a stream of chunks into lines: at LF, and a CR before it is dropped.

    limit: bytes after which a line without an end is handed out as it is, so that a node that never ends a line
    cannot fill the memory; None = no limit.
    """

    __slots__ = ("_limit", "_pending", "_pieces")

    def __init__(self, limit: int | None = None) -> None:
        self._pieces: list[bytes] = []
        self._pending = 0
        self._limit = limit

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, in order, without line ends."""
        pieces = self._pieces
        if pieces:
            if b"\n" not in data:
                return self._keep(data)
            data = b"".join([*pieces, data])
            pieces.clear()
            self._pending = 0
        lines = data.split(b"\n")
        last = lines.pop()
        if b"\r" in data:
            lines = [line[:-1] if line.endswith(b"\r") else line for line in lines]
        if last:
            lines += self._keep(last)
        return lines

    def _keep(self, data: bytes) -> list[bytes]:
        self._pieces.append(data)
        self._pending += len(data)
        if self._limit is None or self._pending < self._limit:
            return []
        return self.rest()

    def rest(self) -> list[bytes]:
        """What is left without a line end: one line or none."""
        if not self._pieces:
            return []
        line = b"".join(self._pieces)
        self._pieces.clear()
        self._pending = 0
        return [line]


class InputStream:
    """A descriptor that lines are read from. retain: its end is waited for. close: gives the descriptor back."""

    __slots__ = ("close", "fd", "lines", "retain", "sname")

    def __init__(self, sname: str, fd: int, retain: bool, close: Callable[[], None], limit: int | None) -> None:
        self.sname = sname
        self.fd = fd
        self.retain = retain
        self.close = close
        self.lines = LineBuffer(limit)


class OutputStream:
    """A descriptor that queued bytes are written to."""

    __slots__ = ("_offset", "close", "ending", "fd", "queue", "retain", "sname", "watched")

    def __init__(self, sname: str, fd: int, retain: bool, close: Callable[[], None]) -> None:
        self.sname = sname
        self.fd = fd
        self.retain = retain
        self.close = close
        self.queue: deque[bytes] = deque()
        self.ending = False
        self.watched = False
        self._offset = 0

    def write(self) -> int:
        """Write as much as the descriptor takes; bytes written. Raises OSError (BlockingIOError: none just now)."""
        queue = self.queue
        if len(queue) > 1 and len(queue[0]) < CHUNK:
            # Many small writes become one, as one system call per line would cost more than the copy.
            joined = b"".join(queue)[self._offset :]
            self._offset = 0
            queue.clear()
            queue.append(joined)
        view = memoryview(queue[0])[self._offset :] if self._offset else queue[0]
        size = os.write(self.fd, view)
        self._offset += size
        if self._offset >= len(queue[0]):
            queue.popleft()
            self._offset = 0
        return size
