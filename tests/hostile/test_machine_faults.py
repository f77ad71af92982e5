"""The machine that the console runs on fails: full disks, no descriptors, a dead agent, jumping clocks, signals in
every system call. Each ends in a reason, nothing is lost in silence, and nothing stays behind.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from ClusterShell.NodeSet import NodeSet

from clusterdeck.console.runs.options import RunOptions
from clusterdeck.console.runs.runs import Run
from clusterdeck.console.session.session import Session
from clusterdeck.console.settings.settings import Settings
from clusterdeck.engine.states import NodeState
from clusterdeck.tests.support.agent import ssh_agent
from clusterdeck.tests.support.leaks import no_leaks
from clusterdeck.tests.support.patience import with_time_enough
from clusterdeck.tests.support.program import PROGRAM
from clusterdeck.tests.support.sshd import Sshd


def run(
    words: list[str], folders: dict[str, str], *, limit: str = "", out: str = "", timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """A command line, below a shell's `ulimit`, or with its output on a file."""
    script = f'{f"ulimit {limit} || exit 99; " if limit else ""}exec "$@"{f" >{out}" if out else ""}'
    return subprocess.run(
        ["/bin/sh", "-c", script, "sh", *PROGRAM, *words],
        env=folders,
        capture_output=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        timeout=timeout,
        check=False,
    )


# -- full disks


def test_no_room_for_what_does_not_fit_in_memory(folders: dict[str, str]) -> None:
    """Files may not grow above 100 kB: the rest is cut, counted and told; the run itself is not touched."""
    command = "yes abcdefghi | head -c 3000000"
    done = run(
        ["run", "-R", "exec", "-b", "-O", "limits.node_memory=64KiB", "-w", "n1", command], folders, limit="-f 200"
    )
    assert done.returncode == 0, done.stderr
    assert "cut and counted from now on" in done.stderr
    kept = done.stdout.count("abcdefghi")
    lost = int(done.stderr.split("n1: ")[1].split(" lines")[0])
    assert kept + lost == 300_000


@pytest.mark.parametrize("words", [["-b"], [], ["--json"], ["--jsonl"], ["--diff"]], ids=str)
def test_output_on_a_full_device(words: list[str], folders: dict[str, str]) -> None:
    done = run(["run", "-R", "exec", *words, "-w", "n[1-3]", "seq 1 20000; echo %n"], folders, out="/dev/full")
    assert done.returncode not in (0, -9)
    assert "Traceback" not in done.stderr
    assert "mistake" not in done.stderr
    assert "No space left" in done.stderr, done.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 kB; where none can be mounted (that takes root), a folder and a limit for files do it."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=200k,mode=700", "tmpfs", str(place)], capture_output=True, check=False
        ).returncode
    )
    yield place
    if mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_the_whole_state_on_a_full_disk(small_disk: Path, folders: dict[str, str]) -> None:
    """History, audit log, spool and kept runs: the prompt goes on, and says what is not kept."""
    limit = "" if os.path.ismount(small_disk) else "-f 100"
    (small_disk / "ballast").write_bytes(b"x" * 190_000)
    state = small_disk / "state"
    state.mkdir(mode=0o700)
    folders["CLUSTERDECK_STATE_DIR"] = str(state)
    lines = [f"yes abcdefghi | head -c 300000; echo round {number}" for number in range(4)]
    script = f'{f"ulimit {limit}; " if limit else ""}exec "$@"'
    argv = [*PROGRAM, "repl", "-w", "n[1-3]", "-O", "run.worker=exec", "-O", "limits.node_memory=64KiB"]
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", *argv],
        env=folders,
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr + done.stdout
    assert "internal error" not in done.stderr + done.stdout
    assert done.stdout.count("round 3") >= 1
    assert "No space left" in done.stderr or "File too large" in done.stderr
    log = state / "audit.jsonl"
    for line in log.read_text().splitlines():
        json.loads(line)


def test_a_node_file_that_cannot_grow(folders: dict[str, str], tmp_path: Path) -> None:
    words = ["run", "-R", "exec", "--outdir", str(tmp_path / "out"), "-w", "n[1-2]", "yes | head -c 1000000"]
    done = run(words, folders, limit="-f 100")
    assert done.returncode not in (0, -9)
    assert "Traceback" not in done.stderr
    assert "mistake" not in done.stderr
    assert done.stderr.strip()


