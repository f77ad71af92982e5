"""What the end-to-end tests share: consoles in real terminals, closed with the test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clusterdeck.tests.support.tmux import Tmux


@pytest.fixture
def console_on(tmp_path: Path) -> Iterator[Callable[..., Tmux]]:
    """Open the full screen: `console_on(ssh_config, nodes, *settings, columns=80, rows=24)`."""
    opened: list[Tmux] = []

    def start(config: Path, nodes: str, *settings: str, columns: int = 80, rows: int = 24) -> Tmux:
        folders = {f"CLUSTERDECK_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "STATE", "CACHE")}
        command = [sys.executable, "-m", "clusterdeck", "-w", nodes, "-O", f"ssh.config={config}"]
        command += [word for setting in settings for word in ("-O", setting)]
        environment = folders | {"HOME": str(tmp_path)}
        terminal = Tmux(command, columns=columns, rows=rows, environment=environment, cwd=tmp_path)
        opened.append(terminal)
        terminal.wait_for("Enter run", 30)
        return terminal

    yield start
    for terminal in opened:
        terminal.close()
