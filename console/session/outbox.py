"""From the engine's thread to the pump: batches of events, bounded by holding the nodes back.

`EventBatcher` lives in the engine's thread and collects what one turn or a few milliseconds brought; `Outbox` is the
queue between the threads. Nothing is ever dropped: above the limit the engine is told to stop reading output until
the pump caught up. States and other control events always pass.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..runs.events import Chunk, NodeChange, NodesChanged, OutputArrived, SessionEvent

#: Seconds that events may wait for company.
FLUSH_DELAY = 0.005
#: Bytes that are sent on at once.
FLUSH_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Batch:
    """Events in order; size: bytes of output in them."""

    events: tuple[SessionEvent, ...]
    size: int


class Outbox:
    """A queue of batches. `put` is the engine's, `pop` and `wait` the pump's.

    What the pump has handed on to the disk counts until it is written (`handed_on`, `written`; any thread).
    """

    def __init__(self, limit: int) -> None:
        self._batches: deque[Batch] = deque()
        self._ready = threading.Condition()
        self._limit = limit
        self._held = False
        self.outstanding = 0

    def put(self, batch: Batch) -> bool:
        """Add a batch; True when reading of output should stop until `pop` says so."""
        with self._ready:
            self._batches.append(batch)
            self.outstanding += batch.size
            self._ready.notify()
            if not self._held and self.outstanding > self._limit:
                self._held = True
                return True
            return False

    def pop(self) -> tuple[Batch | None, bool]:
        """The oldest batch, or None; and whether reading of output may now go on."""
        with self._ready:
            if not self._batches:
                return None, self._release(0)
            batch = self._batches.popleft()
            self.outstanding -= batch.size
            return batch, self._release(self._limit // 2)

    def handed_on(self, size: int) -> None:
        """So many bytes wait for the disk."""
        with self._ready:
            self.outstanding += size

    def written(self, size: int) -> bool:
        """So many bytes wait no more; True when reading of output may now go on."""
        with self._ready:
            self.outstanding -= size
            return self._release(self._limit // 2)

    def _release(self, below: int) -> bool:
        if self._held and self.outstanding <= below:
            self._held = False
            return True
        return False

    def wait(self, timeout: float | None) -> bool:
        """Block until there is a batch; False after `timeout` seconds without one."""
        with self._ready:
            return self._ready.wait_for(lambda: bool(self._batches), timeout)


class _Pending:
    """A run's events that were not sent yet: output and states, each in order."""

    __slots__ = ("changes", "chunks", "last")

    def __init__(self) -> None:
        self.chunks: list[tuple[int, int, list[bytes]]] = []
        self.last: dict[int, int] = {}  # node -> index of its newest entry in `chunks`
        self.changes: list[NodeChange] = []


class EventBatcher:
    """Collects events in the engine's thread and puts them on the outbox.

    call_later: how to be called again in the engine's thread. hold: told True when the outbox is over its limit.
    """

    def __init__(
        self,
        outbox: Outbox,
        call_later: Callable[[float, Callable[[], None]], object],
        hold: Callable[[bool], None],
    ) -> None:
        self._outbox = outbox
        self._call_later = call_later
        self._hold = hold
        self._pending: dict[int, _Pending] = {}
        self._events: list[SessionEvent] = []
        self._size = 0
        self._armed = False

    def output(self, run: int, node: int, stream: int, lines: Sequence[bytes]) -> None:
        """Whole lines of a node, without their ends."""
        pending = self._of(run)
        index = pending.last.get(node)
        if index is not None and pending.chunks[index][1] == stream:
            pending.chunks[index][2].extend(lines)
        else:
            pending.last[node] = len(pending.chunks)
            pending.chunks.append((node, stream, list(lines)))
        self._size += sum(map(len, lines)) + len(lines)
        if self._size >= FLUSH_BYTES:
            self.flush()
        else:
            self._arm()

    def change(self, run: int, change: NodeChange) -> None:
        """A node's new state."""
        self._of(run).changes.append(change)
        self._arm()

    def event(self, event: SessionEvent, *, now: bool = False) -> None:
        """Any other event; it comes after everything that was collected before it. now: send at once."""
        self._settle()
        self._events.append(event)
        if now:
            self.flush()
        else:
            self._arm()

    def flush(self) -> None:
        """Send what there is."""
        self._settle()
        if not self._events:
            return
        batch = Batch(tuple(self._events), self._size)
        self._events = []
        self._size = 0
        if self._outbox.put(batch):
            self._hold(True)

    def _of(self, run: int) -> _Pending:
        pending = self._pending.get(run)
        if pending is None:
            pending = self._pending[run] = _Pending()
        return pending

    def _settle(self) -> None:
        """Make events of what was collected: first a run's output, then its states (an end comes after the output)."""
        for run, pending in self._pending.items():
            if pending.chunks:
                chunks = tuple(
                    Chunk(node, stream, b"\n".join(lines) + b"\n", len(lines)) for node, stream, lines in pending.chunks
                )
                self._events.append(OutputArrived(run, chunks))
            if pending.changes:
                self._events.append(NodesChanged(run, tuple(pending.changes)))
        self._pending.clear()

    def _arm(self) -> None:
        if not self._armed:
            self._armed = True
            self._call_later(FLUSH_DELAY, self._due)

    def _due(self) -> None:
        self._armed = False
        self.flush()


def monotonic() -> float:
    """The clock of all events; in one place so that tests can stop it."""
    return time.monotonic()
