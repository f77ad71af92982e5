"""Is the terminal always left as it was found? `python tests/bench/terminal_restored.py [N]` ends N consoles (100).

Each runs a command, under a shell in a terminal of its own, and ends by SIGTERM, SIGHUP, or its own keys, before or
after it was suspended. Counted as restored: echo and line mode on, the alternate screen gone, what is typed then is
shown, no command left behind. The normal suite does each of them once (tests/tui).
"""

from __future__ import annotations

import re
import shlex
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

from clusterdeck.tests.support.processes import wait_gone
from clusterdeck.tests.support.tmux import Tmux

WAYS = ("keys", "SIGTERM", "SIGHUP", "suspend")
CONSOLE = [sys.executable, "-m", "clusterdeck", "-w", "node[1-4]", "-O", "run.worker=exec"]


def once(way: str, folder: Path) -> None:
    """One console from its start to its end. Raises AssertionError where the terminal is not as it was."""
    environment = {f"CLUSTERDECK_{kind}_DIR": str(folder / kind) for kind in ("CONFIG", "STATE", "CACHE")}
    with Tmux(["/bin/bash", "--norc", "-i"], columns=100, environment=environment, cwd=folder) as shell:
        shell.wait_for("bash-", 60)
        shell.line(shlex.join(CONSOLE))
        shell.wait_for("Enter run", 60)
        shell.line("sleep 60")
        shell.wait_for("running 4", 60)
        (console,) = psutil.Process(shell.pid).children()
        left = console.children(recursive=True)
        code = end(shell, console, way)
        # Asked for behind it: a shell takes a stopped command for one that has ended, and goes on in its list.
        shell.wait_for(lambda screen: "Enter run" not in screen, 60)
        shell.line("echo ended with $?")
        shell.wait_for(f"ended with {code}", 60)
        shell.line("stty -a | tr ' ' '\\n' | grep -x -e echo -e icanon; echo typed-$((1+1))")
        shown = shell.wait_for("typed-2", 60)
        assert re.search(r"^echo$", shown, re.MULTILINE), shown
        assert re.search(r"^icanon$", shown, re.MULTILINE), shown
        assert "Enter run" not in shown, shown
        gone = wait_gone(left, 30)
        assert gone == [], gone


def end(shell: Tmux, console: psutil.Process, way: str) -> int:
    """End the console; returns the exit code that it must give."""
    if way.startswith("SIG"):
        number = signal.Signals[way]
        console.send_signal(number)
        return 128 + number
    if way == "suspend":
        shell.key("C-z")
        shell.wait_for("Stopped", 60)
        shell.line("fg")
        shell.wait_for("Enter run", 60)
    shell.key("C-c")
    shell.wait_for("aborted 4", 60)
    shell.key("C-q")
    return 0


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    good: Counter[str] = Counter()
    for number in range(count):
        way = WAYS[number % len(WAYS)]
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="restored-", ignore_cleanup_errors=True) as folder:
            try:
                once(way, Path(folder))
                good[way] += 1
            except AssertionError as error:
                print(f"{number} {way}: after {time.monotonic() - begun:.1f} s: {error}", flush=True)
    told = ", ".join(f"{way} {good[way]}" for way in WAYS)
    print(f"the terminal was restored {good.total()} of {count} times ({told})")
    return 0 if good.total() == count else 1


if __name__ == "__main__":
    sys.exit(main())
