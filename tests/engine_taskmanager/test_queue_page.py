"""The page on the queue: its programs run, and its lines are understood."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from clusterdeck.console.commands.catalogue import default_registry
from clusterdeck.console.language.language import parse
from clusterdeck.tests.support.tree import ROOT

FENCES = re.findall(r"^```([a-z]*)\n(.*?)^```$", (ROOT / "docs" / "queue.md").read_text(), re.DOTALL | re.MULTILINE)
PROGRAMS = [text for language, text in FENCES if language == "python"]
LINES = [re.sub(r"\s{2,}.*", "", line) for language, text in FENCES if not language for line in text.splitlines()]
SHELL = [line for language, text in FENCES if language == "sh" for line in text.splitlines()]


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_run(program: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    if "print" in program:
        assert done.stdout == "[0, 1, 4]\n"


def test_lines_are_understood() -> None:
    registry = default_registry()
    typed = [line for line in LINES if line]
    # `clusterdeck queue ...` is the same line without the colon.
    typed += [f":{line[line.index('queue') :]}".split("  ")[0] for line in SHELL if "clusterdeck queue" in line]
    assert len(typed) > 12
    for line in typed:
        assert parse(line, registry).spec.family == "queue", line
