"""How quick the plain REPL is: first prompt, key to echo (idle and while nodes flood it), completion of 10,000 nodes.

    python tests/bench/bench_repl.py            prints one line per figure

Wall-clock times of this machine at this moment: run it on a quiet one before quoting.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from clusterdeck.console.commands.catalogue import default_registry
from clusterdeck.console.completion.completion import complete
from clusterdeck.console.completion.names import Names
from clusterdeck.tests.support.fake_session import FakeSession
from clusterdeck.tests.support.terminal import PtyRecorder

READY = b"stop run"
#: A marker that no node prints: drawn by the prompt only.
KEYS = "qzjxkvbw"


class AnsweringPty(PtyRecorder):
    """Answers questions for the cursor's position, as terminals do."""

    answered = 0

    def answer(self) -> None:
        """Answer what was asked so far."""
        asked = self.data.count(b"\x1b[6n")
        while self.answered < asked:
            self.answered += 1
            self.send(b"\x1b[1;1R")

    def see(self, wanted: bytes, since: int, timeout: float = 20.0) -> float:
        """Seconds until `wanted` was written at or after `since`."""
        begun = time.perf_counter()
        while wanted not in self.data[since:]:
            self.answer()
            if time.perf_counter() - begun > timeout:
                raise SystemExit(f"{wanted!r} never came: {self.data[-2000:]!r}")
            time.sleep(0.0005)
        return time.perf_counter() - begun


def start(folder: str, *options: str) -> AnsweringPty:
    moved = {f"CLUSTERDECK_{kind}_DIR": f"{folder}/{kind}" for kind in ("CONFIG", "STATE", "CACHE")}
    return AnsweringPty(
        [sys.executable, "-m", "clusterdeck", "repl", "-w", "n[1-20]", "-O", "run.worker=exec", *options],
        columns=120, rows=40, environment={**moved, "NO_COLOR": "1"}, cwd=Path("/"),
    )  # fmt: skip


def tell(what: str, values: list[float]) -> None:
    ordered = sorted(value * 1000 for value in values)
    p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    figures = f"p50 {statistics.median(ordered):7.1f} ms  p95 {p95:7.1f} ms  max {ordered[-1]:7.1f} ms"
    print(f"{what:44} n {len(ordered):3}  {figures}")


def first_prompt(folder: str, times: int = 7) -> None:
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        with closing(start(folder)) as repl:
            repl.see(b"(20)", 0)
            found.append(time.perf_counter() - begun)
    tell("start to first prompt", found)


def key_to_echo(repl: AnsweringPty, what: str, times: int = 60) -> None:
    found = []
    for number in range(times):
        key = KEYS[number % len(KEYS)].encode()
        since = len(repl.data)
        repl.send(key)
        found.append(repl.see(key, since))
        time.sleep(0.05)
    tell(what, found)
    repl.send(b"\x15")


def latency(folder: str) -> None:
    with closing(start(folder, "-O", "screen.output=live")) as repl:
        repl.see(READY, 0)
        key_to_echo(repl, "key to echo, idle")
        for label, pause in (("about 1,000 lines/s", "0.02"), ("as many lines as the terminal takes", "0")):
            loop = f"while sleep {pause}; do echo 1234567890 1234567890; done" if pause != "0" else "yes 1234567890"
            since = len(repl.data)
            repl.send(loop.encode() + b"\r")
            repl.see(b"n20: 1234567890", since)
            written, begun = len(repl.data), time.perf_counter()
            key_to_echo(repl, f"key to echo, {label}")
            lines = repl.data[written:].count(b": 1234567890") / (time.perf_counter() - begun)
            print(f"{'':44} {lines:.0f} lines/s shown meanwhile")
            since = len(repl.data)
            repl.send(b"\x03")
            print(f"{'':44} Ctrl-C to the end of the run: {repl.see(b'aborted 20', since):.2f} s")
            time.sleep(0.5)


def completion() -> None:
    session, registry = FakeSession(), default_registry()
    names = Names(tuple(f"rack{rack:02}-node{node:04}" for rack in range(20) for node in range(500)), (("web", "3"),))
    for text in ("+rack1", ":nodes rack07-node04", ":shell -w r", ":set ", ":", "+@w"):
        found = []
        for _ in range(20):
            begun = time.perf_counter()
            complete(text, len(text), session, registry, names)
            found.append(time.perf_counter() - begun)
        tell(f"completion of {text!r} with 10,000 nodes", found)


def main() -> None:
    print(f"python {sys.version.split()[0]}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        first_prompt(folder)
        latency(folder)
    completion()


if __name__ == "__main__":
    main()
