"""Whatever keys are pressed, the prompt stays whole: no traceback on the screen, and the next line runs."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from clusterdeck.tests.support.terminal import PtyRecorder

_PIECES = [
    *(bytes([code]) for code in (0, 1, 3, 5, 7, 9, 11, 13, 18, 21, 23, 25, 27, 31, 127)),
    *(b"\x1b[" + end for end in (b"A", b"B", b"C", b"D", b"H", b"F", b"3~", b"99~", b"200~", b"201~")),
    *(b"\x1b\r", b"\x1bd", b"\\\r", b"\x18\x05", b"\x1b[200~a\nb\n:runs\x1b[201~", b"\xff", b"\xc3\xa9"),
    *(b"echo hi", b"!true", b"sleep 0.2", b":", b":co", b"@", b"'", b'"', b" ", b"n", b"y", b"v", b"u", b"dd", b"ix"),
    *(b":failed", b":gather", b":help", b":edit", b":play kernel-audit", b":timer --count 2 0.1s true", b":stop"),
]


def _answers_again(repl: PtyRecorder, *, vi: bool) -> None:
    """Out of whatever the keys have begun (a paste, a search, a question), and then a line is run."""
    attempts = 20
    for attempt in range(1, attempts + 1):
        start = len(repl.data)
        # Ctrl-C clears the line; in vi mode Esc and i lead to where text can be typed.
        repl.send(b"\x1b[201~\x07\x03\x03" + (b"\x1bi" if vi else b"") + b"echo $((40+2))aaa\r")
        try:
            repl.wait_for(b"42aaa", 4.0, start)
        except AssertionError:
            if attempt == attempts:
                raise
        else:
            return


@pytest.mark.parametrize("editing", ["emacs", "vi"])
def test_random_keys_never_break_the_prompt(tmp_path: Path, editing: str) -> None:
    dice = random.Random(editing)
    moved = {f"CLUSTERDECK_{kind}_DIR": str(tmp_path / kind.lower()) for kind in ("CONFIG", "STATE", "CACHE")}
    command = [sys.executable, "-m", "clusterdeck", "repl", "-w", "n[1-3]", "-O", "run.worker=exec"]
    with PtyRecorder(
        [*command, "-O", f"screen.editing={editing}"],
        columns=100,
        rows=30,
        environment={**moved, "EDITOR": "true", "VISUAL": "true"},
        cwd=tmp_path,
    ) as repl:
        repl.wait_for(b"(3)")
        for _ in range(250):
            repl.send(dice.choice(_PIECES))
        _answers_again(repl, vi=editing == "vi")
        shown = repl.data
    for wrong in (b"Traceback", b"internal error", b"Unhandled exception", b"completion failed"):
        assert wrong not in shown


#: The console, in which a Ctrl-C comes as a signal right when the keys behind an ended prompt have been looked at.
_LATE = """
import os, signal, sys
from clusterdeck.console.cli import main
from clusterdeck.console.repl.terminal import Terminal

look = Terminal.interrupted_early

def interrupted_early(terminal):
    found = look(terminal)
    if found:
        os.kill(os.getpid(), signal.SIGINT)
    return found

Terminal.interrupted_early = interrupted_early
sys.exit(main(["repl", "-w", "n1", "-O", "run.worker=exec"]))
"""


def test_what_was_read_before_a_ctrl_c_that_is_a_signal_is_dropped(tmp_path: Path) -> None:
    """Two lines, each with its Ctrl-C, in a burst: neither runs, however the second Ctrl-C arrives."""
    moved = {f"CLUSTERDECK_{kind}_DIR": str(tmp_path / kind.lower()) for kind in ("CONFIG", "STATE", "CACHE")}
    environment = {**moved, "PROMPT_TOOLKIT_NO_CPR": "1"}  # this terminal does not answer
    with PtyRecorder([sys.executable, "-c", _LATE], columns=100, environment=environment, cwd=tmp_path) as repl:
        end = repl.wait_for(b"deck ")
        repl.send(b"echo first-$((40+1))\r\x03echo second-$((40+2))\r")
        end = repl.wait_for(b"nothing was run", start=end)
        end = repl.wait_for(b"deck ", start=end)
        repl.send(b"echo third-$((40+3))\r")
        end = repl.wait_for(b"third-43", start=end)
        repl.wait_for(b"ok 1", start=end)  # what is alive would be asked about
        repl.send(b":quit\r")
        assert repl.wait() == 0
        assert b"first-41" not in repl.data
        assert b"second-42" not in repl.data
