"""Numbers become pictures: a heat map over the nodes, a histogram, sparklines over a timer's rounds."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from textual.binding import BindingType

from .actions import bindings
from .cells import Row, safe
from .line_view import LineView
from .look import Look
from .messages import NodeChosen
from .plot import Numbers, Summary, histogram, levels, sparkline, told
from .views import RunView

PICTURES = ("heat map", "histogram", "sparklines")
HEAT_STEPS = 5
#: Symbols beside the colours, so that a heat map can be read without any.
HEAT_MARKS = ".-=+#"
REFRESH_INTERVAL = 0.5
#: Seconds of every tick that may go into looking for numbers.
SLICE = 0.006
ROUNDS = 60


class PlotView(LineView):
    """One picture at a time; space shows the next. `:plot REGEX` picks another number of the answers."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("plot.next", "row.open")
    TITLE_WORD = "plot"
    HELP_TEXT = "Numbers in the answers as pictures. Space shows the next one; :plot REGEX picks the number."

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter name
        super().__init__(id=id)
        self.run: RunView | None = None
        self.rounds: Sequence[RunView] = ()
        self.picture = PICTURES[0]
        self._pattern: re.Pattern[str] | None = None
        self._wanted: Sequence[int] | None = None
        self._values: dict[int, float] = {}
        self._levels: dict[int, int] = {}
        self._lines: list[list[tuple[str, str]]] = []
        self._row_nodes: list[int] = []
        self._past: dict[int, dict[str, float]] = {}
        self._numbers: Numbers | None = None
        self._stale = False
        self._at = 0.0
        self._width = 0

    # -- the model

    def set_run(self, run: RunView | None) -> None:
        """Show another run."""
        if run is not self.run:
            self.run = run
            self._begin()

    def set_filter(self, nodes: Sequence[int] | None) -> None:
        """Show only these node numbers (None: all)."""
        self._wanted = nodes
        self._measure()

    def set_pattern(self, expression: str) -> str:
        """Pick the number by a regular expression ("" for the first one); returns what is wrong with it, or ""."""
        try:
            self._pattern = re.compile(expression) if expression else None
        except re.error as error:
            return str(error)
        self._past.clear()
        self._begin()
        return ""

    def set_rounds(self, rounds: Sequence[RunView]) -> None:
        """The runs of the same timer, oldest first, the shown one among them."""
        self.rounds = rounds[-ROUNDS:]

    def tick(self, now: float) -> None:
        """Look for numbers for a few milliseconds; draw now and then while there are more."""
        numbers = self._numbers
        if numbers is None:
            return
        if numbers.pending:
            numbers.step(time.perf_counter() + SLICE)
            self._stale = True
        drawn = now - self._at >= REFRESH_INTERVAL
        if (self._stale and (drawn or not numbers.pending)) or self.row_width != self._width:
            self._at = now
            self._stale = False
            self._measure()

    def _begin(self) -> None:
        self._numbers = Numbers(self.run, self._pattern) if self.run is not None else None
        if self._numbers is not None:
            self._numbers.step(time.perf_counter() + SLICE)
        self._stale = True
        self._measure()

    def _measure(self) -> None:
        found = self._numbers.values if self._numbers is not None else {}
        wanted = self._wanted
        self._values = dict(found) if wanted is None else {node: found[node] for node in wanted if node in found}
        self._levels = levels(self._values, HEAT_STEPS)
        self._width = self.row_width
        self._draw()
        self.update_rows()

    # -- pictures as rows of (text, role)

    def _draw(self) -> None:
        self._lines = []
        self._row_nodes = []
        run = self.run
        summary = Summary.of(list(self._values.values()))
        if run is None or summary is None:
            return
        self._lines.append(
            [
                (f" {self.picture}  ", "title"),
                (f"{summary.count} of {len(run.names)} nodes  ", "text"),
                (f"min {told(summary.low)}  median {told(summary.median)}  ", "accent"),
                (f"mean {told(summary.mean)}  max {told(summary.high)}", "accent"),
            ]
        )
        self._row_nodes.append(-1)
        {"heat map": self._heat, "histogram": self._bars, "sparklines": self._sparks}[self.picture](run, summary)

    def _heat(self, run: RunView, summary: Summary) -> None:
        legend = [(f" {mark} ", f"heat-{step}") for step, mark in enumerate(HEAT_MARKS)]
        self._add([(f" {told(summary.low)} ", "quiet"), *legend, (f" {told(summary.high)}", "quiet")])
        nodes = sorted(self._values)
        name_width = min(16, max((len(run.names[node]) for node in nodes), default=4))
        cell = name_width + 11
        columns = max(1, (max(20, self._width) - 1) // cell)
        if len(nodes) > 600:  # a cell per node, names only in the row's beginning
            columns = max(1, max(20, self._width) - name_width - 2)
            for start in range(0, len(nodes), columns):
                part = nodes[start : start + columns]
                head = f" {run.names[part[0]][:name_width].ljust(name_width)} "
                self._add(
                    [(head, "quiet"), *((HEAT_MARKS[self._levels[n]], f"heat-{self._levels[n]}") for n in part)],
                    part[0],
                )
            return
        for start in range(0, len(nodes), columns):
            pieces: list[tuple[str, str]] = []
            for node in nodes[start : start + columns]:
                step = self._levels[node]
                name = safe(run.names[node])[:name_width].ljust(name_width)
                pieces.append((f"  {HEAT_MARKS[step]}", f"heat-{step}"))
                pieces.append((f" {name}", "text"))
                pieces.append((told(self._values[node])[:6].rjust(7), f"heat-{step}"))
            self._add(pieces, nodes[start])

    def _bars(self, _run: RunView, _summary: Summary) -> None:
        bins = histogram(list(self._values.values()), 12)
        most = max(count for _, _, count in bins)
        room = max(10, self._width - 34)
        for number, (low, high, count) in enumerate(bins):
            step = number * HEAT_STEPS // max(1, len(bins))
            bar = "#" * max(1 if count else 0, count * room // most)
            self._add(
                [(f" {told(low):>10} .. {told(high):<10} ", "quiet"), (bar, f"heat-{step}"), (f" {count}", "text")]
            )

    def _sparks(self, run: RunView, _summary: Summary) -> None:
        if len(self.rounds) < 2:
            self._add([(" One round so far: sparklines need a timer, such as  :timer 10s cat /proc/loadavg", "quiet")])
            return
        for past in self.rounds:
            if past.id not in self._past or past.ended is None:
                numbers = Numbers(past, self._pattern)
                numbers.step(math.inf)
                self._past[past.id] = {past.names[node]: value for node, value in numbers.values.items()}
        for node in sorted(self._values):
            name = run.names[node]
            series = [self._past[past.id].get(name) for past in self.rounds]
            text = f" {safe(name)[:20].ljust(20)} "
            self._add([(text, "text"), (sparkline(series), "accent"), (f"  {told(self._values[node])}", "title")], node)

    def _add(self, pieces: list[tuple[str, str]], node: int = -1) -> None:
        self._lines.append(pieces)
        self._row_nodes.append(node)

    # -- painting and keys

    def row_count(self) -> int:
        return len(self._lines)

    def empty_text(self) -> list[str]:
        if self.run is None or not self.run.lines_total:
            return ["No numbers yet.", "Run something that answers with one, such as  cat /proc/loadavg"]
        return ["No numbers in these answers.", "Type  :plot REGEX  to pick one; the first group counts."]

    def paint(self, row: int, line: Row, look: Look) -> None:
        for text, role in self._lines[row]:
            line.add(text, look[role])

    def row_style(self, row: int, look: Look) -> Style | None:
        return None

    def row_text(self, row: int) -> str:
        return "".join(text for text, _ in self._lines[row]).rstrip()

    def activate(self, row: int) -> None:
        if self._row_nodes[row] >= 0:
            self.post_message(NodeChosen(self._row_nodes[row]))

    def action_next_picture(self) -> None:
        self.picture = PICTURES[(PICTURES.index(self.picture) + 1) % len(PICTURES)]
        self.cursor_row = 0
        self._draw()
        self.update_rows()
