"""Does the screen stay quick while many nodes are being connected? `python tests/bench/bench_ssh_ui.py [--nodes 1000]`

The real console in a pseudo-terminal and one real sshd on loopback. A command for all nodes is sent, so that every node
is connected from cold, and meanwhile keys are pressed at the prompt: key to paint is measured until the run has ended.
The sshd has the lowest priority, as nodes do not take the operator's processor; `--niceness 0` has it compete.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from clusterdeck.tests.bench import bench_ssh, bench_tui

#: Seconds after which a run that has not ended is given up.
_PATIENCE = 180.0


def console(notes_file: str, arguments: list[str]) -> int:
    """The console under test: it notes when a frame with the changed prompt was written."""
    from clusterdeck.console.start import start_console
    from clusterdeck.console.tui.app import ClusterdeckApp
    from clusterdeck.console.tui.folding import Folding

    notes = open(notes_file, "w", buffering=1)  # noqa: SIM115 - as long as the process
    pending: list[str] = []
    bench_tui.deck_prompt_watch(pending)
    display: Any = ClusterdeckApp._display
    ended = Folding.run_ended

    def shown(self: Any, *given: Any, **named: Any) -> None:
        display(self, *given, **named)
        for kind in pending:
            notes.write(f"{kind} {time.monotonic()}\n")
        pending.clear()

    def run_ended(self: Folding) -> None:
        ended(self)
        notes.write(f"ended {time.monotonic()} {self._deck.run.summary() if self._deck.run else None}\n")

    ClusterdeckApp._display = shown  # type: ignore[method-assign]
    Folding.run_ended = run_ended  # type: ignore[method-assign]
    nodes, *overrides = arguments
    return start_console(nodes, overrides)


def measure(count: int, rate: float, niceness: int) -> None:
    with tempfile.TemporaryDirectory(prefix="clusterdeck-bench-") as name:
        folder = Path(name)
        notes = folder / "notes"
        with bench_ssh.server(folder, count, niceness) as world:
            nodes = ",".join(f"127.1.{n // 250}.{n % 250 + 1}" for n in range(count))
            overrides = [f"ssh.config={world['config']}", "ssh.agent=false", "safety.confirm_above=0"]
            environment = dict(os.environ) | {
                "TERM": "xterm-256color", "COLORTERM": "truecolor", "CLUSTERDECK_STATE_DIR": name,
                "CLUSTERDECK_CONFIG_DIR": name, "CLUSTERDECK_CACHE_DIR": name,
            }  # fmt: skip
            command = [sys.executable, __file__, "--child", str(notes), nodes, *overrides]
            terminal = bench_tui.Terminal(command, environment)
            try:
                terminal.wait_for(b"deck ")
                time.sleep(1.0)
                still = press(terminal, notes, rate, time.monotonic() + 3)
                terminal.type(b"\x15true\r")
                begun = time.monotonic()
                time.sleep(0.1)
                busy = press(terminal, notes, rate, begun + _PATIENCE)
                ends = bench_tui.effects(notes, "ended")
                took = f"{ends[0] - begun:.1f} s" if ends else f"not done after {_PATIENCE:.0f} s"
                last = [line for line in notes.read_text().splitlines() if line.startswith("ended")][-1:]
            finally:
                terminal.close()
    print(f"{count} nodes connected from cold and `true` run: {took}; {' '.join(last)}")
    print(" ", bench_tui.told("prompt, nothing going on", still))
    print(" ", bench_tui.told("prompt, while they connect", busy), flush=True)


def press(terminal: bench_tui.Terminal, notes: Path, rate: float, until: float) -> list[float]:
    """Press letters, each after the paint of the one before, until the moment or the end of a run."""
    times: list[float] = []
    number = 0
    while time.monotonic() < until and "ended" not in notes.read_text():
        times += bench_tui.press(terminal, notes, "prompt", [bytes([97 + number % 26])], 1 / rate)
        number += 1
        if number % 40 == 0:
            times += bench_tui.press(terminal, notes, "prompt", [b"\x15"], 1 / rate)
    return times


def main() -> int:
    if sys.argv[1:2] == ["--child"]:
        return console(sys.argv[2], sys.argv[3:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", default="1000", help="numbers of nodes, by commas")
    parser.add_argument("--rate", type=float, default=20.0, help="keys a second")
    parser.add_argument("--niceness", type=int, default=19, help="of the server: 0 competes, 19 yields")
    options = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    for count in map(int, options.nodes.split(",")):
        measure(count, options.rate, options.niceness)
    return 0


if __name__ == "__main__":
    sys.exit(main())
