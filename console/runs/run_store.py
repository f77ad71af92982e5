"""All runs of a session, bounded in number and memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from .pages import Pages
from .runs import Run

#: Seconds that whoever needs the runs of earlier sessions, or their numbers, waits for them: a disk may hang.
PATIENCE = 2.0


class RunStore:
    """The runs of this session, oldest first; bounded in number and memory.

    `lock` guards every change of a run and of the store; hold it while reading from another thread than the pump's,
    but not while a disk is read: the pump would wait. `pages`: what was read back from disk.
    """

    def __init__(self, keep: int = 200, memory: int = 256 * 1024 * 1024) -> None:
        self.lock = threading.RLock()
        self.pages = Pages()
        self._runs: dict[int, Run] = {}
        self._keep = keep
        self._memory = memory
        self._closed = False
        self._earlier_read = threading.Event()
        self._earlier_read.set()
        #: Called with each run that is forgotten (its record on disk stays).
        self.on_forget: Callable[[Run], None] | None = None

    def __iter__(self) -> Iterator[Run]:
        with self.lock:
            return iter(list(self._runs.values()))

    def __len__(self) -> int:
        return len(self._runs)

    def get(self, number: int) -> Run | None:
        """The run with this id, or None."""
        return self._runs.get(number)

    def find(self, number: int) -> Run | None:
        """As `get`, but waits a while for runs that are being read; in any thread but the screen's and the pump's."""
        run = self.get(number)
        if run is None and self.reading:
            self.wait_earlier()
            run = self.get(number)
        return run

    @property
    def last(self) -> Run | None:
        """The newest run of this session."""
        with self.lock:
            return next((run for run in reversed(self._runs.values()) if not run.restored), None)

    @property
    def running(self) -> list[Run]:
        """Runs that have not ended, oldest first."""
        with self.lock:
            return [run for run in self._runs.values() if run.ended is None]

    def add(self, run: Run) -> None:
        """Take a run in and forget the oldest ended ones above the bound."""
        with self.lock:
            run.lock = self.lock
            run.output.pages = self.pages
            self._runs[run.id] = run
            surplus = len(self._runs) - self._keep
            if surplus > 0:
                for old in [r for r in self._runs.values() if r.ended is not None and r is not run][:surplus]:
                    self._forget(old)

    # -- runs of earlier sessions, which come while this one goes on

    def expect_earlier(self) -> None:
        """Runs of earlier sessions are being read from now on, until `earlier_read`."""
        self._earlier_read.clear()

    def add_earlier(self, run: Run) -> bool:
        """Take in an older run than all that are here; any thread. False when there is no use for older ones still.

        A number that is taken stays with the younger run.
        """
        with self.lock:
            if self._closed or len(self._runs) >= self._keep:
                return False
            if run.id not in self._runs:
                run.lock = self.lock
                run.output.pages = self.pages
                self._runs = {run.id: run, **self._runs}
            return True

    def earlier_read(self) -> None:
        """All runs of earlier sessions are here."""
        self._earlier_read.set()

    @property
    def reading(self) -> bool:
        """Whether runs of earlier sessions are still being read."""
        return not self._earlier_read.is_set()

    def wait_earlier(self, timeout: float | None = None) -> bool:
        """Wait until runs of earlier sessions are here; False after `timeout` seconds (None: PATIENCE)."""
        return self._earlier_read.wait(PATIENCE if timeout is None else timeout)

    def relieve(self) -> None:
        """Move ended runs' output to disk, oldest first, while all runs together hold too much memory."""
        with self.lock:
            total = sum(run.output.memory for run in self._runs.values())
            for run in self._runs.values():
                if total <= self._memory:
                    return
                if run.ended is not None and run.output.memory:
                    total -= run.output.memory
                    run.release()

    def close(self) -> None:
        """Forget everything."""
        with self.lock:
            self._closed = True
            for run in self._runs.values():
                run.close()
            self._runs.clear()
        self.pages.close()

    def _forget(self, run: Run) -> None:
        del self._runs[run.id]
        if self.on_forget is not None:
            self.on_forget(run)
        run.close()
