"""Scripts written for ClusterShell: each is run by ClusterShell, and by this engine with its imports changed.

The scripts in `scripts/` print what they see; both runs must print the same. What today's ClusterShell no longer runs,
as it was written for its first releases, has a file with what is expected. The scripts are kept as text, as users have
them: neither typed nor linted. Nodes are reached by stand-ins of ssh, rsh and scp, for which a node is a folder.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent / "scripts"
NAMES = sorted(path.name.removesuffix(".py.txt") for path in SCRIPTS.glob("*.py.txt"))

#: Options of ssh and rsh away; the rest is the node and the command.
_SHELL = """#!/bin/sh
while :; do case "$1" in -l) shift 2 ;; -*) shift ;; *) break ;; esac; done
NODE=$1; export NODE; shift
exec /bin/sh -c "$*"
"""

#: `[node]:/path` is the file `path` in the node's folder.
_COPY = """#!/bin/sh
place() { case "$1" in "["*"]:"*) n=${1#[}; mkdir -p "$ROOT/${n%%]*}"; echo "$ROOT/${n%%]*}/$(basename "${1#*:}")" ;;
    *) echo "$1" ;; esac; }
options=; while :; do case "$1" in -o*) shift ;; -*) options="$options $1"; shift ;; *) break ;; esac; done
exec cp $options "$(place "$1")" "$(place "$2")"
"""

_IMPORT = re.compile(r"^from ClusterShell\.(\S+) import (.*)$", re.MULTILINE)


def ours(script: str) -> str:
    """The script with its imports changed."""

    def change(found: re.Match[str]) -> str:
        module = "clusterdeck.engine.task" if found[2] == "*" else "clusterdeck.engine"
        return f"from {module} import {found[2]}"

    return _IMPORT.sub(change, script)


def run(script: str, folder: Path) -> str:
    """What a script prints, with the stand-ins in its PATH."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    for name, text in (("ssh", _SHELL), ("rsh", _SHELL), ("scp", _COPY)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "ROOT": str(folder), "TMPDIR": str(folder)}
    command = [sys.executable, "-W", "ignore::ResourceWarning", "-c", script]
    answer = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, cwd=folder, check=False)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


@pytest.mark.parametrize("name", NAMES)
def test_script(name: str, tmp_path: Path) -> None:
    script = (SCRIPTS / f"{name}.py.txt").read_text()
    assert "ClusterShell" not in ours(script)
    expected = SCRIPTS / f"{name}.expected"
    with ThreadPoolExecutor(2) as pool:
        theirs = pool.submit(expected.read_text if expected.exists() else lambda: run(script, tmp_path / "theirs"))
        found = run(ours(script), tmp_path / "ours")
    assert found == theirs.result()
    assert found
