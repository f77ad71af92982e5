"""The real sudo with passwords, on accounts that only the test's server knows (see support/sshd_accounts.py)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterdeck.engine.ssh.questions import SecretQuestion
from clusterdeck.engine.states import FailureKind, NodeState
from clusterdeck.engine.task import Task
from clusterdeck.engine.workers.paramiko import WorkerParamiko
from clusterdeck.tests.ssh.conftest import Recorder
from clusterdeck.tests.support.sshd import Sshd
from clusterdeck.tests.support.sshd_accounts import ACCOUNTS, sshd_with_accounts, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())
PASSWORD = ACCOUNTS["operator"][1]


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd_with_accounts(tmp_path_factory.mktemp("accounts")) as server:
        yield server


@pytest.fixture
def asked(task: Task, accounts: Sshd) -> list[SecretQuestion]:
    """Questions that came; they are answered with the first account's password."""
    questions: list[SecretQuestion] = []

    def ask(question: Any) -> None:
        questions.append(question)
        question.answer(PASSWORD)

    task.set_info("ssh_config", str(accounts.config))
    task.set_info("ssh_ask", ask)
    return questions


def _run(task: Task, nodes: str, command: str, **keywords: Any) -> Recorder:
    recorder = Recorder()
    worker = WorkerParamiko(nodes, recorder, 30, command=command, sudo=True, **keywords)
    task.schedule(worker)
    worker.write(b"input\n")
    worker.set_write_eof()
    task.resume()
    return recorder


def _log(server: Sshd) -> str:
    path = server.folder / "sudo.log"
    return path.read_text().replace("\n    ", " ") if path.exists() else ""


@pytest.mark.parametrize("pty", [False, True])
def test_one_password_for_a_set(task: Task, asked: list[SecretQuestion], pty: bool) -> None:
    recorder = _run(task, "node[1-6]", "id -un; read line; echo got $line; exit 4", pty=pty, stderr=not pty)
    assert {end.rc for end in recorder.ends.values()} == {4}, recorder.ends
    assert [question.nodes for question in asked] == [asked[0].nodes]
    lines = [line.strip() for line in recorder.lines["node3"]]
    # The terminal echoes the operator's input, as it does everywhere, and never the password.
    assert [line for line in lines if line not in (b"input", b"")] == [b"root", b"got input"]
    assert PASSWORD.encode() not in b"".join(lines + recorder.errors.get("node3", []))
    again = _run(task, "node[1-6]", "id -un")
    assert again.states() == {NodeState.OK}
    assert len(asked) == 1


def test_a_wrong_password_is_tried_once(task: Task, accounts: Sshd, asked: list[SecretQuestion]) -> None:
    before = _log(accounts).count("incorrect password")
    task.set_info("ssh_ask", lambda question: question.answer("wrong"))
    recorder = _run(task, "node[1-8]", "echo never")
    assert {recorder.kind(node) for node in recorder.ends} == {FailureKind.AUTHENTICATION}
    assert recorder.states() == {NodeState.FAILED}
    assert not any(b"never" in line for lines in recorder.lines.values() for line in lines)
    deadline = time.monotonic() + 30
    while _log(accounts).count("incorrect password") == before and time.monotonic() < deadline:
        time.sleep(0.02)  # sudo writes its log when it has noticed that nobody is there any more
    tried = [line for line in _log(accounts).splitlines() if "incorrect password" in line][before:]
    assert len(tried) == 1, tried
    assert "1 incorrect password attempt " in tried[0]


def test_no_password_goes_to_a_node_that_does_not_ask(
    task: Task, accounts: Sshd, asked: list[SecretQuestion], tmp_path: Path
) -> None:
    """Where some nodes ask and others do not, only those that ask get it."""
    config = tmp_path / "config"
    config.write_text(
        f"Host node[4-9]\n User trusted\nHost node4 node5 node6\n User trusted\n{accounts.config.read_text()}"
    )
    task.set_info("ssh_config", str(config))
    recorder = _run(task, "node[1-6]", "cat; id -un")
    assert recorder.states() == {NodeState.OK}, recorder.ends
    assert {tuple(lines) for lines in recorder.lines.values()} == {(b"input", b"root")}
    assert [sorted(question.nodes) for question in asked] == [["node1", "node2", "node3"]]


def test_an_account_that_may_not(task: Task, accounts: Sshd, asked: list[SecretQuestion]) -> None:
    task.set_info("ssh_ask", lambda question: question.answer(ACCOUNTS["stranger"][1]))
    recorder = _run(task, "node1", "id -un", user="stranger")
    assert recorder.ends["node1"].state is NodeState.FAILED
    assert recorder.ends["node1"].rc == 1
    assert b"sudoers" in b"".join(recorder.lines["node1"])


def test_the_canary_is_lost(task: Task, accounts: Sshd, asked: list[SecretQuestion]) -> None:
    """The first node's connection goes before sudo has judged the password: the others are not left waiting."""

    def ask(question: Any) -> None:
        accounts.kill_connections()
        question.answer(PASSWORD)

    task.set_info("ssh_ask", ask)
    recorder = _run(task, "node[1-4]", "id -un")
    assert set(recorder.ends) == {f"node{n}" for n in range(1, 5)}
    assert recorder.states() == {NodeState.LOST}
