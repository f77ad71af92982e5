"""What a timer's round answered otherwise than the round before it. Pure; no screen."""

from __future__ import annotations

from collections.abc import Collection

from .cells import safe
from .views import RunView

#: So many nodes are marked however few there are.
FEW = 4
#: A node's answer is compared line by line up to here.
COMPARED_LINES = 1_000
#: Answers whose lines are remembered: those on the screen, and some more.
_REMEMBERED = 64


class Since:
    """before: the round before. nodes: numbers of the shown run whose end or answer is another.

    marked: those of them that are marked; none where most changed (a clock, a load): that is no news of any node.
    """

    def __init__(self, before: RunView, run: RunView, nodes: Collection[int]) -> None:
        self.before = before
        self.nodes = frozenset(nodes)
        self.marked = self.nodes if len(self.nodes) <= max(FEW, len(run.names) // 2) else frozenset()
        self._run = run
        self._places = {name: number for number, name in enumerate(before.names)}
        self._numbers = {run.names[number]: number for number in self.marked}
        self._known: dict[int, frozenset[str]] = {}

    def number(self, name: str) -> int:
        """The number of a marked node, -1 for any other."""
        return self._numbers.get(name, -1)

    def is_new(self, node: int, text: str) -> bool:
        """Whether a marked node did not say this line in the round before."""
        if node not in self.marked:
            return False
        known = self._known.get(node)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            place = self._places.get(self._run.names[node])
            lines = self.before.lines(place, 0, COMPARED_LINES) if place is not None else []
            if not all(line.here for line in lines):
                return False  # being read from the disk; asked again when it is there
            known = self._known[node] = frozenset(safe(line.text) for line in lines)
        return safe(text) not in known
