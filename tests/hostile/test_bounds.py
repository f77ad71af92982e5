"""Outputs without measure: memory stays bounded, what is cut is counted to the byte, the others go on.

The long cases (`make soak`) print their figures; the short ones hold the same promises on a smaller scale.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from clusterdeck.console.runs import excerpt
from clusterdeck.console.runs.spool import Spool, SpoolBudget
from clusterdeck.console.session import engine_thread
from clusterdeck.console.settings import trust
from clusterdeck.console.settings.sections import LimitSettings, SafetySettings
from clusterdeck.engine import patterns
from clusterdeck.engine.taskmanager import frames
from clusterdeck.tests.support.patience import with_time_enough
from clusterdeck.tests.support.program import PROGRAM
from clusterdeck.tests.support.terminal import PtyRecorder

LINE = "abcdefghijklmnopqrstuvwxyz0123456789"
#: Starts a program and writes down the most memory that it had. In between, because the kernel counts the memory of
#: whoever starts a program as that program's own, and the process of the tests may be large.
MEASURE = """
import os, sys
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
with open(sys.argv[1], "w") as file:
    file.write(str(usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status) & 255)
"""
#: Bytes of memory that a batch run may take, whatever the nodes send.
BOUND = 512 << 20
#: What one node sends in the long part, in 10**9 bytes; `GIGABYTES=10 make soak` for more.
GIGABYTES = int(os.environ.get("GIGABYTES", "2"))
NOT_KEPT = ("-O", "limits.run_spool=0", "-O", "limits.node_memory=64KiB")


@dataclass(frozen=True)
class Done:
    """How a run ended; memory: the most that it (or a command that it started) had, in bytes."""

    status: int
    out: bytes
    err: str
    memory: int
    seconds: float


def run(words: list[str], folders: dict[str, str], *, keep: int = 1 << 20) -> Done:
    """A batch run with the exec worker; of its output the first `keep` bytes are kept."""
    started = time.monotonic()
    with tempfile.TemporaryFile() as err, tempfile.NamedTemporaryFile("r") as memory:
        argv = [sys.executable, "-S", "-c", MEASURE, memory.name, *PROGRAM, "run", "-R", "exec", *words]
        process = subprocess.Popen(argv, env=folders, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err)
        assert process.stdout is not None
        out = bytearray()
        while piece := os.read(process.stdout.fileno(), 1 << 16):
            out += piece[: max(0, keep - len(out))]
        process.wait()
        process.stdout.close()
        err.seek(0)
        said = err.read(keep).decode(errors="replace")
        most = int(memory.read()) << 10
    return Done(process.returncode, bytes(out), said, most, time.monotonic() - started)


def test_the_limits_are_those_that_are_promised() -> None:
    """Tests that go by a limit's name go along when it is changed."""
    limits, safety = LimitSettings(), SafetySettings()
    assert (limits.node_memory, safety.confirm_above) == (1 << 20, 50)
    assert limits.run_memory <= limits.total_memory == 256 << 20
    assert (engine_thread.LINE_LIMIT, excerpt.SHOWN_LINE_BYTES, trust.MAX_BYTES) == (1 << 20, 64 << 10, 4 << 20)
    assert (frames.SIZE_LIMIT, frames.DEPTH_LIMIT) == (16 << 20, 32)
    assert patterns.LINE_LIMIT == 4096


def test_the_quota_of_all_runs_holds_beside_that_of_each(tmp_path: Path) -> None:
    """limits.total_spool: what one run has on disk, the others cannot have; it comes back with the run's end."""
    budget = SpoolBudget(100)
    one, other = (Spool(lambda: tmp_path, 80, budget) for _ in range(2))
    try:
        assert one.append(b"x" * 60) == 0
        assert one.append(b"x" * 21) is None, "its own quota"
        assert other.append(b"y" * 60) is None, "the quota of all"
        assert other.append(b"y" * 40) == 0
        one.close()
        assert other.append(b"y" * 40) == 40
        assert other.read(0, 80) == b"y" * 80
    finally:
        one.close()
        other.close()
    assert budget.used == 0


def flood(size: int) -> str:
    return f"yes {LINE} | head -c {size}"


@pytest.mark.parametrize(("mode", "size"), [("-b", 300_000_000), ("-L", 20_000_000), ("--json", 20_000_000)])
def test_one_node_that_does_not_stop(mode: str, size: int, folders: dict[str, str]) -> None:
    done = run([mode, "-w", "n1", flood(size)], folders)
    assert done.status == 0, done.err
    assert done.memory < 150 << 20, f"{done.memory >> 20} MiB"


def test_a_hundred_nodes_with_much(folders: dict[str, str]) -> None:
    done = run(["-b", "-w", "n[1-100]", flood(3_000_000)], folders)
    assert done.status == 0, done.err
    assert done.memory < 250 << 20, f"{done.memory >> 20} MiB"
    assert done.out.startswith(b"---------------\nn[1-100] (100)\n")


