"""Equal answers folded together, live while the run goes on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import ClassVar

from textual.binding import BindingType

from ..engine.states import NodeState
from .actions import bindings
from .answers import AnswerRows, Place, blocks_of
from .board import name_width
from .cells import Row, fit, safe, width_of
from .look import Look
from .messages import NodeChosen, NodesSelected, ViewChosen
from .output_view import OutputView
from .painted import painted
from .since import Since
from .texts import Texts
from .views import OutputLine, RunView

#: Seconds between two regroupings while a run goes on.
REGROUP_INTERVAL = 0.25
#: Grouping takes at most one part in this many of the time, however many different answers there are.
GROUPING_SHARE = 15.0
_LINES_PER_READ = 500
_NAME_LIMIT = 24


class GatherView(OutputView):
    """Groups of nodes with the same answer, largest first or rarest first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("row.open", "gather.outliers", "gather.members", "gather.select", "row.colours"),
    ]
    TITLE_WORD = "gathered"
    PAINTS_MATCHES = True
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
        self._silent: list[int] = []
        self._name_width = 0
        self._mixtures: dict[int, Counter[int]] = {}
        self._since: Since | None = None

    # -- the model

    def set_run(self, run: RunView | None) -> None:
        """Show another run."""
        if run is not self.run:
            self.run = run
            self._opened.clear()
            self._with_members.clear()
            self.cursor_row = 0
            self._name_width = min(_NAME_LIMIT, name_width(run.names)) if run is not None else 0
            self._regroup()

    def set_filter(self, nodes: Sequence[int] | None) -> None:
        """Count only these node numbers (None: all)."""
        self._wanted = frozenset(nodes) if nodes is not None else None
        self._regroup()

    def set_since(self, since: Since | None) -> None:
        """Mark what is different from the round before (None: nothing to compare with)."""
        if since is not self._since:
            self._since = since
            self._mixtures.clear()
            self.refresh()

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
            self._silent = self._without_answer(run)
        self._mixtures.clear()
        self.update_rows()

    def _without_answer(self, run: RunView) -> list[int]:
        """Nodes that said nothing, where others did."""
        if not self._answers.blocks:
            return []
        spoke = bytearray(len(run.names))
        for block in self._answers.blocks:
            for node in block.members:
                spoke[node] = 1
        wanted = self._wanted
        return [node for node, said in enumerate(spoke) if not said and (wanted is None or node in wanted)]

    def row_count(self) -> int:
        return self._answers.total + (1 if self._silent else 0)

    def empty_text(self) -> list[str]:
        if self.run is None:
            return ["No answers yet.", "Type a command below: equal answers of many nodes fold into one here."]
        if self.run.ended is None:
            return ["No answers yet."]
        if self.run.lines_total:
            return ["No answer passes the filter."]
        bad = sum(self.run.count(state) for state in NodeState if state.bad)
        return ["No node wrote anything.", f"{bad} did not end well: 3 shows them." if bad else "All ended well."]

    # -- painting

    def paint(self, row: int, line: Row, look: Look) -> None:
        run = self.run
        if run is None:
            return
        if row >= self._answers.total:
            self._paint_silent(run, line, look)
            return
        place = self._answers.place(row)
        if place.kind == "heading":
            self._paint_heading(place, run, line, look)
        elif place.kind == "member":
            node = place.block.members[place.number]
            changed = self._since is not None and node in self._since.marked
            line.add("    ").add(NodeState(run.states[node]).symbol, look.state(run.states[node]))
            line.add(f" {run.names[node]}", look["changed" if changed else "title"])
            line.add("  changed" if changed else "", look["changed"])
        elif place.kind == "compact":
            node = place.block.members[0]
            line.add(f"{NodeState(run.states[node]).symbol} ", look.state(run.states[node]))
            line.name(run.names[node], self._name_width, look["title"])
            line.add(" \N{BOX DRAWINGS LIGHT VERTICAL} ", look["rule"])
            self._paint_line(place, row, line, look)
        elif place.kind == "line":
            line.add("  ")
            self._paint_line(place, row, line, look)
        elif place.kind == "more":
            line.add(f"  \N{HORIZONTAL ELLIPSIS} {place.number} more lines, Enter unfolds them", look.quiet)

    def _paint_line(self, place: Place, row: int, line: Row, look: Look) -> None:
        output = place.block.group.lines(place.number, place.number + 1)
        if output:
            new = self._since is not None and self._since.is_new(place.block.members[0], output[0].text)
            hit = self.hit_style(row, look)
            for piece in painted(output[0], look, self.search, hit, self._shift, line.left, changed=new):
                line.add(piece.text, piece.style)

    def _paint_heading(self, place: Place, run: RunView, line: Row, look: Look) -> None:
        """Symbol of most members, node set, count, other states among them, changes, share."""
        members = place.block.members
        mixture = self._mixture(members, run)
        (state, _count), *others = mixture.most_common()
        notes = [(f"({len(members)}) ", look["accent"])]
        notes += [(f"{NodeState(other).symbol}{count} ", look.state(other)) for other, count in others]
        changed = sum(1 for node in members if node in self._since.nodes) if self._since is not None else 0
        notes += [(f"{changed} changed ", look["changed"])] if changed else []
        share = f" {told_share(len(members), len(run.names))}"
        line.add(NodeState(state).symbol, look.state(state)).add(" ")
        room = max(8, line.left - sum(len(text) for text, _ in notes) - len(share) - 4)
        folded = safe(place.block.folded)
        line.add(fit(folded, min(room, width_of(folded))), look["title"]).add(" ")
        for text, style in notes:
            line.add(text, style)
        line.add("\N{BOX DRAWINGS LIGHT HORIZONTAL}" * max(0, line.left - len(share)), look["rule"])
        line.add(share, look.quiet)

    def _mixture(self, members: Sequence[int], run: RunView) -> Counter[int]:
        """The members' states, counted once per grouping: a group may have ten thousand."""
        mixture = self._mixtures.get(members[0])
        if mixture is None:
            mixture = self._mixtures[members[0]] = Counter(map(run.states.__getitem__, members))
        return mixture

    def _paint_silent(self, run: RunView, line: Row, look: Look) -> None:
        """Who is missing in the answers above, and why."""
        line.add("  no output ", look.quiet).add(f"({len(self._silent)}) ", look["accent"])
        mixture = Counter(map(run.states.__getitem__, self._silent))
        for state, count in sorted(mixture.items(), reverse=True):
            line.add(f" {NodeState(state).symbol} {NodeState(state).word} {count} ", look.state(state))

    def row_text(self, row: int) -> str:
        if row >= self._answers.total:
            return f"no output ({len(self._silent)}): {self.run.fold(self._silent) if self.run is not None else ''}"
        place = self._answers.place(row)
        if place.kind == "heading":
            return f"{safe(place.block.folded)} ({len(place.block.members)})"
        if place.kind in ("line", "compact"):
            output = place.block.group.lines(place.number, place.number + 1)
            text = safe(output[0].text) if output else ""
            return f"{safe(place.block.folded)}: {text}" if place.kind == "compact" else f"  {text}"
        if place.kind == "member" and self.run is not None:
            return self.run.names[place.block.members[place.number]]
        return ""

    def texts(self, start: int, stop: int) -> Texts:
        """Rows that are lines of one answer are read together."""
        texts = Texts()
        row = start
        while row < stop:
            place = self._answers.place(row) if row < self._answers.total else None
            if place is None or place.kind not in ("line", "compact"):
                texts.add([self.row_text(row)])
                row += 1
                continue
            count = min(stop - row, place.block.shown - place.number) if place.kind == "line" else 1
            before = f"{safe(place.block.folded)}: " if place.kind == "compact" else "  "
            excerpt = place.block.group.excerpt(place.number, place.number + count)
            texts.add_lines(count, excerpt, partial(_told, before))
            row += count
        return texts

    def all_texts(self) -> Iterator[Texts]:
        """Every answer in full, folded or not."""
        for block in self._answers.blocks:
            yield Texts([f"--- {safe(block.folded)} ({len(block.members)})"])
            count = block.group.line_count
            for start in range(0, count, _LINES_PER_READ):
                stop = min(count, start + _LINES_PER_READ)
                texts = Texts()
                texts.add_lines(stop - start, block.group.excerpt(start, stop), partial(_told, ""))
                yield texts

    # -- keys

    @property
    def block_count(self) -> int:
        """How many groups are shown."""
        return len(self._answers.blocks)

    def activate(self, row: int) -> None:
        if row >= self._answers.total:
            self.post_message(ViewChosen("failures"))
            return
        place = self._answers.place(row)
        if place.kind in ("member", "compact"):
            self.post_message(NodeChosen(place.block.members[place.number]))
        else:
            self._toggle(self._opened, row)

    def action_members(self) -> None:
        if self.cursor_row < self._answers.total:
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
        if self._rows and self.run is not None:
            inside = self.cursor_row < self._answers.total
            members = self._answers.place(self.cursor_row).block.members if inside else self._silent
            self.post_message(NodesSelected([self.run.names[node] for node in members]))


def _told(before: str, lines: list[OutputLine]) -> list[str]:
    return [before + safe(line.text) for line in lines]


def told_share(part: int, whole: int) -> str:
    """A share of the nodes in four characters: ` 75%`, ` <1%`."""
    percent = part * 100 / max(1, whole)
    return " <1%" if 0 < percent < 1 else f"{int(percent):3}%"
