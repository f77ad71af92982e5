"""Copies from nodes that want to write elsewhere: the kernel itself says whether anything outside was touched."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterdeck.engine.ssh.safe_folder import Limits
from clusterdeck.engine.task import Task, task_self
from clusterdeck.engine.workers.paramiko import WorkerParamiko
from clusterdeck.tests.hostile.watcher import FolderWatch
from clusterdeck.tests.ssh.conftest import Recorder
from clusterdeck.tests.ssh.test_hostile_copies import ATTACKS, Entry, _limits, named, server_for
from clusterdeck.tests.support.hostile_ssh import HostileServer
from clusterdeck.tests.support.sshd import Sshd

#: Names of the attacks' targets outside; nobody else makes files of these names there.
_TARGETS = ("x", "y", "z", "good", "end", "pwned", "evil")
LINK = stat.S_IFLNK | 0o777
_WORST = [
    f"{up}{name}" for up in ("../", "../../", "/", "//", "./../", "x/../../", "..//") for name in ("evil", "good")
]


def tree(children: dict[str, Entry]) -> Entry:
    return Entry(stat.S_IFDIR | 0o755, children=children)


#: Further attacks: names of every depth, kinds that are lies, and what a copy of a tree would follow.
MORE: dict[str, Entry] = {
    **{f"name {name!r}": named(name, "good") for name in _WORST},
    "a link, then a file through it": tree({"a": Entry(LINK, now=stat.S_IFDIR | 0o755), "a/evil": Entry()}),
    "a folder and a file of one name": tree({"a": tree({"good": Entry()}), "a/../evil": Entry()}),
    "hidden names": named(".bashrc", ".ssh", ".profile"),
    "a folder called ..": tree({"..": tree({"evil": Entry()})}),
    "a folder called /etc": tree({"/etc": tree({"evil": Entry()})}),
    "a folder called .": tree({".": tree({"evil": Entry()})}),
    "a temporary name of ours": named(".clusterdeck-0", ".clusterdeck-part"),
    "names in other normal forms": named("e\u0301", "\u00e9", "\ufb01", "fi"),
}


@pytest.fixture
def task() -> Iterator[Task]:
    made = task_self()
    yield made
    made.abort(kill=True)


def config_for(server: HostileServer, sshd: Sshd, tmp_path: Path) -> str:
    (tmp_path / "known").write_text(server.known_hosts)
    (tmp_path / "config").write_text(
        f"Host *\n HostName 127.0.0.1\n Port {server.port}\n User u\n UserKnownHostsFile {tmp_path}/known\n"
        f" IdentityFile {sshd.key}\n IdentitiesOnly yes\n IdentityAgent none\n"
    )
    return str(tmp_path / "config")


def test_nothing_outside_is_touched(
    task: Task, sshd: Sshd, tmp_path: Path, folders: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    attacks = {**{name: entry for name, (entry, _) in ATTACKS.items()}, **MORE}
    assert len(attacks) >= 90
    from clusterdeck.engine.ssh import download

    monkeypatch.setattr(download, "_UNSIZED_LIMIT", 200_000)
    monkeypatch.setattr(Limits, "__init__", _limits)
    server = HostileServer(sftp=server_for({f"attack{n}": entry for n, entry in enumerate(attacks.values())}))
    back = tmp_path / "a" / "b" / "back"
    back.mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a")
    task.set_info("ssh_config", config_for(server, sshd, tmp_path))
    outside = [tmp_path, tmp_path / "a", tmp_path / "a" / "b", Path(folders["HOME"]), *map(Path, ("/", "/etc", "/tmp"))]
    try:
        with FolderWatch(outside) as watch:
            for number in range(len(attacks)):
                worker = WorkerParamiko("n1", Recorder(), 60, source=f"/attack{number}", dest=str(back), reverse=True)
                task.schedule(worker)
            task.resume()
    finally:
        server.stop()
    own = [change for change in watch.changes if change.startswith(str(tmp_path))]
    assert own == []
    # Others work in these folders at the same time; their names are not those of the attacks.
    assert not [c for c in watch.changes if c.rpartition("/")[2].split(" ")[0] in _TARGETS]
    arrived = [path for path in back.rglob("*") if path.is_file()]
    assert len(arrived) > 40, "what is harmless does arrive"
    for path in back.rglob("*"):
        assert stat.S_IFMT(path.lstat().st_mode) in (stat.S_IFREG, stat.S_IFDIR), path


def test_somebody_here_swaps_folders_for_links(task: Task, sshd: Sshd, tmp_path: Path) -> None:
    """While a tree arrives, another process puts links to elsewhere in the place of its folders."""
    many = {f"f{number}": Entry(content=b"evil" * 1000) for number in range(20)}
    root = tree({f"d{number}": tree(dict(many)) for number in range(20)})
    server = HostileServer(sftp=server_for({"tree": root}))
    back, outside = tmp_path / "back", tmp_path / "outside"
    back.mkdir()
    outside.mkdir()
    over = threading.Event()
    swapped = []

    def race() -> None:
        while not over.is_set():
            for place in back.glob("tree*/d*"):
                moved = place.with_name(f"moved-{place.name}")
                if place.is_symlink() or moved.exists():
                    continue
                try:
                    os.rename(place, moved)
                    os.symlink(outside, place)
                except OSError:
                    continue
                swapped.append(place.name)

    racer = threading.Thread(target=race)
    racer.start()
    try:
        task.set_info("ssh_config", config_for(server, sshd, tmp_path))
        with FolderWatch([outside]) as watch:
            task.schedule(WorkerParamiko("n1", Recorder(), 60, source="/tree", dest=str(back), reverse=True))
            task.resume()
    finally:
        over.set()
        racer.join()
        server.stop()
    assert swapped, "the race was run"
    assert watch.changes == []
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("per_node", [True, False])
def test_two_nodes_whose_files_have_one_name(per_node: bool, task: Task, sshd: Sshd, tmp_path: Path) -> None:
    """Each node has a place of its own, whatever it calls its files, and whatever is in its own name."""
    server = HostileServer(sftp=server_for({"f": tree({"a_b": Entry(), "a%3Ab": Entry(), "f.a_b": Entry()})}))
    back = tmp_path / "back"
    back.mkdir()
    try:
        task.set_info("ssh_config", config_for(server, sshd, tmp_path))
        task.schedule(
            WorkerParamiko("a:b,a_b", Recorder(), 60, source="/f", dest=str(back), reverse=True, per_node=per_node)
        )
        task.resume()
    finally:
        server.stop()
    assert sorted(path.name for path in back.iterdir()) == (["a%3Ab", "a_b"] if per_node else ["f.a%3Ab", "f.a_b"])
    assert len([path for path in back.rglob("*") if path.is_file()]) == 6


@pytest.mark.parametrize("trap", ["a link to a folder", "a dangling link", "a file"])
def test_what_lies_in_the_place_of_a_node_s_folder(trap: str, task: Task, sshd: Sshd, tmp_path: Path) -> None:
    """Somebody who may write to the destination, too, does not choose where a node's files go."""
    back, elsewhere, recorder = tmp_path / "back", tmp_path / "elsewhere", Recorder()
    back.mkdir()
    if trap == "a file":
        (back / "node1").write_text("mine")
    else:
        (back / "node1").symlink_to(elsewhere)
    if trap == "a link to a folder":
        elsewhere.mkdir()
    (tmp_path / "source").write_text("x")
    task.set_info("ssh_config", str(sshd.config))
    source = str(tmp_path / "source")
    task.schedule(WorkerParamiko("node[1-2]", recorder, 30, source=source, dest=str(back), reverse=True, per_node=True))
    task.resume()
    failure = recorder.ends["node1"].failure
    assert failure is not None
    assert "'node1' is here already, and no folder" in failure.reason
    assert (back / "node2" / "source").read_text() == "x"
    assert not elsewhere.exists() or list(elsewhere.iterdir()) == []


def test_the_watcher_sees(tmp_path: Path) -> None:
    with FolderWatch([tmp_path]) as watch:
        (tmp_path / "new").write_text("x")
        (tmp_path / "new").rename(tmp_path / "renamed")
        (tmp_path / "folder").mkdir()
        (tmp_path / "link").symlink_to("/")
    assert {change.rpartition("/")[2].split(" ")[0] for change in watch.changes} == {"new", "renamed", "folder", "link"}