STRANGE = {
    "one line without an end": "head -c 10000000 /dev/zero | tr '\\0' x",
    "random bytes": "head -c 1000000 /dev/urandom",
    "random bytes on stderr": "head -c 1000000 /dev/urandom >&2",
    "empty lines": "yes '' | head -c 1000000",
    "carriage returns": "yes '' | tr '\\n' '\\r' | head -c 1000000",
    "escapes that are never ended": "yes \"$(printf '\\033]0;')\" | tr -d '\\n' | head -c 1000000",
    "characters that are wide": "yes '\u4e16\u754c' | head -c 1000000",
}


@pytest.mark.parametrize("what", STRANGE)
def test_strange_floods(what: str, folders: dict[str, str]) -> None:
    """Beside an honest node, whose answer is there in full."""
    done = run(["-b", "-w", "n1,ok", f"test %h = ok && echo honest || {{ {STRANGE[what]}; }}"], folders, keep=100 << 20)
    assert done.memory < 250 << 20, f"{done.memory >> 20} MiB"
    assert b"---------------\nok\n---------------\nhonest\n" in done.out
    assert b"\x1b" not in done.out
    assert b"\r" not in done.out.replace(b"\r\n", b"\n")


def test_a_byte_at_a_time(folders: dict[str, str], tmp_path: Path) -> None:
    """Each byte a write of its own, without end: the others of the run are not held up."""
    (tmp_path / "drip.py").write_text("import os\nwhile True: os.write(1, b'x')\n")
    command = f"test %h = ok && exec echo honest; exec {sys.executable} -S {tmp_path}/drip.py"

    def attempt(limit: float) -> tuple[Done, dict[str, str]]:
        done = run(["--json", *NOT_KEPT, "-u", str(limit), "-w", "n1,ok", command], folders, keep=64 << 20)
        return done, {row["node"]: row["state"] for row in json.loads(done.out)["nodes"]}

    done, ends = with_time_enough(attempt, lambda found: found[1]["ok"] == "ok")
    assert ends == {"ok": "ok", "n1": "timeout"}
    assert done.memory < 150 << 20


@pytest.mark.parametrize("quota", [0, 200_000, 1_000_000])
def test_what_is_cut_is_counted(quota: int, folders: dict[str, str]) -> None:
    """Kept and lost together are what was sent, line by line and byte by byte."""
    lines, width = 100_000, 20
    options = ["-O", f"limits.run_spool={quota}", "-O", "limits.node_memory=64KiB"]
    command = f"i=0; while [ $i -lt {lines} ]; do printf '%%019d\\n' $i; i=$((i+1)); done"
    done = run(["-b", *options, "-w", "n1", command], folders, keep=10 << 20)
    kept = [int(line) for line in done.out.splitlines() if re.fullmatch(rb"\d{19}", line)]
    told = re.search(r"n1: (\d+) lines \((\d+) bytes\) not kept", done.err)
    assert told is not None, done.err
    assert int(told[1]) + len(kept) == lines
    assert int(told[2]) == int(told[1]) * width
    assert kept == sorted(kept)
    assert kept[-1] == lines - 1, "the end is always kept"
    assert b"[%s lines (%s bytes) not kept: output limits reached]" % (told[1].encode(), told[2].encode()) in done.out
    assert len(kept) * width <= quota + 2 * (64 << 10)


def answers_in(repl: PtyRecorder, rounds: int) -> list[float]:
    """Seconds from a typed command to its answer, `rounds` times."""
    found = []
    for number in range(rounds):
        mark = f"there is no run #{9000 + number}"
        start, typed = len(repl.data), time.monotonic()
        repl.send(f":show {9000 + number}\r".encode())
        repl.wait_for(mark.encode(), 30, start=start)
        found.append(time.monotonic() - typed)
    return found


def flooded_prompt(folders: dict[str, str], tmp_path: Path, nodes: int, rounds: int) -> tuple[list[float], int]:
    """How fast the prompt answers while `nodes` nodes send without end, and the memory (bytes) at the end of it."""
    options = ["-w", f"n[1-{nodes}]", "-O", "run.worker=exec", "-O", "screen.output=gathered"]
    options += ["-O", "limits.run_spool=100MiB"]
    with PtyRecorder([*PROGRAM, "repl", *options], columns=100, environment=folders, cwd=tmp_path) as repl:
        end = repl.wait_for(b"deck ")
        repl.send(f":shell --timeout 600 -- exec yes {LINE}\r".encode())
        repl.wait_for(b"running", 30, start=end)
        found = answers_in(repl, rounds)
        memory = int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{repl.process.pid}/status").read_text())[1]) << 10  # type: ignore[index]
        repl.send(b":abort\r")
        repl.wait_for(f"aborted {nodes}".encode(), 30)
        repl.send(b":quit\r")
        repl.wait(30)
    return found, memory


