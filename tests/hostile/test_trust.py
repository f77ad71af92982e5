"""Files that others could have written are refused with a reason, never believed and never with a traceback."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from ClusterShell.NodeSet import ILLEGAL_GROUP_CHARS
from ClusterShell.NodeUtils import GroupSourceQueryFailed, UpcallGroupSource

from clusterdeck.console.runs.run_store import RunStore
from clusterdeck.console.session import group_files
from clusterdeck.console.session.node_expressions import DeckResolver, NodeExpressionError, parse_nodes
from clusterdeck.tests.support.leaks import no_leaks

PROGRAM = [sys.executable, "-m", "clusterdeck"]
SETTINGS = "[run]\nfanout = 7\n"
MACRO = ":local echo played\n"

Spoil = Callable[[Path], object]


def _link_to_shared(file: Path) -> None:
    shared = file.parent.parent / "shared"
    shared.mkdir(mode=0o777)
    shared.chmod(0o777)
    (shared / "real").write_bytes(file.read_bytes())
    file.unlink()
    file.symlink_to(shared / "real")


def _fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


def _circle(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.name)


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


SPOILED: dict[str, Spoil] = {
    "writable for all": lambda file: file.chmod(0o666),
    "writable for the group": lambda file: file.chmod(0o664),
    "in a folder writable for all": lambda file: file.parent.chmod(0o777),
    "in a folder writable for the group": lambda file: file.parent.chmod(0o775),
    "below a folder writable for all": lambda file: file.parent.parent.chmod(0o777),
    "a link into a shared folder": _link_to_shared,
    "a pipe that nobody writes to": _fifo,
    "a folder": _folder,
    "a link to itself": _circle,
    "too large": lambda file: file.write_bytes(b"#" * (5 * 1024 * 1024)),
    "not text": lambda file: file.write_bytes(b"\xff\xfe\x00\x9b"),
}
if os.geteuid() == 0:
    SPOILED["of another user"] = lambda file: os.chown(file, 12345, 12345)
    SPOILED["in another user's folder"] = lambda file: os.chown(file.parent, 12345, 12345)


def run(words: list[str], folders: dict[str, str], tmp_path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *words],
        env=folders,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=tmp_path,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("how", [how for how in SPOILED if how != "a folder"])
def test_settings(how: str, folders: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "site" / "config" / "config.toml"
    file.parent.mkdir(parents=True, mode=0o755)
    file.write_text(SETTINGS)
    folders["CLUSTERDECK_CONFIG_DIR"] = str(file.parent)
    words = ["config", "explain", "run.fanout"]
    assert "= 7" in run(words, folders, tmp_path).stdout
    SPOILED[how](file)
    refused = run(words, folders, tmp_path)
    assert "= 7" not in refused.stdout
    assert refused.returncode != 0
    assert "Traceback" not in refused.stderr
    assert "mistake" not in refused.stderr
    assert "config.toml" in refused.stderr or "shared/real" in refused.stderr or "trusted" in refused.stderr


@pytest.mark.parametrize("how", SPOILED)
def test_macros(how: str, folders: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "config" / "macros" / "m.deck"
    file.parent.mkdir(parents=True, mode=0o755)
    file.write_text(MACRO)
    words = ["play", "m"]
    assert "played" in run(words, folders, tmp_path).stdout
    SPOILED[how](file)
    refused = run(words, folders, tmp_path)
    assert refused.returncode != 0
    assert "played" not in refused.stdout
    assert "Traceback" not in refused.stderr
    assert refused.stderr.strip()


def test_the_state_folder_is_tightened(folders: dict[str, str], tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o777)
    state.chmod(0o777)
    run(["run", "-R", "exec", "-w", "n1", "true"], folders, tmp_path)
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert all(not file.stat().st_mode & 0o077 for file in state.rglob("*") if file.is_file())


GROUPS = "[Main]\ndefault: s\nautodir: $CFGDIR/groups.d\nconfdir: $CFGDIR/groups.conf.d\n[s]\nmap: echo n3\n"


def _group_files(tmp_path: Path, folders: dict[str, str]) -> Path:
    place = tmp_path / "groups" / "clustershell"
    (place / "groups.d").mkdir(parents=True, mode=0o755)
    (place / "groups.conf.d").mkdir(mode=0o755)
    (place / "groups.conf").write_text(GROUPS)
    (place / "groups.d" / "y.yaml").write_text("y:\n  web: n1\n")
    (place / "groups.conf.d" / "c.conf").write_text("[c]\nmap: echo n2\n")
    folders["CLUSTERSHELL_CFGDIR"] = str(place)
    return place


def _groups(place: Path, expression: str) -> str:
    """The nodes of an expression, as a session that starts now would find them."""
    resolver = group_files.TrustedGroups([str(place / "groups.conf")], ILLEGAL_GROUP_CHARS)

    def groups() -> group_files.TrustedGroups:
        resolver.sources()
        return resolver

    return str(parse_nodes(expression, DeckResolver(RunStore(), lambda _: None, lambda _: None, groups)))


@pytest.mark.parametrize("how", SPOILED)
@pytest.mark.parametrize("name", ["groups.conf", "groups.d/y.yaml", "groups.conf.d/c.conf"])
def test_group_files(name: str, how: str, folders: dict[str, str], tmp_path: Path) -> None:
    """Their lines are commands: whoever may write one may run what they like as the operator."""
    place = _group_files(tmp_path, folders)
    assert _groups(place, "@y:web,@c:x,@s:x") == "n[1-3]"
    SPOILED[how](place / name)
    with pytest.raises(
        NodeExpressionError,
        match=r"unknown group source|not trusted|not read|not a regular|shared|y\.yaml|groups|c\.conf",
    ):
        _groups(place, "@y:web")
    assert _groups(place, "n1") == "n1", "without a group nobody asks for groups"


@pytest.mark.parametrize("how", ["writable for all", "a pipe that nobody writes to", "a link into a shared folder"])
def test_group_files_on_the_command_line(how: str, folders: dict[str, str], tmp_path: Path) -> None:
    place = _group_files(tmp_path, folders)
    words = ["run", "-R", "exec", "--dry-run", "-w", "@y:web", "true"]
    assert "nodes: n1 (1)" in run(words, folders, tmp_path).stdout
    SPOILED[how](place / "groups.conf")
    refused = run(words, folders, tmp_path)
    assert refused.returncode != 0, refused.stdout
    assert refused.stderr.count("\n") == 1
    assert "trusted" in refused.stderr or "not a regular file" in refused.stderr, refused.stderr


ANCHORS = "a: &a [n1, n1]\n" + "".join(f"b{n}: &b{n} [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n" for n in range(20))
#: Contents of group files, and programs, that must end in a reason: (file, its text, what is said).
HURTFUL = {
    "aliases without end": ("groups.d/y.yaml", "y:\n" + "".join(f"  {row}\n" for row in ANCHORS.splitlines()), "alias"),
    "five megabytes": ("groups.d/y.yaml", "y:\n  web: n1\n#" + "x" * 5_000_000, "larger than"),
    "Python in YAML": ("groups.d/y.yaml", "y: !!python/object/apply:os.system ['>pwned']\n", "y.yaml"),
    "a broken YAML file": ("groups.d/y.yaml", "y: [\n", "y.yaml"),
    "bytes that are no text": ("groups.conf", "\udcff\udcfe[", "groups.conf"),
    "a broken groups.conf": ("groups.conf", "map: x\n[[[", "groups.conf"),
    "a group without its program": ("groups.conf.d/c.conf", "[c]\nall: echo n1\n", "map"),
    "a program that fails": ("groups.conf.d/c.conf", "[y]\nmap: exit 3\n", "exit 3"),
    "a program that is not there": ("groups.conf.d/c.conf", "[y]\nmap: /nonexistent/program\n", "nonexistent"),
    "a program that floods": ("groups.conf.d/c.conf", "[y]\nmap: yes n1 | head -c 1000000000\n", "larger than"),
    "a program whose answer is no text": ("groups.conf.d/c.conf", "[y]\nmap: printf '\\377\\376'\n", "UTF-8"),
    "a program that names a command": ("groups.conf.d/c.conf", "[y]\nmap: echo 'n1;id'\n", "refused"),
    "a program that names an option": ("groups.conf.d/c.conf", "[y]\nmap: echo ' -oProxyCommand=x'\n", "refused"),
    "a program that names too many": ("groups.conf.d/c.conf", "[y]\nmap: echo 'n[1-9999999]'\n", "too many"),
    "groups that hold each other": ("groups.conf.d/c.conf", "[y]\nmap: echo @y:web\n", "contain each other"),
}


@pytest.mark.parametrize("what", HURTFUL)
def test_group_files_and_programs_that_hurt(what: str, folders: dict[str, str], tmp_path: Path) -> None:
    place = _group_files(tmp_path, folders)
    name, text, said = HURTFUL[what]
    if "[y]" in text:
        (place / "groups.d" / "y.yaml").unlink()
    (place / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(NodeExpressionError, match=said) as refused:
        _groups(place, "@y:web")
    assert len(str(refused.value)) < 2000
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    "line",
    ["sleep 600; echo n1", "sleep 600 & echo n1", "exec >&-; sleep 600", "while :; do echo n1; sleep 0.05; done"],
)
def test_a_group_program_that_hangs(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended with all that it started, and the operator is told which one it was."""
    monkeypatch.setattr(group_files, "PROGRAM_TIMEOUT", 0.5)
    source = UpcallGroupSource("slow", f"echo $$$$ > {tmp_path}/pid; {line}", cfgdir=str(tmp_path))
    with no_leaks(), pytest.raises(GroupSourceQueryFailed, match=r"0\.5 seconds"):
        group_files.ask_program(source, "map", {})
    group = int((tmp_path / "pid").read_text())
    assert not [p for p in psutil.process_iter() if _group_of(p) == group and p.status() != psutil.STATUS_ZOMBIE]


