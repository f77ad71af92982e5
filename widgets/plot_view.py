"""Numbers become pictures: a heat map over the nodes, a histogram, sparklines over a timer's rounds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import BindingType

from ..engine.patterns import BoundedPattern, compile_pattern
from .actions import bindings
from .board import name_width
from .cells import BAR, Row
from .heat_map import BESIDE_NAME, HEAT_STEPS, HeatMap, Pieces
from .line_view import LineView
from .look import Look
from .messages import NodeChosen
from .numbers import Numbers, Series
from .plot import Summary, edges_told, histogram, sparkline, told
from .views import RunView

PICTURES = ("heat map", "histogram", "sparklines")
REFRESH_INTERVAL = 0.5
#: Seconds of every tick that may go into looking for numbers.
SLICE = 0.006
ROUNDS = 60
BINS = 12
_NAME_LIMIT = 20


class PlotView(LineView):
    """One picture at a time; space shows the next. `:plot REGEX` picks another number of the answers."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("plot.next", "row.open")
    TITLE_WORD = "plot"
    HELP_TEXT = "Numbers in the answers as pictures. Space shows the next one; :plot REGEX picks the number."

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter name
        super().__init__(id=id)
        self.run: RunView | None = None
        self.picture = PICTURES[0]
        #: Numbers of the round before, while a new one goes on.
        self._earlier: dict[int, float] = {}
        self._rounds: Sequence[RunView] = ()
        self._pattern: BoundedPattern | None = None
        self._wanted: Sequence[int] | None = None
        self._values: dict[int, float] = {}
        self._lines: list[Pieces] = []
        #: Nodes of the rows below the first lines; a row of a heat map has many.
        self._cells: list[Sequence[int]] = []
        self._cell = 0
        self._map: HeatMap | None = None
        self._name_width = 0
        self._series = Series()
        self._numbers: Numbers | None = None
        self._stale = False
        self._at = 0.0
        self._width = 0

    # -- the model

    def set_run(self, run: RunView | None) -> None:
        """Show another run."""
        if run is not self.run:
            # A round begins without numbers: those of the round before stand until the nodes have answered.
            same = run is not None and self.run is not None and any(one is self.run for one in self._rounds)
            self._earlier = dict(self._values) if same and run and self.run and run.names == self.run.names else {}
            self.run = run
            self._begin()

    def set_filter(self, nodes: Sequence[int] | None) -> None:
        """Show only these node numbers (None: all)."""
        self._wanted = nodes
        self._measure()

    def set_pattern(self, expression: str) -> str:
        """Pick the number by a regular expression ("" for the first one); returns what is wrong with it, or ""."""
        try:
            self._pattern = compile_pattern(expression) if expression else None
        except ValueError as error:
            return str(error)
        self._series = Series(self._pattern)
        self._earlier = {}
        self._begin()
        return ""

    def set_rounds(self, rounds: Sequence[RunView]) -> None:
        """The runs of the same timer, oldest first, the shown one among them."""
        self._rounds = rounds[-ROUNDS:]
        if self.run is not None:
            self._series.set_rounds(self._rounds, self.run.names)

    def tick(self, now: float) -> None:
        """Look for numbers for a few milliseconds; draw now and then while there are more."""
        numbers = self._numbers
        if numbers is None:
            return
        until = time.perf_counter() + SLICE
        looking = numbers.pending
        if self._earlier and not looking and self.run is not None and self.run.ended is not None:
            self._earlier = {}
            self._stale = True
        if looking:
            numbers.step(until)
        elif self.picture == "sparklines" and self._series.step(until):
            looking = True
        self._stale |= looking
        if (self._stale and (now - self._at >= REFRESH_INTERVAL or not looking)) or self.row_width != self._width:
            self._at = now
            self._stale = looking
            self._measure()

    def _begin(self) -> None:
        if self._numbers is not None:
            self._numbers.dropped = True
        self._numbers = Numbers(self.run, self._pattern) if self.run is not None else None
        if self._numbers is not None:
            self._numbers.step(time.perf_counter() + SLICE)
        self._stale = True
        self._measure()

    def _measure(self) -> None:
        found = self._numbers.values if self._numbers is not None else {}
        wanted = self._wanted
        found = {**self._earlier, **found}
        self._values = found if wanted is None else {node: found[node] for node in wanted if node in found}
        self._width = self.row_width
        self._draw()
        self.update_rows()

    # -- pictures: lines of (text, role), and below them rows of nodes

    def _draw(self) -> None:
        self._lines = []
        self._cells = []
        run = self.run
        summary = Summary.of(list(self._values.values()))
        if run is None or summary is None:
            return
        self._name_width = min(_NAME_LIMIT, name_width(run.names, 4))
        lowest, highest = (pick(self._values, key=self._values.__getitem__) for pick in (min, max))
        of_all = "" if summary.count == len(run.names) else f"of {len(run.names)} "
        facts = [
            ("min", summary.low, run.names[lowest]),
            ("max", summary.high, run.names[highest]),
            ("median", summary.median, ""),
            ("mean", summary.mean, ""),
        ]
        first = [(f" {self.picture} ", "title"), (f" {summary.count} {of_all}nodes ", "text")]
        for word, value, name in facts:
            first += [(f" {word} ", "quiet"), (f"{told(value)} ", "accent"), (f"{name} " if name else "", "text")]
        self._lines.append(first)
        {"heat map": self._heat, "histogram": self._bars, "sparklines": self._sparks}[self.picture](run, summary)
        if self._cells:
            self.cursor_row = max(self.cursor_row, len(self._lines))

    def _heat(self, run: RunView, _summary: Summary) -> None:
        """Every node in its place, whether it gave a number or not, so that rounds can be compared at a glance."""
        nodes = range(len(run.names)) if self._wanted is None else self._wanted
        self._map = HeatMap(run.names, nodes, self._values, (self._width, self.size.height), self._name_width)
        self._lines.append(self._map.legend())
        self._cells = self._map.rows

    def _bars(self, _run: RunView, _summary: Summary) -> None:
        bins = histogram(list(self._values.values()), BINS)
        most = max(count for _, _, count in bins)
        edges = edges_told([*(low for low, _, _ in bins), bins[-1][1]])
        cells = max(map(len, edges))
        digits = len(str(most))
        room = max(10, self._width - 2 * cells - digits - 9)
        for number, (_low, _high, count) in enumerate(bins):
            step = number * HEAT_STEPS // len(bins)
            bar = BAR * max(1 if count else 0, count * room // most)
            between = f" {edges[number]:>{cells}} .. {edges[number + 1]:>{cells}} "
            self._lines.append([(between, "quiet"), (f" {count:>{digits}} ", "text"), (bar, f"heat-{step}")])

    def _sparks(self, run: RunView, _summary: Summary) -> None:
        if len(self._rounds) < 2:
            self._lines.append(
                [(" One round so far: sparklines need a timer, such as  :timer 10s cat /proc/loadavg", "quiet")]
            )
            return
        self._lines.append(
            [(f" {len(self._rounds)} rounds, each node on its own scale: last, lowest .. highest", "quiet")]
        )
        self._cells = [(node,) for node in sorted(self._values)]

    def _spark_row(self, node: int, line: Row, look: Look) -> None:
        series = self._series.of(node)
        known = [value for value in series if value is not None]
        room = max(8, line.left - self._name_width - 36)
        line.add(" ").name(self.run.names[node] if self.run is not None else "", self._name_width, look.text).add(" ")
        line.add(sparkline(series[-room:]), look["accent"]).add(
            " " * (min(room, len(self._rounds)) - len(series[-room:]))
        )
        line.column(told(self._values[node]), 11, look["title"], right=True)
        if known:
            line.column(told(min(known)), 11, look.quiet, right=True).add(" .. ", look.quiet).add(
                told(max(known)), look.quiet
            )

    # -- painting and keys

    def row_count(self) -> int:
        return len(self._lines) + len(self._cells)

    def empty_text(self) -> list[str]:
        if self.run is None or not self.run.lines_total:
            return ["No numbers yet.", "Run something that answers with one, such as  cat /proc/loadavg"]
        return ["No numbers in these answers.", "Type  :plot REGEX  to pick one; the first group counts."]

    def paint(self, row: int, line: Row, look: Look) -> None:
        below = row - len(self._lines)
        if below < 0:
            if row == 1 and self.picture == "heat map":
                line.add(" ").column(self._told_cell(), self._name_width + BESIDE_NAME, look["title"]).add(" ")
            for text, role in self._lines[row]:
                line.add(text, look[role])
        elif self.picture == "heat map" and self._map is not None:
            self._map.paint(below, self._cell if row == self.cursor_row and self.has_focus else -1, line, look)
        else:
            self._spark_row(self._cells[below][0], line, look)

    def _told_cell(self) -> str:
        """Name and number of the node under the cursor."""
        node = self._current()
        if node is None or self.run is None:
            return ""
        value = self._values.get(node)
        return f"{self.run.names[node]}: {'no number' if value is None else told(value)}"

    def row_style(self, row: int, look: Look) -> Style | None:
        return super().row_style(row, look) if self.picture == "sparklines" and row >= len(self._lines) else None

    def row_text(self, row: int) -> str:
        below = row - len(self._lines)
        if below < 0 or self.run is None:
            return "".join(text for text, _ in self._lines[row]).rstrip()
        names, values = self.run.names, self._values
        told_ones = (f"{names[node]} {told(values[node])}" for node in self._cells[below] if node in values)
        return "  ".join(told_ones)

    def _current(self) -> int | None:
        below = self.cursor_row - len(self._lines)
        if not 0 <= below < len(self._cells):
            return None
        nodes = self._cells[below]
        return nodes[min(self._cell, len(nodes) - 1)]

    def activate(self, row: int) -> None:
        if (node := self._current()) is not None:
            self.post_message(NodeChosen(node))

    def action_shift(self, cells: int) -> None:
        """To the next node of the row."""
        most = max((len(nodes) for nodes in self._cells), default=1)
        self._cell = max(0, min(most - 1, self._cell + (1 if cells > 0 else -1)))
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        if self.picture == "heat map" and self._map is not None:
            self._cell = self._map.column_at(event.x)
        super().on_click(event)

    def action_next_picture(self) -> None:
        self.picture = PICTURES[(PICTURES.index(self.picture) + 1) % len(PICTURES)]
        self.cursor_row = self._cell = 0
        self._stale = True
        self._draw()
        self.update_rows()
