"""A terminal that vanishes takes the console with it, also when the screen is stuck in a write."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import psutil

from clusterdeck.console.tui.hangup import HangupWatch
from clusterdeck.tests.support.processes import wait_gone
from clusterdeck.tests.support.tmux import Tmux

#: The console, with a writer thread that has died as it does when the terminal fails; the next paints fill its queue.
_STUCK = """
import pathlib, sys
from textual.drivers._writer_thread import WriterThread

def write(self, text):
    self._queue.maxsize = 8
    if self._queue.full():
        pathlib.Path("stuck").touch()
    self._queue.put(text)

WriterThread.run = lambda self: None
WriterThread.write = write
from clusterdeck.console.cli import main
sys.exit(main(["-w", "node[1-3]"]))
"""


def test_a_stuck_screen_ends_with_its_terminal(tmp_path: Path) -> None:
    folders = {f"CLUSTERDECK_{kind}_DIR": str(tmp_path / kind.lower()) for kind in ("CONFIG", "STATE", "CACHE")}
    with Tmux([sys.executable, "-c", _STUCK], environment=folders, cwd=tmp_path) as terminal:
        console = psutil.Process(terminal.pid)
        terminal.wait_for(lambda _screen: (tmp_path / "stuck").exists())
    assert wait_gone([console], 20) == []


def test_the_last_resort_comes_after_a_hangup_only() -> None:
    master, slave = os.openpty()
    called = threading.Event()
    try:
        with HangupWatch(slave, 0.1, called.set):
            assert not called.wait(0.3)
            os.close(master)
            assert called.wait(30)
    finally:
        os.close(slave)


def test_who_ends_in_time_needs_no_last_resort() -> None:
    master, slave = os.openpty()
    called = threading.Event()
    with HangupWatch(slave, 30.0, called.set):
        os.close(master)
    os.close(slave)
    assert not called.is_set()
