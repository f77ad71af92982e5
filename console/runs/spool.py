"""Output that does not fit in memory goes to a nameless file on disk, up to a quota."""

from __future__ import annotations

import os
import tempfile
import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path

from .disk_writer import DiskWriter


class SpoolBudget:
    """Bytes on disk that all runs share; not thread-safe (the pump's thread only)."""

    def __init__(self, quota: int) -> None:
        self.quota = quota
        self.used = 0

    def take(self, size: int) -> bool:
        """Reserve `size` bytes; False when they would go over the quota."""
        if self.used + size > self.quota:
            return False
        self.used += size
        return True

    def give_back(self, size: int) -> None:
        """Free what was reserved."""
        self.used -= size


class Spool:
    """An append-only file without a name: it is gone when the process is, kill -9 included.

    quota: bytes of this spool; budget: shared with others. The file is made at the first write. `on_error` hears of
    the first failure of the disk; from then on nothing more is accepted.

    writer: writes in its thread; what it has not written is read from memory. Without one, `append` writes itself.
    `append` and `close` belong to the thread that owns the spool; `read` and `held` to any.
    """

    def __init__(
        self,
        folder: Callable[[], Path],
        quota: int,
        budget: SpoolBudget,
        on_error: Callable[[OSError], None] | None = None,
        writer: DiskWriter | None = None,
    ) -> None:
        self._folder = folder
        self._quota = quota
        self._budget = budget
        self._on_error = on_error
        self._writer = writer
        self._lock = threading.Lock()  # guards what follows; never held while the disk is waited for
        self._descriptor = -1
        self._failed = False
        self._closed = False
        self._readers = 0
        self._closing = False
        #: What is not on disk yet, with its offset, oldest first: the end of the spool.
        self._waiting: deque[tuple[int, bytes | bytearray]] = deque()
        self.size = 0

    def append(self, data: bytes | bytearray) -> int | None:
        """Add `data`, which is the spool's from now on, and return its offset; None when the quota or disk is full."""
        size = len(data)
        if self._failed or self.size + size > self._quota or not self._budget.take(size):
            return None
        offset = self.size
        with self._lock:
            self._waiting.append((offset, data))
        self.size += size
        if self._writer is not None:
            self._writer.submit(self._write, size)
            return offset
        self._write()
        if self._failed:
            with self._lock:
                self._waiting.clear()
            self.size = offset
            self._budget.give_back(size)
            return None
        return offset

    def held(self, offset: int, size: int) -> bytes | None:
        """What was added there while it is not on disk yet, else None. Never waits."""
        with self._lock:
            if not self._closed and (not self._waiting or self._waiting[0][0] > offset):
                return None
            return self._part(offset, offset + size)

    def read(self, offset: int, size: int) -> bytes:
        """What was added there; short or empty if the disk lost it. May wait for the disk."""
        with self._lock:
            end = offset + size
            written = max(offset, min(end, self._waiting[0][0])) if self._waiting else end
            tail = self._part(written, end)
            descriptor = self._descriptor if offset < written and not self._closed else -1
            if descriptor < 0:
                return tail
            self._readers += 1  # the file must not be closed meanwhile, and its number go to another one
        pieces: list[bytes] = []
        try:
            while offset < written:
                piece = os.pread(descriptor, written - offset, offset)
                if not piece:
                    break
                pieces.append(piece)
                offset += len(piece)
        except OSError:
            pass  # it is lost
        finally:
            with self._lock:
                self._readers -= 1
                last = self._closing and not self._readers
            if last:
                self._close_file()
        return b"".join((*pieces, tail))

    def _part(self, start: int, end: int) -> bytes:
        """What is between these offsets and not on disk yet."""
        pieces: list[bytes] = []
        waiting = self._waiting
        # On a disk that hangs, thousands may be waiting.
        for number in range(max(0, bisect_right(waiting, start, key=itemgetter(0)) - 1), len(waiting)):
            at, data = waiting[number]
            if at >= end:
                break
            pieces.append(bytes(data[max(0, start - at) : end - at]))
        return b"".join(pieces)

    def close(self) -> None:
        """Give the file and its share of the budget back; idempotent."""
        with self._lock:
            self._failed = self._closed = True
            self._waiting.clear()
        size, self.size = self.size, 0
        self._budget.give_back(size)
        if self._writer is None:
            self._close_file()
        elif size:
            # Behind the write that may be under way; and where a large file goes, that takes its time.
            self._writer.submit(self._close_file)

    def _write(self) -> None:
        """Write the oldest of what is waiting. After a failure, what was accepted stays in memory: it is not lost."""
        with self._lock:
            if self._failed or not self._waiting:
                return
            offset, data = self._waiting[0]
        try:
            if self._descriptor < 0:
                self._open()
            view = memoryview(data)
            done = 0
            while done < len(view):
                done += os.pwrite(self._descriptor, view[done:], offset + done)
        except OSError as error:
            self._failed = True
            if self._on_error is not None:
                self._on_error(error)
            return
        with self._lock:
            if self._waiting:  # not closed meanwhile
                self._waiting.popleft()

    def _close_file(self) -> None:
        with self._lock:
            self._closing = True
            if self._readers:
                return  # the last of them closes it
            descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _open(self) -> None:
        descriptor, name = tempfile.mkstemp(prefix="spool-", dir=self._folder())
        try:
            os.unlink(name)
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
