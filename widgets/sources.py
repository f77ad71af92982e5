"""Where a pane's lines come from: one node, or all nodes in the order of arrival."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .views import OutputLine, RunView

#: With a filter, the merged pane looks through this many of the newest lines.
MERGED_WINDOW = 5_000


class LineSource(Protocol):
    """Lines by number, 0 the oldest that is still at hand."""

    run: RunView

    @property
    def title(self) -> str:
        """Whose lines these are."""

    @property
    def node(self) -> int | None:
        """The node, None for many."""

    @property
    def gone(self) -> int:
        """Lines that stood before number 0 and are not at hand here any more: numbers moved up by so many."""

    @property
    def older(self) -> str:
        """What is missing before number 0, in a few words; empty where nothing is."""

    def count(self) -> int:
        """Lines at hand now."""

    def read(self, start: int, stop: int) -> list[tuple[str, OutputLine]]:
        """Lines with the name to show before each (empty for a single node)."""


class NodeSource:
    """One node's output."""

    def __init__(self, run: RunView, node: int) -> None:
        self.run = run
        self.number = node

    @property
    def title(self) -> str:
        return self.run.names[self.number]

    @property
    def node(self) -> int | None:
        return self.number

    @property
    def gone(self) -> int:
        return 0  # memory, then disk: every line of a node can be scrolled back to

    @property
    def older(self) -> str:
        return ""

    def count(self) -> int:
        return self.run.line_count(self.number)

    def read(self, start: int, stop: int) -> list[tuple[str, OutputLine]]:
        return [("", line) for line in self.run.lines(self.number, start, stop)]


class MergedSource:
    """All nodes' output, or that of some nodes."""

    def __init__(self, run: RunView, nodes: Sequence[int] | None = None) -> None:
        self.run = run
        self._nodes = frozenset(nodes) if nodes is not None else None
        self._picked: list[tuple[int, OutputLine]] = []
        self._picked_gone = 0
        #: Lines of the run, from its first one on, that were looked through for the picked ones, or passed by.
        self._looked = max(0, run.merged_forgotten + run.merged_count() - MERGED_WINDOW)
        self._passed = self._looked > 0
        self._seen = -1

    @property
    def nodes(self) -> frozenset[int] | None:
        """Whose lines these are; None: all nodes'."""
        return self._nodes

    @property
    def title(self) -> str:
        total = len(self.run.names)
        return f"all {total} nodes" if self._nodes is None else f"{len(self._nodes)} of {total} nodes"

    @property
    def node(self) -> int | None:
        return None

    @property
    def gone(self) -> int:
        if self._nodes is None:
            return self.run.merged_forgotten
        self._pick()
        return self._picked_gone

    @property
    def older(self) -> str:
        if self._nodes is None:
            return f"{self.gone:,} older lines only per node" if self.gone else ""
        return "older lines only per node" if self.gone or self._passed else ""

    def count(self) -> int:
        if self._nodes is None:
            return self.run.merged_count()
        self._pick()
        return len(self._picked)

    def _pick(self) -> None:
        """Take in what came since the last look; the newest MERGED_WINDOW lines of these nodes are kept."""
        run = self.run
        version = run.output_version
        if self._nodes is None or version == self._seen:
            return
        self._seen = version
        gone, last = run.merged_forgotten, run.merged_count()
        self._passed |= self._looked < gone
        window = run.merged(max(0, self._looked - gone), last)
        self._looked = gone + last
        self._picked += [entry for entry in window if entry[0] in self._nodes]
        over = max(0, len(self._picked) - MERGED_WINDOW)
        self._picked_gone += over
        del self._picked[:over]

    def read(self, start: int, stop: int) -> list[tuple[str, OutputLine]]:
        entries = self.run.merged(start, stop) if self._nodes is None else self._picked[start:stop]
        names = self.run.names
        return [(names[node], line) for node, line in entries]
