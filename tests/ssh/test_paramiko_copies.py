"""Copies out and back against a real sshd; the node chooses nothing here (see test_ssh_hostile_copies.py for that)."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clusterdeck.engine.ssh.tree import SharedReader
from clusterdeck.engine.states import FailureKind, NodeState
from clusterdeck.engine.task import Task
from clusterdeck.engine.workers.paramiko import WorkerParamiko
from clusterdeck.tests.ssh.conftest import Recorder
from clusterdeck.tests.support.sshd import Sshd


def _copy(task: Task, source: Path | str, dest: Path | str, **keywords: Any) -> Recorder:
    recorder = Recorder()
    worker = WorkerParamiko(keywords.pop("nodes", "node1"), recorder, source=str(source), dest=str(dest), **keywords)
    task.schedule(worker)
    task.resume()
    return recorder


def _make_tree(folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    (folder / "sub" / "deeper").mkdir(parents=True)
    (folder / "empty folder").mkdir()
    contents = {"a.txt": b"a", "empty": b"", "sub/b": os.urandom(70_000), "sub/deeper/c d": os.urandom(300_000)}
    contents |= {f"sub/many{n}": b"%d" % n for n in range(40)}
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    (folder / "link").symlink_to("a.txt")
    return contents


def _read_tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_file_out_with_progress(ssh_task: Task, tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    (tmp_path / "source").write_bytes(data)
    recorder = _copy(ssh_task, tmp_path / "source", tmp_path / "target")
    assert recorder.ends["node1"].state is NodeState.OK, recorder.ends
    assert recorder.ends["node1"].rc == 0
    assert (tmp_path / "target").read_bytes() == data
    assert recorder.progress["node1"] == (3_000_000, 3_000_000)


def test_a_file_into_a_directory_keeps_its_name(ssh_task: Task, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    assert _copy(ssh_task, tmp_path / "source", tmp_path / "folder").states() == {NodeState.OK}
    assert (tmp_path / "folder" / "source").read_bytes() == b"x"


def test_an_existing_file_keeps_its_mode_and_a_link_stays_a_link(ssh_task: Task, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"new")
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "target").chmod(0o640)
    (tmp_path / "link").symlink_to("target")
    assert _copy(ssh_task, tmp_path / "source", tmp_path / "link").states() == {NodeState.OK}
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "target").stat().st_mode) == 0o640
    assert not list(tmp_path.glob(".clusterdeck*"))


def test_preserve_keeps_times_and_modes(ssh_task: Task, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    source.chmod(0o4751)
    os.utime(source, (1_000_000_000, 1_100_000_000))
    assert _copy(ssh_task, source, tmp_path / "target", preserve=True).states() == {NodeState.OK}
    there = (tmp_path / "target").stat()
    assert (there.st_mtime, stat.S_IMODE(there.st_mode)) == (1_100_000_000, 0o4751)


@pytest.mark.parametrize("preserve", [False, True])
def test_a_folder_out_and_back(ssh_task: Task, tmp_path: Path, preserve: bool) -> None:
    source = tmp_path / "source"
    contents = _make_tree(source)
    contents["link"] = b"a"
    os.utime(source / "sub", (1_000_000_000, 1_000_000_000))
    assert _copy(ssh_task, source, tmp_path / "target", preserve=preserve).states() == {NodeState.OK}
    assert _read_tree(tmp_path / "target") == contents
    assert (tmp_path / "target" / "empty folder").is_dir()
    if preserve:
        assert (tmp_path / "target" / "sub").stat().st_mtime == 1_000_000_000
    (tmp_path / "back").mkdir()
    recorder = _copy(ssh_task, tmp_path / "target", tmp_path / "back", reverse=True, nodes="node[1-2]")
    assert recorder.states() == {NodeState.OK}, recorder.ends
    for node in ("node1", "node2"):
        assert _read_tree(tmp_path / "back" / f"target.{node}") == contents
    assert not list((tmp_path / "back").rglob(".clusterdeck*"))


def test_back_into_a_folder_per_node(ssh_task: Task, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"x" * 500_000)
    (tmp_path / "back").mkdir()
    for _ in range(2):  # the second one replaces the first
        recorder = _copy(
            ssh_task, tmp_path / "source", tmp_path / "back", reverse=True, per_node=True, nodes="node[1-3]"
        )
        assert recorder.states() == {NodeState.OK}
    for node in ("node1", "node2", "node3"):
        assert (tmp_path / "back" / node / "source").read_bytes() == b"x" * 500_000
    refused = _copy(ssh_task, tmp_path / "source", tmp_path / "back", reverse=True, per_node=True, overwrite=False)
    assert refused.kind("node1") is FailureKind.COPY


def test_a_file_without_a_size_is_read_to_its_end(ssh_task: Task, tmp_path: Path) -> None:
    recorder = _copy(ssh_task, "/proc/version", tmp_path, reverse=True)
    assert recorder.states() == {NodeState.OK}
    assert (tmp_path / "version.node1").read_bytes() == Path("/proc/version").read_bytes()


@pytest.mark.parametrize(
    ("source", "dest", "words"),
    [
        ("missing", "target", "No such file"),
        ("file", "missing/target", "no such file"),
        ("file", "folder/file", "a directory there"),
        ("folder", "file", "a folder will not replace it"),
        ("file", "missing/", "no directory there"),
        ("file", "pipe", "will not be replaced"),
        ("pipe", "target", "neither a file nor a folder"),
    ],
)
def test_copies_that_are_refused(ssh_task: Task, tmp_path: Path, source: str, dest: str, words: str) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "folder" / "file").mkdir(parents=True)
    os.mkfifo(tmp_path / "pipe")
    target = f"{tmp_path}/{dest}"
    if dest == "folder/file":
        target = f"{tmp_path}/folder"
    recorder = _copy(ssh_task, tmp_path / source, target)
    end = recorder.ends["node1"]
    assert end.state is NodeState.FAILED
    assert end.rc == 1
    assert end.failure is not None
    assert words.lower() in end.failure.reason.lower()
    assert end.failure.kind is FailureKind.COPY
    assert not list(tmp_path.rglob(".clusterdeck*"))
    assert (tmp_path / "file").read_bytes() == b"x"


def test_one_read_for_many_nodes(ssh_task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readers: list[SharedReader] = []
    made = SharedReader.__init__

    def remember(reader: SharedReader) -> None:
        made(reader)
        readers.append(reader)

    monkeypatch.setattr(SharedReader, "__init__", remember)
    (tmp_path / "source").write_bytes(os.urandom(4_000_000))
    worker = WorkerParamiko("node[1-8]", source=str(tmp_path / "source"), dest=f"{tmp_path}/same")
    ssh_task.schedule(worker)
    ssh_task.resume()
    assert worker.task is not None
    assert {rc for rc, _ in worker.iter_retcodes()} == {0}
    assert len(readers) == 1
    assert readers[0].reads == 16  # 4,000,000 bytes in blocks of 256 KiB


def test_abort_leaves_no_temporary_file(ssh_task: Task, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(os.urandom(40_000_000))
    (tmp_path / "there").mkdir()
    recorder = Recorder()
    worker = WorkerParamiko("node[1-2]", recorder, source=str(tmp_path / "source"), dest=f"{tmp_path}/there/x")
    tell = recorder.ev_progress

    def stop(worker: WorkerParamiko, node: str, done: int, total: int) -> None:
        tell(worker, node, done, total)
        if done > 1_000_000:
            worker.abort()

    recorder.ev_progress = stop  # type: ignore[method-assign]
    ssh_task.schedule(worker)
    ssh_task.resume()
    assert recorder.states() == {NodeState.ABORTED}
    assert list((tmp_path / "there").iterdir()) == []


def test_a_server_without_sftp(make_sshd: Callable[..., Sshd], task: Task, tmp_path: Path) -> None:
    server = make_sshd(Subsystem="none /bin/false")
    task.set_info("ssh_config", str(server.config))
    (tmp_path / "source").write_bytes(b"x")
    recorder = _copy(task, tmp_path / "source", tmp_path / "target")
    assert recorder.kind("node1") is FailureKind.CHANNEL_REFUSED


def test_a_login_script_that_talks(make_sshd: Callable[..., Sshd], task: Task, tmp_path: Path) -> None:
    server = make_sshd(ForceCommand="echo welcome to this host, enjoy")
    task.set_info("ssh_config", str(server.config))
    (tmp_path / "source").write_bytes(b"x")
    recorder = _copy(task, tmp_path / "source", tmp_path / "target")
    failure = recorder.ends["node1"].failure
    assert failure is not None
    assert "welcome to this host" in failure.reason
