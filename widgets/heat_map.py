"""The heat map's places: which cell of which row is which node's, how it is painted, and what a click hits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.style import Style

from .cells import Row
from .look import Look
from .plot import edges_told, heat_edges, levels, told

#: A mark per step beside its colour, so that a heat map can be read without any.
HEAT_MARKS = "\u2581\u2583\u2584\u2586\u2588"
HEAT_STEPS = len(HEAT_MARKS)
#: Cells of a node's mark and value beside its name.
BESIDE_NAME = 12

Pieces = list[tuple[str, str]]


class HeatMap:
    """Nodes in rows: with name and number where there is room, else a mark each, ten together.

    names: of all nodes. nodes: the numbers of those that have a place, in order. values: number of a node -> its
    number, for those that gave one. size: columns and rows of the view, in cells. name_width: cells of a name.
    """

    def __init__(
        self,
        names: Sequence[str],
        nodes: Sequence[int],
        values: Mapping[int, float],
        size: tuple[int, int],
        name_width: int,
    ) -> None:
        self._names = names
        self._values = values
        self._name_width = name_width
        self._edges = heat_edges(list(values.values()), HEAT_STEPS)
        self._levels = levels(values, self._edges)
        width, height = size
        columns = max(1, (max(20, width) - 1) // (name_width + BESIDE_NAME))
        self.dense = -(-len(nodes) // columns) > max(20, 2 * height)
        if self.dense:
            tens = (max(20, width) - name_width - 3) // 11
            columns = max(10, tens * 10)
        self.rows = [nodes[start : start + columns] for start in range(0, len(nodes), columns)]

    def legend(self) -> Pieces:
        """What the marks stand for, from the lowest number to the highest."""
        edges = self._edges
        if len(edges) < 2:
            return [(f"all {told(edges[0])}", "quiet")] if edges else []
        *texts, last = edges_told([*edges, max(self._values.values())])
        pieces: Pieces = []
        for level, text in enumerate(texts):
            step = self._step(level)
            pieces += [(f"  {HEAT_MARKS[step]}", f"heat-{step}"), (f" {text}+", "quiet")]
        return [*pieces, (f"  to {last}", "quiet")]

    def _step(self, level: int) -> int:
        """The mark of a level: fewer levels than marks are spread over them."""
        return level * (HEAT_STEPS - 1) // max(1, len(self._edges) - 1)

    def column_at(self, x: int) -> int:
        """The place in its row of what stands in the view's column `x`."""
        if not self.dense:
            return x // (self._name_width + BESIDE_NAME)
        at = x - self._name_width - 1
        return max(0, at - 1 - at // 11)

    def paint(self, row: int, here: int, line: Row, look: Look) -> None:
        """Add a row to `line`. here: the cursor's place in it, below 0 if it is elsewhere."""
        nodes = self.rows[row]
        here = min(here, len(nodes) - 1)
        if self.dense:
            line.add(" ").name(self._names[nodes[0]], self._name_width, look.quiet)
            self._paint_marks(nodes, here, line, look)
            return
        for column, node in enumerate(nodes):
            mark, style = self._mark(node, look)
            line.add("  ").add(mark, style).add(" ")
            line.name(self._names[node], self._name_width, look["current-match"] if column == here else look.text)
            value = self._values.get(node)
            line.column("-" if value is None else told(value), BESIDE_NAME - 4, style, right=True)

    def _mark(self, node: int, look: Look) -> tuple[str, Style]:
        level = self._levels.get(node)
        if level is None:
            return "\N{MIDDLE DOT}", look.quiet
        step = self._step(level)
        return HEAT_MARKS[step], look[f"heat-{step}"]

    def _paint_marks(self, nodes: Sequence[int], here: int, line: Row, look: Look) -> None:
        """A mark per node, ten together; neighbours of one style are painted in one go."""
        text, style = "", look.text
        for column, node in enumerate(nodes):
            mark, own = self._mark(node, look)
            if not column % 10:
                text += " "
            if column == here:
                own = look["current-match"]
            if own is not style:
                line.add(text, style)
                text, style = "", own
            text += mark
        line.add(text, style)
