"""The session over the real engine, with local commands standing in for nodes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ClusterShell.NodeSet import NodeSet

from clusterdeck.console.runs.events import NodesRestarted, Notice, SessionEvent, TimerEnded, TimerFired
from clusterdeck.console.runs.options import RunOptions
from clusterdeck.console.runs.runs import Run
from clusterdeck.console.session.checks import UnknownWorkerError
from clusterdeck.console.session.session import NodeExpressionError, RefusedError, Session
from clusterdeck.console.settings.settings import Settings
from clusterdeck.engine.states import NodeState
from clusterdeck.tests.support.patience import with_time_enough

Pump = Callable[[Callable[[], bool]], list[SessionEvent]]


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setenv("CLUSTERDECK_STATE_DIR", str(tmp_path / "state"))
    settings = Settings()
    settings.set("worker", "exec")
    with Session(settings) as made:
        yield made
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("Task-")]


@pytest.fixture
def pump(session: Session) -> Pump:
    """Drains until the condition holds; returns the events that were applied meanwhile."""

    def until(done: Callable[[], bool]) -> list[SessionEvent]:
        events: list[SessionEvent] = []
        deadline = time.monotonic() + 60
        while not done():
            assert time.monotonic() < deadline, [run.summary() for run in session.runs]
            session.wait_batch(0.1)
            events += session.drain()
        return events

    return until


def text(run: Run, node: int = 0) -> list[str]:
    return [line.text for line in run.lines(node, 0, run.line_count(node))]


def test_a_command_on_nodes(session: Session, pump: Pump) -> None:
    run = session.shell("echo hi %h; exit %n", NodeSet("n[1-3]"), RunOptions())
    assert (run.id, run.ended, run.count(NodeState.PENDING)) == (1, None, 3)
    pump(run.done.is_set)
    assert [text(run, node) for node in range(3)] == [["hi n1"], ["hi n2"], ["hi n3"]]
    assert [run.rc(node) for node in range(3)] == [0, 1, 2]
    assert (run.count(NodeState.OK), run.count(NodeState.FAILED)) == (1, 2)
    assert all((run.elapsed(node, 0) or -1) >= 0 for node in range(3))
    assert session.runs.last is run


def test_results_make_node_sets(session: Session, pump: Pump) -> None:
    run = session.shell("exit %n", NodeSet("n[1-4]"), RunOptions())
    pump(run.done.is_set)
    assert str(session.resolve("@ok")) == "n1"
    assert str(session.resolve("@failed")) == "n[2-4]"
    assert str(session.resolve("@failed!@rc:2")) == "n[2,4]"
    assert str(session.resolve("@run:1:rc:3,x9")) == "n4,x9"
    assert str(session.resolve("@run:1")) == "n[1-4]"
    assert len(session.resolve("@timeout")) == 0
    session.selection.save("mine", NodeSet("a,b"))
    session.settings.group_sets["web"] = "w[1-2],@mine"
    assert str(session.resolve("@web&@mine,c")) == "a,b,c" or str(session.resolve("@mine")) == "a,b"
    assert str(session.resolve("@web")) == "a,b,w[1-2]"


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("n[1", "bracket"),
        ("@run:99", "no run"),
        ("@ok", "newest run"),
        ("-oProxyCommand=x", "refused"),
        ("n1;id", "refused"),
        ("@no:such", "source"),
        ("n[1-99999999]", "too many"),
        ("n[1-9999]x[0-9999]", "too many"),
        ("n[1-99999999999999999999]", "too many"),
    ],
)
def test_wrong_expressions_are_named(session: Session, expression: str, words: str) -> None:
    with pytest.raises(NodeExpressionError, match=words):
        session.resolve(expression)


def test_stderr_merged_or_apart(session: Session, pump: Pump) -> None:
    apart = session.shell("echo out; echo err >&2", NodeSet("n1"), RunOptions(stderr=True))
    merged = session.shell("echo out; echo err >&2", NodeSet("n1"), RunOptions())
    pump(lambda: apart.done.is_set() and merged.done.is_set())
    assert sorted((line.stream, line.text) for line in apart.lines(0, 0, 9)) == [("stderr", "err"), ("stdout", "out")]
    assert [(line.stream, line.text) for line in merged.lines(0, 0, 9)] == [("stdout", "out"), ("stdout", "err")]


def test_timeouts_keep_what_was_said(session: Session, pump: Pump) -> None:
    def attempt(limit: float) -> Run:
        run = session.shell("echo early; sleep 60", NodeSet("n1"), RunOptions(timeout=limit))
        pump(run.done.is_set)
        return run

    run = with_time_enough(attempt, text)
    assert NodeState(run.states[0]) is NodeState.TIMEOUT
    assert text(run) == ["early"]


def test_abort_of_a_run_keeps_results_and_leaves_others_alone(session: Session, pump: Pump) -> None:
    run = session.shell("echo early; test %n = 0 || sleep 30", NodeSet("n[1-3]"), RunOptions())
    other = session.shell("sleep 0.5; echo other", NodeSet("n1"), RunOptions())
    pump(lambda: run.count(NodeState.OK) == 1 and run.lines_total == 3)
    assert session.abort(run.id) == [run.id]
    pump(lambda: run.done.is_set() and other.done.is_set())
    assert [NodeState(state).word for state in run.states] == ["ok", "aborted", "aborted"]
    assert text(run, 2) == ["early"]
    assert text(other) == ["other"]
    assert session.abort(run.id) == []


def test_abort_of_some_nodes(session: Session, pump: Pump) -> None:
    run = session.shell("test %n = 1 && sleep 30; sleep 0.4; echo done", NodeSet("n[1-3]"), RunOptions())
    pump(lambda: run.count(NodeState.RUNNING) == 3)
    session.abort(run.id, NodeSet("n2"))
    pump(run.done.is_set)
    assert [NodeState(state).word for state in run.states] == ["ok", "aborted", "ok"]


def test_abort_of_some_nodes_that_share_one_command_says_that_it_cannot(session: Session, pump: Pump) -> None:
    """It once died of a TypeError. What covers all that is left of the command does stop it."""
    run = session.shell("echo %hosts; sleep 60", NodeSet("n[1-3]"), RunOptions())
    pump(lambda: run.count(NodeState.RUNNING) == 3)
    session.abort(run.id, NodeSet("n[1-2]"))
    notices: list[Notice] = []
    while not notices:
        assert session.wait_batch(20)
        notices = [event for event in session.drain() if isinstance(event, Notice)]
    assert [(one.level, one.run) for one in notices] == [("warning", run.id)]
    assert notices[0].text.startswith("n[1-2]: not stopped: ")
    assert run.count(NodeState.RUNNING) == 3
    session.abort(run.id, NodeSet("n[1-3]"))
    pump(run.done.is_set)
    assert run.count(NodeState.ABORTED) == 3


def test_abort_reaches_nodes_that_wait_for_their_turn(session: Session, pump: Pump) -> None:
    run = session.shell("sleep 30", NodeSet("n[1-6]"), RunOptions(fanout=2))
    pump(lambda: run.count(NodeState.RUNNING) == 2)
    session.abort(run.id, NodeSet("n[3-6]"))
    pump(lambda: run.count(NodeState.ABORTED) == 4)
    assert run.ended is None
    session.abort()
    pump(run.done.is_set)
    assert run.count(NodeState.ABORTED) == 6


def test_fanout_of_one_run_does_not_bind_another(session: Session, pump: Pump) -> None:
    slow = session.shell("sleep 30", NodeSet("n[1-3]"), RunOptions(fanout=1))
    quick = session.shell("echo hi", NodeSet("n[1-3]"), RunOptions())
    pump(quick.done.is_set)
    assert slow.count(NodeState.RUNNING) == 1
    session.abort()
    pump(slow.done.is_set)


def test_waves_run_one_after_the_other(session: Session, pump: Pump, tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = f"echo %h >> {log}; sleep 0.05"
    run = session.shell(command, NodeSet("n[1-6]"), RunOptions(batch="1,2,rest"))
    pump(run.done.is_set)
    order = log.read_text().split()
    assert order[0] == "n1"
    assert set(order[1:3]) == {"n2", "n3"}
    assert set(order[3:]) == {"n4", "n5", "n6"}


def test_too_many_bad_nodes_stop_further_waves(session: Session, pump: Pump) -> None:
    run = session.shell("test %h != n2", NodeSet("n[1-6]"), RunOptions(batch="1,1,rest", stop_at="1"))
    pump(run.done.is_set)
    assert run.stopped
    assert [NodeState(state).word for state in run.states] == ["ok", "failed", *["aborted"] * 4]


def test_retries_begin_anew_and_count_the_last_end(session: Session, pump: Pump, tmp_path: Path) -> None:
    command = f"echo x >> {tmp_path}/%h; grep -c x {tmp_path}/%h; test $(grep -c x {tmp_path}/%h) -ge 3"
    run = session.shell(command, NodeSet("n[1-2]"), RunOptions(retries=5))
    events = pump(run.done.is_set)
    assert [event.attempt for event in events if isinstance(event, NodesRestarted)][-1] == 3
    assert [NodeState(state).word for state in run.states] == ["ok", "ok"]
    assert text(run) == ["3"]


def test_retries_give_up(session: Session, pump: Pump) -> None:
    run = session.shell("exit 4", NodeSet("n[1-2]"), RunOptions(retries=2))
    pump(run.done.is_set)
    assert run.attempts == 3
    assert run.count(NodeState.FAILED) == 2


def test_retry_is_a_new_run_on_those_nodes(session: Session, pump: Pump) -> None:
    run = session.shell("exit %n", NodeSet("n[1-3]"), RunOptions())
    pump(run.done.is_set)
    again = session.repeat(run, run.node_set(NodeState.FAILED), retry=True)
    assert (str(again.nodes), again.command, again.retry_of) == ("n[2-3]", run.command, run.id)
    pump(again.done.is_set)
    assert session.repeat(run, run.nodes).retry_of is None
    run.unrepeatable = "for a reason"
    with pytest.raises(RefusedError, match="for a reason"):
        session.repeat(run, run.nodes)


def test_local_commands(session: Session, pump: Pump) -> None:
    run = session.local("echo here; exit 3")
    pump(run.done.is_set)
    assert (run.kind, run.names, run.rc(0), text(run)) == ("local", ["localhost"], 3, ["here"])


def test_copies_with_the_exec_worker(session: Session, pump: Pump, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("payload")
    run = session.copy([str(source)], f"{tmp_path}/to-%h", NodeSet("n[1-2]"), RunOptions())
    pump(run.done.is_set)
    assert (tmp_path / "to-n2").read_text() == "payload"
    assert run.kind == "copy"


def test_standard_input_is_fed_or_empty(session: Session, pump: Pump) -> None:
    given = session.shell("cat", NodeSet("n[1-2]"), RunOptions(stdin=b"one\ntwo\n"))
    empty = session.shell("cat", NodeSet("n1"), RunOptions())
    streamed = session.shell("cat", NodeSet("n1"), RunOptions(open_stdin=True))
    session.feed(streamed.id, b"late\n")
    session.feed(streamed.id, None)
    pump(lambda: all(run.done.is_set() for run in (given, empty, streamed)))
    assert [text(given, 1), text(empty), text(streamed)] == [["one", "two"], [], ["late"]]


def test_a_command_that_closes_its_input_holds_up_no_other(session: Session, pump: Pump, tmp_path: Path) -> None:
    done = tmp_path / "done"
    # One closes its input and goes on until the other has read everything.
    deaf = f"exec <&-; until test -e {done}; do sleep 0.05; done"
    run = session.shell(f"if [ %n = 0 ]; then {deaf}; else wc -c; touch {done}; fi", NodeSet("n[1-2]"),
                        RunOptions(open_stdin=True))  # fmt: skip
    room = threading.Event()
    for _ in range(64):
        room.clear()
        session.feed(run.id, bytes(65536), room.set)
        assert room.wait(20)
    session.feed(run.id, None)
    pump(run.done.is_set)
    assert text(run, 1) == [str(64 * 65536)]


def test_variables_reach_the_command(session: Session, pump: Pump) -> None:
    options = RunOptions(environment=(("GREETING", "it's $HOME; `id`"),))
    run = session.shell('echo "$GREETING"', NodeSet("n1"), options)
    pump(run.done.is_set)
    assert text(run) == ["it's $HOME; `id`"]
    with pytest.raises(ValueError, match="variable name"):
        session.shell("true", NodeSet("n1"), RunOptions(environment=(("A;id", "x"),)))


@pytest.mark.parametrize("command", ["", "  \n"])
def test_empty_commands_are_refused(session: Session, command: str) -> None:
    with pytest.raises(RefusedError, match="empty"):
        session.shell(command, NodeSet("n1"), RunOptions())


def test_what_cannot_be_run_is_refused_before_anything_runs(session: Session) -> None:
    for sources in (["/etc/hosts", "/opt/hosts"], ["/etc/", "/opt/etc"]):
        with pytest.raises(RefusedError, match="under one name"):
            session.rcopy(sources, "/tmp", NodeSet("n1"), RunOptions())
    with pytest.raises(RefusedError, match="no nodes"):
        session.shell("true", NodeSet(), RunOptions())
    with pytest.raises(ValueError, match="percent"):
        session.shell("date +%H", NodeSet("n1"), RunOptions())
    with pytest.raises(ValueError, match="cannot read"):
        session.shell("true", NodeSet("n1"), RunOptions(batch="x"))
    with pytest.raises(RefusedError, match="dry run"):
        session.shell("true", NodeSet("n1"), RunOptions(dry_run=True))
    with pytest.raises(ValueError, match="refused"):
        session.shell("true", NodeSet("n1;id"), RunOptions())
    session.set_option("read_only", "true")
    with pytest.raises(RefusedError, match="read-only"):
        session.shell("true", NodeSet("n1"), RunOptions())
    assert len(session.runs) == 0


def test_an_unknown_worker_is_refused_and_nothing_else(
    session: Session, pump: Pump, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cdk_broken_worker.py").write_text("1 / 0\n")
    (tmp_path / "cdk_empty_worker.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("nosuch", "cdk_broken_worker", "cdk_empty_worker"):
        with pytest.raises(UnknownWorkerError, match=name):
            session.shell("true", NodeSet("n[1-2]"), RunOptions(worker=name))
    right = session.shell("true", NodeSet("n[1-2]"), RunOptions())
    pump(lambda: right.done.is_set())
    assert right.count(NodeState.OK) == 2


def test_a_timer_fires_counts_and_ends(session: Session, pump: Pump) -> None:
    info = session.timer(0.0, 0.02, "echo tick", NodeSet("n1"), RunOptions(), count=3)
    events = pump(lambda: not session.timers()[0].active and not session.runs.running)
    rounds = [event for event in events if isinstance(event, TimerFired) and event.run is not None]
    assert len(rounds) == 3
    assert any(isinstance(event, TimerEnded) for event in events)
    runs = list(session.runs)
    assert {run.timer for run in runs} == {info.id}
    assert {run.kind for run in runs} == {"timer"}
    assert session.timers()[0].rounds == 3


def test_a_timer_counts_missed_rounds_and_can_be_cancelled(session: Session, pump: Pump) -> None:
    info = session.timer(0.0, 0.02, "sleep 30", NodeSet("n1"), RunOptions())
    pump(lambda: session.timers()[0].missed >= 2)
    assert session.cancel_timer(info.id)
    pump(lambda: not session.timers()[0].active)
    assert len(session.runs) == 1
    assert not session.cancel_timer(info.id)
    session.abort()
    pump(lambda: not session.runs.running)


def test_a_timer_ends_on_its_condition(session: Session, pump: Pump, tmp_path: Path) -> None:
    command = f"echo x >> {tmp_path}/rounds; test $(grep -c x {tmp_path}/rounds) -lt 3"
    session.timer(0.0, 0.02, command, NodeSet("n1"), RunOptions(), until="@failed")
    pump(lambda: not session.timers()[0].active)
    assert session.timers()[0].reason == "--until @failed: failed is 1 of 1"
    assert session.timers()[0].rounds == 3
    with pytest.raises(ValueError, match="no result of a round"):
        session.timer(0.0, 1.0, "true", NodeSet("n1"), RunOptions(), until="@sometimes")


def test_nobody_is_asked_about_what_cannot_be_run(session: Session, tmp_path: Path) -> None:
    """And whoever does not agree has nothing run."""
    asked: list[str] = []
    node, options = NodeSet("node1"), RunOptions(worker="exec")
    for begin in (
        lambda: session.shell("date +%S", node, options, lambda: asked.append("shell")),
        lambda: session.copy(["%x"], "/tmp", node, options, lambda: asked.append("copy")),
        lambda: session.rcopy(["%x"], "/tmp", node, options, lambda: asked.append("rcopy")),
        lambda: session.timer(0, None, "date +%S", node, options, agree=lambda: asked.append("timer")),
    ):
        with pytest.raises(ValueError, match="%% for a percent sign"):
            begin()
    assert asked == []

    def no() -> None:
        raise RefusedError("not agreed")

    with pytest.raises(RefusedError, match="not agreed"):
        session.shell(f"touch {tmp_path}/done", node, options, no)
    with pytest.raises(RefusedError, match="not agreed"):
        session.timer(0, None, f"touch {tmp_path}/done", node, options, agree=no)
    assert session.runs.last is None
    assert session.timers() == []


@pytest.mark.parametrize("until", ["@rc:7", "rc:7==all", "out:/^round 3$/", "out:/3/==all and failed>0", "not @ok"])
def test_a_timer_ends_on_codes_and_output(session: Session, pump: Pump, tmp_path: Path, until: str) -> None:
    counted = f"echo x >> {tmp_path}/%h; n=$(grep -c x {tmp_path}/%h); echo round $n"
    session.timer(0.0, 0.02, f"{counted}; test $n -lt 3 || exit 7", NodeSet("n[1-2]"), RunOptions(), until=until)
    pump(lambda: not session.timers()[0].active)
    assert session.timers()[0].rounds == 3
    assert session.timers()[0].reason.startswith(f"--until {until}: ")
    pump(lambda: not session.runs.running)
    assert len(session.runs) == 3


def test_a_round_that_is_refused_ends_its_timer_only(session: Session, pump: Pump) -> None:
    run = session.shell("sleep 0.3; echo on", NodeSet("n1"), RunOptions())
    session.timer(0.1, 0.02, "echo tick", NodeSet("n1"), RunOptions())
    session.set_option("read_only", "true")
    pump(lambda: not session.timers()[0].active)
    assert "read-only" in session.timers()[0].reason
    pump(run.done.is_set)
    assert text(run) == ["on"]


def test_waiting_for_a_run_from_another_thread(session: Session, pump: Pump) -> None:
    run = session.shell("sleep 0.2", NodeSet("n1"), RunOptions())
    assert not session.wait_run(run.id, 0.01)
    seen: list[bool] = []
    thread = threading.Thread(target=lambda: seen.append(session.wait_run(run.id, 10)))
    thread.start()
    pump(run.done.is_set)
    thread.join()
    assert seen == [True]


def test_output_is_held_back_and_none_is_lost(session: Session, pump: Pump) -> None:
    session.close()
    settings = Settings()
    settings.set("worker", "exec")
    settings.set("limits.pending_output", 256 * 1024)
    with Session(settings) as small:
        run = small.shell("seq 1 200000", NodeSet("n[1-4]"), RunOptions())
        highest = 0
        deadline = time.monotonic() + 30
        while not run.done.is_set() and time.monotonic() < deadline:
            time.sleep(0.002)  # a slow reader on purpose
            highest = max(highest, small._outbox.outstanding)
            small.drain(0.0)
        assert run.done.is_set()
        assert [run.output.received(node) for node in range(4)] == [200000] * 4
        assert len(run.groups()) == 1
        assert highest < 4 * 1024 * 1024


def test_a_session_that_is_closed_ends_its_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTERDECK_STATE_DIR", str(tmp_path / "state"))
    settings = Settings()
    settings.set("worker", "exec")
    session = Session(settings)
    session.shell("sleep 60", NodeSet("n[1-3]"), RunOptions())
    assert session.close()
    with pytest.raises(RefusedError, match="closed"):
        session.shell("true", NodeSet("n1"), RunOptions())


def test_submissions_can_be_refused_by_the_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTERDECK_STATE_DIR", str(tmp_path / "state"))

    def refuse(_run: Run) -> None:
        raise RefusedError("no record, no run")

    settings = Settings()
    settings.set("worker", "exec")
    session = Session(settings, on_submit=refuse)
    with pytest.raises(RefusedError, match="no record"):
        session.shell("true", NodeSet("n1"), RunOptions())
    assert len(session.runs) == 0
    session.close()


def test_the_engine_is_made_anew_after_it_died(session: Session, pump: Pump) -> None:
    run = session.shell("sleep 60", NodeSet("n[1-2]"), RunOptions())
    pump(lambda: run.count(NodeState.RUNNING) == 2)
    engine = session._engine.current
    assert engine is not None

    def die() -> None:
        raise SystemError("a bug")

    engine.task.engine.submit(die)
    events = pump(lambda: run.done.is_set() and not engine.alive)
    events += session.drain()
    assert run.count(NodeState.ABORTED) == 2
    assert any(isinstance(event, Notice) and event.level == "error" and "a bug" in event.text for event in events)
    again = session.shell("echo alive", NodeSet("n1"), RunOptions())
    pump(again.done.is_set)
    assert text(again) == ["alive"]


def test_the_engine_keeps_nothing_of_what_the_runs_have(session: Session, pump: Pump) -> None:
    for _ in range(3):
        run = session.shell("echo x; exit %n", NodeSet("n[1-3]"), RunOptions(timeout=5))
        pump(run.done.is_set)
    engine = session._engine.current
    assert engine is not None
    assert list(engine.task.iter_retcodes()) == []
    assert engine.task.max_retcode() is None
