"""Files that others could have written are refused with a reason, never believed and never with a traceback."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from _pytest.mark import ParameterSet
from ClusterShell.NodeSet import ILLEGAL_GROUP_CHARS
from ClusterShell.NodeUtils import GroupSourceQueryFailed, UpcallGroupSource

from clusterdeck.console.runs.run_store import RunStore
from clusterdeck.console.session import group_files
from clusterdeck.console.session.node_expressions import DeckResolver, NodeExpressionError, parse_nodes
from clusterdeck.console.settings import paths, trust
from clusterdeck.console.settings.clush_conf import read_clush_conf
from clusterdeck.console.settings.settings import SettingsError
from clusterdeck.console.tui.keymap import load_keymap
from clusterdeck.console.tui.theming import load_themes
from clusterdeck.engine.ssh.login_plan import make_plan
from clusterdeck.engine.taskmanager.errors import StoreUnavailable
from clusterdeck.engine.taskmanager.manager import TaskManager
from clusterdeck.engine.taskmanager.sockets import SocketServer
from clusterdeck.tests.support.leaks import no_leaks
from clusterdeck.tests.support.processes import runs
from clusterdeck.tests.support.program import PROGRAM

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
ANOTHERS: dict[str, Spoil] = {
    "of another user": lambda file: os.chown(file, 12345, 12345),
    "in another user's folder": lambda file: os.chown(file.parent, 12345, 12345),
}
SPOILED |= ANOTHERS
_as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def ways(*left_out: str) -> list[ParameterSet]:
    """The names of all ways to spoil a file, but some."""
    return [pytest.param(how, marks=[_as_root] if how in ANOTHERS else []) for how in SPOILED if how not in left_out]


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


@pytest.mark.parametrize("how", ways("a folder"))
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


@pytest.mark.parametrize("how", ways())
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


@pytest.mark.parametrize("how", ways())
def test_what_dresses_the_screen(how: str, tmp_path: Path) -> None:
    """Keys and themes: the screen does without them, and says why."""
    for name, text in (("keys.toml", '[keys]\n"row.down" = "f14"\n'), ("themes/own.toml", THEME)):
        file = tmp_path / Path(name).stem / "config" / name
        file.parent.mkdir(parents=True, mode=0o755)
        file.write_text(text)
        assert _dressed(file) == ""
        SPOILED[how](file)
        told = _dressed(file)
        assert name.removeprefix("themes/") in told or "shared" in told
        assert told.count("\n") == 0


THEME = '[colours]\nprimary = "#123456"\n'


def _dressed(file: Path) -> str:
    """The problem with this file of keys or theme; empty: it is used."""
    if file.name == "keys.toml":
        keymap = load_keymap("default", file)
        told, used = keymap.problems, keymap.keys.get("row.down") == "f14"
    else:
        loaded = load_themes(file.parent)
        told, used = loaded.problems, "own" in loaded.themes
    assert used is not bool(told)
    return "\n".join(told)


@pytest.mark.parametrize("how", ways())
@pytest.mark.parametrize("name", ["clush.conf", "clush.conf.d/site.conf"])
def test_the_settings_of_clush(name: str, how: str, tmp_path: Path) -> None:
    """Its programs are run, and its lines are in front of every command."""
    place = tmp_path / "site" / "clustershell"
    (place / "clush.conf.d").mkdir(parents=True, mode=0o755)
    (place / "clush.conf").write_text("[Main]\nconfdir: $CFGDIR/clush.conf.d\n")
    (place / "clush.conf.d" / "site.conf").write_text("[Main]\n")
    file = place / name
    file.write_text(file.read_text() + "fanout: 7\n")
    assert read_clush_conf([place / "clush.conf"]).main["fanout"][0] == "7"
    SPOILED[how](file)
    with pytest.raises(SettingsError, match=r"not trusted|not read|not a regular|leads back|cannot be read") as refused:
        read_clush_conf([place / "clush.conf"])
    assert str(refused.value).count("\n") == 0


@pytest.mark.parametrize(
    "how", ["a file", "a pipe", "a folder", "a link to a file", "a link to itself", "of another user"]
)
def test_what_is_in_the_place_of_a_socket(how: str, tmp_path: Path) -> None:
    """The queue's: nothing of others is taken for a dead socket of ours, or taken away. The agent's: it is no agent."""
    path, precious = tmp_path / "socket", tmp_path / "precious"
    precious.write_text("x")
    if how == "of another user":
        if os.geteuid() != 0:
            pytest.skip("only root can give files away")
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        os.chown(path, 12345, 12345)
    elif how.startswith("a link"):
        path.symlink_to(path if "itself" in how else precious)
    else:
        {"a file": path.touch, "a pipe": lambda: os.mkfifo(path), "a folder": path.mkdir}[how]()
    before = path.lstat()
    with pytest.raises(StoreUnavailable, match="something else is there"):
        SocketServer(TaskManager(), str(path))
    plan = make_plan((), (), str(path), False)
    assert plan.identities == []
    assert "does not answer" in plan.notes[0]
    assert (path.lstat().st_ino, path.lstat().st_mode) == (before.st_ino, before.st_mode)
    assert precious.read_text() == "x"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        b"\0\0\0\1\x05",
        b"\0\0\0\x05\x0c\xff\xff\xff\xff",
        b"\0\0\0\x0a\x0c\0\0\0\1\0\0\0\xffx",
    ],
    ids=repr,
)
def test_an_agent_that_lies(answer: bytes, tmp_path: Path) -> None:
    path = str(tmp_path / "agent")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def lie() -> None:
            with listener.accept()[0] as asked:
                asked.recv(1000)
                asked.sendall(answer)

        thread = threading.Thread(target=lie)
        thread.start()
        plan = make_plan((), (), path, False)
        thread.join()
    assert plan.identities == []
    assert plan.notes


@pytest.mark.parametrize(
    "swap", [lambda file: file.chmod(0o666), lambda file: file.chmod(0o664), _fifo], ids=["for all", "group", "a pipe"]
)
def test_a_file_that_is_swapped_while_it_is_checked(
    swap: Spoil, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was checked by its name may be another file when it is opened: what was opened is looked at once more."""
    file = tmp_path / "settings"
    file.write_text(SETTINGS)
    check = trust.check_trusted

    def check_and_lose_the_race(name: Path) -> None:
        check(name)
        swap(name)

    monkeypatch.setattr(trust, "check_trusted", check_and_lose_the_race)
    with pytest.raises(trust.TrustError, match=r"changed while|not a regular file"):
        trust.read_trusted(file)


