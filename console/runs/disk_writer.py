"""Writes to disk in a thread of their own, in order: a disk that hangs holds up neither the screen nor the engine."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable


class DiskWriter:
    """Does jobs one after the other in one thread, which starts with the first. All methods: any thread.

    A job answers for its own errors. Its `size` (bytes) is told to `taken` when it is queued and to `done` when it is
    over, which is how whoever fills the queue can be held back.
    """

    def __init__(
        self,
        name: str,
        taken: Callable[[int], None] = lambda _size: None,
        done: Callable[[int], None] = lambda _size: None,
    ) -> None:
        self._name = name
        self._taken = taken
        self._done = done
        self._jobs: deque[tuple[Callable[[], None], int]] = deque()
        self._changed = threading.Condition()
        self._finished = 0
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, job: Callable[[], None], size: int = 0) -> None:
        """Have a job done; never waits. After `close` it is done at once, by the caller."""
        self._taken(size)
        with self._changed:
            late = self._closed and self._thread is None
            if not late:
                self._jobs.append((job, size))
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                    self._thread.start()
                self._changed.notify_all()
        if late:
            job()
            self._done(size)

    @property
    def waiting(self) -> int:
        """Jobs that are not over."""
        return len(self._jobs)

    def call(self, job: Callable[[], None]) -> None:
        """Have a job done after all that are queued, and wait for it; raises what the job raised."""
        over = threading.Event()
        raised: list[BaseException] = []

        def work() -> None:
            try:
                job()
            except BaseException as error:
                raised.append(error)
            finally:
                over.set()

        self.submit(work)
        over.wait()
        if raised:
            raise raised[0]

    def close(self, patience: float = 5.0) -> int:
        """Let what is queued be done; returns how many jobs were not. Idempotent.

        Waits for as long as it takes, but gives up when no job has ended for `patience` seconds: the disk hangs.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
            while self._thread is not None:
                if not self._moved(self._finished, patience):
                    return len(self._jobs)
        if thread is not None:
            thread.join(patience)
        return 0

    def _moved(self, before: int, patience: float) -> bool:
        """Wait for the next job's end, or for the end of all."""
        return self._changed.wait_for(lambda: self._thread is None or self._finished != before, patience)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._closed)
                if not self._jobs:
                    self._thread = None
                    self._changed.notify_all()
                    return
                job, size = self._jobs[0]
            try:
                job()
            except Exception:
                # A bug in one job must neither end the others nor pass unseen.
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))
            self._done(size)
            with self._changed:
                # It stays in the queue while it is done, so that `close` counts it.
                self._jobs.popleft()
                self._finished += 1
                self._changed.notify_all()
