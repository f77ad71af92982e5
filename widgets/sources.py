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
        self._seen = -1

    @property
    def title(self) -> str:
        total = len(self.run.names)
        return f"all {total} nodes" if self._nodes is None else f"{len(self._nodes)} of {total} nodes"

    @property
    def node(self) -> int | None:
        return None

    def count(self) -> int:
        if self._nodes is None:
            return self.run.merged_count()
        version = self.run.output_version
        if version != self._seen:
            self._seen = version
            last = self.run.merged_count()
            window = self.run.merged(max(0, last - MERGED_WINDOW), last)
            self._picked = [entry for entry in window if entry[0] in self._nodes]
        return len(self._picked)

    def read(self, start: int, stop: int) -> list[tuple[str, OutputLine]]:
        entries = self.run.merged(start, stop) if self._nodes is None else self._picked[start:stop]
        names = self.run.names
        return [(names[node], line) for node, line in entries]
