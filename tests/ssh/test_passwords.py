"""Passwords and questions of servers: asked once for a set, tried on one node first, never shown anywhere."""

from __future__ import annotations

import copy
import gc
import logging
import os
import pickle
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterdeck.engine.ssh.questions import SecretQuestion
from clusterdeck.engine.ssh.secrets import Secret
from clusterdeck.engine.states import FailureKind, NodeState
from clusterdeck.engine.task import Task
from clusterdeck.engine.workers.paramiko import pool_of
from clusterdeck.tests.ssh.conftest import Recorder
from clusterdeck.tests.support.hostile_ssh import HostileServer

RIGHT = "c4nary-s3cret"


@pytest.fixture
def make_server() -> Iterator[Callable[..., HostileServer]]:
    made: list[HostileServer] = []

    def make(**keywords: Any) -> HostileServer:
        made.append(HostileServer(**keywords))
        return made[-1]

    yield make
    for server in made:
        server.stop()


def _use(task: Task, folder: Path, server: HostileServer, extra: str = "") -> None:
    (folder / "known").write_text(server.known_hosts)
    (folder / "config").write_text(
        f"Host *\n HostName 127.0.0.1\n Port {server.port}\n User operator\n UserKnownHostsFile {folder}/known\n"
        f" IdentityFile none\n IdentityAgent none\n{extra}"
    )
    task.set_info("ssh_config", str(folder / "config"))


def _asker(*answers: str) -> tuple[list[SecretQuestion], Callable[[Any], None]]:
    asked: list[SecretQuestion] = []

    def ask(question: Any) -> None:
        assert isinstance(question, SecretQuestion)
        asked.append(question)
        if len(asked) <= len(answers):
            question.answer(answers[len(asked) - 1])
        else:
            question.refuse()

    return asked, ask


@pytest.mark.parametrize("methods", ["password", "keyboard-interactive", "publickey,keyboard-interactive,password"])
def test_one_question_for_a_set(
    task: Task, tmp_path: Path, recorder: Recorder, make_server: Callable[..., HostileServer], methods: str
) -> None:
    server = make_server(methods=methods, password=RIGHT, prompts=(("Password: ", False),), answers=[RIGHT])
    _use(task, tmp_path, server)
    asked, ask = _asker(RIGHT)
    task.set_info("ssh_ask", ask)
    task.run("true", nodes="a[1-12]", handler=recorder)
    assert recorder.states() == {NodeState.OK}, recorder.ends
    assert len(asked) == 1
    assert (asked[0].kind, asked[0].subject) == ("password", "operator")
    assert len(server.attempts) == 12


@pytest.mark.parametrize("methods", ["password", "keyboard-interactive", "keyboard-interactive,password"])
def test_a_wrong_password_is_tried_once(
    task: Task, tmp_path: Path, recorder: Recorder, make_server: Callable[..., HostileServer], methods: str
) -> None:
    server = make_server(methods=methods, password=RIGHT, prompts=(("Password: ", False),), answers=[RIGHT])
    _use(task, tmp_path, server)
    task.set_info("ssh_window", 5)
    asked, ask = _asker("wrong", RIGHT)
    task.set_info("ssh_ask", ask)
    task.run("true", nodes="a[1-100]", handler=recorder)
    assert len(server.attempts) == 1, "the account would be locked"
    assert len(asked) == 1
    assert recorder.states() == {NodeState.UNREACHABLE}
    assert {recorder.kind(node) for node in recorder.ends} == {FailureKind.AUTHENTICATION}
    again = Recorder()
    task.run("true", nodes="a[1-100]", handler=again)
    assert len(asked) == 2
    assert again.states() == {NodeState.OK}


def test_other_questions_of_a_server(
    task: Task, tmp_path: Path, recorder: Recorder, make_server: Callable[..., HostileServer]
) -> None:
    prompts = (("Which \x1b[31mdoor? ", True), ("Code: ", False))
    server = make_server(methods="keyboard-interactive", prompts=prompts, answers=["left", "42"])
    _use(task, tmp_path, server)
    asked: list[SecretQuestion] = []

    def ask(question: Any) -> None:
        asked.append(question)
        question.answer("left", "42")

    task.set_info("ssh_ask", ask)
    task.run("true", nodes="a[1-3]", handler=recorder)
    assert recorder.states() == {NodeState.OK}
    assert [visible for _text, visible in asked[0].prompts] == [True, False]
    assert all(text.isprintable() for text, _visible in asked[0].prompts)
    assert len(asked) == 1


def test_two_factors(task: Task, tmp_path: Path, recorder: Recorder, make_server: Callable[..., HostileServer]) -> None:
    import subprocess

    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    server = make_server(methods="publickey", password=RIGHT, second_factor=True)
    _use(task, tmp_path, server, f" IdentityFile {tmp_path}/key\n")
    (tmp_path / "config").write_text((tmp_path / "config").read_text().replace(" IdentityFile none\n", ""))
    asked, ask = _asker(RIGHT)
    task.set_info("ssh_ask", ask)
    task.run("true", nodes="a1", handler=recorder)
    assert recorder.states() == {NodeState.OK}, recorder.ends
    assert len(asked) == 1


