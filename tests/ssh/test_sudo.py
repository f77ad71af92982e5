"""sudo with one password for a set: a stand-in for the program, as the test account may be root or have no sudo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clusterdeck.engine.ssh.questions import SecretQuestion
from clusterdeck.engine.ssh.sudo import _beginning
from clusterdeck.engine.states import FailureKind, NodeState
from clusterdeck.engine.task import Task
from clusterdeck.engine.workers.paramiko import WorkerParamiko
from clusterdeck.tests.ssh.conftest import Recorder

#: Asks as sudo -S does: the prompt on stderr, the answer read byte by byte; PASSWORD "" does not ask; logs each try.
_PROGRAM = """#!/usr/bin/env python3
import os, sys
folder = os.path.dirname(os.path.abspath(__file__))
assert sys.argv[1:3] == ["-S", "-p"] and sys.argv[4] == "--", sys.argv
wanted = open(folder + "/password").read()
for attempt in range(3):
    if not wanted:
        break
    prompt = sys.argv[3].encode()
    os.write(2, prompt[:5]); os.write(2, prompt[5:])
    line = b""
    while (c := os.read(0, 1)) not in (b"", b"\\n"):
        line += c
    os.write(2, b"\\n")
    with open(folder + "/tries", "ab") as file:
        file.write(line + b"\\n")
    if line.decode() == wanted:
        break
    os.write(2, b"Sorry, try again.\\n")
else:
    sys.exit(1)
os.execv(sys.argv[5], sys.argv[5:])
"""


@pytest.fixture
def sudo(tmp_path: Path) -> Path:
    program = tmp_path / "sudo"
    program.write_text(_PROGRAM)
    program.chmod(0o755)
    (tmp_path / "password").write_text("right")
    (tmp_path / "tries").write_text("")
    return program


def _run(task: Task, sudo: Path, nodes: str, command: str, **keywords: Any) -> tuple[WorkerParamiko, Recorder]:
    recorder = Recorder()
    worker = WorkerParamiko(nodes, recorder, 20, command=command, sudo=str(sudo), **keywords)
    task.schedule(worker)
    worker.write(b"input\n")
    worker.set_write_eof()
    task.resume()
    return worker, recorder


@pytest.mark.parametrize("stderr", [False, True])
def test_one_password_for_a_set(ssh_task: Task, sudo: Path, stderr: bool) -> None:
    asked: list[SecretQuestion] = []

    def ask(question: Any) -> None:
        asked.append(question)
        question.answer("right")

    ssh_task.set_info("ssh_ask", ask)
    worker, recorder = _run(ssh_task, sudo, "node[1-6]", "echo out; echo err >&2; cat; exit 4", stderr=stderr)
    assert {rc: str(nodes) for rc, nodes in worker.iter_retcodes()} == {4: "node[1-6]"}
    assert len(asked) == 1
    assert sudo.with_name("tries").read_text() == "right\n" * 6
    lines = recorder.lines["node2"] + recorder.errors.get("node2", [])
    assert sorted(lines) == [b"err", b"input", b"out"], "marks, prompts or the password are in the output"
    worker, recorder = _run(ssh_task, sudo, "node[1-6]", "true")
    assert len(asked) == 1, "asked again"


def test_a_wrong_password_is_tried_on_one_node(ssh_task: Task, sudo: Path) -> None:
    ssh_task.set_info("ssh_ask", lambda question: question.answer("wrong"))
    _worker, recorder = _run(ssh_task, sudo, "node[1-8]", "echo never")
    assert sudo.with_name("tries").read_text() == "wrong\n"
    assert recorder.states() == {NodeState.FAILED}
    assert {recorder.kind(node) for node in recorder.ends} == {FailureKind.AUTHENTICATION}
    assert not any(b"never" in line for lines in recorder.lines.values() for line in lines)


def test_nobody_to_ask(ssh_task: Task, sudo: Path) -> None:
    _worker, recorder = _run(ssh_task, sudo, "node[1-2]", "echo never")
    assert recorder.kind("node1") is FailureKind.AUTHENTICATION
    assert sudo.with_name("tries").read_text() == ""


def test_no_question_where_sudo_does_not_ask(ssh_task: Task, sudo: Path) -> None:
    sudo.with_name("password").write_text("")
    worker, _recorder = _run(ssh_task, sudo, "node[1-3]", "cat; echo cdk-sudo-")
    assert worker.read("node1") == b"input\ncdk-sudo-"


def test_beginnings_of_a_mark() -> None:
    assert [_beginning(data, b"abc?") for data in (b"", b"x", b"a", b"xab", b"abc", b"abcd", b"xaba")] == [
        0,
        0,
        1,
        2,
        3,
        0,
        1,
    ]
