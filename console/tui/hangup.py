"""A last resort for a terminal that has gone: the console ends, even where the screen cannot.

Textual writes through a thread and a short queue. When the terminal vanishes that thread dies of the error, the queue
fills, and whoever paints next (the shutdown included) waits for ever.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable


class HangupWatch:
    """Watches the terminal `fd`; once it has hung up and `patience` seconds have passed, calls `last_resort`.

    As a context manager around the time in which the screen is alive. last_resort is called in the watch's thread and
    should not return. Where `fd` is no terminal, nothing happens.
    """

    def __init__(self, fd: int, patience: float, last_resort: Callable[[], None]) -> None:
        self._fd = fd
        self._patience = patience
        self._last_resort = last_resort
        self._over = threading.Event()
        self._reader, self._writer = os.pipe()
        self._thread = threading.Thread(target=self._watch, name="hangup-watch", daemon=True)

    def _watch(self) -> None:
        poll = select.poll()
        poll.register(self._fd, 0)  # a hang-up is told without being asked for
        poll.register(self._reader, select.POLLIN)
        gone = any(fd == self._fd and event & select.POLLHUP for fd, event in poll.poll())
        if gone and not self._over.wait(self._patience):
            self._last_resort()

    def __enter__(self) -> HangupWatch:
        if os.isatty(self._fd):
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        os.close(self._writer)  # ends the poll
        if self._thread.is_alive():
            self._thread.join()
        os.close(self._reader)
