"""The ssh, rsh and pdsh workers against a real sshd: codes, streams, input, time limits, abort, copies, failures.

rsh and rcp are stand-ins that go through ssh, and tell no return code, as the real rsh.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import psutil
import pytest

from clusterdeck.engine.errors import EngineClientNotSupportedError
from clusterdeck.engine.states import FailureKind, NodeState
from clusterdeck.engine.task import Task, task_self
from clusterdeck.tests.ssh.conftest import Recorder
from clusterdeck.tests.support.hostile_ssh import HostileServer
from clusterdeck.tests.support.processes import everywhere
from clusterdeck.tests.support.sshd import Sshd

WORKERS = ["ssh", "rsh", "pdsh"]


def _script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def programs(sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """rsh and rcp first on PATH, and pdsh that goes through ssh."""
    folder = tmp_path / "bin"
    folder.mkdir()
    _script(folder / "rsh", f'ssh -F {sshd.config} "$@"; rc=$?; [ $rc = 255 ] && exit 1; exit 0')
    _script(folder / "rcp", f'exec scp -F {sshd.config} "$@"')
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("PDSH_RCMD_TYPE", "ssh")
    monkeypatch.setenv("PDSH_SSH_ARGS_APPEND", f"-F {sshd.config}")


@pytest.fixture(params=WORKERS)
def others(request: pytest.FixtureRequest, sshd: Sshd, programs: None) -> Iterator[Task]:
    """A Task with one of the workers."""
    task = task_self()
    task.set_default("distant_workername", request.param)
    task.set_info("ssh_options", sshd.ssh_options)
    task.set_info("connect_timeout", 20)
    yield task
    task.abort(kill=True)


def _name(task: Task) -> str:
    return str(task.default("distant_workername"))


def _alive(marker: str) -> list[psutil.Process]:
    return everywhere(lambda words: marker in words)


def _kill(marker: str) -> None:
    for process in _alive(marker):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def test_codes_and_streams(others: Task, recorder: Recorder) -> None:
    worker = others.run("echo out; echo err >&2; exit 3", nodes="node[1-3]", handler=recorder, stderr=True, timeout=60)
    assert {rc: str(nodes) for rc, nodes in worker.iter_retcodes()} == {3: "node[1-3]"}
    assert recorder.states() == {NodeState.FAILED}
    assert recorder.lines == {f"node{n}": [b"out"] for n in range(1, 4)}
    assert {node: lines[-1] for node, lines in recorder.errors.items()} == {f"node{n}": b"err" for n in range(1, 4)}
    merged = Recorder()
    others.run("echo out; echo err >&2", nodes="node1", handler=merged, timeout=60)
    if _name(others) != "pdsh":  # it keeps the streams apart itself, so their order is not known
        assert merged.lines["node1"] == [b"out", b"err"]
    assert merged.states() == {NodeState.OK}


def test_input(others: Task, recorder: Recorder) -> None:
    if _name(others) == "pdsh":
        worker = others.shell("true", nodes="node1", handler=recorder, timeout=60)
        with pytest.raises(EngineClientNotSupportedError, match="no input"):
            worker.write(b"x")
        others.resume()
        assert recorder.states() == {NodeState.OK}
        return
    worker = others.shell("cat; echo done", nodes="node[1-2]", handler=recorder, timeout=60)
    worker.write(b"one\n" + b"x" * 100_000 + b"\n")
    worker.set_write_eof()
    others.resume()
    assert recorder.lines == {f"node{n}": [b"one", b"x" * 100_000, b"done"] for n in (1, 2)}


def test_time_limits(others: Task, recorder: Recorder) -> None:
    marker = f"96{time.monotonic_ns() % 10**9}"
    started = time.monotonic()
    worker = others.run(f"echo started; sleep {marker}", nodes="node[1-2]", handler=recorder, timeout=2.5)
    assert time.monotonic() - started < 60
    assert recorder.states() == {NodeState.TIMEOUT}
    assert worker.num_timeout() == 2
    if _name(others) != "pdsh":
        assert {recorder.kind(node) for node in recorder.ends} == {FailureKind.COMMAND_TIMEOUT}
        assert "may go on" in recorder.ends["node1"].failure.reason  # type: ignore[union-attr]
    _kill(marker)  # as was said: these programs do not end what they started


def test_abort(others: Task, recorder: Recorder) -> None:
    marker = f"95{time.monotonic_ns() % 10**9}"
    worker = others.shell(f"echo started; sleep {marker}", nodes="node[1-2]", handler=recorder, timeout=60)
    recorder.on_lines = lambda _worker, _node: worker.abort() if len(recorder.lines) == 2 else None
    others.resume()
    assert recorder.states() == {NodeState.ABORTED}
    if _name(others) != "pdsh":
        assert all("may go on" in end.failure.reason for end in recorder.ends.values() if end.failure)
    _kill(marker)


def test_copies(others: Task, tmp_path: Path) -> None:
    source, back = tmp_path / "source", tmp_path / "back"
    source.mkdir()
    back.mkdir()
    (source / "file").write_bytes(os.urandom(100_000))
    (source / "sub").mkdir()
    (source / "sub" / "other").write_text("text")
    task = others
    task.copy(str(source / "file"), str(tmp_path / "alone"), nodes="node1", timeout=60)
    task.resume()
    assert task.max_retcode() == 0
    assert (tmp_path / "alone").read_bytes() == (source / "file").read_bytes()
    (tmp_path / "there").mkdir()
    task.copy(str(source), str(tmp_path / "there"), nodes="node1", timeout=60)
    task.resume()
    assert (tmp_path / "there" / "source" / "sub" / "other").read_text() == "text"
    # Back: DEST/NAME.NODE, for files and for folders, with every worker.
    task.rcopy(str(source / "file"), str(back), nodes="node[1-2]", timeout=60)
    task.resume()
    assert sorted(path.name for path in back.iterdir()) == ["file.node1", "file.node2"]
    assert (back / "file.node2").read_bytes() == (source / "file").read_bytes()
    task.rcopy(str(source), str(back), nodes="node1", timeout=60)
    task.resume()
    assert (back / "source.node1" / "sub" / "other").read_text() == "text"


def test_failures_that_ssh_tells(programs: None, sshd: Sshd, task: Task, tmp_path: Path, recorder: Recorder) -> None:
    faults = {
        "bad1": ("dropped", FailureKind.BANNER),
        "bad2": ("refuses in words", FailureKind.BANNER),
        "bad3": ("no algorithm in common", FailureKind.KEX),
        "bad4": ("rejects every key", FailureKind.AUTHENTICATION),
        "bad5": ("silent", FailureKind.BANNER),
        "bad6": ("drops in the middle", FailureKind.CONNECTION_LOST),
        "bad7": ("", FailureKind.HOST_KEY_UNKNOWN),
        "bad8": ("", FailureKind.HOST_KEY_CHANGED),
    }
    servers = {node: HostileServer(fault) for node, (fault, _kind) in faults.items()}
    try:
        known = "".join(server.known_hosts for node, server in servers.items() if node not in ("bad7", "bad8"))
        other = paramiko.ECDSAKey.generate()
        known += f"[127.0.0.1]:{servers['bad8'].port} {other.get_name()} {other.get_base64()}\n"
        (tmp_path / "known").write_text(known)
        text = "".join(f"Host {node}\n Port {server.port}\n" for node, server in servers.items())
        text += f"Host bad*\n HostName 127.0.0.1\n IdentityFile {sshd.key}\n UserKnownHostsFile {tmp_path}/known\n"
        text += " StrictHostKeyChecking yes\n IdentitiesOnly yes\n IdentityAgent none\n GlobalKnownHostsFile none\n"
        text += "Host gone\n HostName 127.0.0.1\n Port 1\nHost nowhere\n HostName no.such.host.invalid\n"
        (tmp_path / "config").write_text(text + sshd.config.read_text())
        task.set_default("distant_workername", "ssh")
        task.set_info("ssh_options", f"-F {tmp_path}/config")
        task.set_info("connect_timeout", 3)
        task.run("sleep 0.1", nodes=",".join([*faults, "gone", "nowhere", "node1"]), handler=recorder, timeout=20)
    finally:
        for server in servers.values():
            server.stop()
    wanted: dict[str, Any] = {node: kind for node, (_fault, kind) in faults.items()}
    wanted |= {"gone": FailureKind.REFUSED, "nowhere": FailureKind.DNS, "node1": None}
    assert {node: recorder.kind(node) for node in recorder.ends} == wanted, recorder.ends
    assert recorder.ends["bad6"].state is NodeState.LOST
    assert {recorder.ends[node].state for node in wanted if node not in ("bad6", "node1")} == {NodeState.UNREACHABLE}
    for end in recorder.ends.values():
        assert end.failure is None or end.failure.reason.isprintable()
