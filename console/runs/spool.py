"""Output that does not fit in memory goes to a nameless file on disk, up to a quota."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


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
    """

    def __init__(
        self,
        folder: Callable[[], Path],
        quota: int,
        budget: SpoolBudget,
        on_error: Callable[[OSError], None] | None = None,
    ) -> None:
        self._folder = folder
        self._quota = quota
        self._budget = budget
        self._on_error = on_error
        self._descriptor = -1
        self._failed = False
        self.size = 0

    def append(self, data: bytes | bytearray) -> int | None:
        """Write `data` at the end and return its offset; None when the quota or the disk is full."""
        size = len(data)
        if self._failed or self.size + size > self._quota or not self._budget.take(size):
            return None
        offset = self.size
        try:
            if self._descriptor < 0:
                self._open()
            view = memoryview(data)
            done = 0
            while done < size:
                done += os.pwrite(self._descriptor, view[done:], offset + done)
        except OSError as error:
            self._failed = True
            self._budget.give_back(size)
            if self._on_error is not None:
                self._on_error(error)
            return None
        self.size += size
        return offset

    def read(self, offset: int, size: int) -> bytes:
        """What was written there; short or empty if the disk lost it."""
        if self._descriptor < 0:
            return b""
        pieces: list[bytes] = []
        while size > 0:
            piece = os.pread(self._descriptor, size, offset)
            if not piece:
                break
            pieces.append(piece)
            offset += len(piece)
            size -= len(piece)
        return b"".join(pieces)

    def close(self) -> None:
        """Give the file and its share of the budget back; idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._budget.give_back(self.size)
        self.size = 0
        self._failed = True

    def _open(self) -> None:
        descriptor, name = tempfile.mkstemp(prefix="spool-", dir=self._folder())
        try:
            os.unlink(name)
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
