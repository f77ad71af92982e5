"""The real console in a real terminal: it leaves the terminal as it found it, whatever ends it."""

from __future__ import annotations

import re
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from clusterdeck.tests.support.processes import wait_gone
from clusterdeck.tests.support.tmux import Tmux

Open = Callable[..., Tmux]


COMMAND = [sys.executable, "-m", "clusterdeck", "-w", "node[1-4]", "-O", "run.worker=exec"]


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, str]:
    """Settings, history and caches of the test's own."""
    return {f"CLUSTERDECK_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "STATE", "CACHE")}


@pytest.fixture
def console(folders: dict[str, str], tmp_path: Path) -> Iterator[Open]:
    """The console on nodes of this machine (no SSH), under a shell that tells how it ended."""
    opened: list[Tmux] = []

    def start(columns: int = 100, rows: int = 30, **environment: str) -> Tmux:
        modes = "stty -a | tr ' ' '\\n' | grep -x -e echo -e icanon"
        script = f"{shlex.join(COMMAND)}; echo ended with $?; {modes}; cat"
        terminal = Tmux(
            ["sh", "-c", script], columns=columns, rows=rows, environment=folders | environment, cwd=tmp_path
        )
        opened.append(terminal)
        terminal.wait_for("deck node[1-4]", 30)
        return terminal

    yield start
    for terminal in opened:
        terminal.close()


def process_of(terminal: Tmux) -> psutil.Process:
    """The console under the shell."""
    return psutil.Process(terminal.pid).children()[0]


def sane(terminal: Tmux, code: int) -> None:
    """The shell has the terminal back: echo and line mode on, the alternate screen gone."""
    terminal.wait_for(f"ended with {code}", 20)
    shown = terminal.wait_for(re.compile(r"^echo$", re.M))
    assert re.search(r"^icanon$", shown, re.M), shown
    assert "Enter run" not in shown
    terminal.send("typed-after")
    terminal.wait_for("typed-after")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_a_sane_terminal(console: Open, number: int) -> None:
    terminal = console()
    terminal.line("sleep 60")
    terminal.wait_for("running 4")
    console_process = process_of(terminal)
    commands = console_process.children(recursive=True)
    console_process.send_signal(number)
    sane(terminal, 128 + number)
    assert wait_gone(commands, 30) == []


def test_quit_by_key_and_by_word(console: Open) -> None:
    terminal = console(80, 24)
    terminal.key("C-q")
    sane(terminal, 0)
    second = console(60, 15)
    second.line(":quit")
    sane(second, 0)


def test_ctrl_c_keeps_the_console_and_the_results(console: Open) -> None:
    terminal = console()
    terminal.line("echo before-$((40+2)); sleep 60")
    terminal.wait_for("before-42")
    terminal.key("C-c")
    terminal.wait_for("aborted 4")
    terminal.line("echo still-$((40+3))")
    terminal.wait_for("still-43")
    terminal.line(":show 1")
    terminal.wait_for("before-42")


def test_suspend_and_come_back_from_under_a_script(folders: dict[str, str], tmp_path: Path) -> None:
    """As `make demo` does it: what stands between the console and the shell has to stop with it."""
    with Tmux(["/bin/bash", "--norc", "-i"], environment=folders, cwd=tmp_path) as shell:
        shell.wait_for("bash-")
        shell.line(f"sh -c '{shlex.join(COMMAND)}; echo ended with $?'")
        shell.wait_for("Enter run", 30)
        for turn in range(2):
            shell.key("C-z")
            shell.wait_for("Stopped")
            shell.line("stty -a | grep -o ' *[-]*icanon'; fg")
            shell.wait_for("Enter run")
            shell.line(f"echo back-$((1+{turn}))")
            shell.wait_for(f"back-{1 + turn}")
        shell.line(":quit")
        shell.wait_for("ended with 0")
        assert re.search(r"^ *icanon", shell.screen(), re.MULTILINE)


def test_without_a_shell_it_is_not_suspended(console: Open) -> None:
    terminal = console()
    terminal.key("C-z")
    terminal.wait_for("There is no shell to go back to")
    terminal.line("echo on-$((1+1))")
    terminal.wait_for("on-2")


def test_a_pager_gets_the_terminal_and_gives_it_back(console: Open, tmp_path: Path) -> None:
    pager = tmp_path / "pager"
    pager.write_text('#!/bin/sh\necho "pager shows:"; cat "$1"; read answer\n')
    pager.chmod(0o755)
    terminal = console(PAGER=str(pager))
    terminal.line("echo line-$((2+3))")
    terminal.wait_for("line-5")
    terminal.key("C-o")
    terminal.send("v")
    terminal.wait_for("pager shows:")
    terminal.key("Enter")
    terminal.wait_for("Runs")
    terminal.key("C-o")
    terminal.line("echo after-$((2+4))")
    terminal.wait_for("after-6")


def test_a_storm_of_sizes(console: Open) -> None:
    terminal = console(120, 40)
    terminal.line("echo answer-$((3+4))")
    terminal.wait_for("answer-7")
    for columns, rows in ((80, 24), (60, 15), (200, 50), (30, 8), (100, 30)):
        terminal.resize(columns, rows)
    terminal.wait_for(lambda screen: "nodes 4" in screen and "deck node[1-4]" in screen)
    terminal.line("echo again-$((3+5))")
    terminal.wait_for("again-8")


def test_no_color_sends_no_colour(console: Open) -> None:
    terminal = console(NO_COLOR="1")
    terminal.line("echo plain; exit 3")
    terminal.wait_for("failed 4")
    coloured = re.findall(r"\x1b\[[0-9;]*m", terminal.coloured_screen())
    numbers = {int(part) for sequence in coloured for part in re.findall(r"\d+", sequence)}
    assert not numbers & {*range(30, 38), *range(40, 48), 38, 48, *range(90, 98), *range(100, 108)}, coloured


def test_a_broken_theme_and_keymap_are_told(console: Open, tmp_path: Path) -> None:
    config = tmp_path / "CONFIG"
    (config / "themes").mkdir(parents=True, mode=0o700)
    config.chmod(0o700)
    (config / "themes" / "bad.toml").write_text("[colours]\nprimary = 'nonsense'\n")
    (config / "keys.toml").write_text('[keys]\n"pane.zoom" = "ctrl+m"\n')
    terminal = console()
    terminal.wait_for(lambda screen: "is no colour" in screen and "Enter" in screen)
