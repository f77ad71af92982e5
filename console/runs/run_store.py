"""All runs of a session, bounded in number and memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from .pages import Pages
from .runs import Run


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
            for run in self._runs.values():
                run.close()
            self._runs.clear()
        self.pages.close()

    def _forget(self, run: Run) -> None:
        del self._runs[run.id]
        if self.on_forget is not None:
            self.on_forget(run)
        run.close()
