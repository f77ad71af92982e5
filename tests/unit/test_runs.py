"""Runs and their store: states, counts, times, sets, and what is forgotten."""

from __future__ import annotations

from pathlib import Path

from ClusterShell.NodeSet import NodeSet

from clusterdeck.console.runs.events import (
    Chunk,
    CopyProgressed,
    NodeChange,
    NodesChanged,
    NodesRestarted,
    OutputArrived,
    RunFinished,
    RunStarted,
)
from clusterdeck.console.runs.excerpt import SHOWN_LINE_BYTES
from clusterdeck.console.runs.options import RunOptions
from clusterdeck.console.runs.output import OutputLimits
from clusterdeck.console.runs.run_store import RunStore
from clusterdeck.console.runs.runs import Run
from clusterdeck.console.runs.spool import Spool, SpoolBudget
from clusterdeck.engine.states import Failure, FailureKind, NodeState
from clusterdeck.widgets.views import OutputLine, RunView


def make_run(tmp_path: Path, nodes: str = "n[1-4]", number: int = 1) -> Run:
    spool = Spool(lambda: tmp_path, 10**9, SpoolBudget(10**9))
    return Run(number, "uname -r", "shell", NodeSet(nodes), RunOptions(), OutputLimits(), spool)


def said(node: int, *lines: bytes) -> OutputArrived:
    return OutputArrived(1, (Chunk(node, 0, b"".join(line + b"\n" for line in lines), len(lines)),))


def ended(node: int, state: NodeState, at: float, rc: int | None = None, reason: str = "") -> NodesChanged:
    failure = Failure(FailureKind.REFUSED, reason) if reason else None
    return NodesChanged(1, (NodeChange(node, state, at, rc, failure),))


def test_a_run_satisfies_the_widgets_view(tmp_path: Path) -> None:
    view: RunView = make_run(tmp_path)
    assert view.names == ["n1", "n2", "n3", "n4"]


def test_states_counts_times_and_sets(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.apply(RunStarted(1, 100.0))
    run.apply(NodesChanged(1, tuple(NodeChange(n, NodeState.RUNNING, 101.0) for n in range(4))))
    assert run.count(NodeState.RUNNING) == 4
    assert run.elapsed(0, 103.5) == 2.5
    run.apply(ended(0, NodeState.OK, 104.0, 0))
    run.apply(ended(1, NodeState.FAILED, 105.0, 2))
    run.apply(ended(2, NodeState.TIMEOUT, 106.0))
    run.apply(ended(3, NodeState.UNREACHABLE, 107.0, None, "no \x1b[31mroute"))
    run.apply(RunFinished(1, 107.0))
    assert [run.count(state) for state in (NodeState.OK, NodeState.FAILED, NodeState.PENDING)] == [1, 1, 0]
    assert run.elapsed(1, 999.0) == 4.0
    assert (run.rc(1), run.rc(2)) == (2, None)
    assert run.max_rc() == 2
    assert run.reason(3) == "no route"
    assert str(run.bad_nodes()) == "n[2-4]"
    assert str(run.nodes_with_rc(2)) == "n2"
    assert run.numbers(NodeState.OK, NodeState.TIMEOUT) == [0, 2]
    assert run.summary() == "ok 1, failed 1, timeout 1, unreachable 1"
    assert run.ended == 107.0


def test_a_node_that_was_never_reached_took_as_long_as_the_attempt(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    connecting = tuple(NodeChange(n, NodeState.CONNECTING, 100.0) for n in range(2))
    run.apply(NodesChanged(1, connecting))
    # The engine picks every node up before its end, those that could not be reached at their very end.
    run.apply(NodesChanged(1, tuple(NodeChange(n, NodeState.RUNNING, 104.0) for n in range(2))))
    run.apply(ended(0, NodeState.UNREACHABLE, 104.0, None, "no connection within 4 s"))
    run.apply(ended(1, NodeState.OK, 105.0, 0))
    assert run.elapsed(0, 999.0) == 4.0
    assert run.elapsed(1, 999.0) == 1.0


def test_groups_are_live_and_fold(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    for node in range(3):
        run.apply(said(node, b"6.1.0"))
    run.apply(said(3, b"5.10"))
    first, second = run.groups()
    assert (first.folded, first.line_count, first.lines(0, 9)) == ("n[1-3]", 1, [OutputLine("6.1.0", "stdout")])
    assert second.folded == "n4"
    run.apply(said(0, b"more"))
    assert [group.folded for group in run.groups()] == ["n[2-3]", "n1", "n4"]


def test_shown_text_is_clean_and_bounded(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.apply(said(0, b"a\x1b]52;c;Zm9v\x07b\rc", b"x" * (SHOWN_LINE_BYTES + 5)))
    first, second = run.lines(0, 0, 2)
    assert "\x1b" not in first.text
    assert "\r" not in first.text
    assert second.text.endswith("[5 bytes more]")
    assert run.merged(0, 1)[0] == (0, first)


def test_a_retry_starts_the_node_over(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.apply(said(0, b"first"))
    run.apply(ended(0, NodeState.FAILED, 1.0, 1, "why"))
    run.apply(NodesRestarted(1, (0,), 2))
    assert NodeState(run.states[0]) is NodeState.PENDING
    assert (run.rc(0), run.reason(0), run.line_count(0), run.attempts) == (None, "", 0, 2)
    assert run.groups() == []
    run.apply(ended(0, NodeState.OK, 2.0, 0))
    assert run.rc(0) == 0


def test_progress_of_copies_adds_up(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.apply(CopyProgressed(1, 0, 10, 100))
    run.apply(CopyProgressed(1, 1, 20, 100))
    run.apply(CopyProgressed(1, 0, 50, 100))
    assert run.transferred() == (70, 200)


def test_the_store_forgets_the_oldest_ended_runs_only(tmp_path: Path) -> None:
    store = RunStore(keep=2)
    forgotten: list[int] = []
    store.on_forget = lambda run: forgotten.append(run.id)
    runs = [make_run(tmp_path, number=number) for number in range(1, 5)]
    for run in runs[1:3]:
        run.apply(RunFinished(run.id, 1.0))
    for run in runs:
        store.add(run)
    assert forgotten == [2, 3]
    assert [run.id for run in store] == [1, 4]
    assert store.last is runs[3]
    assert store.running == [runs[0], runs[3]]


def test_the_store_moves_old_output_to_disk(tmp_path: Path) -> None:
    store = RunStore(memory=1000)
    runs = [make_run(tmp_path, number=number) for number in (1, 2, 3)]
    for run in runs:
        store.add(run)
        run.apply(said(0, b"x" * 600))
        run.apply(RunFinished(run.id, 1.0))
    store.relieve()
    assert [run.output.memory for run in runs] == [0, 0, 601]
    assert runs[0].lines(0, 0, 1) == [OutputLine("x" * 600, "stdout")]
