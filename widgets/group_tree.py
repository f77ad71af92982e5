"""Nodes under the groups they are in: rows of headings and nodes, and which groups are folded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..engine.states import NodeState
from .board import IDLE, Board, ordered
from .cells import Row
from .look import Look

#: The name of what is left when all groups are taken away.
REST = "in no group"


@dataclass(frozen=True, slots=True)
class Heading:
    """A group with those of its nodes that are shown, in order."""

    name: str
    members: Sequence[int]


class GroupTree:
    """Rows of one arrangement; a node of several groups stands under each. Folded groups stay so in the next one."""

    def __init__(self) -> None:
        self._headings: list[Heading] = []
        self._folded: set[str] = set()

    def arrange(
        self, board: Board, nodes: Iterable[int], groups: Mapping[str, Sequence[str]], order: str, now: float
    ) -> list[int]:
        """The rows: a node's number, or below 0 for a heading (see `heading`)."""
        left = set(nodes)
        index = board.index
        parts = {name: [index[member] for member in members if member in index] for name, members in groups.items()}
        grouped = {node for members in parts.values() for node in members}
        parts[REST] = sorted(left - grouped)
        rows: list[int] = []
        self._headings = []
        for name, members in parts.items():
            inside = ordered(board, [node for node in members if node in left], order, now)
            if inside:
                self._headings.append(Heading(name, inside))
                rows.append(-len(self._headings))
                rows.extend(() if name in self._folded else inside)
        return rows

    def heading(self, row: int) -> Heading:
        """The heading that a row below 0 stands for."""
        return self._headings[-1 - row]

    @property
    def nodes(self) -> list[int]:
        """All nodes of the arrangement, each once, those of folded groups too."""
        return list(dict.fromkeys(node for heading in self._headings for node in heading.members))

    def toggle(self, row: int) -> None:
        """Fold a group, or unfold it; seen in the next arrangement."""
        self._folded ^= {self.heading(row).name}

    def paint(self, row: int, board: Board, line: Row, look: Look) -> None:
        """Add a heading to `line`: its name, how many nodes, and how many of them are in which state of trouble."""
        heading = self.heading(row)
        line.add(
            f"{'+' if heading.name in self._folded else '-'} {heading.name} ({len(heading.members)})", look["title"]
        )
        states = board.states
        found = Counter(states[node] for node in heading.members)
        for value, count in sorted(found.items(), reverse=True):
            if value != IDLE and NodeState(value).bad:
                line.add(f"  {NodeState(value).symbol}{count}", look.state(value))
