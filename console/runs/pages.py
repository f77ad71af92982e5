"""Output read back from disk, for a thread that must not wait for it: what was read lately, and a thread that reads.

A page is a block of output on disk, split into lines.
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple, Protocol

#: Bytes of pages that are kept, and what a line costs beside its bytes.
LIMIT = 16 * 1024 * 1024
_LINE_COST = 50
#: What stands for a line that the disk lost, or whose file was removed.
LOST = b"[lost: it cannot be read back from the disk]"
#: Pages that may be waited for; a screen shows fewer.
_WANTED = 256


class PageFile(Protocol):
    """A file of blocks: a spool, or the output of a kept run."""

    def read(self, offset: int, size: int) -> bytes:
        """What stands there, b"" when it is lost; may wait for the disk."""

    def held(self, offset: int, size: int) -> bytes | None:
        """The same while it is in memory still, else None; never waits."""


class Place(NamedTuple):
    """Where a block of `lines` lines stands."""

    file: PageFile
    offset: int
    size: int
    lines: int

    def read(self) -> Sequence[bytes]:
        """Its lines; may wait for the disk."""
        return self.split(self.file.read(self.offset, self.size))

    def split(self, data: bytes) -> Sequence[bytes]:
        """`data` as lines."""
        lines = data.split(b"\n")
        lines.pop()
        if len(lines) < self.lines:  # keep the numbering true
            lines.extend([LOST] * (self.lines - len(lines)))
        return lines


class Pages:
    """What was read, the newest LIMIT bytes of it. The reading thread lives while there is something to read.

    Whoever must not wait calls `find`, shows that it is being read where that gives None, and looks again when
    `version` has grown. What is wanted last is read first. All methods: any thread.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._lock = threading.Lock()  # never held while the disk is waited for
        self._pages: OrderedDict[Place, Sequence[bytes]] = OrderedDict()
        self._size = 0
        self._wanted: dict[Place, None] = {}
        self._reading: Place | None = None
        self._thread: threading.Thread | None = None
        #: The thread (`threading.get_ident()`) that never waits for a disk: the screen's, while there is one.
        self.spared_thread: int | None = None
        #: Grows with every page that was read.
        self.version = 0

    @property
    def spared(self) -> bool:
        """Whether the calling thread must not wait."""
        return self.spared_thread == threading.get_ident()

    def find(self, place: Place, *, want: bool = True) -> Sequence[bytes] | None:
        """A page's lines if they are at hand; else None, and they will be read if they are wanted."""
        with self._lock:
            page = self._pages.get(place)
            if page is not None:
                self._pages.move_to_end(place)
                return page
        held = place.file.held(place.offset, place.size)
        if held is not None:
            page = place.split(held)
            self._keep(place, page)
        elif want:
            self._want(place)
        return page

    def _want(self, place: Place) -> None:
        with self._lock:
            if place == self._reading:
                return
            self._wanted.pop(place, None)
            self._wanted[place] = None
            if len(self._wanted) > _WANTED:
                del self._wanted[next(iter(self._wanted))]
            if self._thread is None:
                self._thread = threading.Thread(target=self._read, name="clusterdeck-pages", daemon=True)
                self._thread.start()

    def drop_wanted(self) -> None:
        """Nothing is wanted any more, but what is asked for anew: rows that are on the screen still."""
        with self._lock:
            self._wanted.clear()

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._wanted.clear()
            self._pages.clear()
            self._size = 0

    def _read(self) -> None:
        while True:
            with self._lock:
                if not self._wanted:
                    self._thread = self._reading = None
                    return
                place, _ = self._wanted.popitem()
                self._reading = place
            try:
                self._keep(place, place.read())
            except Exception:
                # A bug with one page must neither keep the others from being read nor pass unseen.
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))
            self._reading = None
            self.version += 1

    def _keep(self, place: Place, page: Sequence[bytes]) -> None:
        with self._lock:
            if place not in self._pages:
                self._pages[place] = page
                self._size += _cost(place)
            while self._size > self._limit and len(self._pages) > 1:
                self._size -= _cost(self._pages.popitem(last=False)[0])


def _cost(place: Place) -> int:
    return place.size + _LINE_COST * place.lines