def test_nobody_to_ask_or_no_answer(
    task: Task, tmp_path: Path, recorder: Recorder, make_server: Callable[..., HostileServer]
) -> None:
    server = make_server(methods="password", password=RIGHT)
    _use(task, tmp_path, server)
    task.run("true", nodes="a[1-3]", handler=recorder)
    assert {recorder.kind(node) for node in recorder.ends} == {FailureKind.AUTHENTICATION}
    asked, ask = _asker()
    task.set_info("ssh_ask", ask)
    second = Recorder()
    task.run("true", nodes="a[1-3]", handler=second)
    assert {second.kind(node) for node in second.ends} == {FailureKind.AUTHENTICATION}
    assert len(asked) == 1
    assert server.attempts == []


def test_batch_mode_sends_no_password(
    task: Task, tmp_path: Path, recorder: Recorder, make_server: Callable[..., HostileServer]
) -> None:
    server = make_server(methods="password", password=RIGHT)
    _use(task, tmp_path, server, " BatchMode yes\n")
    _asked, ask = _asker(RIGHT)
    task.set_info("ssh_ask", ask)
    task.run("true", nodes="a1", handler=recorder)
    assert server.attempts == []
    assert recorder.kind("a1") is FailureKind.AUTHENTICATION


def test_nothing_secret_before_the_host_key_is_known(
    task: Task, tmp_path: Path, recorder: Recorder, make_server: Callable[..., HostileServer]
) -> None:
    server = make_server(methods="password", password=RIGHT)
    _use(task, tmp_path, server)
    (tmp_path / "known").write_text("")
    task.set_info("ssh_ask", lambda question: question.refuse())
    pool_of(task).vault.put("operator", (Secret(RIGHT),))
    task.run("true", nodes="a[1-5]", handler=recorder)
    assert {recorder.kind(node) for node in recorder.ends} == {FailureKind.HOST_KEY_UNKNOWN}
    assert server.attempts == []


def test_a_password_is_forgotten_after_a_while(
    task: Task,
    tmp_path: Path,
    recorder: Recorder,
    make_server: Callable[..., HostileServer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from clusterdeck.engine.ssh import pool as pool_module

    monkeypatch.setattr(pool_module, "_SWEEP", 0.05)
    server = make_server(methods="password", password=RIGHT)
    _use(task, tmp_path, server)
    secret = Secret(RIGHT)
    pool = pool_of(task)
    pool.vault.put("operator", (secret,))
    task.run("true", nodes="a1", handler=recorder)
    assert server.attempts
    # Without a connection there is still somebody who looks at the clock.
    server.drop_all()
    pool.vault.idle = 0.1
    deadline = time.monotonic() + 30
    while (secret.known or pool.live_count) and time.monotonic() < deadline:
        pool.reactor.turn(0.05)
    assert not secret.known
    asked, ask = _asker(RIGHT)
    task.set_info("ssh_ask", ask)
    pool.vault.idle = 900
    task.run("true", nodes="a1", handler=Recorder())
    assert len(asked) == 1


def test_the_secret_appears_nowhere(
    task: Task,
    tmp_path: Path,
    recorder: Recorder,
    make_server: Callable[..., HostileServer],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    server = make_server(methods="password", password=RIGHT)
    _use(task, tmp_path, server)
    _asked, ask = _asker(RIGHT)
    task.set_info("ssh_ask", ask)
    task.set_info("debug", True)
    lines: list[str] = []
    task.set_info("print_debug", lambda _task, text: lines.append(text))
    task.run("true; exit 3", nodes="a[1-2]", handler=recorder)
    output = capfd.readouterr()
    places = {
        "log": caplog.text,
        "output": output.out + output.err,
        "debug": "".join(lines),
        "argv": Path("/proc/self/cmdline").read_bytes().decode(),
        "environment": "\n".join(f"{k}={v}" for k, v in os.environ.items()),
        "failures": repr(recorder.ends),
        "written files": "".join(p.read_text() for p in tmp_path.rglob("*") if p.is_file()),
        "pool": repr(vars(pool_of(task))) + repr(pool_of(task).vault),
        "questions": repr(_asked) + str(_asked[0].prompts),
    }
    assert server.attempts[0] == ("operator", RIGHT)
    assert not [place for place, text in places.items() if RIGHT in text]


def test_a_secret_gives_itself_away_to_nobody() -> None:
    secret = Secret(RIGHT)
    assert [str(secret), repr(secret), f"{secret}", f"{secret:>9}", "%s" % secret] == ["***"] * 5  # noqa: UP031
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert copy.deepcopy(secret) is secret
    try:
        raise ValueError(secret)
    except ValueError:
        text = "".join(traceback.format_exception(*sys.exc_info()))
    assert RIGHT not in text
    assert RIGHT not in repr({"password": secret})
    secret.forget()
    gc.collect()
    with pytest.raises(ValueError, match="forgotten"):
        secret.reveal()
