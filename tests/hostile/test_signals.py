"""Signals and keys that end a console: the terminal is as it was, what ran on nodes is gone, the records are whole."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from clusterdeck.console.records.audit import verify_chain
from clusterdeck.tests.support.processes import descendants, everywhere, wait_gone
from clusterdeck.tests.support.program import PROGRAM
from clusterdeck.tests.support.sshd import Sshd
from clusterdeck.tests.support.terminal import PtyRecorder

EXEC = ["-O", "run.worker=exec", "-w", "n[1-3]"]
#: Modes of a terminal that a program must leave as it found them: (how it is turned on, how off).
MODES = {
    "other screen": (b"\x1b[?1049h", b"\x1b[?1049l"),
    "pasting": (b"\x1b[?2004h", b"\x1b[?2004l"),
    "mouse": (b"\x1b[?1000h", b"\x1b[?1000l"),
    "mouse moves": (b"\x1b[?1003h", b"\x1b[?1003l"),
    "mouse in letters": (b"\x1b[?1006h", b"\x1b[?1006l"),
    "focus": (b"\x1b[?1004h", b"\x1b[?1004l"),
    "no cursor": (b"\x1b[?25l", b"\x1b[?25h"),
    "keys of an application": (b"\x1b[?1h", b"\x1b[?1l"),
    "keys of kitty": (b"\x1b[>1u", b"\x1b[<u"),
    "no line wrap": (b"\x1b[?7l", b"\x1b[?7h"),
}


def wrong_modes(data: bytes) -> list[str]:
    """Modes that were turned on and not off again."""
    return [name for name, (on, off) in MODES.items() if data.rfind(on) > data.rfind(off)]


def send(number: int, *more: int) -> Callable[[PtyRecorder], None]:
    def act(console: PtyRecorder) -> None:
        for one in (number, *more):
            console.process.send_signal(one)

    return act


def resize_storm(console: PtyRecorder) -> None:
    for width in range(200):
        termios.tcsetwinsize(console._master, (10 + width % 50, 20 + width % 100))
        console.process.send_signal(signal.SIGWINCH)
    console.process.send_signal(signal.SIGTERM)


def stop_and_go_on(console: PtyRecorder) -> None:
    console.process.send_signal(signal.SIGTSTP)
    process, deadline = psutil.Process(console.process.pid), time.monotonic() + 20
    while process.status() != psutil.STATUS_STOPPED and time.monotonic() < deadline:
        time.sleep(0.02)
    console.process.send_signal(signal.SIGCONT)
    console.process.send_signal(signal.SIGTERM)


def keys(text: bytes, *more: bytes) -> Callable[[PtyRecorder], None]:
    def act(console: PtyRecorder) -> None:
        for one in (text, *more):
            console.send(one)
            time.sleep(0.15)  # as a hand would

    return act


def twice(number: int) -> Callable[[PtyRecorder], None]:
    return send(number, number)


WAYS: dict[str, Callable[[PtyRecorder], None]] = {
    "SIGTERM": send(signal.SIGTERM),
    "SIGHUP": send(signal.SIGHUP),
    "SIGTERM twice": twice(signal.SIGTERM),
    "SIGINT and SIGTERM": send(signal.SIGINT, signal.SIGTERM),
    "SIGPIPE and SIGTERM": send(signal.SIGPIPE, signal.SIGTERM),
    "windows of all sizes": resize_storm,
    "SIGTSTP and SIGCONT": stop_and_go_on,
}
BATCH_WAYS = {**WAYS, "^C": keys(b"\x03"), "^C^C": keys(b"\x03\x03"), "^C^C^C": keys(b"\x03", b"\x03", b"\x03")}
CONSOLE = {
    "repl": (["repl", *EXEC], b"deck "),
    "tui": (EXEC, b"\x1b[?1049h"),
    "batch": (["run", *EXEC, "echo begun; exec sleep 300"], b"begun"),
}


def end_by(way: str, front_end: str, folders: dict[str, str], tmp_path: Path) -> list[str]:
    """Start a front end, end it that way; what is wrong with the terminal and the records afterwards."""
    words, ready = CONSOLE[front_end]
    with PtyRecorder([*PROGRAM, *words], columns=100, rows=30, environment=folders, cwd=tmp_path) as console:
        before = termios.tcgetattr(console._master)
        console.wait_for(ready, 30)
        if front_end != "batch":
            # Something runs while the end comes.
            console.wait_for(b"n[1-3]", 30)
            console.send(b"exec sleep 300\r")
            console.wait_for(b"running", 30)
        sleepers = started(console, 3)
        BATCH_WAYS[way](console)
        status = console.wait(60)
        wrong = wrong_modes(console.data)
        after = termios.tcgetattr(console._master)
        if after[:4] != before[:4]:
            wrong.append(f"settings of the terminal: {before[:4]} before, {after[:4]} after")
        if b"Traceback" in console.data:
            wrong.append(f"a traceback: {console.data[-2000:]!r}")
        if status == 0:
            wrong.append("exit code 0")
    if way == "SIGTERM twice":
        # Whoever asks twice does not wait for an orderly end; only the terminal is promised then.
        for sleeper in sleepers:
            with contextlib.suppress(psutil.Error):
                sleeper.kill()
    wrong += [f"still there: {line}" for line in wait_gone(sleepers, 30)]
    wrong += records_wrong(tmp_path)
    return [f"{front_end}, {way}: {what}" for what in wrong]


def started(console: PtyRecorder, count: int) -> list[psutil.Process]:
    """What `exec sleep 300` has become, as soon as all of them have."""
    deadline = time.monotonic() + 30
    while len(found := descendants(console.process.pid, lambda words: words == ["sleep", "300"])) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} sleep"
        time.sleep(0.02)
    return found


def records_wrong(tmp_path: Path) -> list[str]:
    wrong = []
    log = tmp_path / "state" / "audit.jsonl"
    if verify_chain(log) is not None:
        wrong.append("the audit log's chain is broken")
    if not any(json.loads(line)["event"] == "run" for line in log.read_text().splitlines()):
        wrong.append("the run is not in the audit log")
    for file in (tmp_path / "state").rglob("run.json"):
        json.loads(file.read_text())
    return wrong


@pytest.mark.parametrize(
    ("front_end", "way"),
    [
        ("repl", "SIGTERM"),
        ("repl", "SIGHUP"),
        ("tui", "SIGTERM"),
        ("tui", "windows of all sizes"),
        ("batch", "^C^C^C"),
        ("batch", "SIGTSTP and SIGCONT"),
    ],
)
def test_the_terminal_is_as_it_was(front_end: str, way: str, folders: dict[str, str], tmp_path: Path) -> None:
    assert end_by(way, front_end, folders, tmp_path) == []


def test_a_reader_that_has_gone(folders: dict[str, str], tmp_path: Path) -> None:
    """`clusterdeck run ... | head -1`: no traceback, no message, and nothing goes on behind it."""
    mark = f"gone-{os.getpid()}-{tmp_path.name}"  # of this test alone, whatever else runs on this machine
    line = f"{' '.join(PROGRAM)} run -R exec -w 'n[1-3]' 'yes {mark}' | head -1; exit 0"
    with PtyRecorder(["/bin/sh", "-c", line], environment=folders, cwd=tmp_path) as shell:
        assert shell.wait(60) == 0
        assert shell.data.count(b"\n") == 1, shell.data
    assert wait_gone(everywhere(lambda words: words == ["yes", mark]), 30) == []


@pytest.mark.parametrize("front_end", ["repl", "batch"])
def test_killed_without_a_word(front_end: str, folders: dict[str, str], tmp_path: Path) -> None:
    """kill -9: nobody can restore a terminal then, but the records are whole and the spool is gone."""
    words, ready = CONSOLE[front_end]
    with PtyRecorder([*PROGRAM, *words], environment=folders, cwd=tmp_path) as console:
        console.wait_for(ready, 30)
        if front_end == "repl":
            console.send(b"yes\r")
            console.wait_for(b"running", 30)
        console.process.kill()
        console.wait(10)
    assert records_wrong(tmp_path) == []
    spool = tmp_path / "state" / "spool"
    assert not spool.exists() or list(spool.iterdir()) == []


def abort_on_nodes(
    sshd: Sshd, folders: dict[str, str], tmp_path: Path, nodes: int, mark: int, patience: float
) -> tuple[int, int]:
    """Start a sleep on so many nodes, press ^C; how many sleep `patience` seconds later, how many were reported."""
    argv = [*PROGRAM, "run", "-O", f"ssh.config={sshd.config}", "-f", "64", "-w", f"node[1-{nodes}]"]
    with PtyRecorder([*argv, f"echo begun; sleep {mark}"], columns=200, environment=folders, cwd=tmp_path) as batch:
        place = 0
        for _ in range(nodes):
            place = batch.wait_for(b"begun", 60, start=place)
        deadline = time.monotonic() + 30
        while len(_sleepers(sshd, mark)) < nodes:
            assert time.monotonic() < deadline, f"{len(_sleepers(sshd, mark))} of {nodes} sleep"
            time.sleep(0.05)
        batch.send(b"\x03")
        batch.wait(60)
        said = batch.data.decode(errors="replace")
    deadline = time.monotonic() + patience
    while _sleepers(sshd, mark) and time.monotonic() < deadline:
        time.sleep(0.05)
    reported = sum(int(count) for count in re.findall(r"not confirmed.*\((\d+)\)", said))
    return len(_sleepers(sshd, mark)), reported


def _sleepers(sshd: Sshd, mark: int) -> list[psutil.Process]:
    return descendants(sshd.pid, lambda words: words == ["sleep", str(mark)])


def test_what_runs_on_nodes_ends_with_the_run(sshd: Sshd, folders: dict[str, str], tmp_path: Path) -> None:
    left, _ = abort_on_nodes(sshd, folders, tmp_path, 20, 7_000_000 + os.getpid(), 30)
    assert left == 0


@pytest.mark.long
@pytest.mark.parametrize("way", BATCH_WAYS)
@pytest.mark.parametrize("front_end", CONSOLE)
def test_the_terminal_is_as_it_was_a_hundred_times(
    front_end: str, way: str, folders: dict[str, str], tmp_path: Path
) -> None:
    """Each way four times (the prompts keep ^C for themselves): 96 ends, with the short tests above 102."""
    if front_end != "batch" and way not in WAYS:
        assert front_end in ("repl", "tui")
        return
    wrong = [what for _ in range(4) for what in end_by(way, front_end, folders, tmp_path)]
    sys.stdout.write(f"\nFIGURE {front_end}, {way}: {4 - len(wrong)} of 4 terminals as they were\n")
    assert wrong == []


@pytest.mark.long
def test_a_hundred_sleeps_end(sshd: Sshd, folders: dict[str, str], tmp_path: Path) -> None:
    left = reported = 0
    for number in range(4):
        some, told = abort_on_nodes(sshd, folders, tmp_path, 25, 8_000_000 + number * 100_000 + os.getpid(), 3)
        left, reported = left + some, reported + told
    sys.stdout.write(
        f"\nFIGURE remote sleeps after ^C: {100 - left} of 100 gone, {reported} reported as not confirmed\n"
    )
    assert left <= 1