def test_the_prompt_answers_in_a_flood(folders: dict[str, str], tmp_path: Path) -> None:
    found, memory = flooded_prompt(folders, tmp_path, 8, 5)
    assert statistics.median(found) < 10, found
    assert memory < 250 << 20


# -- the long part


def tell(text: str) -> None:
    """A figure for whoever reads the output of the long part."""
    sys.stdout.write(f"\nFIGURE {text}\n")


@pytest.mark.long
@pytest.mark.parametrize("mode", ["-b", "", "--json"])
def test_gigabytes_of_one_node(mode: str, folders: dict[str, str]) -> None:
    done = run([*([mode] if mode else []), "-w", "n1", flood(GIGABYTES * 10**9)], folders)
    tell(f"1 node x {GIGABYTES} GB {mode or 'live'}: {done.memory >> 20} MiB, {done.seconds:.0f} s")
    assert done.status == 0, done.err
    assert done.memory < BOUND


@pytest.mark.long
def test_a_thousand_nodes_with_ten_megabytes(folders: dict[str, str]) -> None:
    done = run(["-b", "-w", "n[1-1000]", flood(10_000_000)], folders)
    lost = sum(int(size) for size in re.findall(r"n\d+: \d+ lines \((\d+) bytes\) not kept", done.err))
    tell(f"1,000 nodes x 10 MB: {done.memory >> 20} MiB, {done.seconds:.0f} s, {lost} bytes cut and counted")
    assert done.status == 0, done.err[-2000:]
    assert done.memory < BOUND


@pytest.mark.long
def test_the_others_are_not_slowed(folders: dict[str, str]) -> None:
    """Forty nodes that work for two seconds, alone and beside one that sends all the while."""
    work = "i=0; while [ $i -lt 40 ]; do echo $i; i=$((i+1)); sleep 0.05; done"

    def seconds(beside: str) -> float:
        command = f"case %h in big) {beside};; *) {work};; esac"
        done = run(["--json", *NOT_KEPT, "-f", "64", "-w", "n[1-40],big", command], folders, keep=1 << 30)
        return statistics.median(float(row["seconds"]) for row in json.loads(done.out)["nodes"] if row["node"] != "big")

    alone = statistics.median(seconds("true") for _ in range(3))
    beside = statistics.median(seconds(f"timeout 3 yes {LINE}") for _ in range(3))
    tell(f"others beside a flood: {alone:.3f} s alone, {beside:.3f} s beside it: {beside / alone - 1:+.1%}")
    assert beside < alone * 1.1


@pytest.mark.long
def test_the_prompt_answers_within_a_fifth_of_a_second(folders: dict[str, str], tmp_path: Path) -> None:
    found, memory = flooded_prompt(folders, tmp_path, 48, 40)
    found.sort()
    middle = statistics.median(found)
    tell(f"prompt in a flood of 48 nodes: median {middle:.3f} s, worst {found[-1]:.3f} s, {memory >> 20} MiB")
    assert statistics.median(found) < 0.2
    assert memory < BOUND


@pytest.mark.long
def test_the_screen_answers_within_a_fifth_of_a_second(folders: dict[str, str], tmp_path: Path) -> None:
    """From a typed letter to the same letter painted, while 48 nodes send without end."""
    options = ["-w", "n[1-48]", "-O", "run.worker=exec", "-O", "limits.run_spool=100MiB"]
    found = []
    with PtyRecorder([*PROGRAM, *options], columns=120, rows=40, environment=folders, cwd=tmp_path) as screen:
        end = screen.wait_for(b"n[1-48]", 30)
        time.sleep(1)  # the prompt takes keys from when on is not written anywhere
        screen.send(f":shell --timeout 600 -- exec yes {LINE}\r".encode())
        screen.wait_for(f"{LINE[:20]}".encode(), 30, start=end)
        time.sleep(2)  # until memory is full and the disk is used
        for number in range(40):
            letter = chr(0x410 + number % 32).encode()
            start, typed = len(screen.data), time.monotonic()
            screen.send(letter)
            screen.wait_for(letter, 30, start=start)
            found.append(time.monotonic() - typed)
        memory = int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{screen.process.pid}/status").read_text())[1]) << 10  # type: ignore[index]
        screen.send(b"\x03")
        screen.process.terminate()
        screen.wait(30)
    found.sort()
    middle = statistics.median(found)
    tell(f"screen in a flood of 48 nodes: median {middle:.3f} s, worst {found[-1]:.3f} s, {memory >> 20} MiB")
    assert middle < 0.2
    assert memory < BOUND
