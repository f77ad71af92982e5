"""Every example of the registry is executed: what the manual shows works as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusterdeck.console.commands.catalogue import default_registry
from clusterdeck.console.exits import ExitCode
from clusterdeck.console.frontend import View
from clusterdeck.console.interpreter.interpreter import Interpreter
from clusterdeck.console.language.spec import CommandSpec
from clusterdeck.console.macros.macros import parse_macro
from clusterdeck.console.queue.queue import QueueService
from clusterdeck.tests.support.answering_runner import AnsweringRunner
from clusterdeck.tests.support.fake_session import Answered, FakeFrontEnd, FakeSession

REGISTRY = default_registry()
EXAMPLES = [(spec, line) for spec in REGISTRY for line, _ in spec.examples]
_MACRO_LINES = {":if @failed": ":if @failed\n:end"}


class _Screen(FakeFrontEnd):
    """A front end with everything: views, actions, an editor that changes nothing."""

    def act(self, command: str, arguments: tuple[str, ...]) -> bool:
        self.opened.append((command, None, " ".join(arguments), None))
        return True

    def edit(self, text: str, suffix: str) -> str | None:
        return text

    def remember(self, line: str) -> None: ...


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that examples name."""
    for name in ("STATE", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"CLUSTERDECK_{name}_DIR", str(tmp_path / name.lower()))
    here = tmp_path / "here"
    (here / "site").mkdir(parents=True)
    (here / "list").write_text("one\ntwo\n")
    (here / "deploy.deck").write_text(":param version\ninstall app-{version}\n")
    (here / "deploy.deck").chmod(0o600)
    monkeypatch.chdir(here)
    return here


def _twelve_runs(session: FakeSession, interpreter: Interpreter, *, last_alive: bool) -> None:
    interpreter.execute("@web")
    for number in range(1, 13):
        session.hold = last_alive and number == 12
        interpreter.execute(f"uptime; echo {number}")
    interpreter.execute(":nodes save rack1")
    session.calls.clear()


def _queue(interpreter: Interpreter, session: FakeSession) -> QueueService:
    """A queue with nodes that work for it, a map in which a job failed, and a task that failed."""
    queue = interpreter.context.queue = QueueService(session, lambda _name: AnsweringRunner())
    session.at_close(queue.close)
    interpreter.execute(":queue join node[1-8]")
    interpreter.execute(":queue map -w node1 -- {} ::: job fail")
    assert queue.maps.find(1).run.wait(10)
    interpreter.execute(":queue add -- fail")
    return queue


@pytest.mark.parametrize(("spec", "line"), EXAMPLES, ids=[line for _, line in EXAMPLES])
def test_every_example_works(spec: CommandSpec, line: str, stage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = {"web": "node[1-16]", "new": "node[20-21]", "compute": "node[1-8]"}
    rc = int(line == "@failed")
    session = FakeSession(lambda _command, _node: Answered("load average: 1.5\nactive", rc=rc), groups)
    front_end = _Screen(views=tuple(View))
    interpreter = Interpreter(session, REGISTRY, front_end)
    monkeypatch.setattr(interpreter, "pause", lambda seconds: True)
    _twelve_runs(session, interpreter, last_alive=spec.id == "run.abort")
    if spec.id == "session.note" or spec.macro_only:
        parse_macro(_MACRO_LINES.get(line, line) + "\n", "example.deck", REGISTRY)
        return
    queue = _queue(interpreter, session) if spec.family == "queue" else None
    if spec.id == "timer.cancel":
        interpreter.execute(":timer 5m uptime")
    front_end.documents.clear()
    outcome = interpreter.execute(line)
    if queue is not None:
        queue.close()
    if spec.id == "queue.workers":  # these are started by the engine itself
        assert front_end.errors == ["there is no engine here"]
        return
    assert front_end.errors == []
    # The map of the stage has a job that fails, whoever waits for it.
    assert outcome.code == ExitCode.OK or (spec.id, outcome.map) == ("queue.wait", 1), front_end.text
