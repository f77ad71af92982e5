"""What the plain prompt prints of runs and documents."""

from __future__ import annotations

from typing import Any

import pytest
from ClusterShell.NodeSet import NodeSet

from clusterdeck.console.frontend import Document
from clusterdeck.console.repl.printer import Paint, Printer, document_lines
from clusterdeck.console.repl.stopper import Stopper
from clusterdeck.console.runs.events import (
    STDERR,
    STDOUT,
    Chunk,
    NodeChange,
    NodesChanged,
    Notice,
    OutputArrived,
    RunFinished,
    RunStarted,
    SessionEvent,
    TimerFired,
)
from clusterdeck.console.runs.options import RunOptions
from clusterdeck.console.runs.runs import Run
from clusterdeck.engine.states import NodeState
from clusterdeck.tests.support.fake_session import Answered, FakeSession


def answer(command: str, node: str) -> Answered:
    if node == "n3":
        return Answered(out="other\n", rc=2)
    return Answered(out="same\n", err="warned\n" if command == "err" else "")


@pytest.fixture
def session() -> FakeSession:
    return FakeSession(answer)


def events_of(run: Run) -> list[SessionEvent]:
    """The events that made a finished run, as the pump saw them."""
    chunks = [
        Chunk(node, STDERR if line.stream == "stderr" else STDOUT, line.text.encode() + b"\n", 1)
        for node, line in run.merged(0, run.merged_count())
    ]
    return [RunStarted(run.id, 0.0), OutputArrived(run.id, tuple(chunks)), RunFinished(run.id, 1.0)]


def printed(session: Any, events: list[SessionEvent], mode: str, *, color: bool = False) -> tuple[list[str], list[str]]:
    shown = Printer(session.runs, Paint(color)).take(events, mode)
    assert sorted(shown.both) == sorted(shown.data + shown.notes)
    return shown.data, shown.notes


def test_live_lines_carry_their_node(session: FakeSession) -> None:
    run = session.shell("cmd", NodeSet("n[1-3]"), RunOptions())
    data, notes = printed(session, events_of(run), "live")
    assert data == ["n1: same", "n2: same", "n3: other"]
    assert notes[0].startswith("#1 cmd   ok 2, failed 1")
    assert notes[1] == "  n3 (1): x failed: rc 2"


def test_gathered_answers_come_once_at_the_end(session: FakeSession) -> None:
    run = session.shell("cmd", NodeSet("n[1-3]"), RunOptions())
    data, _ = printed(session, events_of(run), "gathered")
    rule = "-" * 15
    assert data == [rule, "n[1-2] (2)", rule, "same", rule, "n3 (1)", rule, "other"]


def test_both_means_both_but_not_twice_for_one_node(session: FakeSession) -> None:
    run = session.shell("cmd", NodeSet("n[1-3]"), RunOptions())
    data, _ = printed(session, events_of(run), "both")
    assert data[:3] == ["n1: same", "n2: same", "n3: other"]
    assert "n[1-2] (2)" in data
    single = session.shell("cmd", NodeSet("n1"), RunOptions())
    data, _ = printed(session, events_of(single), "both")
    assert data == ["n1: same"]


def test_lines_of_runs_at_a_time_carry_their_number(session: FakeSession) -> None:
    one = session.shell("cmd", NodeSet("n1"), RunOptions())
    two = session.shell("cmd", NodeSet("n2"), RunOptions())
    mixed = [events_of(one)[1], events_of(two)[1]]
    data, _ = printed(session, mixed, "live")
    assert data == [f"#{one.id} n1: same", f"#{two.id} n2: same"]


def test_no_line_can_forge_a_prefix_or_an_escape(session: FakeSession) -> None:
    run = session.shell("cmd", NodeSet("n1"), RunOptions())
    hostile = b"a\rn9: forged\x1b[2J\x1b]0;t\x07\x9b31m\n"
    data, _ = printed(session, [OutputArrived(run.id, (Chunk(0, STDOUT, hostile, 1),))], "live")
    assert len(data) == 1
    assert data[0].startswith("n1: a")
    assert data[0].isprintable()


