"""Copies whose connection is cut: the target is whole or untouched, and nothing is left of them on the node."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest
from paramiko.sftp import SFTP_FAILURE, SFTP_NO_SUCH_FILE, SFTP_OK

from clusterdeck.engine.ssh import transfer
from clusterdeck.engine.states import FailureKind, NodeState
from clusterdeck.engine.task import Task
from clusterdeck.engine.workers.paramiko import WorkerParamiko, pool_of
from clusterdeck.tests.ssh.conftest import Recorder
from clusterdeck.tests.support.hostile_ssh import HostileServer
from clusterdeck.tests.support.sshd import Sshd


class _Cutting(Recorder):
    """Calls `cut` once, when so many bytes are done."""

    def __init__(self, at: int, cut: Callable[[], None]) -> None:
        super().__init__()
        self._at = at
        self._cut: Callable[[], None] | None = cut

    def ev_progress(self, worker: Any, node: str, done: int, total: int) -> None:
        super().ev_progress(worker, node, done, total)
        if done >= self._at and self._cut is not None:
            cut, self._cut = self._cut, None
            cut()


def _copy(task: Task, recorder: Recorder, source: Path, dest: Path, nodes: str = "node[1-2]") -> WorkerParamiko:
    worker = WorkerParamiko(nodes, recorder, 60, source=str(source), dest=str(dest))
    task.schedule(worker)
    task.resume()
    return worker


def _temporaries(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".clusterdeck-*")]


def _turn_until(task: Task, done: Callable[[], bool]) -> None:
    reactor = pool_of(task).reactor
    deadline = time.monotonic() + 30
    while not done() and time.monotonic() < deadline:
        reactor.turn(0.05)


@pytest.fixture(autouse=True)
def _every_byte_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_PROGRESS_EVERY", 0.0)


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "big"
    path.write_bytes(os.urandom(1 << 20) * 24)
    return path


def test_the_next_command_removes_what_was_left(
    task: Task, make_sshd: Callable[..., Sshd], tmp_path: Path, big: Path
) -> None:
    server = make_sshd()
    task.set_info("ssh_config", str(server.config))
    target = tmp_path / "there"
    target.mkdir()
    (target / "file").write_bytes(b"old")
    recorder = _Cutting(2_000_000, server.kill_connections)
    _copy(task, recorder, big, target / "file", "node1")
    assert recorder.states() == {NodeState.LOST}
    assert recorder.kind("node1") is FailureKind.CONNECTION_LOST
    assert (target / "file").read_bytes() == b"old"
    assert len(_temporaries(target)) == 1, "nothing was under way: the test cut too early or too late"
    task.run("true", nodes="node1")
    _turn_until(task, lambda: not _temporaries(target))
    assert _temporaries(target) == []


def test_a_copy_is_repeated_until_it_is_through(
    task: Task, make_sshd: Callable[..., Sshd], tmp_path: Path, big: Path
) -> None:
    server = make_sshd()
    task.set_info("ssh_config", str(server.config))
    source = tmp_path / "source"
    source.mkdir()
    for number in range(12):
        (source / f"part{number}").write_bytes(os.urandom(1_500_000))
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "source"
    for at in (100_000, 5_000_000, 12_000_000):
        cut = _Cutting(at, server.kill_connections)
        _copy(task, cut, source, target.parent, "node1")
        assert cut.states() == {NodeState.LOST}
        for path in target.glob("part*"):
            assert path.read_bytes() == (source / path.name).read_bytes(), "a half file has the name of a whole one"
    recorder = Recorder()
    _copy(task, recorder, source, target.parent, "node1")
    assert recorder.states() == {NodeState.OK}
    _turn_until(task, lambda: not _temporaries(target))
    assert {p.name: p.read_bytes() for p in target.iterdir()} == {p.name: p.read_bytes() for p in source.iterdir()}


def test_a_stopped_copy_leaves_nothing(ssh_task: Task, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(60):
        (source / f"part{number}").write_bytes(os.urandom(400_000))
    target = tmp_path / "there"
    workers: list[WorkerParamiko] = []
    recorder = _Cutting(3_000_000, lambda: workers[0].abort())
    workers.append(WorkerParamiko("node1", recorder, 60, source=str(source), dest=str(target)))
    ssh_task.schedule(workers[0])
    ssh_task.resume()
    assert recorder.states() == {NodeState.ABORTED}
    _turn_until(ssh_task, lambda: not _temporaries(target))
    assert _temporaries(target) == []
    assert len(list(target.iterdir())) < 60


class _Files:
    """What the hostile server keeps, and when it hangs up."""

    def __init__(self, cut_at: int) -> None:
        self.files: dict[str, bytearray] = {}
        self.cut_at = cut_at
        self.room = 1 << 30
        self.cut: Callable[[], None] = lambda: None


def _interface(kept: _Files) -> type[paramiko.SFTPServerInterface]:
    class Handle(paramiko.SFTPHandle):
        def __init__(self, path: str) -> None:
            super().__init__(0)
            self.path = path

        def write(self, offset: int, data: Any) -> int:
            file = kept.files[self.path]
            if offset + len(data) > kept.room:
                return SFTP_FAILURE
            file[offset : offset + len(data)] = data
            if kept.cut_at and len(file) >= kept.cut_at:
                kept.cut_at = 0
                kept.cut()
            return SFTP_OK

        def chattr(self, attr: Any) -> int:
            return SFTP_OK

    class Interface(paramiko.SFTPServerInterface):
        def stat(self, path: str) -> Any:
            if path not in kept.files:
                return SFTP_NO_SUCH_FILE
            found = paramiko.SFTPAttributes()
            found.st_mode, found.st_size = stat.S_IFREG | 0o644, len(kept.files[path])
            return found

        lstat = stat

        def open(self, path: str, flags: int, attr: Any) -> Any:
            kept.files[path] = bytearray()
            return Handle(path)

        def remove(self, path: str) -> int:
            return SFTP_NO_SUCH_FILE if kept.files.pop(path, None) is None else SFTP_OK

        def posix_rename(self, oldpath: str, newpath: str) -> int:
            kept.files[newpath] = kept.files.pop(oldpath)
            return SFTP_OK

        def rename(self, oldpath: str, newpath: str) -> int:
            return self.posix_rename(oldpath, newpath)

    return Interface


@pytest.fixture
def bad(task: Task, sshd: Sshd, tmp_path: Path) -> Iterator[_Files]:
    """The node `bad`, whose files these are, and a file to be copied."""
    kept = _Files(0)
    server = HostileServer(sftp=_interface(kept))
    kept.cut = server.drop_all
    (tmp_path / "known").write_text(server.known_hosts)
    config = tmp_path / "config"
    config.write_text(
        f"Host bad\n HostName 127.0.0.1\n Port {server.port}\n IdentityFile {sshd.key}\n IdentitiesOnly yes\n"
        f" IdentityAgent none\n UserKnownHostsFile {tmp_path}/known\n"
    )
    task.set_info("ssh_config", str(config))
    (tmp_path / "source").write_bytes(os.urandom(1_000_000))
    yield kept
    server.stop()


@pytest.mark.parametrize("cut_at", [1, 40_000, 500_000])
def test_a_server_that_hangs_up_in_the_middle(
    task: Task, bad: _Files, tmp_path: Path, cut_at: int, recorder: Recorder
) -> None:
    bad.cut_at = cut_at
    _copy(task, recorder, tmp_path / "source", Path("/there"), "bad")
    assert recorder.states() == {NodeState.LOST}
    assert [name for name in bad.files if "clusterdeck" in name]
    again = Recorder()
    _copy(task, again, tmp_path / "source", Path("/there"), "bad")
    assert again.states() == {NodeState.OK}
    _turn_until(task, lambda: len(bad.files) == 1)
    assert bad.files == {"/there": (tmp_path / "source").read_bytes()}


def test_no_room_there(task: Task, bad: _Files, tmp_path: Path, recorder: Recorder) -> None:
    bad.room = 500_000
    bad.files["/there"] = bytearray(b"old")
    _copy(task, recorder, tmp_path / "source", Path("/there"), "bad")
    assert recorder.states() == {NodeState.FAILED}
    assert recorder.kind("bad") is FailureKind.COPY
    assert bad.files == {"/there": b"old"}
