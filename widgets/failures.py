"""What did not end well, by reason: the list that the next command starts from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from textual.binding import BindingType

from ..engine.states import NodeState
from .actions import bindings
from .board import name_width
from .cells import Row, clock, fit, safe, width_of
from .line_view import LineView
from .look import Look
from .messages import CommandRequested, NodeChosen, NodesSelected
from .reasons import heading, told
from .texts import Texts
from .views import OutputLine, RunView

#: Rows of a reason that are no node's.
HEADING, MORE = -1, -2
#: Seconds between two sortings while a run goes on.
REFRESH_INTERVAL = 0.25
#: A reason of more nodes than this is folded: the next reason must be in sight, too.
UNFOLDED = 8
_FOLDED = 5
_NAME_LIMIT = 24
#: Cells that the node set of a heading keeps however long the reason is.
_NODES_LEAST = 16
_BAD = (NodeState.FAILED, NodeState.TIMEOUT, NodeState.UNREACHABLE, NodeState.LOST, NodeState.ABORTED)


@dataclass(frozen=True, slots=True)
class Reason:
    """Nodes that failed for the same reason. text: `rc 2`, or the kind of failure; without node names in it."""

    state: NodeState
    text: str
    nodes: tuple[int, ...]

    @property
    def key(self) -> tuple[NodeState, str]:
        """What stays the same when more nodes fail for this reason."""
        return self.state, self.text


def reasons_of(run: RunView, wanted: frozenset[int] | None = None) -> list[Reason]:
    """The bad ends of a run by state and reason, largest first within each state."""
    found: dict[tuple[NodeState, str], list[int]] = {}
    for number, value in enumerate(run.states):
        if value <= NodeState.OK or (wanted is not None and number not in wanted):
            continue
        state = NodeState(value)
        rc = run.rc(number)
        coded = state is NodeState.FAILED and rc is not None
        text = f"rc {rc}" if coded else heading(run.failure_kind(number), run.reason(number), run.names[number])
        found.setdefault((state, text), []).append(number)
    reasons = [Reason(state, text, tuple(nodes)) for (state, text), nodes in found.items()]
    return sorted(reasons, key=lambda reason: (_BAD.index(reason.state), -len(reason.nodes), reason.text))


class FailuresView(LineView):
    """One block per reason: heading, then its nodes with their last words; many nodes are folded."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("row.open", "failures.retry", "failures.exclude", "failures.select", "failures.abort"),
    ]
    TITLE_WORD = "failures"
    HELP_TEXT = "Nodes that did not end well, by reason. r runs again on exactly those, x takes them out."

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter name
        super().__init__(id=id)
        self.run: RunView | None = None
        self._wanted: frozenset[int] | None = None
        #: (reason, node); HEADING and MORE stand for rows that are not a node's.
        self._rows_list: list[tuple[Reason, int]] = []
        self._opened: set[tuple[NodeState, str]] = set()
        self._folded: dict[Reason, str] = {}
        self._name_width = 0
        self._reasons: list[Reason] = []
        self._seen = -1
        self._at = 0.0

    def set_run(self, run: RunView | None) -> None:
        """Show another run."""
        if run is not self.run:
            self.run = run
            self._rows_list = []
            self.cursor_row = 0
            self._opened.clear()
            self._name_width = min(_NAME_LIMIT, name_width(run.names)) if run is not None else 0
            self._collect()

    def set_filter(self, nodes: Sequence[int] | None) -> None:
        """Show only these node numbers (None: all)."""
        self._wanted = frozenset(nodes) if nodes is not None else None
        self._collect()

    def tick(self, now: float) -> None:
        """Collect anew if a state changed."""
        if self.run is not None and self.run.version != self._seen and now - self._at >= REFRESH_INTERVAL:
            self._at = now
            self._collect()

    def _collect(self) -> None:
        at = self._place()
        self._reasons = reasons_of(self.run, self._wanted) if self.run is not None else []
        self._seen = self.run.version if self.run is not None else -1
        self._folded.clear()
        self._rows_list = [(reason, node) for reason in self._reasons for node in self._rows_of(reason)]
        self.update_rows()
        if at is not None and at != self._place():  # x and k are about what the cursor was on
            places = ((reason.key, node) for reason, node in self._rows_list)
            self.move_cursor(next((row for row, place in enumerate(places) if place == at), self.cursor_row))

    def search_changed(self) -> None:
        self._collect()  # what is folded is searched, too

    def _place(self) -> tuple[tuple[NodeState, str], int] | None:
        """What the cursor is on: a reason, and a node of it."""
        if self.cursor_row >= len(self._rows_list):
            return None
        reason, node = self._rows_list[self.cursor_row]
        return reason.key, node

    def _rows_of(self, reason: Reason) -> Sequence[int]:
        if len(reason.nodes) <= UNFOLDED or reason.key in self._opened or self.search:
            return (HEADING, *reason.nodes)
        return (HEADING, *reason.nodes[:_FOLDED], MORE)

    def row_count(self) -> int:
        return len(self._rows_list)

    def empty_text(self) -> list[str]:
        if self.run is None:
            return ["No run yet.", "What fails, times out or cannot be reached stands here by reason."]
        if self.run.ended is None:
            return ["Nothing failed so far."]
        if any(self.run.count(state) for state in _BAD):
            return ["No failure passes the filter."]
        return ["Nothing failed.", "All nodes of this run ended well."]

    def paint(self, row: int, line: Row, look: Look) -> None:
        reason, node = self._rows_list[row]
        run = self.run
        if run is None:
            return
        style = look.state(reason.state)
        if node == HEADING:
            line.add(f"{reason.state.symbol} {reason.state.word} ", style)
            count, folded = f"({len(reason.nodes)}) ", self._fold(reason, run)
            room = max(8, line.left - len(count) - min(_NODES_LEAST, len(folded)) - 2)
            line.add(fit(reason.text, min(room, width_of(reason.text))) + " " if reason.text else "", look.text)
            line.add(count, look["accent"])
            line.add(fit(folded, min(width_of(folded), line.left - 1)) + " ", look["title"])
            line.add("\N{BOX DRAWINGS LIGHT HORIZONTAL}" * line.left, look["rule"])
        elif node == MORE:
            more = len(reason.nodes) - _FOLDED
            line.add(f"  \N{HORIZONTAL ELLIPSIS} {more} more nodes, Enter lists them", look.quiet)
        else:
            line.add("  ").name(run.names[node], self._name_width, look["title"]).add(" ")
            line.column(clock(run.elapsed(node, run.ended or run.started)), 6, look.quiet, right=True).add("  ")
            text, role = self._last_words(run, node)
            line.add(self.shifted(text), look[role])

    def _fold(self, reason: Reason, run: RunView) -> str:
        folded = self._folded.get(reason)
        if folded is None:
            folded = self._folded[reason] = run.fold(reason.nodes)
        return folded

    def _last_words(self, run: RunView, node: int) -> tuple[str, str]:
        """What tells most about a node's end, and its role."""
        count = run.line_count(node)
        return _telling(run.lines(node, max(0, count - 5), count), *self._cause(run, node))

    @staticmethod
    def _cause(run: RunView, node: int) -> tuple[str, bool]:
        """The reason of a node's end, and whether that says all."""
        reason = told(run.failure_kind(node), run.reason(node), run.names[node])
        return reason, run.states[node] in (NodeState.UNREACHABLE, NodeState.LOST)

    def row_text(self, row: int) -> str:
        reason, node = self._rows_list[row]
        run = self.run
        if run is None or node < 0:
            return self._heading_text(reason, node)
        return f"{run.names[node]}: {safe(self._last_words(run, node)[0])}"

    def _heading_text(self, reason: Reason, node: int) -> str:
        """Of a row that is no node's."""
        if node == MORE or self.run is None:
            return f"{len(reason.nodes) - _FOLDED} more nodes"
        words = " ".join(filter(None, (reason.state.word, reason.text)))
        return f"{words} ({len(reason.nodes)}): {self._fold(reason, self.run)}"

    def texts(self, start: int, stop: int) -> Texts:
        return self._texts_of(self._rows_list[start:stop])

    def all_texts(self) -> Iterator[Texts]:
        """Every reason with all of its nodes, folded or not."""
        for reason in self._reasons:
            yield self._texts_of([(reason, node) for node in (HEADING, *reason.nodes)])

    def _texts_of(self, rows: Sequence[tuple[Reason, int]]) -> Texts:
        texts = Texts()
        run = self.run
        if run is None:
            return texts
        for reason, node in rows:
            if node < 0:
                texts.add([self._heading_text(reason, node)])
            else:
                count = run.line_count(node)
                excerpt = run.excerpt(node, max(0, count - 5), count)
                texts.add_lines(1, excerpt, partial(_told_words, run.names[node], *self._cause(run, node)))
        return texts

    # -- keys

    def current_nodes(self) -> Sequence[int]:
        """The node under the cursor, or all nodes of the reason when the cursor is on a heading."""
        if not self._rows_list:
            return ()
        reason, node = self._rows_list[self.cursor_row]
        return reason.nodes if node < 0 else (node,)

    def activate(self, row: int) -> None:
        reason, node = self._rows_list[row]
        if node >= 0:
            self.post_message(NodeChosen(node))
        elif len(reason.nodes) > UNFOLDED:
            self._opened ^= {reason.key}
            self._collect()
            self.move_cursor(self._rows_list.index((reason, HEADING)))
        else:
            self.post_message(NodeChosen(reason.nodes[0]))

    def action_retry(self) -> None:
        """Run again on what stands in this view: all of it, or the filtered part."""
        run = self.run
        nodes = [node for reason in self._reasons for node in reason.nodes]
        if run is not None and nodes:
            everything = self._wanted is None
            self.post_message(
                CommandRequested(f":retry --run {run.id}" if everything else f":again {run.id} -w {run.fold(nodes)}")
            )

    def action_exclude(self) -> None:
        run = self.run
        nodes = self.current_nodes()
        if run is not None and nodes:
            self.post_message(CommandRequested(f":nodes remove {run.fold(nodes)}"))

    def action_select(self) -> None:
        if self.run is not None and (nodes := self.current_nodes()):
            self.post_message(NodesSelected([self.run.names[node] for node in nodes]))

    def action_abort_node(self) -> None:
        run = self.run
        if run is not None and run.ended is None and (nodes := self.current_nodes()):
            self.post_message(CommandRequested(f":abort {run.id} -w {run.fold(nodes)}"))


def _telling(lines: Sequence[OutputLine], reason: str, enough: bool) -> tuple[str, str]:
    """Of a node's newest lines and its reason, what tells most: stderr's newest line, the reason, the newest line.

    enough: whether the reason tells more than any other line. The role comes with it.
    """
    for line in reversed(lines):
        if line.stream == "stderr":
            return line.text, "stderr"
    if reason and enough:
        return reason, "text"
    return (lines[-1].text, "text") if lines and lines[-1].text else (reason, "quiet")


def _told_words(name: str, reason: str, enough: bool, lines: list[OutputLine]) -> list[str]:
    return [f"{name}: {safe(_telling(lines, reason, enough)[0])}"]
