"""The line that says how far a batch run has come."""

from __future__ import annotations

import time

from ...engine.states import NodeState
from ..runs.runs import Run
from .writer import Writer

#: Seconds between two lines.
_EVERY = 0.1


class ProgressLine:
    """shown: whether there is one at all; the pump's."""

    def __init__(self, writer: Writer, *, shown: bool) -> None:
        self._writer = writer
        self.is_shown = shown
        self._due = 0.0

    def show(self, run: Run) -> None:
        """Write it anew, some times a second."""
        now = time.monotonic()
        if not self.is_shown or now < self._due or run.ended is not None:
            return
        self._due = now + _EVERY
        over = len(run.names) - sum(run.count(state) for state in NodeState if not state.finished)
        bad = over - run.count(NodeState.OK)
        done, total = run.transferred()
        copied = f" {done * 100 // total}%" if total else ""
        self._writer.progress(f"{over}/{len(run.names)}{copied}" + (f" ({bad} bad)" if bad else ""))

    def clear(self) -> None:
        """Take it away."""
        if self.is_shown:
            self._writer.progress("")
