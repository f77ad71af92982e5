"""Equal answers folded together, live while the run goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import ClassVar

from textual.binding import BindingType

from ..engine.states import NodeState
from .actions import bindings
from .answers import AnswerRows, Place, blocks_of
from .cells import Row, safe
from .line_view import LineView
from .look import Look
from .messages import NodeChosen, NodesSelected, SearchOpened
from .views import RunView

#: Seconds between two regroupings while a run goes on.
REGROUP_INTERVAL = 0.25
#: Grouping takes at most one part in this many of the time, however many different answers there are.
GROUPING_SHARE = 15.0
_LINES_PER_READ = 500


class GatherView(LineView):
    """Groups of nodes with the same answer, largest first or rarest first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("row.open", "gather.outliers", "gather.members", "gather.select", "row.search", "row.match"),
        *bindings("row.match-back", "row.left", "row.right"),
    ]
    TITLE_WORD = "gathered"
    HELP_TEXT = "Nodes that answered the same stand together. Enter unfolds an answer, m lists its nodes."

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter name
        super().__init__(id=id)
        self.run: RunView | None = None
        self.outliers = False
        self._wanted: frozenset[int] | None = None
        self._opened: set[int] = set()
        self._with_members: set[int] = set()
        self._answers = AnswerRows(())
        self._seen = (-1, -1)
        self._grouped_at = 0.0
        self._cost = 0.0
        self._shift = 0

    # -- the model

    def set_run(self, run: RunView | None) -> None:
        """Show another run."""
        if run is not self.run:
            self.run = run
            self._opened.clear()
            self._with_members.clear()
            self.cursor_row = 0
            self._regroup()

    def set_filter(self, nodes: Sequence[int] | None) -> None:
        """Count only these node numbers (None: all)."""
        self._wanted = frozenset(nodes) if nodes is not None else None
        self._regroup()

    def tick(self, now: float) -> None:
        """Group anew if output came, not more often than can be read."""
        if self.run is None:
            return
        seen = (self.run.output_version, self.run.version)
        if seen != self._seen and now - self._grouped_at >= max(REGROUP_INTERVAL, GROUPING_SHARE * self._cost):
            self._grouped_at = now
            begun = time.perf_counter()
            self._regroup()
            self._cost = time.perf_counter() - begun

    def _regroup(self) -> None:
        run = self.run
        if run is None:
            self._answers = AnswerRows(())
        else:
            self._seen = (run.output_version, run.version)
            blocks = blocks_of(
                run.groups(), self._wanted, run.fold, self._opened, self._with_members, outliers=self.outliers
            )
            self._answers = AnswerRows(blocks)
        self.update_rows()

    def row_count(self) -> int:
        return self._answers.total

    def empty_text(self) -> list[str]:
        if self.run is None:
            return ["No answers yet.", "Type a command below: equal answers of many nodes fold into one here."]
        return ["No answers yet." if self.run.ended is None else "No node answered. 3 shows what failed."]

    # -- painting

    def paint(self, row: int, line: Row, look: Look) -> None:
        place = self._answers.place(row)
        run = self.run
        if run is None:
            return
        if place.kind == "heading":
            self._paint_heading(place, run, line, look)
        elif place.kind == "member":
            node = place.block.members[place.number]
            line.add("    ").add(_symbol(run, node), look.state(run.states[node])).add(
                f" {run.names[node]}", look["title"]
            )
        elif place.kind == "line":
            output = place.block.group.lines(place.number, place.number + 1)
            if output:
                style = look["stderr"] if output[0].stream == "stderr" else look.text
                hit = look["current-match"] if row == self.cursor_row else look["match"]
                line.add("  ")
                for piece in self.search.pieces(safe(output[0].text)[self._shift :], style, hit):
                    line.add(piece.text, piece.style)
        elif place.kind == "more":
            line.add(f"  \N{HORIZONTAL ELLIPSIS} {place.number} more lines, Enter unfolds them", look.quiet)

    def _paint_heading(self, place: Place, run: RunView, line: Row, look: Look) -> None:
        members = place.block.members
        state = run.states[members[0]]
        count = f"({len(members)})"
        share = f" {len(members) * 100 // max(1, len(run.names))}% "
        line.add(_symbol(run, members[0]), look.state(state)).add(" ")
        room = max(8, line.left - len(count) - len(share) - 4)
        folded = safe(place.block.folded)
        line.add(folded if len(folded) <= room else folded[: room - 1] + "\N{HORIZONTAL ELLIPSIS}", look["title"])
        line.add(f" {count} ", look["accent"])
        line.add("\N{BOX DRAWINGS LIGHT HORIZONTAL}" * max(0, line.left - len(share)), look["rule"])
        line.add(share, look.quiet)

    def row_text(self, row: int) -> str:
        place = self._answers.place(row)
        if place.kind == "heading":
            return f"{safe(place.block.folded)} ({len(place.block.members)})"
        if place.kind == "line":
            output = place.block.group.lines(place.number, place.number + 1)
            return "  " + safe(output[0].text) if output else ""
        if place.kind == "member" and self.run is not None:
            return self.run.names[place.block.members[place.number]]
        return ""

    def all_text(self) -> Iterator[str]:
        """Every answer in full, folded or not."""
        for block in self._answers.blocks:
            yield f"--- {safe(block.folded)} ({len(block.members)})"
            count = block.group.line_count
            for start in range(0, count, _LINES_PER_READ):
                lines = block.group.lines(start, min(count, start + _LINES_PER_READ))
                yield from (safe(line.text) for line in lines)

    # -- keys

    @property
    def block_count(self) -> int:
        """How many groups are shown."""
        return len(self._answers.blocks)

    def activate(self, row: int) -> None:
        place = self._answers.place(row)
        if place.kind == "member":
            self.post_message(NodeChosen(place.block.members[place.number]))
        else:
            self._toggle(self._opened, row)

    def action_members(self) -> None:
        if self._answers.total:
            self._toggle(self._with_members, self.cursor_row)

    def _toggle(self, which: set[int], row: int) -> None:
        number = self._answers.block_at(row)
        which ^= {self._answers.blocks[number].group.members[0]}
        self._regroup()
        self.move_cursor(self._answers.start_of(number) if number < len(self._answers.blocks) else 0)

    def action_outliers(self) -> None:
        self.outliers = not self.outliers
        self._regroup()
        self.move_cursor(0)

    def action_select(self) -> None:
        if self._answers.total and self.run is not None:
            members = self._answers.place(self.cursor_row).block.members
            self.post_message(NodesSelected([self.run.names[node] for node in members]))

    def action_search(self) -> None:
        self.post_message(SearchOpened())

    def action_shift(self, cells: int) -> None:
        self._shift = max(0, self._shift + cells)
        self.refresh()


def _symbol(run: RunView, node: int) -> str:
    return NodeState(run.states[node]).symbol
