"""How answers differ from what most nodes said, or from an earlier run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from textual.binding import BindingType

from .actions import bindings
from .background import Background
from .cells import Row, fit, safe, width_of
from .comparison import Comparison, Part
from .diff import DiffLine
from .line_view import LineView
from .look import Look
from .messages import NodeChosen, NodesSelected, Told
from .since import Since
from .views import GroupView, RunView

#: Answers beyond this many are not compared; their number is told.
COMPARED_ANSWERS = 50
#: With names and numbers ignored most answers are alike, and those share a row.
COMPARED_ALIKE = 1_000
#: Comparisons between two layouts of what is known so far.
LAID_OUT_AT = 8
REFRESH_INTERVAL = 0.5
LIVE_INTERVAL = 3.0
_DIFFERENT = Style(bold=True, underline=True)


class DiffView(LineView):
    """Blocks: the base, then every other answer with what differs. b takes another base, c another run."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(
        "row.open", "diff.base", "diff.run", "diff.normalise", "gather.select"
    )
    TITLE_WORD = "diff"
    HELP_TEXT = (
        "Answers against that of most nodes. b: against the one under the cursor; c: another run; Enter: the node."
    )

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter name
        super().__init__(id=id)
        self.run: RunView | None = None
        self.other: RunView | None = None
        self.before: RunView | None = None
        self.normalising = False
        self._base: int | None = None
        self._wanted: frozenset[int] | None = None
        self._rows_list: list[tuple[Part | None, DiffLine]] = []
        self._seen: tuple[object, ...] = ()
        self._at = 0.0
        self._blocks: list[Part | str] = []
        self._waiting: list[Comparison] = []
        self._background = Background("diff")
        self._round = 0
        self._equal = 0
        #: Nodes whose answers differ from the base in names and numbers only.
        self._alike: list[int] = []
        self._since: Since | None = None

    # -- the model

    def set_run(self, run: RunView | None) -> None:
        """Show another run, against the majority."""
        if run is not self.run:
            self.run, self.other, self._base = run, None, None
            self.cursor_row = 0
            self._compare()

    def set_filter(self, nodes: Sequence[int] | None) -> None:
        """Compare only answers of these node numbers (None: all)."""
        self._wanted = frozenset(nodes) if nodes is not None else None
        self._compare()

    def set_other(self, run: RunView | None) -> None:
        """Compare with another run, node by node answer; None: with the majority again."""
        self.other = run
        self._compare()

    def set_since(self, since: Since | None) -> None:
        """Tell how many nodes of an answer changed since the round before (None: nothing to compare with)."""
        if since is not self._since:
            self._since = since
            self.refresh()

    def tick(self, now: float) -> None:
        """Compare anew if output came."""
        run = self.run
        if not self._waiting and run is not None and self._due(run, now):
            self._at = now
            self._compare()

    def _due(self, run: RunView, now: float) -> bool:
        """While output comes in, answers differ from moment to moment: a look now and then is enough."""
        interval = REFRESH_INTERVAL if run.ended is not None else LIVE_INTERVAL
        return (run.output_version,) != self._seen and now - self._at >= interval

    def _groups(self, run: RunView) -> list[GroupView]:
        groups = list(run.groups())
        if self._wanted is not None:
            groups = [group for group in groups if any(node in self._wanted for node in group.members)]
        return groups

    def _compare(self) -> None:
        """Begin anew: headings at once, differences as the thread finds them."""
        run = self.run
        self._round += 1
        self._blocks = []
        self._waiting = []
        self._equal = 0
        self._alike = []
        if run is not None:
            self._seen = (run.output_version,)
            if self.other is not None:
                self._against_run(run, self.other)
            else:
                self._against_group(run)
        self._lay_out()
        self._next()

    def _against_group(self, run: RunView) -> None:
        groups = self._groups(run)
        if not groups:
            return
        base = next((group for group in groups if self._base is not None and self._base in group.members), groups[0])
        self._blocks.append(Part(f"base: {base.folded}", tuple(base.members), (), self._ignored()))
        others = [group for group in groups if group is not base]
        for group in others[: self._most]:
            self._wait_for(Comparison(run, base, run, group, tuple(group.members), group.folded))
        if len(others) > self._most:
            self._blocks.append(f"... {len(others) - self._most} more answers: narrow them with /")
        if not others:
            self._blocks.append("all answers are equal")

    def _against_run(self, run: RunView, other: RunView) -> None:
        self._blocks.append(Part(f"base: #{other.id} {other.line}", (), (), self._ignored()))
        theirs = {other.names[node]: group for group in other.groups() for node in group.members}
        pairs: dict[tuple[int, int], tuple[GroupView, GroupView | None, list[int]]] = {}
        for group in self._groups(run):
            for node in group.members:
                old = theirs.get(run.names[node])
                pairs.setdefault((id(group), id(old)), (group, old, []))[2].append(node)
        for group, old, nodes in list(pairs.values())[: self._most]:
            self._wait_for(Comparison(other, old, run, group, tuple(nodes), run.fold(nodes), hide_equal=True))
        if len(pairs) > self._most:
            self._blocks.append(f"... {len(pairs) - self._most} more answers: narrow them with /")

    @property
    def _most(self) -> int:
        return COMPARED_ALIKE if self.normalising else COMPARED_ANSWERS

    def _ignored(self) -> str:
        return "names and numbers ignored" if self.normalising else ""

    def _wait_for(self, comparison: Comparison) -> None:
        comparison.place = len(self._blocks)
        self._blocks.append(Part(comparison.title, comparison.nodes, (DiffLine("=", "comparing ..."),)))
        self._waiting.append(comparison)

    def _next(self) -> None:
        """Hand the next comparison to the thread; its lines are chosen here, where models may be read."""
        if self._waiting and self.is_attached:
            comparison, number = self._waiting[0], self._round
            work = comparison.prepare(self.normalising)
            self._background.submit(work, lambda lines: self._compared(comparison, number, lines))

    def _compared(self, comparison: Comparison, number: int, lines: list[DiffLine]) -> None:
        if number != self._round:
            return
        self._waiting.pop(0)
        if lines:
            self._blocks[comparison.place] = Part(comparison.title, comparison.nodes, tuple(lines))
        else:
            self._blocks[comparison.place] = ""
            if comparison.hide_equal:
                self._equal += len(comparison.nodes)
            else:
                self._alike += comparison.nodes
        if len(self._waiting) % LAID_OUT_AT == 0:
            self._lay_out()
        self._next()

    def _lay_out(self) -> None:
        rows: list[tuple[Part | None, DiffLine]] = []
        blocks = list(self._blocks)
        if self._alike and self.run is not None:
            told = DiffLine("=", "no difference" + (" but names and numbers" if self.normalising else ""))
            nodes = tuple(sorted(self._alike))
            blocks.insert(1, Part(self.run.fold(nodes), nodes, (told,)))
        for block in blocks:
            if isinstance(block, Part):
                rows.append((block, DiffLine("#", block.title)))
                rows.extend((block, line) for line in block.lines)
            elif block:
                rows.append((None, DiffLine("#", block)))
        if self._equal:
            rows.append((None, DiffLine("#", f"{self._equal} nodes answered as before")))
        self._rows_list = rows
        self.update_rows()

    @property
    def comparing(self) -> bool:
        """Whether answers are still being compared."""
        return bool(self._waiting)

    def on_unmount(self) -> None:
        self._background.close()

    # -- painting

    def row_count(self) -> int:
        return len(self._rows_list)

    def empty_text(self) -> list[str]:
        if self.run is not None and self.run.ended is not None and not self.run.lines_total:
            return ["No node wrote anything."]
        if self._wanted is not None:
            return ["No answer passes the filter."]
        return ["Nothing to compare yet.", "After a run, answers that differ from the majority stand here."]

    def paint(self, row: int, line: Row, look: Look) -> None:
        part, diff = self._rows_list[row]
        if diff.mark == "#":
            self._paint_heading(part, diff.text, line, look)
            return
        styles: dict[str, Style] = {"+": look["added"], "-": look["removed"]}
        style = styles.get(diff.mark, look.quiet)
        line.add(f" {diff.mark} ", style)
        left = self._shift
        start, end = (max(left, at) for at in diff.part)
        line.add(diff.text[left:start], style).add(diff.text[start:end], style + _DIFFERENT)
        line.add(diff.text[end:], style)

    def _paint_heading(self, part: Part | None, text: str, line: Row, look: Look) -> None:
        """Title, number of nodes, lines more and less: the title is cut, never the numbers."""
        notes: list[tuple[str, Style]] = []
        if part is not None and part.nodes:
            notes.append((f" ({len(part.nodes)})", look["accent"]))
        if part is not None:
            counts = [(mark, part.count(mark), role) for mark, role in (("+", "added"), ("-", "removed"))]
            notes += [(f" {mark}{count}", look[role]) for mark, count, role in counts if count]
            changed = len(self._since.nodes.intersection(part.nodes)) if self._since is not None else 0
            notes += [(f" {changed} changed", look["changed"])] if changed else []
            notes += [(f"  {part.note}", look["warn"])] if part.note else []
        room = max(8, line.left - sum(len(note) for note, _ in notes) - 3)
        text = safe(text)
        line.add(fit(text, min(room, width_of(text))), look["title"])
        for note, style in notes:
            line.add(note, style)
        line.add(" ").add("\N{BOX DRAWINGS LIGHT HORIZONTAL}" * line.left, look["rule"])

    def row_text(self, row: int) -> str:
        part, diff = self._rows_list[row]
        if diff.mark != "#":
            return f"{diff.mark} {diff.text}"
        return f"{safe(diff.text)} ({len(part.nodes)})" if part is not None and part.nodes else safe(diff.text)

    # -- keys

    def activate(self, row: int) -> None:
        part = self._rows_list[row][0]
        if part is not None and part.nodes:
            self.post_message(NodeChosen(part.nodes[0]))

    def _current_nodes(self) -> tuple[int, ...]:
        part = self._rows_list[self.cursor_row][0] if self._rows_list else None
        return part.nodes if part is not None else ()

    def action_base(self) -> None:
        if nodes := self._current_nodes():
            self._base = nodes[0]
            self._compare()
            self.move_cursor(0)

    def action_other_run(self) -> None:
        if self.other is None and self.before is None:
            self.post_message(Told("There is no earlier run to compare with.", "warning"))
            return
        self.set_other(self.before if self.other is None else None)
        self.move_cursor(0)

    def action_normalise(self) -> None:
        self.normalising = not self.normalising
        self._compare()

    def action_select(self) -> None:
        if self.run is not None and (nodes := self._current_nodes()):
            self.post_message(NodesSelected([self.run.names[node] for node in nodes]))
