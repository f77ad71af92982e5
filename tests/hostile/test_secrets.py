"""A password, a passphrase and a sudo password typed into a real console, looked for in all that it shows or leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from clusterdeck.tests.ssh.test_sudo import _PROGRAM as SUDO
from clusterdeck.tests.support.hostile_ssh import HostileServer
from clusterdeck.tests.support.program import PROGRAM
from clusterdeck.tests.support.sshd import Sshd
from clusterdeck.tests.support.terminal import PtyRecorder

PASSWORD, PASSPHRASE, SUDO_PASSWORD = "c4nary-passw0rd", "c4nary-passphr4se", "c4nary-sud0"
#: Stands in a command line; the operator sees what they type, but it is written down nowhere.
TYPED = "c4nary-typed"
CANARIES = (PASSWORD, PASSPHRASE, SUDO_PASSWORD, TYPED)

#: Loaded by the console's interpreter at its start: logs everything, and on a signal tells what a debugger would see.
_SPY = """
import gc, logging, os, resource, signal
# The shell that starts the console may allow cores.
resource.setrlimit(resource.RLIMIT_CORE, resource.getrlimit(resource.RLIMIT_CORE)[1:] * 2)
SPY = os.environ["SPY"]
logging.basicConfig(filename=SPY + "/log", level=logging.DEBUG)

def look(*_):
    import ctypes
    with open(SPY + "/objects.part", "w", errors="backslashreplace") as out:
        for thing in gc.get_objects():
            if str(type(thing).__module__).startswith(("clusterdeck", "paramiko")):
                try:
                    print(type(thing), repr(thing), str(thing), f"{thing}", file=out)
                except Exception:
                    pass
        print("core", resource.getrlimit(resource.RLIMIT_CORE)[0], ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), file=out)
    os.rename(SPY + "/objects.part", SPY + "/objects")

signal.signal(signal.SIGUSR1, look)

def crash(self):
    kept = [thing for thing in gc.get_objects() if str(type(thing).__module__).startswith("clusterdeck.engine.ssh")]
    raise RuntimeError(f"{vars(self)} {kept}")

import clusterdeck.console.session.session as session
session.Session.timers = crash
"""


class ProcessWatch:
    """Arguments and environment of a process and of all that it starts, looked at again and again."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = threading.Event()
        self.seen: set[str] = set()
        self.looks = 0
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            try:
                root = psutil.Process(self._pid)
                family = [root, *root.children(recursive=True)]
            except psutil.Error:
                return
            for process in family:
                for name in ("cmdline", "environ"):
                    try:
                        self.seen.add(Path(f"/proc/{process.pid}/{name}").read_text(errors="replace"))
                    except OSError:
                        continue
            self.looks += 1

    def __enter__(self) -> ProcessWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


