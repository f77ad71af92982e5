"""Questions of the SSH layer on their way to the operator and back, with a real server behind them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from ClusterShell.NodeSet import NodeSet

from clusterdeck.console.runs.events import Notice, QuestionAsked, QuestionSettled, SessionEvent
from clusterdeck.console.runs.options import RunOptions
from clusterdeck.console.session.questions import QuestionDesk
from clusterdeck.console.session.session import Session
from clusterdeck.console.settings.settings import Settings
from clusterdeck.engine.reactor import Reactor
from clusterdeck.engine.ssh.questions import HostKeyQuestion, SecretQuestion, UnknownKey
from clusterdeck.engine.ssh.secrets import Secret
from clusterdeck.engine.states import NodeState
from clusterdeck.tests.support.sshd import Sshd


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    made = Reactor()
    yield made
    made.close()


def key(node: str) -> UnknownKey:
    return UnknownKey(node, node, "127.0.0.1", "ssh-ed25519", f"SHA256:{node}", b"k" + node.encode(), "note \x1b[31m")


def asked(events: list[SessionEvent]) -> QuestionAsked:
    return next(event for event in reversed(events) if isinstance(event, QuestionAsked))


@pytest.mark.parametrize(
    ("answer", "chosen"),
    [
        ("accept", {"n1", "n2"}),
        ("accept n2", {"n2"}),
        ("accept n[7-9]", set()),
        ("accept n[", set()),
        ("refuse", set()),
        (None, set()),
        ("yes", set()),
    ],
)
def test_host_keys_are_accepted_only_when_that_was_said(reactor: Reactor, answer: str | None, chosen: set[str]) -> None:
    events: list[SessionEvent] = []
    trusted: list[str] = []
    result: list[set[str]] = []
    desk = QuestionDesk(events.append, lambda keys: trusted.extend(one.node for one in keys))
    desk.ask(HostKeyQuestion(reactor, [key("n1"), key("n2")], lambda keys: result.append({one.node for one in keys})))
    question = asked(events)
    assert (question.kind, question.choices, len(question.rows)) == ("host-keys", ("accept", "import", "refuse"), 2)
    assert "\x1b" not in str(question.rows)
    assert desk.open() == [question]
    assert desk.answer(question.question, answer)
    reactor.turn(1.0)
    assert result == [chosen]
    assert set(trusted) == chosen
    assert isinstance(events[-1], QuestionSettled)
    assert not desk.answer(question.question, "accept")
    assert desk.open() == []


def test_the_prompts_of_a_server_are_asked_one_after_the_other(reactor: Reactor) -> None:
    events: list[SessionEvent] = []
    given: list[list[str] | None] = []

    def done(secrets: tuple[Secret, ...] | None) -> None:
        given.append(None if secrets is None else [secret.reveal() for secret in secrets])

    desk = QuestionDesk(events.append)
    prompts = (("Password: ", False), ("Code: ", True))
    desk.ask(SecretQuestion(reactor, "prompts", "root@n1", prompts, ("n1", "n2"), done))
    first = asked(events)
    assert (first.kind, first.title, first.choices, first.rows) == ("secret", "Password", (), (("root@n1", "n[1-2]"),))
    desk.answer(first.question, "tiger")
    second = asked(events)
    assert second.title == "Code"
    desk.answer(second.question, "123")
    reactor.turn(1.0)
    assert given == [["tiger", "123"]]
    assert "tiger" not in repr(events)


def test_giving_up_a_secret(reactor: Reactor) -> None:
    events: list[SessionEvent] = []
    given: list[object] = []
    desk = QuestionDesk(events.append)
    desk.ask(
        SecretQuestion(reactor, "password", "root@n1", (("Password: ", False),), ("n1",), given.append, again=True)
    )
    assert "again" in asked(events).title
    desk.answer(asked(events).question, None)
    reactor.turn(1.0)
    assert given == [None]


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sshd: Sshd) -> Iterator[Session]:
    monkeypatch.setenv("CLUSTERDECK_STATE_DIR", str(tmp_path / "state"))
    settings = Settings()
    settings.set("ssh.config", str(sshd.config))
    settings.set("ssh.known_hosts", str(tmp_path / "known_hosts"))
    settings.set("ssh.host_keys", "ask")
    with Session(settings) as made:
        yield made


def pump(session: Session, done: Callable[[list[SessionEvent]], bool]) -> list[SessionEvent]:
    events: list[SessionEvent] = []
    deadline = time.monotonic() + 30
    while not done(events):
        assert time.monotonic() < deadline, events
        session.wait_batch(0.2)
        events += session.drain()
    return events


def test_one_question_for_a_fleet_then_the_run_goes_on(session: Session, tmp_path: Path) -> None:
    run = session.shell("echo reached", NodeSet("node[1-4]"), RunOptions())
    events = pump(session, lambda events: any(isinstance(event, QuestionAsked) for event in events))
    question = asked(events)
    assert len(question.rows) == 4
    assert run.ended is None
    assert session.questions() == [question]
    session.answer(question.question, "accept")
    pump(session, lambda _events: run.done.is_set())
    assert run.count(NodeState.OK) == 4
    assert (tmp_path / "known_hosts").read_text().count("ssh-ed25519") >= 1
    again = session.shell("echo again", NodeSet("node[1-4]"), RunOptions())
    events = pump(session, lambda _events: again.done.is_set())
    assert not [event for event in events if isinstance(event, QuestionAsked | Notice)]


def test_refused_keys_end_their_nodes(session: Session, tmp_path: Path) -> None:
    run = session.shell("echo reached", NodeSet("node[1-2]"), RunOptions())
    events = pump(session, lambda events: any(isinstance(event, QuestionAsked) for event in events))
    session.answer(asked(events).question, None)
    pump(session, lambda _events: run.done.is_set())
    assert run.count(NodeState.UNREACHABLE) == 2
    assert "not known" in run.reason(0)
    assert not (tmp_path / "known_hosts").exists()


def test_an_abort_does_not_wait_for_an_answer(session: Session) -> None:
    run = session.shell("echo reached", NodeSet("node[1-2]"), RunOptions())
    pump(session, lambda events: any(isinstance(event, QuestionAsked) for event in events))
    session.abort(run.id)
    pump(session, lambda _events: run.done.is_set())
    assert run.count(NodeState.ABORTED) == 2
    assert run.lines_total == 0


def test_a_session_that_ends_ends_what_runs_on_nodes(session: Session, tmp_path: Path) -> None:
    run = session.shell(f"echo $$ > {tmp_path}/pid; exec sleep 300", NodeSet("node1"), RunOptions())
    events = pump(session, lambda events: any(isinstance(event, QuestionAsked) for event in events))
    session.answer(asked(events).question, "accept")
    pump(session, lambda _events: run.count(NodeState.RUNNING) == 1 and (tmp_path / "pid").exists())
    deadline = time.monotonic() + 30
    while not (text := (tmp_path / "pid").read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert psutil.pid_exists(int(text))
    assert session.close(timeout=40)
    deadline = time.monotonic() + 20
    while psutil.pid_exists(int(text)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
