"""What the shown round of a timer answered otherwise than the round before it."""

from __future__ import annotations

from collections.abc import Iterable

from ...engine.states import NodeState
from ...widgets.since import Since
from ..runs.changes import changed_nodes
from ..runs.runs import Run

#: Seconds between two comparisons while the round goes on: ten thousand nodes cost some milliseconds.
INTERVAL = 1.0


class Rounds:
    """Compares the shown run with the round before it, now and then. UI thread only."""

    def __init__(self) -> None:
        self._seen: tuple[object, ...] = ()
        self._at = 0.0
        self._since: Since | None = None

    def since(self, run: Run | None, runs: Iterable[Run], now: float) -> Since | None:
        """What changed; None where there is no round before. runs: all runs, oldest first."""
        if run is None or run.timer is None:
            return None
        seen = (run, run.version, run.output_version)
        same = bool(self._seen) and self._seen[0] is run
        if seen == self._seen or (same and run.ended is None and now - self._at < INTERVAL):
            return self._since
        earlier = [one for one in runs if one.timer == run.timer and one.id < run.id and one.ended is not None]
        self._seen, self._at = seen, now
        self._since = self._compared(earlier[-1], run) if earlier else None
        return self._since

    @staticmethod
    def _compared(before: Run, run: Run) -> Since:
        # Who has not ended has not changed yet.
        return Since(before, run, [n for n in changed_nodes(before, run) if run.states[n] > NodeState.RUNNING])
