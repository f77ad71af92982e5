"""Why a node was not reached, below SSH; and what many idle connections cost."""

from __future__ import annotations

import errno
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterdeck.engine.states import FailureKind, NodeState
from clusterdeck.engine.task import Task
from clusterdeck.engine.workers.paramiko import pool_of
from clusterdeck.tests.ssh.conftest import Recorder
from clusterdeck.tests.support.sshd import Sshd


def _with(folder: Path, sshd: Sshd, text: str) -> str:
    config = folder / "config"
    config.write_text(text + sshd.config.read_text())
    return str(config)


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (errno.ECONNREFUSED, FailureKind.REFUSED, "is sshd running there?"),
        (errno.ENETUNREACH, FailureKind.NO_ROUTE, "no route to 127.0.0.1:7"),
        (errno.EACCES, FailureKind.NO_ROUTE, "no route to 127.0.0.1:7"),
        (errno.EHOSTUNREACH, FailureKind.UNREACHABLE, "127.0.0.1:7 is unreachable"),
        (errno.EHOSTDOWN, FailureKind.UNREACHABLE, "127.0.0.1:7 is unreachable"),
        (errno.ETIMEDOUT, FailureKind.CONNECT_TIMEOUT, "127.0.0.1:7 did not answer"),
        (errno.EMFILE, FailureKind.DESCRIPTORS, "raise the hard limit"),
        (errno.EIO, FailureKind.UNREACHABLE, "cannot connect to 127.0.0.1:7"),
    ],
)
def test_each_answer_of_the_network_is_a_kind_of_its_own(
    ssh_task: Task,
    sshd: Sshd,
    tmp_path: Path,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    kind: FailureKind,
    words: str,
) -> None:
    class Socket(socket.socket):
        def connect_ex(self, address: Any) -> int:
            return code if address[1] == 7 else super().connect_ex(address)

    monkeypatch.setattr(socket, "socket", Socket)
    ssh_task.set_info("ssh_config", _with(tmp_path, sshd, "Host gone\n HostName 127.0.0.1\n Port 7\n"))
    ssh_task.run("true", nodes="gone,node[1-2]", handler=recorder)
    failure = recorder.ends["gone"].failure
    assert failure is not None
    assert (recorder.ends["gone"].state, failure.kind) == (NodeState.UNREACHABLE, kind)
    assert failure.reason.startswith("gone: ")
    assert words in failure.reason
    assert "\n" not in failure.reason
    assert {recorder.ends[node].state for node in ("node1", "node2")} == {NodeState.OK}


def test_an_address_to_bind_to_that_is_not_ours(ssh_task: Task, sshd: Sshd, tmp_path: Path, recorder: Recorder) -> None:
    ssh_task.set_info("ssh_config", _with(tmp_path, sshd, "Host node1\n BindAddress 192.0.2.1\n"))
    ssh_task.run("true", nodes="node[1-2]", handler=recorder)
    assert (recorder.kind("node1"), recorder.kind("node2")) == (FailureKind.NO_ROUTE, None)


@pytest.fixture
def full() -> Iterator[int]:
    """A port whose queue is full, so that the kernel answers nothing to one who knocks."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        knocking = [socket.socket() for _ in range(8)]
        for one in knocking:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        yield port
        for one in knocking:
            one.close()


def test_no_answer_at_all(ssh_task: Task, sshd: Sshd, tmp_path: Path, recorder: Recorder, full: int) -> None:
    ssh_task.set_info("ssh_config", _with(tmp_path, sshd, f"Host mute*\n HostName 127.0.0.1\n Port {full}\n"))
    ssh_task.set_info("connect_timeout", 0.7)
    begun = time.monotonic()
    ssh_task.run("true", nodes="mute[1-3]", handler=recorder)
    assert 0.6 < time.monotonic() - begun < 20
    assert {recorder.kind(f"mute{number}") for number in (1, 2, 3)} == {FailureKind.CONNECT_TIMEOUT}
    failure = recorder.ends["mute1"].failure
    assert failure is not None
    assert "no connection within 0.7 s" in failure.reason


def test_idle_connections_cost_no_thread_and_no_turn(ssh_task: Task) -> None:
    others = set(threading.enumerate())
    ssh_task.run("true", nodes="node[1-20]")
    pool = pool_of(ssh_task)
    ssh_task.run("true", nodes="node[1-60]")
    assert pool.live_count == 60
    # A few helpers for what can only block, whatever the number of connections.
    assert len(set(threading.enumerate()) - others) <= 8

    def turn() -> float:
        begun = time.monotonic()
        pool.reactor.turn(0.5)
        return time.monotonic() - begun

    # The first turns may still have something to do.
    assert any(turn() >= 0.45 for _ in range(20))


_LIMIT = """
import json, resource
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
few, many = (256, 1024) if hard < 0 else (min(256, hard), min(1024, hard))
resource.setrlimit(resource.RLIMIT_NOFILE, (few, many))
from clusterdeck.engine.reactor import Reactor
from clusterdeck.engine.ssh.pool import Pool
reactor = Reactor()
pool = Pool(reactor)
print(json.dumps([pool.descriptor_limit, *resource.getrlimit(resource.RLIMIT_NOFILE), many]))
pool.close()
reactor.close()
"""


def test_the_soft_limit_of_descriptors_is_raised_to_the_hard_one() -> None:
    done = subprocess.run([sys.executable, "-c", _LIMIT], capture_output=True, text=True, timeout=60, check=True)
    limit, soft, hard, many = json.loads(done.stdout)
    assert (limit, soft, hard) == (many, many, many)
