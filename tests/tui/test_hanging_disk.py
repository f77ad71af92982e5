"""A disk that hangs does not hold up a key: the whole console, on local commands."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clusterdeck.console.records import archive
from clusterdeck.console.records.audit import AuditLog, verify_chain
from clusterdeck.console.settings import paths
from clusterdeck.console.settings.settings import Settings
from clusterdeck.console.start import open_session
from clusterdeck.console.tui.launch import make_app
from clusterdeck.tests.support.tui import until

#: Seconds that a write takes at most, and the screen: the machine may be busy.
HANGS = 20.0
HELD_UP = 10.0


class Disk:
    """Writes that hang until some keys have been heard, for HANGS seconds otherwise. Never in the screen's thread."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.normal = False
        self.heard = 0
        self.hung: set[str] = set()

    def hear(self, *, normal: bool = False) -> None:
        """Another key was heard; normal: and nothing hangs any more."""
        with self.changed:
            self.heard += 1
            self.normal = normal
            self.changed.notify_all()

    def hang(self, what: str, write: Callable[..., Any]) -> Callable[..., Any]:
        def hung(*arguments: Any, **named: Any) -> Any:
            assert threading.current_thread() is not threading.main_thread()
            with self.changed:
                self.hung.add(what)
                enough = self.heard + 5
                self.changed.wait_for(lambda: self.normal or self.heard >= enough, HANGS)
            return write(*arguments, **named)

        return hung


async def test_keys_are_heard_while_every_write_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTERDECK_STATE_DIR", str(tmp_path / "state"))
    disk = Disk()
    for place, name in ((AuditLog, "_append"), (archive, "write_run"), (os, "pwrite")):
        monkeypatch.setattr(place, name, disk.hang(name, getattr(place, name)))
    settings = Settings()
    for key, value in (("run.worker", "exec"), ("limits.node_memory", 64 * 1024)):
        settings.set(key, value)
    with open_session(settings, "n[1-2]", interactive=True) as session:
        app = make_app(session)
        async with app.run_test(size=(100, 30)) as pilot:
            await until(pilot, lambda: bool(app.main.query("#hints")))
            app.ask_line("seq 100000")
            worst = 0.0
            deadline = time.monotonic() + 60
            while not ({"_append", "write_run", "pwrite"} <= disk.hung and session.runs.last is not None):
                assert time.monotonic() < deadline, disk.hung
                before = time.monotonic()
                await pilot.press("x", "backspace")
                worst = max(worst, time.monotonic() - before)
                disk.hear()
            disk.hear(normal=True)
            await until(pilot, lambda: not session.runs.running)
            app.end(0)
        assert worst < HELD_UP
        run = session.runs.last
        assert run is not None
        assert run.output.lost(0) == (0, 0)
        assert b"".join(run.output.pieces(0)).split()[-1] == b"100000"
    assert verify_chain(paths.audit_file()) is None
    assert len(paths.audit_file().read_text().splitlines()) == 2
    assert len(list(paths.runs_dir().iterdir())) == 1
