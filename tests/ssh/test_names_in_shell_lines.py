"""Names of nodes and users in ProxyCommand and Match exec, which a shell reads: nothing hostile is ever run."""

from __future__ import annotations

import contextlib
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet

from clusterdeck.engine.names import NameRefusedError, check_user
from clusterdeck.engine.ssh.config import ConfigError, SshConfig
from clusterdeck.engine.states import FailureKind, NodeState
from clusterdeck.engine.task import Task
from clusterdeck.engine.workers.paramiko import WorkerParamiko
from clusterdeck.tests.hostile.injections import attacks
from clusterdeck.tests.ssh.conftest import Recorder
from clusterdeck.tests.support.sshd import Sshd


def _refused(user: str) -> bool:
    try:
        check_user(user)
    except NameRefusedError:
        return True
    return False


HOSTILE = [text for text in attacks() if text and _refused(text)]
#: Writes a file if a shell takes more than a word out of any of the tokens.
LINE = "ProxyCommand true %r %h %p %n %k\n"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, in which every attack would make the file `pwned`."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def _run(task: Task, recorder: Recorder, node: str, **keywords: Any) -> None:
    task.schedule(WorkerParamiko(node, recorder, command="true", **keywords))


@pytest.mark.parametrize("way", ["worker", "task"])
def test_users_that_are_no_names(ssh_task: Task, sshd: Sshd, elsewhere: Path, tmp_path: Path, way: str) -> None:
    config = tmp_path / "config"
    config.write_text(f'Match exec "test -n %r"\n SetEnv A=b\nHost *\n {LINE}\n{sshd.config.read_text()}')
    ssh_task.set_info("ssh_config", str(config))
    ssh_task.set_info("ssh_match_exec", True)
    ssh_task.set_info("connect_timeout", 2)
    recorders = []
    started = time.monotonic()
    assert len(HOSTILE) >= 100
    for user in HOSTILE:
        recorders.append(Recorder())
        if way == "worker":
            _run(ssh_task, recorders[-1], "node1", user=user)
            continue
        ssh_task.set_info("ssh_user", user)
        _run(ssh_task, recorders[-1], "node1")
        ssh_task.resume()
    ssh_task.resume()
    assert {recorder.kind("node1") for recorder in recorders} == {FailureKind.CONFIGURATION}
    assert all(recorder.ends["node1"].failure.reason.isprintable() for recorder in recorders)  # type: ignore[union-attr]
    assert list(elsewhere.iterdir()) == []
    assert time.monotonic() - started < 30


def test_users_of_the_configuration(tmp_path: Path, elsewhere: Path) -> None:
    config = tmp_path / "config"
    for user in HOSTILE:
        if set(user) & set('\0\n\r"\\\x1b') or not user.strip() or user.startswith("#"):
            continue  # those do not get through the file's own grammar as one word
        config.write_text(f'Host *\n User "{user}"\n {LINE}\nMatch exec "echo %r"\n Port 99\n')
        with contextlib.suppress(ConfigError):
            SshConfig(str(config), allow_exec=True).lookup("node1")
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("user", ["me", "me@corp.example", "CORP\\me", "svc-1", "host$", "me%realm", "a:b"])
def test_users_that_the_configuration_may_name(tmp_path: Path, user: str) -> None:
    config = tmp_path / "config"
    config.write_text(f"User {user}\n")
    assert SshConfig(str(config)).lookup("node1").user == user


@pytest.mark.parametrize("token", ["%h", "%n", "%k"])
def test_nodes_that_are_no_names(tmp_path: Path, elsewhere: Path, token: str) -> None:
    """What is not refused is one word to the shell, and no option."""
    config = tmp_path / "config"
    config.write_text(f"ProxyCommand printf '%%s|' {token}\nMatch exec \"true '{token}' {token}\"\n User me\n")
    taken = []
    for node in HOSTILE:
        with contextlib.suppress(ConfigError):
            line = SshConfig(str(config), allow_exec=True).lookup(node).proxy_command
            assert line is not None
            said = subprocess.run(line, shell=True, capture_output=True, text=True, check=False).stdout
            assert said.lower() == f"{node.lower()}|"
            taken.append(node)
    assert not [node for node in taken if node.startswith("-")]
    assert len(HOSTILE) - len(taken) >= 100
    assert list(elsewhere.iterdir()) == []


def test_node_names_through_the_worker(ssh_task: Task, tmp_path: Path, elsewhere: Path, recorder: Recorder) -> None:
    config = tmp_path / "config"
    config.write_text(LINE)
    ssh_task.set_info("ssh_config", str(config))
    ssh_task.set_info("connect_timeout", 2)
    nodes = NodeSet.fromlist([n for n in HOSTILE if set(n).isdisjoint("[]{},*?! \t\n@&^")], RESOLVER_NOGROUP)
    ssh_task.schedule(WorkerParamiko(nodes, recorder, command="true"))
    ssh_task.resume()
    assert len(recorder.ends) > 30
    assert {recorder.kind(node) for node in recorder.ends} == {FailureKind.CONFIGURATION}
    assert list(elsewhere.iterdir()) == []


def test_the_user_of_a_run_counts_in_the_configuration(
    ssh_task: Task, sshd: Sshd, tmp_path: Path, recorder: Recorder
) -> None:
    """As with `ssh -l`: Match user sees it, and so do the tokens."""
    config = tmp_path / "config"
    config.write_text(f"Match user other\n Port 1\n{sshd.config.read_text()}")
    ssh_task.set_info("ssh_config", str(config))
    _run(ssh_task, recorder, "node1", user="other")
    ssh_task.resume()
    assert recorder.kind("node1") is FailureKind.REFUSED
    parsed = SshConfig(str(config), overrides={"ProxyCommand": "relay %r %p"})
    assert parsed.lookup("node1", "other").proxy_command == "relay other 1"
    assert parsed.lookup("node1", None, 77).proxy_command == f"relay {sshd.user} 77"


def test_a_proxy_command_that_does_not_end_is_made_to(
    sshd: Sshd, leak_check: None, ssh_task: Task, tmp_path: Path, recorder: Recorder
) -> None:
    config = tmp_path / "config"
    config.write_text(f"ProxyCommand sh -c \"trap '' TERM HUP INT; sleep 300; sleep 300\"\n{sshd.config.read_text()}")
    ssh_task.set_info("ssh_config", str(config))
    ssh_task.set_info("connect_timeout", 1)
    started = time.monotonic()
    ssh_task.run("true", nodes="node[1-40]", handler=recorder)
    assert recorder.states() == {NodeState.UNREACHABLE}
    assert time.monotonic() - started < 60