# -- no descriptors


@pytest.mark.parametrize("limit", [16, 24, 40, 64])
def test_no_descriptors(limit: int, folders: dict[str, str]) -> None:
    """A hundred commands at a time where there is room for a few: those that cannot start say so, the others end."""
    done = run(["run", "-R", "exec", "--json", "-f", "100", "-w", "n[1-100]", "echo ok"], folders, limit=f"-n {limit}")
    assert "Traceback" not in done.stderr, done.stderr[-2000:]
    if not done.stdout:
        assert done.returncode != 0
        assert "Too many open files" in done.stderr, done.stderr
        return
    rows = json.loads(done.stdout)["nodes"]
    assert len(rows) == 100
    states = {row["state"] for row in rows}
    assert states <= {"ok", "failed", "unreachable"}, states
    assert all(row["stdout"] == "ok" for row in rows if row["state"] == "ok")
    assert all("open files" in (row["reason"] or "") for row in rows if row["state"] != "ok"), rows[-1]


def test_no_descriptors_for_connections(sshd: Sshd, folders: dict[str, str]) -> None:
    words = ["run", "--json", "-O", f"ssh.config={sshd.config}", "-f", "60", "-w", "node[1-60]", "echo ok"]
    done = run(words, folders, limit="-n 40")
    assert "Traceback" not in done.stderr, done.stderr[-2000:]
    rows = json.loads(done.stdout)["nodes"]
    assert {row["state"] for row in rows} <= {"ok", "failed", "unreachable"}
    assert all(row["reason"] for row in rows if row["state"] != "ok")


@pytest.mark.parametrize("trouble", ["a folder", "too large", "nonsense"])
def test_nobody_is_new_while_known_hosts_cannot_be_read(
    trouble: str, sshd: Sshd, folders: dict[str, str], tmp_path: Path
) -> None:
    """It may hold another key of the host, or revoke this one: `accept-new` accepts nothing then."""
    known = tmp_path / "known"
    if trouble == "a folder":
        known.mkdir()
    elif trouble == "too large":
        with known.open("wb") as file:
            file.truncate(1 << 30)
    else:
        known.write_bytes(os.urandom(100_000))
    (tmp_path / "ssh_config").write_text(sshd.config.read_text().replace(str(sshd.known_hosts), str(known)))
    options = [f"ssh.config={tmp_path}/ssh_config", "ssh.host_keys=accept-new", f"ssh.known_hosts={known}"]
    words = [word for option in options for word in ("-O", option)]
    done = run(["run", "--json", *words, "-w", "node1", "echo ok"], folders)
    assert done.stdout, done.stderr
    (row,) = json.loads(done.stdout)["nodes"]
    if trouble == "nonsense":
        assert row["state"] == "ok", row  # read, and it says nothing about the host
    else:
        assert row["state"] == "unreachable"
        assert "is not known" in row["reason"]
        assert str(known) in row["reason"]


# -- an agent that goes away


def test_an_agent_that_dies(sshd: Sshd, folders: dict[str, str], tmp_path: Path) -> None:
    """With its key the nodes are reached; without it the others say why they are not, and nobody waits."""
    config = tmp_path / "ssh_config"
    text = sshd.config.read_text().replace("IdentityAgent none", "").replace("IdentitiesOnly yes", "")
    config.write_text(text.replace(f"IdentityFile {sshd.key}", f"IdentityFile {tmp_path}/none"))
    with tempfile.TemporaryDirectory(prefix="deck-agent-") as place:
        with ssh_agent(f"{place}/socket") as agent:
            folders["SSH_AUTH_SOCK"] = f"{place}/socket"
            subprocess.run(["ssh-add", "-q", str(sshd.key)], env=folders, check=True, capture_output=True)
            words = ["run", "--json", "-O", f"ssh.config={config}", "-w", "node[1-3]", "echo ok"]
            alive = run(words, folders)
            assert [row["state"] for row in json.loads(alive.stdout)["nodes"]] == ["ok"] * 3, alive
            # It stops answering, with its socket still there: a dead machine behind a forwarded agent.
            agent.send_signal(19)
            silent = run([*words[:-1], "-t", "3", "echo ok"], folders)
            assert {row["state"] for row in json.loads(silent.stdout)["nodes"]} == {"unreachable"}, silent
        gone = run(words, folders)
        rows = json.loads(gone.stdout)["nodes"]
        assert {row["state"] for row in rows} == {"unreachable"}
        assert all(row["reason"] for row in rows)


