"""What the engine thread tells the front ends: frozen facts in the past tense, carried in batches.

A node is a small number: the index into the run's `names`. Times are seconds of `time.monotonic()` unless said
otherwise. Bytes here are as the node sent them; only what is shown passes the gate.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...engine.states import Failure, NodeState

STDOUT = 0
STDERR = 1
STREAM_NAMES = ("stdout", "stderr")


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Whole lines of one node and stream, each line ended by LF. lines: how many."""

    node: int
    stream: int
    data: bytes
    lines: int


@dataclass(frozen=True, slots=True, eq=False)
class NodeChange:
    """A node came into a state. rc and failure as in engine.states.NodeEnd."""

    node: int
    state: NodeState
    at: float
    rc: int | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RunStarted:
    """The engine took the run up."""

    run: int
    at: float


@dataclass(frozen=True, slots=True, eq=False)
class NodesChanged:
    """States of nodes changed, in this order."""

    run: int
    changes: tuple[NodeChange, ...]


@dataclass(frozen=True, slots=True, eq=False)
class NodesRestarted:
    """Nodes are tried again: their output so far and their end no longer count. attempt: 2 for the first retry."""

    run: int
    nodes: tuple[int, ...]
    attempt: int


@dataclass(frozen=True, slots=True, eq=False)
class OutputArrived:
    """Output arrived, grouped by node, in the order of arrival per node."""

    run: int
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True, eq=False)
class CopyProgressed:
    """Bytes of a copy that are done; total may grow while directories are listed."""

    run: int
    node: int
    done: int
    total: int


@dataclass(frozen=True, slots=True, eq=False)
class RunFinished:
    """All nodes of the run ended. stopped: True when `stop_at` kept further waves from starting."""

    run: int
    at: float
    stopped: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class TimerFired:
    """A timer's round began. run: the id of the round's run, None when the round before still ran (missed)."""

    timer: int
    round: int
    run: int | None
    missed: int


@dataclass(frozen=True, slots=True, eq=False)
class TimerEnded:
    """A timer will not fire again; `reason` is one clean line."""

    timer: int
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class QuestionAsked:
    """The engine needs an answer; what waits for it is held back, the rest goes on.

    kind: "host-keys" (rows: name, address, key type, fingerprint) or "secret" (rows: what it is for).
    choices: the answers that `Session.answer` takes ("accept", "refuse"); empty for a secret (any str, or None).
    """

    question: int
    kind: str
    title: str
    rows: tuple[tuple[str, ...], ...]
    choices: tuple[str, ...]
    run: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class QuestionSettled:
    """A question needs no answer any more: answered, or what waited for it ended."""

    question: int


@dataclass(frozen=True, slots=True, eq=False)
class Notice:
    """Something worth a line to the operator; text is clean.

    level: "info", "warning" or "error"; "debug" (Session.trace) where a front end has asked for it.
    """

    level: str
    text: str
    run: int | None = None


SessionEvent = (
    RunStarted
    | NodesChanged
    | NodesRestarted
    | OutputArrived
    | CopyProgressed
    | RunFinished
    | TimerFired
    | TimerEnded
    | QuestionAsked
    | QuestionSettled
    | Notice
)
