"""A filter over a Board: which nodes pass, kept up to date while states and output change.

Nothing here waits: node sets are resolved by whoever gave `resolve` (which answers from its cache and works in a
thread), and output is searched in slices of a few milliseconds; what is on disk, in a thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .background import Background
from .board import Board
from .filter_terms import OPENERS, Term, parse_filter, rc_passes
from .search import Search
from .views import Excerpt, RunView

_LINES_PER_SLICE = 400
#: Nodes whose output is read from disk at once, and lines of each.
_NODES_ASIDE = 64
_LINES_ASIDE = 4_000


@dataclass(frozen=True, slots=True)
class Resolution:
    """What is known of a node-set expression. names: its nodes, None while nothing is known. pending: being asked."""

    names: frozenset[str] | None
    pending: bool = False
    error: str = ""


Resolve = Callable[[str], Resolution]


@dataclass(frozen=True, slots=True)
class FilterResult:
    """nodes: numbers that pass, ascending; None: no filter. pending: an answer is still to come.

    error: what is wrong in the line; `nodes` is then what passed before.
    """

    nodes: Sequence[int] | None
    total: int
    pending: bool = False
    error: str = ""

    @property
    def told(self) -> str:
        """The count as the filter line shows it."""
        if self.nodes is None:
            return ""
        return f"{len(self.nodes)} of {self.total}" + (" ..." if self.pending else "")


class OutputScan:
    """Looks for one pattern in the output of all nodes, a slice at a time, and goes on as output grows."""

    def __init__(self, board: Board, term: Term, aside: Background) -> None:
        self._board = board
        self._aside = aside
        self._reading = False
        self._term = term
        self._looked = [0] * board.size
        #: How often the output of nodes had begun anew when it was looked at.
        self._restarts: dict[int, int] = {}
        self.hits = bytearray(len(board.names))
        self._at = 0
        self._version = -1

    @property
    def pending(self) -> bool:
        """Whether there is output that was not looked at."""
        run = self._board.run
        return run is not None and (self._at < self._board.size or self._version != run.output_version)

    def step(self, until: float) -> None:
        """Look on until the moment `until` of the monotonic clock."""
        board, run, search = self._board, self._board.run, self._term.search
        if run is None or search is None or self._reading:
            return
        if self._at >= board.size and self._version != run.output_version:
            self._at = 0
        if self._at == 0:
            self._version = run.output_version
        while self._at < board.size:
            node = self._at
            self._note_restart(run, node)
            count = run.line_count(node)
            if self.hits[node] or self._looked[node] >= count:
                self._at += 1
            else:
                stop = min(count, self._looked[node] + _LINES_PER_SLICE)
                excerpt = run.excerpt(node, self._looked[node], stop)
                if not excerpt.at_hand:
                    self._look_aside(run, search)
                    return
                self._looked[node] = stop
                if any(search.found_in(line.text) for line in excerpt()):
                    self.hits[node] = 1
            if time.perf_counter() >= until:
                return

    def _note_restart(self, run: RunView, node: int) -> None:
        """A node that was tried again answers anew: what it said before no longer counts."""
        if (restarts := run.restarts(node)) != self._restarts.get(node, 0):
            self._restarts[node] = restarts
            self._looked[node] = self.hits[node] = 0

    def _look_aside(self, run: RunView, search: Search) -> None:
        """Look through the next output that is on disk, in a thread that may wait for it."""
        wanted: dict[int, tuple[int, Excerpt]] = {}
        for node in range(self._at, self._board.size):
            self._note_restart(run, node)
            stop = min(run.line_count(node), self._looked[node] + _LINES_ASIDE)
            if not self.hits[node] and self._looked[node] < stop:
                wanted[node] = (stop, run.excerpt(node, self._looked[node], stop))
                if len(wanted) == _NODES_ASIDE:
                    break

        def look() -> list[int]:
            return [node for node, (_, lines) in wanted.items() if any(search.found_in(line.text) for line in lines())]

        def looked(hits: list[int]) -> None:
            self._reading = False
            for node, (stop, _) in wanted.items():
                if run.restarts(node) == self._restarts.get(node, 0):
                    self._looked[node] = stop
                    self.hits[node] = node in hits

        self._reading = True
        self._aside.submit(look, looked)


class FilterModel:
    """The filter in force. `set_text` for every key, `update` at every tick."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._aside = Background("filter")
        self.text = ""
        self.terms: list[Term] = []
        self._board = Board(None, ())
        self._scans: dict[str, OutputScan] = {}
        self._good: dict[str, frozenset[str]] = {}
        self._seen: tuple[object, ...] = ()
        #: What passed at the last time when nothing was wrong and nothing outstanding; None: everything.
        self._passed: Sequence[int] | None = None
        self.result = FilterResult(None, 0)

    def set_board(self, board: Board) -> FilterResult:
        """Filter other nodes."""
        self._board = board
        self._scans = {}
        self._passed = None
        return self.evaluate()

    def set_text(self, text: str) -> FilterResult:
        """Filter by another line."""
        self.text = text.strip()
        self.terms = parse_filter(text)
        wanted = {term.text for term in self.terms if term.kind == "out"}
        self._scans = {key: scan for key, scan in self._scans.items() if key in wanted}
        return self.evaluate()

    def update(self, budget: float = 0.006) -> bool:
        """Take in what changed since; True if the result did. budget: seconds for searching output."""
        if not self.terms:
            return False
        until = time.perf_counter() + budget
        searching = [scan for scan in self._scans.values() if scan.pending]
        for scan in searching:
            scan.step(until)
        before = self.result
        stale = self._depends_on_run() and self._board.version != self._seen_version()
        if not (stale or before.pending or searching):
            return False
        self.evaluate()
        return self.result != before

    def _depends_on_run(self) -> bool:
        return any(term.kind in ("state", "rc", "out") for term in self.terms)

    def _seen_version(self) -> object:
        return self._seen[0] if self._seen else None

    def evaluate(self) -> FilterResult:
        """Filter anew."""
        board = self._board
        self._seen = (board.version,)
        total = len(board.names)
        if not self.terms:
            self._passed = None
            self.result = FilterResult(None, total)
            return self.result
        nodes: Sequence[int] = range(total)
        pending = False
        error = ""
        for term in self.terms:
            if term.error:
                error = error or term.error
                continue
            passed, wait, wrong = self._passing(term, nodes)
            pending |= wait
            error = error or wrong
            if passed is None:
                continue
            if term.negated:
                inside = set(passed)
                nodes = [node for node in nodes if node not in inside]
            else:
                nodes = passed
        if error:
            # What passed before the mistake stays on show: a half-typed word must not bring all nodes back.
            self.result = FilterResult(self._passed, total, pending, error)
            return self.result
        if not pending:
            self._passed = list(nodes)
        self.result = FilterResult(list(nodes), total, pending)
        return self.result

    def _passing(self, term: Term, nodes: Sequence[int]) -> tuple[list[int] | None, bool, str]:
        """Nodes of `nodes` that pass, whether more is to come, and what is wrong."""
        board = self._board
        match term.kind:
            case "state":
                table = bytes(1 if value in term.states else 0 for value in range(256))
                mask = board.states.translate(table)
                return [node for node in nodes if mask[node]], False, ""
            case "rc":
                return [node for node in nodes if rc_passes(term, board.rc(node))], False, ""
            case "name":
                found = term.search.found_in if term.search is not None else _nothing
                return [node for node in nodes if found(board.names[node])], False, ""
            case "glob" if term.pattern is not None:
                match = term.pattern.match
                return [node for node in nodes if match(board.lower[node])], False, ""
            case "nodes":
                return self._in_set(term, nodes)
            case "out":
                scan = self._scans.get(term.text)
                if scan is None:
                    scan = self._scans[term.text] = OutputScan(board, term, self._aside)
                    scan.step(time.perf_counter() + 0.006)
                return [node for node in nodes if scan.hits[node]], scan.pending, ""
            case _:
                found_nodes = self._by_text(term.text, nodes)
                if not found_nodes and any(opener.startswith(term.text) for opener in OPENERS):
                    return None, False, "not finished"  # the list must not go empty for the first letters of `state:`
                return found_nodes, False, ""

    def names_of(self, expression: str) -> frozenset[str] | None:
        """What a node set stands for as far as it is known; for views of something else than nodes."""
        return self._resolved(expression)[1]

    def _resolved(self, expression: str) -> tuple[Resolution, frozenset[str] | None]:
        known = self._resolve(expression)
        if known.names is not None:
            self._good[expression] = known.names
        return known, known.names if known.names is not None else self._good.get(expression)

    def _in_set(self, term: Term, nodes: Sequence[int]) -> tuple[list[int] | None, bool, str]:
        known, names = self._resolved(term.text)
        if names is None:
            return None, known.pending, known.error
        inside = {self._board.index[name] for name in names if name in self._board.index}
        return [node for node in nodes if node in inside], known.pending, known.error

    def _by_text(self, text: str, nodes: Sequence[int]) -> list[int]:
        board = self._board
        exact = board.index.get(text)
        if exact is None and text in board.lower:
            exact = board.lower.index(text)
        if exact is not None:
            return [exact] if exact in nodes else []
        lower = board.lower
        found = [node for node in nodes if text in lower[node]]
        if found:
            return found
        return [node for node in nodes if _in_order(text, lower[node])]


def _in_order(characters: str, text: str) -> bool:
    """Whether the characters stand in the text in this order, others between them."""
    place = 0
    for character in characters:
        place = text.find(character, place) + 1
        if not place:
            return False
    return True


def _nothing(_text: str) -> bool:
    return False
