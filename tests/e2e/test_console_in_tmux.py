"""The whole console as an operator sees it: `clusterdeck demo` in a terminal, typed at and looked at."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from clusterdeck.tests.support.processes import descendants, wait_gone
from clusterdeck.tests.support.tmux import Tmux

#: Generous: what is measured on a quiet machine is well under one second (see the report of the run with -s).
_FIRST_PROMPT = 20.0

Open = Callable[[int, int], Tmux]


@pytest.fixture
def open_console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Open the console on the demo cluster in a terminal of this size."""
    terminals: list[Tmux] = []
    for name in [name for name in os.environ if name.startswith(("CLUSTERDECK_", "CLUSTERSHELL_"))]:
        monkeypatch.delenv(name)  # these tests judge the defaults, in a home of their own
    environment = {"TMPDIR": str(tmp_path / "tmp"), "HOME": str(tmp_path)}
    (tmp_path / "tmp").mkdir()

    def start(columns: int, rows: int) -> Tmux:
        argv = [sys.executable, "-X", "faulthandler", "-m", "clusterdeck", "demo", "-n", "24"]
        terminal = Tmux(argv, columns=columns, rows=rows, environment=environment, cwd=tmp_path)
        terminals.append(terminal)
        terminal.wait_for("deck demo[1-24]", _FIRST_PROMPT)
        sys.stderr.write(f"\n{columns}x{rows}: prompt after {time.monotonic() - terminal.started:.2f} s\n")
        return terminal

    yield start
    for terminal in terminals:
        terminal.close()


def _family(terminal: Tmux) -> list[psutil.Process]:
    console = psutil.Process(terminal.pid)
    return [console, *console.children(recursive=True)]


def _sleepers(terminal: Tmux) -> int:
    return len(descendants(terminal.pid, lambda words: words[0].endswith("sleep")))


def _nothing_left(tmp_path: Path, processes: list[psutil.Process]) -> None:
    assert wait_gone(processes, 40) == []
    left = [path.name for path in (tmp_path / "tmp").iterdir() if path.name.startswith("clusterdeck-demo-")]
    assert left == []


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (200, 50)])
def test_a_session(open_console: Open, tmp_path: Path, columns: int, rows: int) -> None:
    terminal = open_console(columns, rows)

    # A command over 24 nodes, three of which cannot be reached, and its gathered answer.
    terminal.line("uname -r")
    terminal.wait_for("24/24", 30)
    terminal.line(":gather")
    shown = terminal.wait_for(lambda screen: "5.10.0-28-amd64" in screen and "demo[4,10,16]" in screen)
    assert "demo[1-3,5-9,11-15,17-21] (18)" in shown
    assert "6.1.0-18-amd64" in shown
    terminal.line(":failed")
    terminal.wait_for(lambda screen: all(f"demo{number}" in screen for number in (22, 23, 24)))
    terminal.wait_for("(24, 21 connected)")

    # A copy, out and looked at.
    (tmp_path / "notes").write_text("copied-for-certain\n")
    terminal.line("@web")
    terminal.wait_for("deck @web")
    terminal.line(f":copy {tmp_path}/notes notes.txt")
    terminal.wait_for(re.compile(r"12/12.*\n"), 30)
    terminal.line("cat notes.txt")
    terminal.line(":gather")
    terminal.wait_for(lambda screen: "copied-for-certain" in screen and "demo[1-12] (12)" in screen)

    # A timer: two rounds, then no more; what was on show stays on show.
    terminal.line(":timer 1s echo tick-$(hostname)")
    terminal.line(":runs")
    terminal.wait_for(lambda screen: screen.count("timer: echo tick") >= 2, 20)
    terminal.line(":timer cancel 1")
    terminal.wait_for("timer 1 ended: cancelled")
    terminal.wait_for(lambda screen: not re.search(r"Runs >\d", screen))

    # A stop: the run ends, the console does not.
    terminal.line("sleep 300")
    terminal.wait_for("> running 12", 20)
    terminal.key("C-c")
    terminal.wait_for("aborted 12", 20)

    processes = _family(terminal)
    terminal.line(":quit")
    assert terminal.wait_exit() == 0
    _nothing_left(tmp_path, processes)


def test_kill_9_leaves_nothing_behind(open_console: Open, tmp_path: Path) -> None:
    terminal = open_console(80, 24)
    terminal.line("@web sleep 300")
    terminal.wait_for("running 12", 20)
    terminal.wait_for(lambda _screen: _sleepers(terminal) >= 12)
    processes = _family(terminal)
    processes[0].kill()
    _nothing_left(tmp_path, processes)


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_closed_terminal_leaves_nothing_behind(open_console: Open, tmp_path: Path, busy: bool) -> None:
    terminal = open_console(80, 24)
    if busy:
        terminal.line("@web sleep 300")
        terminal.wait_for(lambda _screen: _sleepers(terminal) >= 12)
    processes = _family(terminal)
    terminal.close()
    _nothing_left(tmp_path, processes)
