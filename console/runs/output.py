"""What the nodes of one run said: raw bytes in blocks, in memory up to caps, then on disk, then counted.

Only the pump's thread changes an OutputStore. A node keeps its oldest output on disk and its newest in memory; when
the disk's quota is spent, what leaves memory is dropped and counted, so that head and tail stay at hand with one
counted mark between them. The digests go on over everything that arrived, kept or not.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from .digest import blake2b
from .events import Chunk


class SpoolFile(Protocol):
    """Where output goes that does not fit in memory; spool.Spool."""

    def append(self, data: bytes | bytearray) -> int | None: ...

    def read(self, offset: int, size: int) -> bytes: ...

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
        size = len(chunk.data)
        last = self.blocks[-1] if self.blocks else None
        if (
            last is not None
            and last.data is not None
            and last.stream == chunk.stream
            and last.size + size <= BLOCK_SIZE
        ):
            last.data += chunk.data
            last.size += size
            last.lines += chunk.lines
        else:
            self.firsts.append(self.kept)
            self.blocks.append(Block(chunk.stream, bytearray(chunk.data), chunk.lines))
        self.kept += chunk.lines
        self.received += chunk.lines
        self.size += size
        self.memory += size

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
        #: Bytes of all nodes that are in memory.
        self.memory = 0
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
                self._relieve()

    def _relieve(self) -> None:
        """Many nodes hold a little each: move all of it out, so that the next relief is far away."""
        for node in self._nodes:
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
        self._relieve()

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

    def lines(self, number: int, start: int, stop: int) -> list[tuple[int, bytes]]:
        """Lines `start` to `stop` (half open) as (stream, bytes without the line end)."""
        node = self._nodes[number]
        if node is None:
            return []
        start, stop = max(0, start), min(stop, node.kept)
        found: list[tuple[int, bytes]] = []
        index = bisect_right(node.firsts, start) - 1
        while start < stop:
            block = node.blocks[index]
            first = node.firsts[index]
            part = self._lines_of(node, block)[start - first : stop - first]
            if not part:
                break
            found.extend((block.stream, line) for line in part)
            start += len(part)
            index += 1
        return found

    def last_line(self, number: int) -> bytes:
        """The newest line; b"" when there is none."""
        node = self._nodes[number]
        if node is None or not node.blocks:
            return b""
        data = node.blocks[-1].data
        if data is None:
            newest = self.lines(number, node.kept - 1, node.kept)
            return newest[0][1] if newest else b""
        return bytes(data[data.rfind(b"\n", 0, len(data) - 1) + 1 : len(data) - 1])

    def pieces(self, number: int, stream: int | None = None) -> Iterator[bytes]:
        """A node's kept bytes, oldest first, of one stream or all; the gap gives its mark's line."""
        node = self._nodes[number]
        for block in () if node is None else tuple(node.blocks):
            if stream is None or block.stream == stream:
                assert node is not None
                yield self._bytes_of(node, block)

    def blocks(self, number: int) -> Iterator[tuple[int, int, bytes]]:
        """A node's kept output in the order of arrival, as (stream, lines, bytes)."""
        node = self._nodes[number]
        for block in () if node is None else tuple(node.blocks):
            assert node is not None
            yield block.stream, block.lines, self._bytes_of(node, block)

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

    def _lines_of(self, node: NodeOutput, block: Block) -> list[bytes]:
        split = self._split
        if split is not None and split[0] is block and split[1] == block.size and block is not node.gap:
            return split[2]
        lines = self._bytes_of(node, block).split(b"\n")
        lines.pop()
        if len(lines) < block.lines:  # the disk lost something: keep the numbering true
            lines.extend([b""] * (block.lines - len(lines)))
        self._split = (block, block.size, lines)
        return lines

    def _bytes_of(self, node: NodeOutput, block: Block) -> bytes:
        if block is node.gap:
            return b"[%d lines (%d bytes) not kept: output limits reached]\n" % (node.lost_lines, node.lost_bytes)
        if block.data is not None:
            return bytes(block.data)
        return self._spool.read(block.offset, block.size)
