"""Our standard input, read in a thread of its own and given to every node of a run."""

from __future__ import annotations

import os
import sys
import threading

from ..runs.runs import Run
from ..session.session import Session

#: Bytes of one read.
_PIECE = 65536


def is_given() -> bool:
    """Whether standard input has anything for the nodes: not from a terminal, not where there is none."""
    return sys.stdin is not None and not sys.stdin.closed and not sys.stdin.isatty()


def feed(session: Session, run: Run) -> None:
    """Give what it says to every node, at the pace of the slowest; returns at once."""
    arguments = (session, run, sys.stdin.fileno())
    threading.Thread(target=_read, args=arguments, name="stdin", daemon=True).start()


def _read(session: Session, run: Run, descriptor: int) -> None:
    taken = threading.Event()
    while not run.done.is_set():
        try:
            data = os.read(descriptor, _PIECE)
        except OSError:
            data = b""
        taken.clear()
        session.feed(run.id, data or None, taken.set)
        if not data:
            return
        taken.wait()  # the nodes are behind, or the run is over
