"""What a timer's round changed since the one before."""

from __future__ import annotations

from clusterdeck.console.runs.changes import COMPARED_LINES, Before, changed_nodes, timer_notice
from clusterdeck.console.runs.options import RunOptions
from clusterdeck.console.runs.runs import Run
from clusterdeck.engine.states import NodeState
from clusterdeck.tests.support.fake_session import Answered, FakeSession


def _round(session: FakeSession, answers: dict[str, Answered], timer: int | None = 1) -> Run:
    session.answer = lambda _command, node: answers.get(node, Answered("same"))
    run = session.shell("x", session.resolve("@web"), RunOptions())
    run.timer = timer
    return run


def test_output_state_and_return_code_count() -> None:
    session = FakeSession()
    first = _round(session, {})
    assert changed_nodes(first, _round(session, {})) == []
    assert changed_nodes(first, _round(session, {"web2": Answered("other")})) == [1]
    assert changed_nodes(first, _round(session, {"web3": Answered("same", rc=1)})) == [2]
    lost = Answered("same", rc=None, state=NodeState.LOST)
    assert changed_nodes(first, _round(session, {"web4": lost})) == [3]


def test_the_notice_names_nodes_rounds_and_what_is_bad_now() -> None:
    session = FakeSession()
    assert timer_notice(session.runs, _round(session, {})) is None
    session.shell("another line in between", session.resolve("@db"), RunOptions())
    assert timer_notice(session.runs, _round(session, {})) is None
    bad = timer_notice(session.runs, _round(session, {"web2": Answered(rc=1), "web3": Answered("new")}))
    assert bad is not None
    assert bad.level == "warning"
    assert bad.text == "timer 1: web[2-3] (2) changed since #3, bad now: web2; :diff 3 4 shows it"
    good = timer_notice(session.runs, _round(session, {}))
    assert good is not None
    assert good.level == "info"
    assert ", ok again: web2;" in good.text


def test_lines_that_the_round_before_did_not_have_are_new() -> None:
    session = FakeSession()
    first = _round(session, {"web1": Answered("a\nb\n"), "web2": Answered("x\n" * (COMPARED_LINES + 1))})
    before = Before(first)
    assert [before.is_new("web1", line) for line in ("a", "b", "c")] == [False, False, True]
    assert before.is_new("elsewhere", "a")
    assert not before.is_new("web2", "y"), "too much to compare is not told"


def test_timers_do_not_mix_and_other_runs_are_no_rounds() -> None:
    session = FakeSession()
    _round(session, {}, timer=1)
    assert timer_notice(session.runs, _round(session, {"web1": Answered("x")}, timer=2)) is None
    assert timer_notice(session.runs, _round(session, {"web1": Answered("x")}, timer=None)) is None
