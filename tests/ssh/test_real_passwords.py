"""Passwords against a real sshd, alone and by PAM's questions, on accounts that only the test's server knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from clusterdeck.engine.ssh.questions import SecretQuestion
from clusterdeck.engine.states import FailureKind, NodeState
from clusterdeck.engine.task import Task
from clusterdeck.tests.ssh.conftest import Recorder
from clusterdeck.tests.support.sshd import Sshd
from clusterdeck.tests.support.sshd_accounts import ACCOUNTS, sshd_with_accounts, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())
PASSWORD = ACCOUNTS["operator"][1]
_WAYS = {
    "password": {"PasswordAuthentication": "yes"},
    "questions": {"UsePAM": "yes", "KbdInteractiveAuthentication": "yes"},
}


@pytest.fixture(scope="module", params=list(_WAYS))
def accounts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """Takes no key."""
    options = _WAYS[request.param] | {"PubkeyAuthentication": "no"}
    with sshd_with_accounts(tmp_path_factory.mktemp("accounts"), **options) as server:
        server.config.write_text(server.config.read_text().replace("    BatchMode yes\n", ""))
        yield server


def _answering(task: Task, accounts: Sshd, *answers: str) -> list[SecretQuestion]:
    asked: list[SecretQuestion] = []
    left = list(answers)

    def ask(question: Any) -> None:
        asked.append(question)
        question.answer(left.pop(0))

    task.set_info("ssh_config", str(accounts.config))
    task.set_info("ssh_ask", ask)
    return asked


def test_one_password_for_a_set(task: Task, accounts: Sshd, recorder: Recorder) -> None:
    asked = _answering(task, accounts, PASSWORD)
    worker = task.run("id -un", nodes="node[1-10]", handler=recorder)
    assert recorder.states() == {NodeState.OK}, recorder.ends
    assert worker.read("node7") == b"operator"
    assert len(asked) == 1
    task.run("true", nodes="node[11-14]", handler=(more := Recorder()))
    assert more.states() == {NodeState.OK}
    assert len(asked) == 1, "asked again for the same account"


def test_a_wrong_password_is_one_attempt(task: Task, accounts: Sshd, recorder: Recorder) -> None:
    before = accounts.log().count("Failed ")
    asked = _answering(task, accounts, "wrong")
    task.run("true", nodes="node[1-20]", handler=recorder)
    assert recorder.states() == {NodeState.UNREACHABLE}
    assert {recorder.kind(node) for node in recorder.ends} == {FailureKind.AUTHENTICATION}
    assert len(asked) == 1
    failed = [line for line in accounts.log().splitlines() if "Failed " in line][before:]
    # A method that is not taken at all (none) is logged the same way, and is no attempt with a password.
    assert len([line for line in failed if "Failed none" not in line]) == 1, failed


def test_each_account_is_asked_for(task: Task, accounts: Sshd) -> None:
    asked = _answering(task, accounts, PASSWORD, ACCOUNTS["stranger"][1])
    for user in ("operator", "stranger"):
        recorder = Recorder()
        task.set_info("ssh_user", user)
        worker = task.run("id -un", nodes="node[1-3]", handler=recorder)
        assert recorder.states() == {NodeState.OK}, recorder.ends
        assert worker.read("node2") == user.encode()
    assert [question.subject for question in asked] == ["operator", "stranger"]
