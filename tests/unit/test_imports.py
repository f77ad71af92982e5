"""What is really imported, by `sys.modules` of a process of its own: start-up time is a budget.

import-linter (pyproject.toml) judges the static graph; imports inside functions are judged here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clusterdeck.tests.support.sshd import Sshd
from clusterdeck.tests.support.terminal import PtyRecorder
from clusterdeck.tests.support.tree import modules

_SCREEN = {"textual", "rich", "prompt_toolkit", "pygments"}

#: Runs the command line in this process and then writes the names of all top-level modules to the file named first.
_RUN_AND_TELL = """
import json, sys
target, sys.argv = sys.argv[1], ["clusterdeck", *sys.argv[2:]]
from clusterdeck.console.cli import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
with open(target, "w") as stream:
    json.dump(sorted({name.partition(".")[0] for name in sys.modules}), stream)
sys.exit(code)
"""


def _imported(script: str) -> set[str]:
    tell = "\nimport json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", script + tell], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment in which no setting of the account counts."""
    folders = {f"CLUSTERDECK_{kind}_DIR": str(tmp_path / kind.lower()) for kind in ("CONFIG", "STATE", "CACHE")}
    return {**os.environ, **folders}


def _after_command(tmp_path: Path, environment: dict[str, str], *arguments: str, code: int = 0) -> set[str]:
    target = tmp_path / "modules.json"
    done = subprocess.run(
        [sys.executable, "-c", _RUN_AND_TELL, str(target), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return set(json.loads(target.read_text()))


def test_the_engine_imports_no_screen() -> None:
    names = [".".join(("clusterdeck", *path.with_suffix("").parts)) for path in modules() if path.parts[0] == "engine"]
    names = [name.removesuffix(".__init__") for name in names if not name.endswith(".__main__")]
    assert not _imported("".join(f"import {name}\n" for name in names)) & _SCREEN


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("run", "--help"), ("demo", "--help")])
def test_help_imports_nothing_heavy(tmp_path: Path, environment: dict[str, str], arguments: tuple[str, ...]) -> None:
    heavy = _SCREEN | {"paramiko", "cryptography", "ClusterShell", "asyncio", "sqlite3", "redis"}
    assert not _after_command(tmp_path, environment, *arguments) & heavy


def test_a_batch_run_imports_no_screen(tmp_path: Path, environment: dict[str, str], sshd: Sshd) -> None:
    environment["CLUSTERDECK_SSH_CONFIG"] = str(sshd.config)
    assert not _after_command(tmp_path, environment, "run", "-w", "node[1-2]", "true") & _SCREEN


def test_a_played_macro_imports_no_screen(tmp_path: Path, environment: dict[str, str], sshd: Sshd) -> None:
    environment["CLUSTERDECK_SSH_CONFIG"] = str(sshd.config)
    macro = tmp_path / "config" / "macros" / "look.deck"  # where the user's own ones are, which need no asking
    macro.parent.mkdir(parents=True, mode=0o700)
    macro.write_text(":nodes node[1-2]\ntrue\n")
    macro.chmod(0o600)
    assert not _after_command(tmp_path, environment, "play", "look") & _SCREEN


def test_lines_from_a_pipe_need_no_prompt(tmp_path: Path, environment: dict[str, str]) -> None:
    assert not _after_command(tmp_path, environment, "repl") & _SCREEN


def test_the_plain_prompt_imports_no_textual(tmp_path: Path, environment: dict[str, str]) -> None:
    target = tmp_path / "modules.json"
    argv = [sys.executable, "-c", _RUN_AND_TELL, str(target), "repl"]
    with PtyRecorder(argv, environment=environment) as terminal:
        terminal.wait_for(b"no nodes")
        terminal.send(b"\x04")
        assert terminal.wait() == 0
    imported = set(json.loads(target.read_text()))
    assert "prompt_toolkit" in imported
    assert not imported & {"textual", "rich"}


#: A real session and the real app, up to the moment at which everything has been painted once.
_PAINT_AND_TELL = """
import asyncio, sys
from clusterdeck.console.settings.settings import Settings
from clusterdeck.console.start import open_session
from clusterdeck.console.tui.launch import make_app

async def paint(app):
    async with app.run_test(size=(80, 24)):
        painted.update(sys.modules)
        app.exit(0)

painted = set()
with open_session(Settings(), "node[1-3]", interactive=True) as session:
    asyncio.run(paint(make_app(session)))
assert "textual" in painted
sys.modules = {name: None for name in painted}
"""


def test_the_console_paints_before_it_imports_paramiko(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert not _imported(_PAINT_AND_TELL) & {"paramiko", "cryptography", "redis"}
