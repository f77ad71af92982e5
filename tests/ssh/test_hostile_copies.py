"""Reverse copies from a node that chooses names, types and sizes to harm: nothing is written outside its own place."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko
import pytest
from paramiko.sftp import SFTP_EOF, SFTP_FAILURE, SFTP_NO_SUCH_FILE, SFTP_OK, SFTP_PERMISSION_DENIED

from clusterdeck.engine.ssh.safe_folder import Limits, SafeFolder
from clusterdeck.engine.states import FailureKind, NodeState
from clusterdeck.engine.task import Task
from clusterdeck.engine.workers.paramiko import WorkerParamiko
from clusterdeck.tests.ssh.conftest import Recorder
from clusterdeck.tests.support.hostile_ssh import HostileServer
from clusterdeck.tests.support.sshd import Sshd


@dataclass
class Entry:
    """What the node claims (mode, size) and what it does."""

    mode: int = stat.S_IFREG | 0o644
    content: bytes = b"evil"
    size: int | None = None
    #: What opening and fstat say instead; a number of SFTP for an error.
    on_open: int = SFTP_OK
    now: int | None = None
    children: dict[str, Entry] = field(default_factory=dict)
    endless: bool = False
    short_reads: int = 0
    #: Bytes that come beyond what was asked for.
    excess: int = 0


def folder(mode: int = 0o755, **children: Entry) -> Entry:
    return Entry(stat.S_IFDIR | mode, children=children)


def named(*names: str, entry: Entry | None = None) -> Entry:
    return Entry(stat.S_IFDIR | 0o755, children={name: entry or Entry() for name in names})


def deep(levels: int) -> Entry:
    entry = folder(end=Entry())
    for _ in range(levels):
        entry = folder(d=entry)
    return entry


def _attributes(entry: Entry, name: str = "", mode: int | None = None) -> paramiko.SFTPAttributes:
    found = paramiko.SFTPAttributes()
    found.st_mode = entry.mode if mode is None else mode
    found.st_size = len(entry.content) if entry.size is None else entry.size
    found.st_uid = found.st_gid = 0
    found.st_atime = found.st_mtime = 1_000_000_000
    found.filename = name
    return found


class _Handle(paramiko.SFTPHandle):
    def __init__(self, entry: Entry) -> None:
        super().__init__(0)
        self.entry = entry

    def stat(self) -> Any:
        return _attributes(self.entry, mode=self.entry.now)

    def read(self, offset: int, length: int) -> Any:
        entry = self.entry
        if entry.endless:
            return b"x" * min(length, 32768)
        if entry.short_reads:
            length = min(length, entry.short_reads)
        data = entry.content[offset : offset + length + entry.excess]
        return data if data else SFTP_EOF


class _Names(dict[str, paramiko.SFTPAttributes]):
    pass


def server_for(root: dict[str, Entry]) -> type[paramiko.SFTPServerInterface]:
    class Interface(paramiko.SFTPServerInterface):
        def _find(self, path: str) -> Entry | None:
            entry: Entry | None = Entry(stat.S_IFDIR | 0o755, children=root)
            # Names of the attacks may hold anything, so the longest child that fits is followed.
            rest = path.lstrip("/")
            while rest and entry is not None:
                fitting = [name for name in entry.children if rest == name or rest.startswith(name + "/")]
                if not fitting:
                    return None
                name = max(fitting, key=len)
                entry = entry.children[name]
                rest = rest[len(name) :].lstrip("/")
            return entry

        def stat(self, path: str) -> Any:
            entry = self._find(path)
            if entry is None:
                return SFTP_NO_SUCH_FILE
            return _attributes(entry, mode=entry.now if stat.S_ISLNK(entry.mode) else None)

        def lstat(self, path: str) -> Any:
            entry = self._find(path)
            return SFTP_NO_SUCH_FILE if entry is None else _attributes(entry)

        def list_folder(self, path: str) -> Any:
            entry = self._find(path)
            if entry is None:
                return SFTP_NO_SUCH_FILE
            if entry.on_open != SFTP_OK:
                return entry.on_open
            return [_attributes(child, name) for name, child in entry.children.items()]

        def open(self, path: str, flags: int, attr: Any) -> Any:
            entry = self._find(path)
            if entry is None:
                return SFTP_NO_SUCH_FILE
            return _Handle(entry) if entry.on_open == SFTP_OK else entry.on_open

    return Interface


OK, FAILED = NodeState.OK, NodeState.FAILED
LINK = stat.S_IFLNK | 0o777
#: name of the attack -> (what is asked for, how it ends). A folder that has something left out ends as failed.
ATTACKS: dict[str, tuple[Entry, NodeState]] = {
    **{
        f"name {name[:20]!r}": (named(name, "good"), FAILED)
        for name in (
            "../x",
            "../../../../../../tmp/x",
            "/etc/x",
            "/",
            "//x",
            "a/../../x",
            "a/b",
            "./x",
            "a/",
            "",
            "x\0y",
            "\0",
            "new\nline",
            "\r",
            "esc\x1b[2J",
            "\x1b]0;title\x07",
            "tab\t",
            "del\x7f",
            "n" * 256,
            "n" * 4096,
            "é" * 200,
        )
    },
    **{
        f"harmless {name!r}": (named(name, "good"), OK)
        for name in ("-rf", "~", "$(id)", "`id`", ";reboot", "|x", "*", "..x", "...", " ", "a b", "é", "CON", "\\..\\x")
    },
    # Every server lists these two; they are passed over without a word.
    "the folder itself and the one above": (named(".", "..", "good"), OK),
    "block device": (named("x", entry=Entry(stat.S_IFBLK | 0o666)), FAILED),
    "character device": (named("x", entry=Entry(stat.S_IFCHR | 0o666)), FAILED),
    "pipe": (named("x", entry=Entry(stat.S_IFIFO | 0o666)), FAILED),
    "socket": (named("x", entry=Entry(stat.S_IFSOCK | 0o666)), FAILED),
    "nonsense type": (named("x", entry=Entry(0o170000 | 0o666)), FAILED),
    "link to a folder": (named("x", entry=Entry(LINK, now=stat.S_IFDIR | 0o755)), FAILED),
    "link to a file": (named("x", entry=Entry(LINK, now=stat.S_IFREG | 0o644)), OK),
    "link to a link": (named("x", entry=Entry(LINK, now=LINK)), FAILED),
    "link to a device": (named("x", entry=Entry(LINK, now=stat.S_IFCHR)), FAILED),
    "set-uid": (named("x", entry=Entry(stat.S_IFREG | 0o4755)), OK),
    "set-gid and sticky": (named("x", entry=Entry(stat.S_IFREG | 0o3777)), OK),
    "set-gid folder": (folder(0o2777, x=Entry()), OK),
    "folder without rights": (folder(0o000, x=Entry()), OK),
    "file without rights": (named("x", entry=Entry(stat.S_IFREG)), OK),
    "same name twice, other case": (named("File", "FILE", "file"), FAILED),
    "file and folder of one name": (folder(x=Entry(), X=folder(y=Entry())), FAILED),
    "turns into a folder": (named("x", entry=Entry(now=stat.S_IFDIR | 0o755)), FAILED),
    "turns into a device": (named("x", entry=Entry(now=stat.S_IFCHR | 0o755)), FAILED),
    "says one terabyte": (named("x", entry=Entry(size=1 << 40)), FAILED),
    "says more than there is": (named("x", entry=Entry(size=100_000)), OK),
    "says less than there is": (named("x", entry=Entry(content=b"y" * 90_000, size=10)), OK),
    "largest number as size": (named("x", entry=Entry(size=(1 << 64) - 1)), FAILED),
    "no size and no end": (named("x", entry=Entry(size=0, endless=True)), OK),
    "more than the limit in all": (named(*(f"x{n}" for n in range(40)), entry=Entry(size=9 << 30)), FAILED),
    "more than fits on the disk": (named("x", entry=Entry(size=12 << 30)), FAILED),
    "more than was asked for": (named("x", entry=Entry(content=b"w" * 20_000, size=100, excess=9000)), FAILED),
    "short reads": (named("x", entry=Entry(content=os.urandom(5000), short_reads=7)), OK),
    "may not be opened": (named("x", entry=Entry(on_open=SFTP_PERMISSION_DENIED)), FAILED),
    "fails when opened": (named("x", entry=Entry(on_open=SFTP_FAILURE)), FAILED),
    "folder that may not be listed": (folder(x=Entry(stat.S_IFDIR, on_open=SFTP_PERMISSION_DENIED)), FAILED),
    "five hundred levels": (deep(500), FAILED),
    "sixty levels": (deep(60), OK),
    "many names": (named(*(f"n{n}" for n in range(3000))), FAILED),
    "device as the source": (Entry(stat.S_IFBLK), FAILED),
    "file as the source": (Entry(content=b"z" * 100_000), OK),
    "file of a terabyte as the source": (Entry(size=1 << 40), FAILED),
    "missing": (Entry(stat.S_IFLNK, now=None), FAILED),
}


@pytest.fixture
def server() -> Iterator[HostileServer]:
    root = {f"attack{number}": entry for number, (entry, _end) in enumerate(ATTACKS.values())}
    made = HostileServer(sftp=server_for(root))
    yield made
    made.stop()


def _snapshot(folder: Path, inside: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in folder.rglob("*"):
        if path == inside or inside in path.parents:
            continue
        status = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and not path.is_symlink() else ""
        found[str(path)] = f"{status.st_mode} {content}"
    return found


def test_attacks(
    task: Task, sshd: Sshd, tmp_path: Path, server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(ATTACKS) >= 60
    (tmp_path / "known").write_text(server.known_hosts)
    (tmp_path / "config").write_text(
        f"Host *\n HostName 127.0.0.1\n Port {server.port}\n User u\n UserKnownHostsFile {tmp_path}/known\n"
        f" IdentityFile {sshd.key}\n IdentitiesOnly yes\n IdentityAgent none\n"
    )
    from clusterdeck.engine.ssh import download

    monkeypatch.setattr(download, "_UNSIZED_LIMIT", 2_000_000)
    monkeypatch.setattr(Limits, "__init__", _limits)
    monkeypatch.setattr(SafeFolder, "free_bytes", lambda _folder: 10 << 30)
    back = tmp_path / "back"
    back.mkdir()
    (tmp_path / "x").write_text("untouched")
    before = _snapshot(tmp_path, back)
    task.set_info("ssh_config", str(tmp_path / "config"))
    recorders = {}
    for number, name in enumerate(ATTACKS):
        recorders[name] = Recorder()
        worker = WorkerParamiko("n1", recorders[name], 60, source=f"/attack{number}", dest=str(back), reverse=True)
        task.schedule(worker)
    task.resume()
    assert _snapshot(tmp_path, back) == before
    assert not Path("/etc/x").exists()
    wrong = []
    for name, (entry, state) in ATTACKS.items():
        end = recorders[name].ends["n1"]
        if end.state is not state:
            wrong.append(f"{name}: {end}")
        if end.failure is not None:
            assert end.failure.kind is FailureKind.COPY, end
            assert end.failure.reason.isprintable()
        if "good" in entry.children:
            kept = back / f"attack{list(ATTACKS).index(name)}.n1" / "good"
            assert kept.read_bytes() == b"evil", f"{name}: the good file beside it did not come"
    assert not wrong, "\n".join(wrong)
    for path in back.rglob("*"):
        status = path.lstat()
        assert stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode), path
        assert stat.S_IMODE(status.st_mode) & ~0o755 == 0, path
        assert (status.st_uid, status.st_gid) == (os.getuid(), os.getgid())
        assert not path.name.startswith(".clusterdeck"), "a temporary file is left"
        assert path.name.isprintable()


def _limits(limits: Limits, entries: int = 2000, size: int = 20 << 30, depth: int = 64) -> None:
    for name, value in (("entries", entries), ("size", size), ("depth", depth)):
        object.__setattr__(limits, name, value)


@pytest.mark.parametrize("trap", ["link to a file", "link to a folder", "folder", "pipe", "dangling link"])
def test_traps_on_this_side(task: Task, sshd: Sshd, tmp_path: Path, server: HostileServer, trap: str) -> None:
    """What lies in the destination already is not followed and not replaced, unless it is a plain file."""
    number = list(ATTACKS).index("file as the source")
    (tmp_path / "known").write_text(server.known_hosts)
    (tmp_path / "config").write_text(
        f"Host *\n HostName 127.0.0.1\n Port {server.port}\n User u\n UserKnownHostsFile {tmp_path}/known\n"
        f" IdentityFile {sshd.key}\n IdentitiesOnly yes\n IdentityAgent none\n"
    )
    task.set_info("ssh_config", str(tmp_path / "config"))
    back, outside = tmp_path / "back", tmp_path / "outside"
    back.mkdir()
    outside.mkdir()
    (outside / "file").write_text("untouched")
    place = back / f"attack{number}.n1"
    make: dict[str, Callable[[], object]] = {
        "link to a file": lambda: place.symlink_to(outside / "file"),
        "link to a folder": lambda: place.symlink_to(outside),
        "folder": place.mkdir,
        "pipe": lambda: os.mkfifo(place),
        "dangling link": lambda: place.symlink_to(outside / "new"),
    }
    make[trap]()
    kind = place.lstat().st_mode
    recorder = Recorder()
    worker = WorkerParamiko("n1", recorder, 20, source=f"/attack{number}", dest=str(back), reverse=True)
    task.schedule(worker)
    task.resume()
    assert recorder.ends["n1"].state is NodeState.FAILED
    assert place.lstat().st_mode == kind
    assert sorted(p.name for p in outside.iterdir()) == ["file"]
    assert (outside / "file").read_text() == "untouched"
