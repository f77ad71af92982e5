"""Runs without an engine: real Run models, fed by tests and benchmarks with whatever events they like."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from ClusterShell.NodeSet import NodeSet

from clusterdeck.console.records.archive import kept_places, kept_runs
from clusterdeck.console.runs.events import (
    Chunk,
    NodeChange,
    NodesChanged,
    OutputArrived,
    RunFinished,
    RunStarted,
    SessionEvent,
)
from clusterdeck.console.runs.options import RunOptions
from clusterdeck.console.runs.output import OutputLimits
from clusterdeck.console.runs.run_store import RunStore
from clusterdeck.console.runs.runs import Run, RunEvent
from clusterdeck.console.runs.spool import Spool, SpoolBudget
from clusterdeck.console.session.selection import Selection
from clusterdeck.console.session.timers import TimerInfo
from clusterdeck.console.settings.settings import Settings
from clusterdeck.engine.states import Failure, FailureKind, NodeState


class FakeSession:
    """What the screen needs of a Session; `push` puts events on their way to the next `drain`."""

    def __init__(self, nodes: str = "node[1-24]", settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        node_set = NodeSet(nodes)
        self.selection = Selection(node_set)
        self.runs = RunStore(200, 256 * 1024 * 1024)
        self.aborted: list[tuple[int | None, NodeSet | None]] = []
        self.answered: list[tuple[int, object]] = []
        self.groups: dict[str, str] = {}
        self.connections = 0
        self._budget = SpoolBudget(1 << 30)
        self._events: list[SessionEvent] = []
        self._next = 1

    def make_run(self, line: str = "uptime", nodes: str | None = None, kind: str = "shell") -> Run:
        """A run in the store, every node pending."""
        node_set = NodeSet(nodes) if nodes is not None else self.selection.current
        spool = Spool(self._spool_dir, 1 << 30, self._budget, lambda _error: None)
        run = Run(self._next, line, kind, node_set, RunOptions(), OutputLimits(1 << 20, 256 << 20), spool)
        self._next += 1
        self.runs.add(run)
        return run

    def _spool_dir(self) -> Path:
        return Path(tempfile.gettempdir())  # the spool's file has no name there

    def push(self, *events: SessionEvent) -> None:
        """Events for the next drain."""
        self._events.extend(events)

    def drain(self, budget: float = 0.012) -> list[SessionEvent]:
        """As Session.drain."""
        until = time.perf_counter() + budget
        taken = 0
        with self.runs.lock:
            for event in self._events:
                taken += 1
                if isinstance(event, RunEvent) and (run := self.runs.get(event.run)) is not None:
                    run.apply(event)
                if time.perf_counter() >= until:
                    break
        done, self._events = self._events[:taken], self._events[taken:]
        return done

    @property
    def waiting(self) -> int:
        """Events that no drain took yet."""
        return len(self._events)

    def abort(self, run: int | None = None, nodes: NodeSet | None = None) -> list[int]:
        """Remembers what was asked."""
        self.aborted.append((run, nodes))
        return [r.id for r in self.runs.running if run is None or r.id == run]

    def resolve(self, expression: str) -> NodeSet:
        """Node sets without groups.conf: `groups` has them."""
        for name, members in self.groups.items():
            expression = expression.replace(f"@{name}", members)
        return NodeSet(expression, resolver=None)

    def timers(self) -> list[TimerInfo]:
        """None."""
        return []

    def answer(self, question: int, answer: object) -> bool:
        """Remembers the answer."""
        self.answered.append((question, answer))
        return True

    def close(self) -> None:
        """Give back what the runs hold."""
        self.runs.close()


def out(run: Run, node: int, *lines: str | bytes, stream: int = 0) -> OutputArrived:
    """The event of some lines of one node."""
    data = b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines)
    return OutputArrived(run.id, (Chunk(node, stream, data, len(lines)),))


def states(
    run: Run,
    nodes: Iterable[int],
    state: NodeState,
    rc: int | None = None,
    reason: str = "",
    at: float | None = None,
) -> NodesChanged:
    """The event of nodes coming into a state; at: the moment of the monotonic clock (None: now)."""
    kinds = {NodeState.TIMEOUT: FailureKind.COMMAND_TIMEOUT, NodeState.LOST: FailureKind.CONNECTION_LOST}
    failure = Failure(kinds.get(state, FailureKind.CONNECT_TIMEOUT), reason) if reason else None
    now = time.monotonic() if at is None else at
    return NodesChanged(run.id, tuple(NodeChange(node, state, now, rc, failure) for node in nodes))


def finish(run: Run, at: float | None = None) -> RunFinished:
    """The event of its end."""
    return RunFinished(run.id, time.monotonic() if at is None else at)


def mixed(session: FakeSession, line: str = "uname -r", *, seed: int = 1) -> Run:
    """A run that ended: most nodes agree, some differ, some failed, timed out or could not be reached.

    Its nodes took 1.5 seconds each and all of it 2, however busy the machine is.
    """
    run = session.make_run(line)
    count = len(run.names)
    chance = random.Random(seed)
    nodes: Sequence[int] = range(count)
    begun = time.monotonic() - 2.0
    session.push(RunStarted(run.id, begun), states(run, nodes, NodeState.RUNNING, at=begun))

    def end(node: int, state: NodeState, rc: int | None = None, reason: str = "") -> NodesChanged:
        return states(run, [node], state, rc, reason, begun + 1.5)

    for node in nodes:
        draw = chance.random()
        if draw < 0.70:
            session.push(out(run, node, "6.1.0-18-amd64"), end(node, NodeState.OK, 0))
        elif draw < 0.80:
            session.push(out(run, node, "5.10.0-8-amd64"), end(node, NodeState.OK, 0))
        elif draw < 0.88:
            session.push(out(run, node, "uname: cannot open /proc/version", stream=1), end(node, NodeState.FAILED, 2))
        elif draw < 0.94:
            session.push(end(node, NodeState.TIMEOUT, reason="command timed out after 30 s"))
        else:
            reason = f"{run.names[node]}: connect timed out after 5 s; is the node up?"
            session.push(end(node, NodeState.UNREACHABLE, 255, reason))
    session.push(finish(run, begun + 2.0))
    return run


def kept(folder: Path | None = None) -> list[Run]:
    """The runs that earlier sessions kept, oldest first."""
    return list(kept_runs(kept_places(folder)))[::-1]
