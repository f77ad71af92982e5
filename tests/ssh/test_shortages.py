"""What runs out: descriptors, room on the disk, the agent. (No room on a node: test_broken_copies.py.)"""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from clusterdeck.engine.states import FailureKind, NodeState
from clusterdeck.engine.task import Task
from clusterdeck.engine.workers.paramiko import WorkerParamiko
from clusterdeck.tests.ssh.conftest import Recorder
from clusterdeck.tests.support.sshd import Sshd

_FEW = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (90, 90))
from clusterdeck.engine.task import task_self
task = task_self()
notices = []
task.set_default("distant_workername", "paramiko")
task.set_info("ssh_config", sys.argv[1])
task.set_info("ssh_notice", notices.append)
task.set_info("ssh_window", 8)

class Handler:
    ends = {}
    def ev_end(self, worker, node, end):
        self.ends[node] = [end.state.name, end.failure and end.failure.kind.value]

task.run("true", nodes="n[1-120]", handler=Handler())
again = Handler.ends
Handler.ends = {}
task.run("true", nodes="n[1-20]", handler=Handler())
print(json.dumps([list(again.values()), list(Handler.ends.values()), notices]))
task.abort(kill=True)
"""


def test_descriptors(sshd: Sshd, tmp_path: Path) -> None:
    """Nodes beyond the limit fail with that reason, and those that are connected go on."""
    config = tmp_path / "config"
    text = sshd.config.read_text().replace("Host node1 ", "Host n* node1 ")
    config.write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", _FEW, str(config)], capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
    ends, again, notices = json.loads(done.stdout)
    assert len(ends) == 120
    assert {tuple(end) for end in ends} == {("OK", None), ("UNREACHABLE", "out of descriptors")}
    assert sum(end[0] == "OK" for end in ends) > 40
    assert [end[0] for end in again].count("OK") >= 10
    assert len(notices) == 1
    assert "limit of 90 open files" in notices[0]


_HIGH = """
import json, os, resource, sys
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (2048 if hard < 0 else min(hard, 2048), hard))
from clusterdeck.engine import DEFAULTS, task_self, task_terminate
DEFAULTS.engine = "select"
task = task_self()
task.run("true")
held = [os.open("/dev/null", os.O_RDONLY) for _ in range(1024)]
task.set_default("distant_workername", "paramiko")
task.set_info("ssh_config", sys.argv[1])

class Handler:
    ends = {}
    def ev_end(self, worker, node, end):
        self.ends[node] = end.failure and end.failure.kind.value

task.run("true", nodes="node1,by", handler=Handler())
print(json.dumps(Handler.ends))
for fd in held:
    os.close(fd)
task.run("true", nodes="node1", handler=Handler())
print(json.dumps(Handler.ends))
task_terminate()
"""


def test_descriptors_that_select_does_not_take(sshd: Sshd, tmp_path: Path) -> None:
    """They are as good as none: the node fails with that reason, not the Task with an error of select()."""
    config = tmp_path / "config"
    config.write_text(f"Host by\n ProxyCommand sleep 60\n{sshd.config.read_text()}")
    command = [sys.executable, "-c", _HIGH, str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = map(json.loads, done.stdout.splitlines())
    assert first == {"node1": "out of descriptors", "by": "out of descriptors"}
    assert second["node1"] is None


def test_no_thread_is_left(ssh_task: Task, sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What needs one fails on its node, the Task goes on, and so does the node once there are threads again."""
    config = tmp_path / "config"
    config.write_text(f"Host far\n HostName localhost\n{sshd.config.read_text()}")
    ssh_task.set_info("ssh_config", str(config))
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("ssh-"):
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        ssh_task.run("true", nodes="node1,far", handler=(first := Recorder()))
    assert first.states() == {NodeState.UNREACHABLE}
    failure = first.ends["far"].failure
    assert failure is not None
    assert "no thread is left here" in failure.reason
    ssh_task.run("true", nodes="node1", handler=(second := Recorder()))
    assert second.states() == {NodeState.OK}, second.ends


def _copy(task: Task, recorder: Recorder, source: Path, dest: Path, **keywords: Any) -> None:
    task.schedule(WorkerParamiko("node[1-2]", recorder, 30, source=str(source), dest=str(dest), **keywords))
    task.resume()


def test_no_room_here(ssh_task: Task, tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "source").write_bytes(bytes(1_000_000))
    back = tmp_path / "back"
    back.mkdir()
    really = os.pwrite

    def full(descriptor: int, data: Any, offset: int) -> int:
        if offset > 500_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return really(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", full)
    _copy(ssh_task, recorder, tmp_path / "source", back, reverse=True)
    assert recorder.states() == {NodeState.FAILED}
    for end in recorder.ends.values():
        assert end.failure is not None
        assert end.failure.kind is FailureKind.COPY
        assert "here" in end.failure.reason
        assert "No space left" in end.failure.reason
    assert list(back.iterdir()) == []


@pytest.mark.parametrize("how", ["missing", "deaf", "hangs up"])
def test_the_agent_is_gone(ssh_task: Task, sshd: Sshd, tmp_path: Path, recorder: Recorder, how: str) -> None:
    """Key files are tried then; where there is none, the reason names the agent."""
    path = tmp_path / "agent"
    with socket.socket(socket.AF_UNIX) as listener:
        if how != "missing":
            listener.bind(str(path))
        if how == "hangs up":
            listener.listen(4)
            listener.close()
        lines = [line for line in sshd.config.read_text().splitlines() if "Identity" not in line]
        text = f"Host node1\n IdentityFile {sshd.key}\nHost node2\n IdentityFile none\nHost *\n IdentityAgent {path}\n"
        (tmp_path / "config").write_text(text + "\n".join(lines))
        ssh_task.set_info("ssh_config", str(tmp_path / "config"))
        ssh_task.run("true", nodes="node[1-2]", handler=recorder)
    assert recorder.ends["node1"].state is NodeState.OK
    failure = recorder.ends["node2"].failure
    assert failure is not None
    assert failure.kind is FailureKind.AUTHENTICATION
    assert f"the agent at {path} does not answer" in failure.reason
