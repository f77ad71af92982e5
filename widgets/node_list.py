"""The list of nodes: state by symbol, word and colour, time, return code, last line."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual import events
from textual.binding import BindingType

from ..engine.states import NodeState
from .actions import bindings
from .board import IDLE, LIVE_ORDERS, ORDERS, Board, fold_names, ordered
from .cells import Row, clock, quantity, safe
from .group_tree import GroupTree
from .line_view import LineView
from .look import Look
from .messages import CommandRequested, GroupsWanted, NodeChosen, NodesSelected, TextCopied
from .since import Since

#: Seconds between two sortings while a run goes on: rows that jump at every tick cannot be read.
RESORT_INTERVAL = 0.5
_SHORT = {NodeState.CONNECTING: "connect", NodeState.UNREACHABLE: "unreach"}
_WORDS = {state: _SHORT.get(state, state.word) for state in NodeState}
#: What such a node said last is not why it ended: the reason is told in its place.
_REASON_FIRST = (NodeState.UNREACHABLE, NodeState.LOST, NodeState.ABORTED)
#: Cells of the columns behind the name, and what a row needs for all but name and text.
_WORD, _TIME, _FIXED = 9, 6, 20
#: A name gets no more than this where the text behind it needs the room.
_NAME_LIMIT = 28


class NodeList(LineView):
    """Rows of a Board, filtered and ordered. Marks survive filters; the cursor stays on its node."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("row.open", "nodes.sort", "nodes.mark", "nodes.select", "nodes.tree", "nodes.groups"),
        *bindings("nodes.abort"),
    ]
    TITLE_WORD = "nodes"
    HELP_TEXT = "One row per node: state, return code, time, last line. Ctrl-click marks one, Shift-click a range."

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter name
        super().__init__(id=id)
        self.board = Board(None, ())
        self.order = ORDERS[0]
        self.marks: set[str] = set()
        self.by_group: Mapping[str, Sequence[str]] | None = None
        self.groups: Mapping[str, Sequence[str]] = {}
        #: Nodes of a timer's round that answered otherwise than in the round before.
        self.changed: frozenset[int] = frozenset()
        self._filter: Sequence[int] | None = None
        self._visible: Sequence[int] = ()
        self._tree = GroupTree()
        self._seen = -1
        self._sorted_at = 0.0
        #: States changed since the last sorting, which was too short ago for another one.
        self._late = False
        self._painted_second = 0
        self.clock = time.monotonic

    # -- the model

    def set_board(self, board: Board) -> None:
        """Show other nodes; the cursor stays on the same name where it is still there."""
        name = self.cursor_name
        self.board = board
        self._filter = None
        self._arrange(name)

    def set_filter(self, nodes: Sequence[int] | None) -> None:
        """Show only these node numbers (None: all)."""
        name = self.cursor_name
        self._filter = nodes
        self._arrange(name)

    def set_since(self, since: Since | None) -> None:
        """Mark the nodes that answered otherwise than in the round before (None: nothing to compare with)."""
        changed = since.marked if since is not None else frozenset()
        if changed != self.changed:
            self.changed = changed
            self.refresh()

    @property
    def cursor_node(self) -> int | None:
        """The number of the node under the cursor."""
        if 0 <= self.cursor_row < len(self._visible) and self._visible[self.cursor_row] >= 0:
            return self._visible[self.cursor_row]
        return None

    @property
    def cursor_name(self) -> str | None:
        """The name of the node under the cursor."""
        node = self.cursor_node
        return self.board.names[node] if node is not None else None

    @property
    def listed(self) -> Sequence[int]:
        """The node numbers in the order of the rows."""
        return self._tree.nodes if self.by_group else self._visible

    def tick(self, now: float) -> None:
        """Called by the screen's pump: repaint if a state changed, or once a second while something runs."""
        version = self.board.version
        if version != self._seen:
            if self.order in LIVE_ORDERS and now - self._sorted_at >= RESORT_INTERVAL:
                self._arrange(self.cursor_name)
            else:
                self._late = self.order in LIVE_ORDERS
            self._seen = version
            self.refresh()
        elif self._late and now - self._sorted_at >= RESORT_INTERVAL:
            self._arrange(self.cursor_name)
        elif self.board.run is not None and self.board.run.ended is None and int(now) != self._painted_second:
            self._painted_second = int(now)
            self.refresh()

    def _arrange(self, keep: str | None) -> None:
        board = self.board
        nodes: Sequence[int] = self._filter if self._filter is not None else range(len(board.names))
        now = self.clock()
        if self.by_group:
            self._visible = self._tree.arrange(board, nodes, self.by_group, self.order, now)
        else:
            self._visible = ordered(board, nodes, self.order, now)
        self._sorted_at = now
        self._late = False
        self._seen = board.version
        if keep is not None and keep != self.cursor_name and keep in board.index:
            node = board.index[keep]
            if node in self._visible:
                self.cursor_row = list(self._visible).index(node)
        self.update_rows()

    # -- painting

    def row_count(self) -> int:
        return len(self._visible)

    def empty_text(self) -> list[str]:
        if self._filter is not None:
            return ["No node passes the filter.", "Press / to change it, Escape to clear it."]
        return ["No nodes are selected.", "Type  :nodes @group  or  :nodes node[1-8]  below to choose some."]

    def paint(self, row: int, line: Row, look: Look) -> None:
        node = self._visible[row]
        if node < 0:
            self._tree.paint(node, self.board, line, look)
            return
        board = self.board
        state = board.state(node)
        name = board.names[node]
        style = look.state(state) if state != IDLE else look.quiet
        line.add("*" if name in self.marks else " ", look["mark"])
        line.add(NodeState(state).symbol if state != IDLE else " ", style).add(" ")
        plain = look["changed"] if node in self.changed else look.text if board.selected[node] else look.quiet
        line.name(name, self._name_cells(line.left), plain).add(" ")
        if state == IDLE:
            return
        line.column(self._word(node, state), _WORD, style)
        line.column(clock(board.elapsed(node, self.clock())), _TIME, look.quiet, right=True).add(" ")
        if line.left > 3:
            line.add(self.shifted(self._text(node, state)), look["changed"] if node in self.changed else look.quiet)

    def _name_cells(self, free: int) -> int:
        """Cells of the name's column where so many are free for it and all behind it."""
        return min(self.board.name_width, _NAME_LIMIT, max(8, free - _FIXED))

    def _text(self, node: int, state: int) -> str:
        """What stands behind the columns: the reason, how far a copy is, or the last line of output."""
        board = self.board
        done, total = board.progress(node)
        if total and state == NodeState.RUNNING:
            return f"{done * 100 // total:3}% {quantity(done)}"
        reason = board.reason(node)
        if done and state == NodeState.OK:
            took = board.elapsed(node, self.clock())
            return quantity(done) + (f" {quantity(done / took)}/s" if took else "")
        if state in _REASON_FIRST and reason:
            return reason
        return board.last_line(node).lstrip() or reason

    def _word(self, node: int, state: int) -> str:
        if state == NodeState.FAILED:
            rc = self.board.rc(node)
            return f"rc {rc}" if rc is not None else "failed"
        if state == NodeState.UNREACHABLE and (kind := self.board.kind(node)):
            return kind
        return _WORDS[NodeState(state)]

    def row_text(self, row: int) -> str:
        node = self._visible[row]
        if node < 0:
            heading = self._tree.heading(node)
            return f"{heading.name} ({len(heading.members)})"
        state = self.board.state(node)
        word = self._word(node, state) if state != IDLE else ""
        text = self._text(node, state) if state != IDLE else ""
        parts = (self.board.names[node], word, safe(text), "changed" if node in self.changed else "")
        return "  ".join(part for part in parts if part)

    # -- keys

    def activate(self, row: int) -> None:
        node = self._visible[row]
        if node < 0:
            self._tree.toggle(node)
            self._arrange(None)
            self.move_cursor(list(self._visible).index(node))
        elif node < self.board.size:
            self.post_message(NodeChosen(node))

    def action_open(self) -> None:
        """The marked nodes side by side, wherever the cursor is; without marks, what it is on."""
        marked = [self.board.index[name] for name in self.marked_or_current() if name in self.marks]
        if marked := [node for node in marked if node < self.board.size]:
            self.post_message(NodeChosen(min(marked)))
        else:
            super().action_open()

    def action_sort(self) -> None:
        self.set_order(ORDERS[(ORDERS.index(self.order) + 1) % len(ORDERS)])

    def action_mark(self) -> None:
        self._mark(self._under_cursor())
        self.action_cursor(1)

    def _mark(self, names: Sequence[str]) -> None:
        """Mark these, or take the marks away where all of them have one."""
        self.marks = self.marks - set(names) if self.marks.issuperset(names) else self.marks | set(names)
        self.refresh()

    def _under_cursor(self) -> list[str]:
        """The node under the cursor, or all nodes of the group under it."""
        if not 0 <= self.cursor_row < len(self._visible):
            return []
        node = self._visible[self.cursor_row]
        return [self.board.names[one] for one in ([node] if node >= 0 else self._tree.heading(node).members)]

    def marked_or_current(self) -> list[str]:
        """The marked names, in the order of the rows' numbers; without marks what is under the cursor."""
        return [name for name in self.board.names if name in self.marks] if self.marks else self._under_cursor()

    def action_select(self) -> None:
        names = self.marked_or_current()
        if names:
            self.marks = set()
            self.post_message(NodesSelected(names))

    def set_groups(self, groups: Mapping[str, Sequence[str]]) -> None:
        """The groups as they are now; a tree that is shown changes with them."""
        if groups != self.groups:
            self.groups = groups
            if self.by_group is not None:
                self.by_group = groups
                self._arrange(self.cursor_name)

    def action_tree(self) -> None:
        self.by_group = self.groups if self.by_group is None else None
        self._arrange(self.cursor_name)
        if self.by_group is not None:
            self.post_message(GroupsWanted())

    def action_read_groups(self) -> None:
        self.post_message(GroupsWanted())

    def action_abort_node(self) -> None:
        run = self.board.run
        names = [name for name in self.marked_or_current() if self.board.index[name] < self.board.size]
        if run is not None and run.ended is None and names:
            self.post_message(CommandRequested(f":abort {run.id} -w {run.fold([self.board.index[n] for n in names])}"))

    def action_copy_all(self) -> None:
        """The listed nodes as a folded node set."""
        nodes = list(self.listed)
        if nodes:
            folded = fold_names([self.board.names[node] for node in nodes])
            self.post_message(TextCopied(folded, f"{len(nodes)} nodes as a node set"))

    def on_click(self, event: events.Click) -> None:
        before = self.cursor_row
        super().on_click(event)
        if event.ctrl:
            self._mark(self._under_cursor())
        elif event.shift:
            first, last = sorted((before, self.cursor_row))
            self.marks |= {self.board.names[node] for node in self._visible[first : last + 1] if node >= 0}
            self.refresh()

    def set_order(self, order: str) -> None:
        """Put the rows into one of ORDERS; the cursor stays on its node."""
        self.order = order
        self._arrange(self.cursor_name)

    @property
    def told_order(self) -> str:
        """The order in words, for the caption."""
        return {"trouble": "trouble first", "given": ""}.get(self.order, f"by {self.order}")