def test_colours_are_only_ours(session: FakeSession) -> None:
    run = session.shell("err", NodeSet("n[1-2]"), RunOptions())
    plain = printed(session, events_of(run), "both")
    coloured = printed(session, events_of(run), "both", color=True)
    assert any("\x1b[31m" in line for line in coloured[0])
    for with_colour, without in zip(coloured[0] + coloured[1], plain[0] + plain[1], strict=True):
        text = with_colour
        for code in ("0", "1", "31", "32", "33", "36", "90"):
            text = text.replace(f"\x1b[{code}m", "")
        assert text == without


def test_notices_and_timers_are_told(session: FakeSession) -> None:
    missed: list[SessionEvent] = [TimerFired(1, 4, None, number) for number in (1, 2, 3)]
    events: list[SessionEvent] = [
        Notice("warning", "look\x1bout"), *missed, TimerFired(1, 5, 9, 3), TimerFired(1, 6, 10, 3),
        TimerFired(1, 6, None, 4), TimerFired(1, 7, 11, 4),
    ]  # fmt: skip
    data, notes = printed(session, events, "both")
    assert data == []
    assert notes[0].isprintable()
    assert notes[1:] == [
        "timer 1: a round is missed, the one before still runs",
        "timer 1: round 5 is #9",
        "timer 1: 3 missed before it, 3 in all",
        "timer 1: round 6 is #10",
        "timer 1: a round is missed, the one before still runs",
        "timer 1: round 7 is #11",
        "timer 1: 1 missed before it, 4 in all",
    ]


@pytest.mark.parametrize("mode", ["live", "gathered"])
@pytest.mark.parametrize("color", [True, False])
def test_what_a_timers_round_changed_stands_out(session: FakeSession, mode: str, color: bool) -> None:
    runs = []
    for said in ("same\nold\n", "same\nnew\n"):
        session.answer = lambda _command, _node, said=said: Answered(out=said)  # type: ignore[misc]
        runs.append(session.shell("cmd", NodeSet("n[1-2]"), RunOptions()))
        runs[-1].timer = 1
    data, _ = printed(session, events_of(runs[0]), mode, color=color)
    assert "\x1b[1;33m" not in "".join(data)
    data, _ = printed(session, events_of(runs[1]), mode, color=color)
    marked = [line for line in data if line.endswith("\x1b[1;33mnew\x1b[0m")]
    assert len(marked) == (0 if not color else 1 if mode == "gathered" else 2)
    assert "\x1b[1;33msame" not in "".join(data)


def test_events_of_runs_that_are_gone_are_left_out(session: FakeSession) -> None:
    events: list[SessionEvent] = [
        OutputArrived(99, (Chunk(0, STDOUT, b"x\n", 1),)),
        NodesChanged(99, (NodeChange(0, NodeState.OK, 0.0),)),
        RunFinished(99, 0.0),
    ]
    assert printed(session, events, "both") == ([], [])


def test_documents() -> None:
    paint = Paint(False)
    assert document_lines(Document.of("alone"), paint) == ["alone"]
    assert document_lines(Document("title", ("one", "two")), paint) == ["title", "one", "two"]
    assert document_lines(Document("error", ("x\x1b[2J", "^"), "error"), paint) == ["x", "^"]
    assert document_lines(Document.of("bad", level="error"), Paint(True)) == ["\x1b[31mbad\x1b[0m"]


def test_ctrl_c_stops_the_newest_run_first_and_then_all() -> None:
    class Running:
        def __init__(self) -> None:
            self.runs = self
            self.aborted: list[int | None] = []
            self.running = [type("R", (), {"id": n, "line": f"cmd {n}", "ended": None}) for n in (1, 2)]

        def get(self, number: int) -> object:
            return self.running[number - 1]

        def abort(self, run: int | None = None) -> list[int]:
            self.aborted.append(run)
            return []

    session, said = Running(), list[str]()
    stopper = Stopper(session, said.append)  # type: ignore[arg-type]
    assert [stopper.stop_run() for _ in range(3)] == [True, True, True]
    assert session.aborted == [2, 1, None]
    assert said == ["stopping #2 cmd 2", "stopping #1 cmd 1", "still stopping #1, #2"]
    session.running = []
    assert not stopper.stop_run()
