"""What the nodes of one run said: raw bytes in blocks, in memory up to caps, then on disk, then counted.

Only the pump's thread changes an OutputStore, under the run's lock; others hold it while they choose what to read
(`excerpt`, `pieces`, `blocks`), and not while it is read.

A node keeps its oldest output on disk and its newest in memory; when the disk's quota is spent, what leaves memory is
dropped and counted, so that head and tail stay at hand with one counted mark between them. The digests go on over
everything that arrived, kept or not.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from .digest import blake2b
from .events import Chunk
from .excerpt import Excerpt
from .pages import PageFile, Pages, Place


class SpoolFile(PageFile, Protocol):
    """Where output goes that does not fit in memory; spool.Spool."""

    def append(self, data: bytes | bytearray) -> int | None: ...

    def close(self) -> None: ...


#: A block is closed when it reaches this size; small chunks of one stream share a block.
BLOCK_SIZE = 32 * 1024


@dataclass(frozen=True, slots=True)
class OutputLimits:
    """Bytes in memory per node and per run."""

    node_memory: int = 1024 * 1024
    run_memory: int = 192 * 1024 * 1024


class Block:
    """Whole lines of one stream: `data` in memory, or `offset` in the spool, or neither (the counted gap)."""

    __slots__ = ("data", "lines", "offset", "size", "stream")

    def __init__(self, stream: int, data: bytearray | None, lines: int) -> None:
        self.stream = stream
        self.data = data
        self.lines = lines
        self.size = 0 if data is None else len(data)
        self.offset = -1


class NodeOutput:
    """One node's blocks, oldest first. `kept` counts the lines that `lines()` can give, the gap's mark included."""

    __slots__ = ("blocks", "digests", "firsts", "gap", "kept", "lost_bytes", "lost_lines", "memory", "received", "size")

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.firsts: list[int] = []
        self.kept = 0
        self.received = 0
        self.size = 0
        self.memory = 0
        self.gap: Block | None = None
        self.lost_lines = 0
        self.lost_bytes = 0
        #: Running digest per stream; bytes once the node's output is sealed.
        self.digests: list[blake2b | bytes | None] = [None, None]

    def append(self, chunk: Chunk) -> None:
        """Take a chunk of whole lines."""
        digest = self.digests[chunk.stream]
        if digest is None or isinstance(digest, bytes):
            digest = blake2b(digest_size=16)
            self.digests[chunk.stream] = digest
        digest.update(chunk.data)
        data, lines = chunk.data, chunk.lines
        self.received += lines
        self.size += len(data)
        self.memory += len(data)
        # What came in one piece because the reader was behind must not all stay as the newest block.
        start = 0
        while len(data) - start > BLOCK_SIZE:
            end = data.rfind(b"\n", start, start + BLOCK_SIZE) + 1 or data.index(b"\n", start) + 1
            count = data.count(b"\n", start, end)
            self._put(chunk.stream, data[start:end], count)
            start, lines = end, lines - count
        if start < len(data):
            self._put(chunk.stream, data[start:] if start else data, lines)

    def _put(self, stream: int, data: bytes, lines: int) -> None:
        last = self.blocks[-1] if self.blocks else None
        if last is not None and last.data is not None and last.stream == stream and last.size + len(data) <= BLOCK_SIZE:
            last.data += data
            last.size += len(data)
            last.lines += lines
        else:
            self.firsts.append(self.kept)
            self.blocks.append(Block(stream, bytearray(data), lines))
        self.kept += lines

    def digest(self, stream: int) -> bytes:
        """The digest of all that arrived on a stream; b"" when nothing did."""
        digest = self.digests[stream]
        if digest is None:
            return b""
        return digest if isinstance(digest, bytes) else digest.digest()

    def seal(self) -> None:
        """Nothing more will come: keep the digests, not what computes them."""
        self.digests = [None if digest is None else self.digest(stream) for stream, digest in enumerate(self.digests)]

    def spill(self, spool: SpoolFile, leave: int) -> int:
        """Move the oldest blocks out of memory until at most `leave` bytes are left; return the bytes freed.

        The newest block stays while `leave` is above 0, because it is still being filled.
        """
        freed = 0
        dropped = False
        index = self._first_in_memory()
        end = len(self.blocks) - (1 if leave > 0 else 0)
        while index < end and self.memory > leave:
            block = self.blocks[index]
            data = block.data
            if data is None:
                index += 1
                continue
            offset = None if self.gap is not None else spool.append(data)
            self.memory -= block.size
            freed += block.size
            block.data = None
            if offset is not None:
                block.offset = offset
                index += 1
                continue
            dropped = True
            self.lost_lines += block.lines
            self.lost_bytes += block.size
            if self.gap is None:
                # The first dropped block becomes the gap: one line that tells how much is missing.
                self.gap = block
                block.lines, block.size = 1, 0
                index += 1
            else:
                del self.blocks[index]
                end -= 1
        if dropped:
            self._renumber()
        return freed

    def _first_in_memory(self) -> int:
        """Index of the oldest block that is in memory (blocks before it are on disk or the gap)."""
        low, high = 0, len(self.blocks)
        while low < high:
            middle = (low + high) // 2
            if self.blocks[middle].data is None:
                low = middle + 1
            else:
                high = middle
        return low

    def _renumber(self) -> None:
        gap = self.gap
        assert gap is not None
        start = self.blocks.index(gap)
        first = self.firsts[start]
        del self.firsts[start:]
        for block in self.blocks[start:]:
            self.firsts.append(first)
            first += block.lines
        self.kept = first


class OutputStore:
    """All nodes' output of one run, within limits."""

    def __init__(self, nodes: int, limits: OutputLimits, spool: SpoolFile) -> None:
        self._nodes: list[NodeOutput | None] = [None] * nodes
        self._limits = limits
        self._spool = spool
        #: What was read back; all runs of a store share theirs.
        self.pages = Pages()
        #: Bytes of all nodes that are in memory.
        self.memory = 0
        #: The node that is next to leave memory when all together hold too much.
        self._next = 0
        self.lines_total = 0
        self.bytes_total = 0
        self._split: tuple[Block, int, list[bytes]] | None = None

    def append(self, chunk: Chunk) -> None:
        """Take a chunk; what goes over the caps leaves memory."""
        node = self._nodes[chunk.node]
        if node is None:
            node = self._nodes[chunk.node] = NodeOutput()
        node.append(chunk)
        size = len(chunk.data)
        self.memory += size
        self.lines_total += chunk.lines
        self.bytes_total += size
        if node.memory > self._limits.node_memory:
            # Half of the cap leaves at a time: few, larger writes.
            self.memory -= node.spill(self._spool, self._limits.node_memory // 2)
        if self.memory > self._limits.run_memory:
            self.memory -= node.spill(self._spool, 1)
            if self.memory > self._limits.run_memory:
                self._relieve(self._limits.run_memory * 3 // 4)

    def _relieve(self, leave: int) -> None:
        """Many nodes hold a little each: move all of it out, node after node in turn, until `leave` bytes are left.

        A part of it at a time, because the screen waits meanwhile: ten thousand nodes at once take 60 ms.
        """
        for _ in self._nodes:
            if self.memory <= leave:
                return
            node = self._nodes[self._next]
            self._next = (self._next + 1) % len(self._nodes)
            if node is not None and node.memory:
                self.memory -= node.spill(self._spool, 0)

    def reset(self, number: int) -> None:
        """Forget a node's output (it is tried again); the run's totals still count it."""
        node = self._nodes[number]
        if node is not None:
            self.memory -= node.memory
            self._nodes[number] = None

    def seal(self) -> None:
        """The run ended: keep digests only."""
        for node in self._nodes:
            if node is not None:
                node.seal()

    def release(self) -> None:
        """Move everything to disk (the run is old and others need the memory)."""
        self._split = None
        self._relieve(0)

    def close(self) -> None:
        """Forget everything and give the disk back."""
        self._nodes = [None] * len(self._nodes)
        self._split = None
        self.memory = 0
        self._spool.close()

    # -- reading

    def line_count(self, number: int) -> int:
        """Lines that `lines` can give for the node."""
        node = self._nodes[number]
        return 0 if node is None else node.kept

    def received(self, number: int) -> int:
        """Lines that arrived from the node, kept or not."""
        node = self._nodes[number]
        return 0 if node is None else node.received

    def size(self, number: int) -> int:
        """Bytes that arrived from the node, kept or not."""
        node = self._nodes[number]
        return 0 if node is None else node.size

    def lost(self, number: int) -> tuple[int, int]:
        """Lines and bytes that were dropped because every cap and quota was reached."""
        node = self._nodes[number]
        return (0, 0) if node is None else (node.lost_lines, node.lost_bytes)

    def digest(self, number: int) -> bytes:
        """Equal for nodes that gave the same answer, stream by stream; b"" for no output."""
        node = self._nodes[number]
        if node is None:
            return b""
        out, err = node.digest(0), node.digest(1)
        return out + b"|" + err if err else out

    def stream_digest(self, number: int, stream: int) -> bytes:
        """The digest of one stream; b"" for no output on it."""
        node = self._nodes[number]
        return b"" if node is None else node.digest(stream)

    def excerpt(self, number: int, start: int, stop: int) -> Excerpt:
        """Lines `start` to `stop` (half open), to be read when they are needed."""
        excerpt = Excerpt(self.pages)
        node = self._nodes[number]
        if node is None:
            return excerpt
        start, stop = max(0, start), min(stop, node.kept)
        first = index = bisect_right(node.firsts, start) - 1
        while start < stop:
            block = node.blocks[index]
            at = node.firsts[index]
            end = min(stop - at, block.lines)
            if block.data is None and block is not node.gap:
                excerpt.add_place(block.stream, self._place(block), start - at, end)
            else:
                excerpt.add(block.stream, self._lines_of(node, block)[start - at : end])
            start = at + end
            index += 1
        for beside in (index, first - 1):
            if 0 <= beside < len(node.blocks) and node.blocks[beside].offset >= 0:
                excerpt.add_beside(self._place(node.blocks[beside]))
        return excerpt

    def lines(self, number: int, start: int, stop: int) -> list[tuple[int, bytes]]:
        """Lines `start` to `stop` (half open) as (stream, bytes without the line end); may wait for the disk."""
        return self.excerpt(number, start, stop).raw()

    def newest(self, number: int) -> Excerpt:
        """The newest line; none when there is none."""
        node = self._nodes[number]
        excerpt = Excerpt(self.pages)
        if node is None or not node.blocks:
            return excerpt
        block = node.blocks[-1]
        data = block.data
        if data is not None:  # asked for often while output comes in: without splitting all of it
            excerpt.add(block.stream, [bytes(data[data.rfind(b"\n", 0, len(data) - 1) + 1 : len(data) - 1])])
        elif block is node.gap:
            excerpt.add(block.stream, self._lines_of(node, block))
        else:
            excerpt.add_place(block.stream, self._place(block), block.lines - 1, block.lines)
        return excerpt

    def pieces(self, number: int, stream: int | None = None) -> Iterator[bytes]:
        """A node's kept bytes, oldest first, of one stream or all; the gap gives its mark's line.

        What is in memory is taken at once; the iterator may wait for the disk.
        """
        return (data for of, _, data in self.blocks(number) if stream is None or of == stream)

    def blocks(self, number: int) -> Iterator[tuple[int, int, bytes]]:
        """The same in the order of arrival, as (stream, lines, bytes)."""
        node = self._nodes[number]
        found = (
            [] if node is None else [(block.stream, block.lines, self._bytes_of(node, block)) for block in node.blocks]
        )
        return ((of, lines, data if isinstance(data, bytes) else data()) for of, lines, data in found)

    def restore(
        self, number: int, pieces: Sequence[tuple[int, int, int, int]], digests: Sequence[bytes | None]
    ) -> None:
        """Take up a node's output that stands in the spool already: (stream, lines, offset, size) in order."""
        node = self._nodes[number] = NodeOutput()
        node.digests = list(digests)
        for stream, lines, offset, size in pieces:
            block = Block(stream, None, lines)
            block.offset, block.size = offset, size
            node.firsts.append(node.kept)
            node.blocks.append(block)
            node.kept += lines
            node.size += size
        node.received = node.kept
        self.lines_total += node.kept
        self.bytes_total += node.size

    def _place(self, block: Block) -> Place:
        return Place(self._spool, block.offset, block.size, block.lines)

    def _lines_of(self, node: NodeOutput, block: Block) -> list[bytes]:
        """The lines of a block that is in memory, or the mark of the gap."""
        split = self._split
        if split is not None and split[0] is block and split[1] == block.size and block is not node.gap:
            return split[2]
        data = self._gap_mark(node) if block.data is None else bytes(block.data)
        lines = data.split(b"\n")
        lines.pop()
        self._split = (block, block.size, lines)
        return lines

    def _bytes_of(self, node: NodeOutput, block: Block) -> bytes | Callable[[], bytes]:
        if block is node.gap:
            return self._gap_mark(node)
        if block.data is not None:
            return bytes(block.data)
        return partial(self._spool.read, block.offset, block.size)

    @staticmethod
    def _gap_mark(node: NodeOutput) -> bytes:
        return b"[%d lines (%d bytes) not kept: output limits reached]\n" % (node.lost_lines, node.lost_bytes)
