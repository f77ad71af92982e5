"""The node list's model: the nodes of the shown run, and behind them the selected ones that it did not touch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..engine.states import NodeState, without_name
from .cells import width_of
from .reasons import short_kind
from .views import OutputLine, RunView

#: "State" of a node that has no part in the shown run.
IDLE = 255

#: What stands first when nodes are ordered by state: what an operator has to look at.
STATE_ORDER = (
    NodeState.FAILED,
    NodeState.TIMEOUT,
    NodeState.UNREACHABLE,
    NodeState.LOST,
    NodeState.RUNNING,
    NodeState.CONNECTING,
    NodeState.PENDING,
    NodeState.ABORTED,
    NodeState.OK,
)
_REST = len(STATE_ORDER)


def _ranks(states: Iterable[NodeState]) -> bytes:
    """A table from states to places; what is not among `states` comes last."""
    table = bytearray([_REST]) * 256
    for state in states:
        table[state] = STATE_ORDER.index(state)
    return bytes(table)


#: "trouble" lifts what ended badly to the top and leaves everything else where it is.
ORDERS = ("trouble", "state", "name", "time", "given")
_RANKS = {"state": _ranks(STATE_ORDER), "trouble": _ranks(state for state in STATE_ORDER if state.bad)}
#: Orders that change while a run goes on.
LIVE_ORDERS = ("trouble", "state", "time")


class Board:
    """Nodes by number: those of `run` keep the run's numbers, further selected nodes follow."""

    def __init__(self, run: RunView | None, selected: Sequence[str]) -> None:
        self.run = run
        run_names = run.names if run is not None else ()
        self.size = len(run_names)
        known = set(run_names)
        self.names: Sequence[str] = [*run_names, *(name for name in selected if name not in known)]
        self.lower = [name.lower() for name in self.names]
        self._index: dict[str, int] | None = None
        self._name_ranks: list[int] | None = None
        self._extra = bytes([IDLE]) * (len(self.names) - self.size)
        chosen = set(selected)
        self.selected = bytearray(name in chosen for name in self.names)
        self.name_width = name_width(self.names)

    @property
    def index(self) -> dict[str, int]:
        """Node name -> number; made when first asked for."""
        if self._index is None:
            self._index = {name: number for number, name in enumerate(self.names)}
        return self._index

    @property
    def name_ranks(self) -> Sequence[int]:
        """The place of every node by name, node2 before node10; made when first asked for, then sorting is cheap."""
        if self._name_ranks is None:
            ranks = [0] * len(self.names)
            for place, node in enumerate(sorted(range(len(ranks)), key=lambda node: _natural(self.names[node]))):
                ranks[node] = place
            self._name_ranks = ranks
        return self._name_ranks

    @property
    def version(self) -> int:
        """Grows with every change of a state."""
        return self.run.version if self.run is not None else 0

    @property
    def states(self) -> bytes:
        """State per node, IDLE for those outside the run."""
        return bytes(self.run.states) + self._extra if self.run is not None else self._extra

    def state(self, node: int) -> int:
        """State of one node, or IDLE."""
        return self.run.states[node] if self.run is not None and node < self.size else IDLE

    def rc(self, node: int) -> int | None:
        """Return code of a node in the run, None outside."""
        return self.run.rc(node) if self.run is not None and node < self.size else None

    def kind(self, node: int) -> str:
        """The kind of failure, in a word for a narrow column; empty where there is none."""
        return short_kind(self.run.failure_kind(node)) if self.run is not None and node < self.size else ""

    def reason(self, node: int) -> str:
        """Why the node failed; empty where there is nothing to say."""
        if self.run is None or node >= self.size:
            return ""
        return without_name(self.run.reason(node), self.names[node])

    def progress(self, node: int) -> tuple[int, int]:
        """Bytes done and bytes in all of a copy; (0, 0) otherwise."""
        return self.run.progress(node) if self.run is not None and node < self.size else (0, 0)

    def elapsed(self, node: int, now: float) -> float | None:
        """Seconds the node ran in the run."""
        return self.run.elapsed(node, now) if self.run is not None and node < self.size else None

    def last_line(self, node: int) -> str:
        """The newest line of output."""
        return self.run.last_line(node) if self.run is not None and node < self.size else ""

    def line_count(self, node: int) -> int:
        """Lines of output."""
        return self.run.line_count(node) if self.run is not None and node < self.size else 0

    def lines(self, node: int, start: int, stop: int) -> list[OutputLine]:
        """Lines of output, half open."""
        return self.run.lines(node, start, stop) if self.run is not None and node < self.size else []


def name_width(names: Sequence[str], least: int = 10) -> int:
    """Cells for a column of names: the longest, but a few long ones do not take the room of all others."""
    widths = sorted(map(width_of, names))
    if not widths:
        return 0
    most, longest = widths[len(widths) * 95 // 100], widths[-1]
    return longest if longest <= max(most, least) + 4 else max(most, least)


def ordered(board: Board, nodes: Sequence[int], order: str, now: float) -> Sequence[int]:
    """`nodes` in one of ORDERS; stable, so that equal ones stay in the run's order."""
    if order in _RANKS:
        ranks = board.states.translate(_RANKS[order])
        return sorted(nodes, key=ranks.__getitem__)
    if order == "name":
        return sorted(nodes, key=board.name_ranks.__getitem__)
    if order == "time":
        return sorted(nodes, key=lambda node: -(board.elapsed(node, now) or 0.0))
    return nodes


def _natural(name: str) -> tuple[tuple[str, int], ...]:
    """A sort key by which node2 comes before node10."""
    key: list[tuple[str, int]] = []
    head, digits = "", ""
    for character in name:
        if "0" <= character <= "9":
            digits += character
        else:
            if digits:
                key.append((head, int(digits)))
                head, digits = "", ""
            head += character
    key.append((head, int(digits) if digits else -1))
    return tuple(key)


def fold_names(names: Sequence[str]) -> str:
    """Names as a folded node set. Takes tens of milliseconds for ten thousand; for keys, not for ticks."""
    from ClusterShell.NodeSet import NodeSet  # imported late: most sessions never fold in a widget

    return str(NodeSet.fromlist(names))