# -- clocks and signals

_JUMPS = """
import itertools, time
real, count = time.time, itertools.count()
time.time = lambda: real() + (3e8 if next(count) % 2 else -3e8)
"""
_STORM = """
import signal
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
"""


@pytest.mark.parametrize("trouble", [_JUMPS, _STORM], ids=["clock", "signals"])
@pytest.mark.parametrize("worker", ["exec", "paramiko"])
def test_clocks_and_signals(trouble: str, worker: str, sshd: Sshd, folders: dict[str, str], tmp_path: Path) -> None:
    """The wall clock jumps by ten years at every look, or a signal comes every half millisecond: all is as always."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(trouble)
    folders["PYTHONPATH"] = str(tmp_path / "site")
    words = ["run", "-R", worker, "--json", "-O", f"ssh.config={sshd.config}", "-w", "node[1-8]"]
    numbers = "\n".join(str(number) for number in range(1, 2001))

    def attempt(limit: float) -> list[dict[str, Any]]:
        command = "seq 1 2000; case $$ in *[02468]) sleep 0.3;; *) sleep 60;; esac"
        done = run([*words, "-t", "20", "-u", str(limit), command], folders)
        assert "Traceback" not in done.stderr, done.stderr[-3000:]
        rows: list[dict[str, Any]] = json.loads(done.stdout)["nodes"]
        assert {row["state"] for row in rows} <= {"ok", "timeout"}, rows
        for row in rows:
            assert (0.2 if row["state"] == "ok" else 0.8 * limit) < row["seconds"] < limit + 20, row
        return rows

    rows = with_time_enough(attempt, lambda rows: all(row["stdout"] == numbers for row in rows), (1.5, 6.0, 24.0))
    assert [row["node"] for row in rows if row["stdout"] != numbers] == []


# -- nothing stays behind


def _one(session: Session, number: int) -> Run:
    """A run of one of several kinds, to its end."""
    kinds = ("true", "echo out; echo err >&2", "exit 3", "sleep 60", "kill -9 $$", "seq 1 2000")
    options = RunOptions(timeout=0.05 if number % 6 == 3 else 0.0)
    done = session.shell(kinds[number % 6], NodeSet("n[1-4]"), options)
    deadline = time.monotonic() + 60
    while done.ended is None and time.monotonic() < deadline:
        if session.wait_batch(0.05):
            session.drain()
    assert done.ended is not None, [NodeState(state).word for state in done.states]
    return done


def many_runs(count: int) -> tuple[int, int]:
    """So many runs in one session; descriptors more at the end than after ten, and bytes of memory more."""
    settings = Settings()
    settings.set("run.worker", "exec")
    settings.set("limits.runs", 5)
    process = psutil.Process()

    def fewest() -> int:
        """Open descriptors, less those that a thread has open for a moment."""
        counts = []
        for _ in range(20):
            counts.append(process.num_fds())
            time.sleep(0.01)
        return min(counts)

    with no_leaks(), Session(settings, asks=False) as session:
        for number in range(10):
            _one(session, number)
        before = (fewest(), process.memory_info().rss)
        for number in range(count):
            _one(session, number)
        return fewest() - before[0], process.memory_info().rss - before[1]


def test_nothing_is_left_of_many_runs(folders: dict[str, str]) -> None:
    assert folders
    descriptors, _ = many_runs(60)
    assert descriptors <= 0


@pytest.mark.long
def test_nothing_is_left_of_a_thousand_runs(folders: dict[str, str]) -> None:
    assert folders
    descriptors, memory = many_runs(1000)
    sys.stdout.write(
        f"\nFIGURE 1,000 runs: {descriptors} descriptors, 0 threads and processes more, {memory >> 10:+} KiB\n"
    )
    assert descriptors <= 0
    assert memory < 20 << 20
