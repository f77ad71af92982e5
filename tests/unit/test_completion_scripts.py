"""The completion scripts in the shells that they are for."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from clusterdeck.tests.support.terminal import PtyRecorder
from clusterdeck.tests.support.tree import ROOT

SCRIPTS = ROOT / "docs" / "completions"

#: (what is typed, what it becomes)
LINES = [
    ("clusterdeck rep", "clusterdeck repl"),
    ("cdeck doc", "cdeck doctor"),
    ("clusterdeck --ver", "clusterdeck --version"),
    ("clusterdeck run --dry", "clusterdeck run --dry-run"),
    ("clusterdeck run -w n1 -R para", "clusterdeck run -w n1 -R paramiko"),
    ("clusterdeck run -w n1 --color ne", "clusterdeck run -w n1 --color never"),
    ("clusterdeck config exp", "clusterdeck config explain"),
    ("clusterdeck config explain run.fan", "clusterdeck config explain run.fanout"),
    ("clusterdeck play kern", "clusterdeck play kernel-audit"),
    ("clusterdeck play cdkm", "clusterdeck play cdkmacro.deck"),
    ("clusterdeck run --outdir cdkf", "clusterdeck run --outdir cdkfolder/"),
    ("clusterdeck run -w n1 -b cdkpro", "clusterdeck run -w n1 -b cdkprogram"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a macro and a folder in it, and a program in its `bin`."""
    (tmp_path / "cdkmacro.deck").touch()
    (tmp_path / "cdkfolder").mkdir()
    program = tmp_path / "bin" / "cdkprogram"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return tmp_path


def test_zsh_completes(folder: Path) -> None:
    environment = {"PATH": f"{folder / 'bin'}:/usr/bin:/bin", "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    with PtyRecorder(["zsh", "-f", "-i"], environment=environment, cwd=folder, columns=200) as terminal:
        setup = (
            f"PS1='Z''> '; fpath=({SCRIPTS} $fpath); autoload -U compinit; compinit -D -u; unsetopt beep; echo re''ady"
        )
        terminal.send(setup.encode() + b"\n")
        start = terminal.wait_for(b"ready\r\n")
        for typed, wanted in LINES:
            # The end of the line tells when the completion is there, as whatever is typed after Tab waits for it.
            terminal.send(typed.encode() + b"\t#end\x01: \n")
            start = terminal.wait_for(b"\n", start=terminal.wait_for(f"{wanted}".encode(), start=start))


@pytest.mark.parametrize(("typed", "wanted"), LINES)
def test_fish_completes(typed: str, wanted: str, folder: Path) -> None:
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source {SCRIPTS / 'clusterdeck.fish'}; complete -C '{typed}'"],
        env={"PATH": f"{folder / 'bin'}:/usr/bin:/bin", "HOME": str(folder), "LC_ALL": "C.UTF-8"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    offered = [line.partition("\t")[0] for line in done.stdout.splitlines()]
    assert wanted.rpartition(" ")[2] in offered, done.stderr