def _group_of(process: psutil.Process) -> int:
    with contextlib.suppress(OSError):
        return os.getpgid(process.pid)
    return 0


def _planted_link(file: Path) -> None:
    target = file.parent.parent / "target"
    target.write_text('{"web": "evil[1-9]"}\n')
    file.symlink_to(target)


def _planted_pipe(file: Path) -> None:
    os.mkfifo(file, 0o600)


def _planted_folder(file: Path) -> None:
    file.mkdir()


def _planted_nonsense(file: Path) -> None:
    file.write_bytes(os.urandom(3000))


def _planted_by_another(file: Path) -> None:
    file.write_text('{"web": "evil[1-9]"}\n')
    os.chown(file, 12345, 12345)


PLANTED: dict[str, Spoil] = {
    "a link": _planted_link,
    "a pipe": _planted_pipe,
    "a folder": _planted_folder,
    "nonsense": _planted_nonsense,
}
if os.geteuid() == 0:
    PLANTED["a file of another user"] = _planted_by_another


@pytest.mark.parametrize("how", PLANTED)
def test_what_others_left_in_the_state_folder(how: str, folders: dict[str, str], tmp_path: Path) -> None:
    """The folder may have been open to others once: what is not ours is neither believed nor written to."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    target = tmp_path / "target"
    for name in ("node_sets.json", "audit.jsonl", "history", "trusted.json", "macros.json", "spool", "runs", "crashes"):
        PLANTED[how](state / name)
    before = target.read_text() if target.exists() else ""
    (tmp_path / ".clusterdeck.toml").write_text("[run]\nfanout = 7\n")
    argv = [*PROGRAM, "repl", "-w", "n1", "-O", "run.worker=exec"]
    done = subprocess.run(
        argv,
        env=folders,
        capture_output=True,
        text=True,
        input="!echo done\n:show 1\n@web\n",
        cwd=tmp_path,
        timeout=30,
        check=False,
    )
    assert "Traceback" not in done.stderr + done.stdout
    assert "internal error" not in done.stderr + done.stdout
    assert "evil" not in done.stdout
    assert "done" in done.stdout, done
    assert "audit log" in done.stderr or how == "nonsense", done.stderr
    assert (target.read_text() if target.exists() else "") == before