@pytest.mark.parametrize("how", ["of another user", "a file", "a link to itself"])
def test_a_state_folder_that_is_none(how: str, folders: dict[str, str], tmp_path: Path) -> None:
    state = tmp_path / "state"
    if how == "a file":
        state.touch()
    elif how == "a link to itself":
        state.symlink_to(state)
    elif os.geteuid() != 0:
        pytest.skip("only root can give files away")
    else:
        state.mkdir()
        os.chown(state, 12345, 12345)
    done = run(["run", "-R", "exec", "-w", "n1", "echo hello"], folders, tmp_path)
    assert "Traceback" not in done.stderr
    assert "mistake" not in done.stderr
    assert str(state) in done.stderr
    assert list(state.iterdir()) == [] if state.is_dir() else True


def test_the_state_folder_is_tightened(folders: dict[str, str], tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o777)
    state.chmod(0o777)
    run(["run", "-R", "exec", "-w", "n1", "true"], folders, tmp_path)
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert all(not file.stat().st_mode & 0o077 for file in state.rglob("*") if file.is_file())


def test_what_is_refused_is_not_emptied_and_what_is_ours_is_tightened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "history"
    file.write_text("mine")
    file.chmod(0o664)
    os.close(paths.private_file(file, os.O_RDONLY))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    def refuse(path: Path, _descriptor: int) -> None:
        raise PermissionError(1, f"{path} belongs to another user")

    monkeypatch.setattr(paths, "_check_ours", refuse)
    with pytest.raises(PermissionError):
        paths.private_file(file, os.O_WRONLY | os.O_TRUNC)
    assert file.read_text() == "mine"


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


@pytest.mark.parametrize("how", ways())
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
    assert not [p for p in psutil.process_iter() if _group_of(p) == group and runs(p)]


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
    "a file of another user": _planted_by_another,
}


@pytest.mark.parametrize("how", [pytest.param(how, marks=[_as_root] if "another" in how else []) for how in PLANTED])
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
