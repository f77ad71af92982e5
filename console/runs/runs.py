"""What one command made: a Run.

Only the pump's thread changes a Run (`apply`), under `RunStore.lock`; other threads hold that lock while they read.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ClusterShell.NodeSet import NodeSet

from ...engine.states import FailureKind, NodeState
from ...engine.text import sanitize_text
from .events import (
    STREAM_NAMES,
    CopyProgressed,
    NodeChange,
    NodesChanged,
    NodesRestarted,
    OutputArrived,
    RunFinished,
    RunStarted,
)
from .excerpt import READING, Excerpt, coloured, shown
from .folding import Folder
from .groups import AnswerGroup, Grouping
from .merged import MergedRing
from .options import RunOptions
from .output import OutputLimits, OutputStore, SpoolFile

if TYPE_CHECKING:
    from ...widgets.views import OutputLine

RunEvent = RunStarted | NodesChanged | NodesRestarted | OutputArrived | CopyProgressed | RunFinished


class Run:
    """One command on its nodes; satisfies `widgets.views.RunView`. Made by the Session only."""

    def __init__(
        self,
        number: int,
        line: str,
        kind: str,
        nodes: NodeSet | None,
        options: RunOptions,
        limits: OutputLimits,
        spool: SpoolFile,
    ) -> None:
        self.id = number
        self.command = line
        self.line = sanitize_text(line).replace("\n", "\N{SYMBOL FOR NEWLINE}")
        self.kind = kind
        self.nodes = NodeSet() if nodes is None else nodes.copy()
        self.options = options
        #: For copies: what is copied, and where to.
        self.sources: tuple[str, ...] = ()
        self.destination = ""
        #: The timer that made the run, and the run that this one retries, if any.
        self.timer: int | None = None
        self.retry_of: int | None = None
        #: The run is of an earlier session, read back from disk.
        self.restored = False
        #: Why the run cannot be repeated; empty where it can.
        self.unrepeatable = ""
        self.names: Sequence[str] = list(nodes) if nodes is not None else ["localhost"]
        count = len(self.names)
        self.states = bytearray(count)
        self._counts = [0] * len(NodeState)
        self._counts[NodeState.PENDING] = count
        self._rcs: dict[int, int] = {}
        self._reasons: dict[int, str] = {}
        self._kinds: dict[int, str] = {}
        self._dialled: dict[int, float] = {}
        self._begun: dict[int, float] = {}
        self._over: dict[int, float] = {}
        self._progress: dict[int, tuple[int, int]] = {}
        self._restarts: dict[int, int] = {}
        self.attempts = 1
        self.version = 0
        self.output_version = 0
        self.created = time.time()
        self.started = time.monotonic()
        self.ended: float | None = None
        self.stopped = False
        self.done = threading.Event()
        #: The store's lock, once the run is in one.
        self.lock = threading.RLock()
        self.output = OutputStore(count, limits, spool)
        self._merged = MergedRing()
        self._grouping = Grouping(self.output.digest, self._make_group)

    # -- the pump's side

    def apply(self, event: RunEvent) -> None:
        """Bring the run up to date; the pump's thread only, under the store's lock."""
        match event:
            case OutputArrived(chunks=chunks):
                for chunk in chunks:
                    self.output.append(chunk)
                    self._merged.append(chunk)
                    self._grouping.touch(chunk.node)
                self.output_version += 1
            case NodesChanged(changes=changes):
                for change in changes:
                    self._change(change)
                self.version += 1
            case CopyProgressed(node=node, done=done, total=total):
                self._progress[node] = (done, total)
                self.version += 1
            case NodesRestarted(nodes=nodes, attempt=attempt):
                self._restart(nodes, attempt)
            case RunStarted(at=at):
                self.started = at
            case RunFinished(at=at, stopped=stopped):
                self.ended = at
                self.stopped = stopped
                self.output.seal()
                self.version += 1
                self.output_version += 1

    def _change(self, change: NodeChange) -> None:
        node = change.node
        self._counts[self.states[node]] -= 1
        self._counts[change.state] += 1
        self.states[node] = change.state
        if change.state is NodeState.CONNECTING:
            self._begun[node] = self._dialled[node] = change.at
        elif change.state is NodeState.RUNNING:
            # The command's own time counts: a node that connected first begins anew when its command does.
            self._begun[node] = change.at
        elif change.state.finished:
            self._over[node] = change.at
            if change.state is NodeState.UNREACHABLE and node in self._dialled:
                # It never had a command: what it took was the attempt to connect.
                self._begun[node] = self._dialled[node]
            self._dialled.pop(node, None)
            if change.rc is not None:
                self._rcs[node] = change.rc
            if change.failure is not None:
                self._reasons[node] = sanitize_text(change.failure.reason).replace("\n", " ")
                if change.failure.kind is not FailureKind.INTERNAL:
                    self._kinds[node] = change.failure.kind.value

    def _restart(self, nodes: Sequence[int], attempt: int) -> None:
        for node in nodes:
            self._counts[self.states[node]] -= 1
            self._counts[NodeState.PENDING] += 1
            self.states[node] = NodeState.PENDING
            for table in self._per_node():
                table.pop(node, None)
            self._restarts[node] = self._restarts.get(node, 0) + 1
            self.output.reset(node)
            self._grouping.touch(node)
        self.attempts = attempt
        self.version += 1
        self.output_version += 1

    def _per_node(self) -> Sequence[dict[int, Any]]:
        return (
            self._rcs, self._reasons, self._kinds, self._dialled, self._begun, self._over, self._progress,
        )  # fmt: skip

    def regroup(self) -> None:
        """Look at every node's answer again (the output was read back)."""
        for number in range(len(self.names)):
            self._grouping.touch(number)

    def close(self) -> None:
        """Forget the output and give its disk space back."""
        self.output.close()
        self._merged.clear()

    def release(self) -> None:
        """Move the output out of memory; it stays readable."""
        self.output.release()
        self._merged.clear()
        self.output_version += 1

    @cached_property
    def _folder(self) -> Folder:
        return Folder(self.names)

    # -- what views ask

    @property
    def lines_total(self) -> int:
        """Lines received so far from all nodes."""
        return self.output.lines_total

    @property
    def running(self) -> bool:
        """Whether the run has not ended."""
        return self.ended is None

    def count(self, state: NodeState) -> int:
        """How many nodes are in a state."""
        return self._counts[state]

    def rc(self, node: int) -> int | None:
        """A node's return code; None while it runs or where there is none."""
        return self._rcs.get(node)

    def reason(self, node: int) -> str:
        """Why a node failed, one clean line; empty where the return code says it all."""
        return self._reasons.get(node, "")

    def failure_kind(self, node: int) -> str:
        """The FailureKind in words (`refused`, `no route`); empty where there is none."""
        return self._kinds.get(node, "")

    def elapsed(self, node: int, now: float) -> float | None:
        """Seconds the node has run, or ran; None before it started."""
        begun = self._begun.get(node)
        return None if begun is None else max(0.0, self._over.get(node, now) - begun)

    def last_line(self, node: int) -> str:
        """The node's newest line, clean. In the screen's thread, it says so while it is being read from disk."""
        with self.lock:
            excerpt = self.output.newest(node)
        newest = excerpt.raw_seen()
        return "" if not newest else READING if newest[0][1] is None else shown(newest[0][1])

    def line_count(self, node: int) -> int:
        """Lines that `lines` can give."""
        return self.output.line_count(node)

    def excerpt(self, node: int, start: int, stop: int) -> Excerpt:
        """A node's lines, to be read by a call of the excerpt: without the lock, in a thread that may wait."""
        with self.lock:
            return self.output.excerpt(node, start, stop)

    def lines(self, node: int, start: int, stop: int) -> list[OutputLine]:
        """A node's lines, clean. In the screen's thread, those say so that are still being read from disk; any other
        one waits for the disk, and should not hold the lock meanwhile.
        """
        return self.excerpt(node, start, stop).seen()

    def merged_count(self) -> int:
        """Lines of all nodes in the order of arrival that are still at hand."""
        return len(self._merged)

    def merged(self, start: int, stop: int) -> list[tuple[int, OutputLine]]:
        """Lines of all nodes in the order of arrival, as (node number, line)."""
        from ...widgets.views import OutputLine

        lines = self._merged.lines(start, stop)
        return [(n, OutputLine(shown(line), STREAM_NAMES[s], coloured(line))) for n, s, line in lines]

    @property
    def merged_forgotten(self) -> int:
        """Lines that came before the first one of the merged view."""
        return self._merged.forgotten

    def groups(self) -> Sequence[AnswerGroup]:
        """Identical answers together, largest group first; live while the run goes on."""
        return self._grouping.ordered()

    def fold(self, nodes: Sequence[int]) -> str:
        """Node numbers as a folded node set, clean."""
        if len(nodes) == len(self.names):
            return sanitize_text(str(self.nodes) if len(self.nodes) else self.names[0])
        return sanitize_text(self._folder.fold(nodes))

    def restarts(self, node: int) -> int:
        """How often a node was tried again."""
        return self._restarts.get(node, 0)

    def transferred(self) -> tuple[int, int]:
        """Bytes done and bytes in all, for copies."""
        done = total = 0
        for node_done, node_total in self._progress.values():
            done += node_done
            total += node_total
        return done, total

    def moved_for(self, now: float) -> float:
        """Seconds in which a copy's bytes moved: from the first node that began to the last one that ended."""
        begun = [self._begun[node] for node in self._progress if node in self._begun]
        ends = [self._over.get(node, now) for node in self._progress]
        return max(0.0, max(ends) - min(begun)) if begun else 0.0

    def progress(self, node: int) -> tuple[int, int]:
        """Bytes done and bytes in all of one node's copy; (0, 0) otherwise."""
        return self._progress.get(node, (0, 0))

    # -- what the next command uses

    def numbers(self, *states: NodeState) -> list[int]:
        """Numbers of the nodes in any of the states, ascending."""
        wanted = frozenset(states)
        return [number for number, state in enumerate(self.states) if state in wanted]

    def node_set(self, *states: NodeState) -> NodeSet:
        """The nodes in any of the states."""
        return self._folder.node_set(self.numbers(*states))

    def nodes_with_rc(self, rc: int) -> NodeSet:
        """The nodes that returned `rc`."""
        return self._folder.node_set(sorted(number for number, value in self._rcs.items() if value == rc))

    def bad_nodes(self) -> NodeSet:
        """The nodes whose command did not end well."""
        return self.node_set(*(state for state in NodeState if state.bad))

    def return_codes(self) -> dict[int, list[int]]:
        """Node numbers by return code."""
        found: dict[int, list[int]] = {}
        for number in sorted(self._rcs):
            found.setdefault(self._rcs[number], []).append(number)
        return found

    def reasons(self) -> dict[str, list[int]]:
        """Node numbers by reason of failure."""
        found: dict[str, list[int]] = {}
        for number in sorted(self._reasons):
            found.setdefault(self._reasons[number], []).append(number)
        return found

    def max_rc(self) -> int | None:
        """The largest return code; None where no node gave one."""
        return max(self._rcs.values(), default=None)

    def summary(self) -> str:
        """The counts in words: `ok 120, failed 5`; only states that occur."""
        return ", ".join(f"{state.word} {self._counts[state]}" for state in NodeState if self._counts[state])

    def _make_group(self, key: bytes) -> AnswerGroup:
        return AnswerGroup(key, self.fold, self.line_count, self.excerpt)