@pytest.fixture
def world(make_sshd: Callable[..., Sshd], tmp_path: Path) -> Iterator[Path]:
    """An SSH configuration: pw1 wants a password, node1 a key with a passphrase and has a sudo that asks."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "sudo").write_text(SUDO)
    (tools / "sudo").chmod(0o755)
    (tools / "password").write_text(SUDO_PASSWORD)
    (tools / "tries").write_text("")
    sshd = make_sshd(SetEnv=f"HOME={tmp_path} PATH={tools}:{os.environ['PATH']}")
    key = tmp_path / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", PASSPHRASE, "-f", str(key)], check=True)
    with (sshd.folder / "authorized_keys").open("a") as allowed:
        allowed.write(key.with_suffix(".pub").read_text())
    server = HostileServer(methods="password", password=PASSWORD)
    (tmp_path / "known").write_text(sshd.known_hosts.read_text() + server.known_hosts)
    text = sshd.config.read_text().replace(str(sshd.key), str(key)).replace("BatchMode yes", "BatchMode no")
    config = tmp_path / "ssh_config"
    config.write_text(
        f"Host pw1\n HostName 127.0.0.1\n Port {server.port}\n User operator\n IdentityFile none\n IdentityAgent none\n"
        f" UserKnownHostsFile {tmp_path}/known\n" + text.replace(str(sshd.known_hosts), f"{tmp_path}/known")
    )
    yield config
    assert server.attempts == [("operator", PASSWORD)]
    assert (tools / "tries").read_text() == f"{SUDO_PASSWORD}\n"
    server.stop()


def test_twelve_places(world: Path, folders: dict[str, str], tmp_path: Path) -> None:
    spy = tmp_path / "spy"
    spy.mkdir()
    (spy / "sitecustomize.py").write_text(_SPY)
    environment = {**folders, "PYTHONPATH": str(spy), "SPY": str(spy)}
    options = ["-O", f"ssh.config={world}", "-O", f"ssh.known_hosts={tmp_path}/known", "-O", "ssh.agent=false"]
    argv = [sys.executable, "-m", "clusterdeck", "repl", "-w", "node1", *options]
    with (
        PtyRecorder(argv, columns=160, rows=40, environment=environment, cwd=tmp_path) as repl,
        ProcessWatch(repl.process.pid) as processes,
    ):
        end = repl.wait_for(b"node1")

        def say(line: str, wanted: str, start: int) -> int:
            repl.send(line.encode() + b"\r")
            return repl.wait_for(wanted.encode(), 30, start=start)

        end = say(":record trip", "trip", end)
        end = repl.wait_for(b"deck ", start=end)
        end = say(":shell -w pw1 -- true", "(not shown)", end)
        end = say(PASSWORD, "#1 ", end)
        end = say(":shell -w node1 -- true", "(not shown)", end)
        end = say(PASSPHRASE, "#2 ", end)
        end = say(":shell -w node1 --sudo -- echo as root", "(not shown)", end)
        end = say(SUDO_PASSWORD, "#3 ", end)
        end = repl.wait_for(b"ok 1", 30, start=end)
        end = say(f"true --password={TYPED} and 'Authorization: Bearer {TYPED}'", "#4 ", end)
        for run, kind in ((1, "json"), (3, "json"), (4, "json"), (4, "csv"), (4, "md")):
            end = say(f":export -r {run} {kind} {tmp_path}/run{run}.{kind}", f"#{run}: ", end)
        end = say(":stop", "trip", end)
        (spy / "objects").unlink(missing_ok=True)
        repl.process.send_signal(10)
        end = say(":timers", "internal error", end)
        end = say(":quit", "", end)
        assert repl.wait() == 0
        shown = repl.data.decode(errors="replace")
    assert processes.looks > 10
    written = {
        str(path.relative_to(tmp_path)): path.read_text(errors="replace")
        for path in tmp_path.rglob("*")
        if path.is_file() and path.parts[len(tmp_path.parts)] not in ("tools", "ssh_config", "sshd0", "spy")
    }

    def kept(part: str) -> str:
        found = [text for name, text in written.items() if part in name]
        assert found, f"{part}: not there, among {sorted(written)}"
        return "\n".join(found)

    objects = (spy / "objects").read_text()
    places = {
        "arguments": "\n".join(text for text in processes.seen if "clusterdeck" in text),
        "environment": "\n".join(processes.seen),
        "history": kept("state/history"),
        "log at debug": (spy / "log").read_text(),
        "audit": kept("state/audit.jsonl"),
        "JSON and the like": "\n".join(
            kept(name) for name in ("run1.json", "run3.json", "run4.json", "run4.csv", "run4.md")
        ),
        "crash report": kept("state/crashes"),
        "macro": kept("trip.deck"),
        # The line itself is kept for `:retry`; what was typed at a prompt is nobody's to show.
        "objects": objects.replace(TYPED, ""),
        "exception": shown[shown.index("internal error") :],
        "terminal": shown.replace(TYPED, ""),
        "all other files": "\n".join(written.values()),
    }
    assert len(places) == 12
    found = [(place, canary) for place, text in places.items() for canary in CANARIES if canary in text]
    assert found == []
    assert "as root" in places["all other files"], "the runs themselves are kept"
    assert "paramiko" in objects and "Secret" in objects, "the spy saw what there was"  # noqa: PT018
    assert "core 0 0\n" in objects, "no core, not dumpable"
    assert "\x1b]52" not in shown, "nothing goes to the clipboard by itself"
    assert json.loads((tmp_path / "run4.json").read_text())["line"].count("***") == 2
    assert "{secret1}" in places["macro"]


@pytest.mark.parametrize("mode", ["--json", "--jsonl", "-d"])
def test_what_a_batch_run_says_of_its_line(mode: str, folders: dict[str, str], tmp_path: Path) -> None:
    argv = [*PROGRAM, "run", "-R", "exec", "-w", "n1", mode, f"true --password={TYPED} visible"]
    done = subprocess.run(argv, env=folders, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert TYPED not in done.stdout + done.stderr


def test_a_killed_console_leaves_no_core(folders: dict[str, str], tmp_path: Path) -> None:
    """Even where the shell that starts it allows cores without limit."""
    script = 'ulimit -c unlimited 2>/dev/null; exec "$@"'
    argv = ["/bin/sh", "-c", script, "sh", sys.executable, "-m", "clusterdeck", "repl", "-w", "n1"]
    with PtyRecorder(argv, environment=folders, cwd=tmp_path) as repl:
        repl.wait_for(b"n1")
        repl.process.send_signal(6)
        assert repl.wait() == -6
    left = {path.name for path in tmp_path.iterdir()}
    assert not [name for name in left if "core" in name], left


_MISTAKE = f"""
import sys
from clusterdeck.console.cli import script
from clusterdeck.console.tui.app import ClusterdeckApp

def mistaken(self):
    secret = "{PASSWORD}"
    said = "\\x1b]0;title\\x07" * 3
    raise RuntimeError("the screen has a " + chr(27) + "[31mmistake")

mounted = ClusterdeckApp.on_mount

def on_mount(self):
    mounted(self)
    self.set_timer(0.3, lambda: mistaken(self))

ClusterdeckApp.on_mount = on_mount
sys.argv = ["clusterdeck", "-w", "n1"]
sys.exit(script())
"""


def test_a_mistake_in_the_screen_shows_no_values(folders: dict[str, str], tmp_path: Path) -> None:
    """A report with places, two lines on the terminal; not the screen library's traceback with every variable."""
    (tmp_path / "mistaken.py").write_text(_MISTAKE)
    argv = [sys.executable, str(tmp_path / "mistaken.py")]
    with PtyRecorder(argv, columns=120, rows=30, environment=folders, cwd=tmp_path) as screen:
        assert screen.wait() == 1
        said = screen.data[screen.data.rindex(b"\x1b[?1049l") :].decode()
    assert "mistake in clusterdeck: RuntimeError: the screen has a mistake" in said
    assert said.count("\n") == 2, said
    (report,) = (tmp_path / "state" / "crashes").iterdir()
    text = report.read_text()
    assert "in mistaken" in text
    for shown in (said, text):
        assert PASSWORD not in shown
        assert "title" not in shown
