"""The tutorial as it stands: its lines, one after the other, on the demo cluster at the plain prompt."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from clusterdeck.tests.support.tree import ROOT


def _lines() -> list[str]:
    text = (ROOT / "docs" / "tutorial.md").read_text()
    fences = re.findall(r"^```([a-z]*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    lines = [line for language, fence in fences if not language for line in fence.splitlines()]
    return lines[: lines.index("sleep 100")]  # that one is for the key Ctrl-C; what follows is a macro


def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("to be copied\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CLUSTERDECK_", "CLUSTERSHELL_"))}
    done = subprocess.run(
        [sys.executable, "-m", "clusterdeck", "demo", "-n", "24", "--", "repl"],
        env={**kept, "HOME": str(tmp_path)},
        cwd=tmp_path,
        input="".join(
            f"{line}\n"
            for line in [":output-mode both", *_lines(), ":rcopy --flat notes.txt back", ":shell --pty -- test -t 1"]
        ),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = done.stdout + done.stderr
    for expected in (
        "demo[1-3,5-9,11-15,17-21] (18)",
        "demo[4,10,16] (3)",
        "3 nodes: demo[22-24]",
        "demo[7,16] (2): x failed: rc 3",
        "2 different answers",
        "2 nodes: demo[7,16]",
        "timer 1: every 5s on demo[1-12]: uptime",
        "cancelled: 1",
    ):
        assert expected in said, f"{expected!r} is not in:\n{said}"
    assert re.search(r"#\d+ :copy README.md notes.txt   ok 12 ", said)
    assert re.search(r"#\d+ test -t 1   ok 12 ", said)
    back = tmp_path / "back"
    assert {path.name for path in back.iterdir()} == {
        name for number in range(1, 13) for name in (f"demo{number}", f"notes.txt.demo{number}")
    }
    assert (back / "demo12" / "notes.txt").read_text() == "to be copied\n"
