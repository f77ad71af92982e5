"""What is told of the way to a connection, to whom, and that nothing is where nobody asked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clusterdeck.engine.task import Task
from clusterdeck.tests.support.sshd import Sshd

_STEPS = [
    r"resolving localhost",
    r"connecting to (127\.0\.0\.1|\[::1\]):\d+",
    r"connected to 127\.0\.0\.1:\d+, waiting for the server's version",
    r"key exchange",
    r"host key ssh-ed25519 SHA256:[\w+/]{43}",
    r"authenticating as \w+ with \S+ \(ssh-ed25519\)",
    r"logged in",
    r"opening a channel",
]


def _by_name(folder: Path, sshd: Sshd) -> str:
    """A configuration under which `box` is this host by name, so that there is something to resolve."""
    config = folder / "config"
    known = folder / "known"
    known.write_text("".join(re.sub(r"^\S+", f"[localhost]:{sshd.port}", line) + "\n" for line in _keys(sshd)))
    own = f"Host box\n HostName localhost\n AddressFamily inet\n Port {sshd.port}\n IdentityFile {sshd.key}\n"
    config.write_text(f"{own} UserKnownHostsFile {known}\n IdentityAgent none\n{sshd.config.read_text()}")
    return str(config)


def _keys(sshd: Sshd) -> list[str]:
    return sshd.known_hosts.read_text().splitlines()


@pytest.mark.parametrize("how", ["trace", "debug"])
def test_every_step_is_told_once_and_in_order(ssh_task: Task, sshd: Sshd, tmp_path: Path, how: str) -> None:
    told: list[str] = []
    ssh_task.set_info("ssh_config", _by_name(tmp_path, sshd))
    if how == "trace":
        ssh_task.set_info("ssh_trace", told.append)
    else:
        ssh_task.set_info("debug", True)
        ssh_task.set_info("print_debug", lambda _task, text: told.append(text))
    ssh_task.run("true", nodes="box")
    mark = "" if how == "trace" else "PARAMIKO: "
    steps = [line.removeprefix(mark) for line in told if "PARAMIKO: box: true" not in line]
    words = [line.partition(": ")[2] for line in steps]
    assert len(words) == len(_STEPS), told
    assert [word for step, word in zip(_STEPS, words, strict=True) if not re.fullmatch(step, word)] == []
    assert {line.partition(": ")[0] for line in steps} == {f"box (localhost:{sshd.port})"}
    told.clear()
    ssh_task.run("true", nodes="box")
    assert next(line for line in told if "PARAMIKO: box: true" not in line).endswith(": opening a channel")
    assert len(told) == (1 if how == "trace" else 2)


def test_ways_round_and_repetitions_are_told(ssh_task: Task, sshd: Sshd, tmp_path: Path) -> None:
    told: list[str] = []
    config = tmp_path / "config"
    text = f"Host far\n HostName 127.0.0.1\n Port {sshd.port}\n IdentityFile {sshd.key}\n ProxyJump node1\n"
    text += f" UserKnownHostsFile {sshd.known_hosts}\nHost by\n ProxyCommand exit 3\n"
    text += "Host shut\n HostName 127.0.0.1\n Port 1\n ConnectionAttempts 2\n"
    config.write_text(text + sshd.config.read_text())
    ssh_task.set_info("ssh_config", str(config))
    ssh_task.set_info("ssh_trace", told.append)
    ssh_task.run("true", nodes="far,by,shut")
    assert any(line.startswith("far") and ": opening a channel through node1" in line for line in told)
    assert any(line.startswith("by") and line.endswith(": starting its ProxyCommand") for line in told)
    assert any(line.startswith("shut") and re.search(r": again in 1\.0 s \(shut.*refused", line) for line in told)
    assert sum(line.startswith("shut") and "connecting to" in line for line in told) == 2


def test_nothing_is_told_to_nobody(ssh_task: Task, capfd: pytest.CaptureFixture[str]) -> None:
    ssh_task.run("true", nodes="node1")
    assert capfd.readouterr() == ("", "")
