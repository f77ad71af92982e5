"""The newest lines of all nodes in the order of arrival: a ring, bounded in bytes and lines."""

from __future__ import annotations

from bisect import bisect_right

from .events import Chunk

#: Stands for a forgotten chunk until the lists are shortened, so that its bytes go at once.
_GONE = Chunk(0, 0, b"", 0)


class MergedRing:
    """Chunks as they came; the oldest are forgotten (their lines stay in the per-node output)."""

    def __init__(self, max_lines: int = 50_000, max_bytes: int = 8 * 1024 * 1024) -> None:
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._chunks: list[Chunk] = []
        self._ends: list[int] = []  # line number after each chunk, counted from the first line ever
        self._head = 0  # chunks before this index are forgotten but not yet removed from the lists
        self._bytes = 0
        self.forgotten = 0
        self._split: tuple[Chunk, list[bytes]] | None = None

    def append(self, chunk: Chunk) -> None:
        """Add a chunk and forget what goes over the bounds (never the newest chunk)."""
        total = self._ends[-1] if self._ends else self.forgotten
        self._chunks.append(chunk)
        self._ends.append(total + chunk.lines)
        self._bytes += len(chunk.data)
        newest = len(self._chunks) - 1
        while self._head < newest and (
            self._bytes > self._max_bytes or self._ends[-1] - self.forgotten > self._max_lines
        ):
            self._bytes -= len(self._chunks[self._head].data)
            self.forgotten = self._ends[self._head]
            self._chunks[self._head] = _GONE
            self._head += 1
        if self._head > 1024 and self._head * 2 > len(self._chunks):
            del self._chunks[: self._head]
            del self._ends[: self._head]
            self._head = 0

    def clear(self) -> None:
        """Forget every line (numbers go on)."""
        self.forgotten = self._ends[-1] if self._ends else self.forgotten
        self._chunks.clear()
        self._ends.clear()
        self._head = self._bytes = 0
        self._split = None

    def __len__(self) -> int:
        return (self._ends[-1] - self.forgotten) if self._ends else 0

    def lines(self, start: int, stop: int) -> list[tuple[int, int, bytes]]:
        """Lines `start` to `stop` of those at hand, as (node, stream, bytes without the line end)."""
        start, stop = max(0, start), min(stop, len(self))
        found: list[tuple[int, int, bytes]] = []
        position = start + self.forgotten
        end = stop + self.forgotten
        index = bisect_right(self._ends, position)
        while position < end:
            chunk = self._chunks[index]
            lines = self._lines_of(chunk)
            first = self._ends[index] - chunk.lines
            part = lines[position - first : end - first]
            found.extend((chunk.node, chunk.stream, line) for line in part)
            position = self._ends[index]
            index += 1
        return found

    def _lines_of(self, chunk: Chunk) -> list[bytes]:
        if self._split is not None and self._split[0] is chunk:
            return self._split[1]
        lines = chunk.data.split(b"\n")
        lines.pop()
        if chunk.lines > 64:
            self._split = (chunk, lines)
        return lines
