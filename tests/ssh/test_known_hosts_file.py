"""Writing known_hosts, reading large ones, and a fleet whose keys have all changed."""

from __future__ import annotations

import multiprocessing
import os
import stat
import time
from pathlib import Path

import pytest

from clusterdeck.engine.ssh.hostkeys import KnownHosts, Verdict, lookup_name
from clusterdeck.engine.ssh.knownhosts_file import add_keys
from clusterdeck.engine.ssh.wire import string
from clusterdeck.engine.states import FailureKind, NodeState
from clusterdeck.engine.task import Task
from clusterdeck.engine.workers.paramiko import pool_of
from clusterdeck.tests.ssh.conftest import Recorder
from clusterdeck.tests.support.sshd import Sshd


def _key(number: int) -> bytes:
    return string("ssh-ed25519") + string(number.to_bytes(32, "big"))


def _write(path: str, number: int) -> None:
    for step in range(4):
        add_keys(path, [(f"host{number}-{step}", _key(number))])


def test_fifty_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text("# kept\nold ssh-ed25519 AAAA")
    context = multiprocessing.get_context("fork")
    with context.Pool(10) as pool:
        pool.starmap(_write, [(str(path), number) for number in range(50)])
    lines = path.read_text().splitlines()
    assert lines[:2] == ["# kept", "old ssh-ed25519 AAAA"]
    assert len(lines) == 202
    assert len({line.split()[0] for line in lines[2:]}) == 200
    assert sorted(p.name for p in tmp_path.iterdir()) == ["known_hosts", "known_hosts.clusterdeck-lock"]


def test_what_is_written_is_found_by_name_and_kept_private(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "known_hosts"
    add_keys(str(path), [(lookup_name("Host", 2222), _key(1)), ("plain", _key(2)), ("plain", _key(2))])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    known = KnownHosts((str(path),))
    assert known.judge("HOST", 2222, _key(1)).verdict is Verdict.GOOD
    assert known.judge("plain", 22, _key(2)).verdict is Verdict.GOOD
    assert known.judge("plain", 22, _key(3)).verdict is Verdict.CHANGED
    assert known.judge("other", 22, _key(3)).verdict is Verdict.UNKNOWN
    assert len(path.read_text().splitlines()) == 2


def test_a_hashed_file_stays_hashed(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    add_keys(str(path), [("one", _key(1))], hashed=True)
    add_keys(str(path), [("two", _key(2))])
    assert [line[:3] for line in path.read_text().splitlines()] == ["|1|", "|1|"]
    known = KnownHosts((str(path),))
    assert known.judge("two", 22, _key(2)).verdict is Verdict.GOOD


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("")
    (tmp_path / "link").symlink_to("real")
    add_keys(str(tmp_path / "link"), [("one", _key(1))])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text().startswith("one ")


def test_nothing_is_written_below_etc() -> None:
    with pytest.raises(PermissionError):
        add_keys("/etc/ssh/ssh_known_hosts", [("one", _key(1))])


@pytest.mark.parametrize("name", ["a b", "a\nb", "a,b", "*", "!x", "|1|x"])
def test_names_that_would_be_more_than_a_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / "known_hosts"
    add_keys(str(path), [(name, _key(1))])
    assert not path.exists() or path.read_text() == ""


def test_ten_megabytes_are_read_once_and_quickly(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    add_keys(str(path), [(f"host{n}", _key(n)) for n in range(100)])
    blob = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB\n"
    with path.open("ab") as file:
        file.write(b"".join(b"[10.%d.%d.%d]:22 " % (n >> 16, n >> 8 & 255, n & 255) + blob for n in range(100_000)))
    assert path.stat().st_size > 8_000_000
    known = KnownHosts((str(path),))
    started = time.process_time()
    for number in range(100):
        assert known.judge(f"host{number}", 22, _key(number)).verdict is Verdict.GOOD
    assert time.process_time() - started < 8  # a quadratic reader needs minutes


def test_a_file_that_changes_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from clusterdeck.engine.ssh import hostkeys

    monkeypatch.setattr(hostkeys, "_RECHECK", 0.0)
    path = tmp_path / "known_hosts"
    known = KnownHosts((str(path),))
    assert known.judge("host", 22, _key(1)).verdict is Verdict.UNKNOWN
    add_keys(str(path), [("host", _key(1))])
    assert known.judge("host", 22, _key(1)).verdict is Verdict.GOOD


def test_a_key_is_trusted_where_the_file_cannot_be_written(
    ssh_task: Task, sshd: Sshd, tmp_path: Path, recorder: Recorder
) -> None:
    config = tmp_path / "config"
    text = f"Host new*\n HostName 127.0.0.1\n Port {sshd.port}\n IdentityFile {sshd.key}\n IdentityAgent none\n"
    config.write_text(text + " UserKnownHostsFile /proc/nowhere/known\n StrictHostKeyChecking accept-new\n")
    notices: list[str] = []
    ssh_task.set_info("ssh_config", str(config))
    ssh_task.set_info("ssh_notice", notices.append)
    ssh_task.run("true", nodes="new1", handler=recorder)
    assert recorder.states() == {NodeState.OK}
    assert any("this session only" in notice for notice in notices)


def test_a_fleet_of_changed_keys_stops_the_run(ssh_task: Task, sshd: Sshd, tmp_path: Path, recorder: Recorder) -> None:
    known = tmp_path / "known"
    wrong = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB"
    known.write_text(f"[127.0.0.1]:{sshd.port} {wrong}\n")
    config = tmp_path / "config"
    text = f"Host new*\n HostName 127.0.0.1\n Port {sshd.port}\n IdentityFile {sshd.key}\n IdentityAgent none\n"
    config.write_text(text + f" UserKnownHostsFile {known}\n")
    ssh_task.set_info("ssh_config", str(config))
    ssh_task.set_info("ssh_window", 4)
    before = len(os.listdir("/proc/self/fd"))
    ssh_task.run("true", nodes="new[1-60]", handler=recorder)
    assert {recorder.kind(node) for node in recorder.ends} == {FailureKind.HOST_KEY_CHANGED}
    reasons = [end.failure.reason for end in recorder.ends.values() if end.failure is not None]
    tried = [reason for reason in reasons if "HOST KEY CHANGED" in reason]
    assert 3 <= len(tried) < 20
    assert all(str(known) in reason and "ssh-keygen" in reason for reason in tried)
    assert sum("no more are tried" in reason for reason in reasons) == 60 - len(tried)
    assert len(pool_of(ssh_task).changed) == len(tried)
    assert len(os.listdir("/proc/self/fd")) <= before + 3
    assert known.read_text() == f"[127.0.0.1]:{sshd.port} {wrong}\n"
