"""How long until something can be typed: wall seconds, best and median of several starts.

    python tests/bench/bench_startup.py [--repeat 7]

Figures to hold on a quiet machine: --help 0.15 s, the plain prompt 0.5 s, the full screen 1.0 s, and a short local run
at most 1.3 times as long as with clush, both started in turn.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from clusterdeck.console.democluster.cluster import DemoCluster
from clusterdeck.tests.support.terminal import PtyRecorder

_CLUSTERDECK = [sys.executable, "-m", "clusterdeck"]


def _help() -> float:
    start = time.perf_counter()
    subprocess.run([*_CLUSTERDECK, "--help"], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def _ours() -> float:
    return _timed([*_CLUSTERDECK, "run", "-w", "localhost", "-R", "exec", "true"])


def _clush() -> float:
    return _timed(
        [sys.executable, str(Path(sys.executable).with_name("clush")), "-w", "localhost", "-R", "exec", "true"]
    )


def _timed(words: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def _compare(repeat: int) -> None:
    """A short run of ours and of clush, in turn, so that a busy moment hits both."""
    pairs = [(_ours(), _clush()) for _ in range(max(repeat, 15))]
    ours, theirs = (statistics.median(times) for times in zip(*pairs, strict=True))
    best = min(mine for mine, _ in pairs) / min(other for _, other in pairs)
    print(f"{'run -w localhost -R exec true, against clush':46} {best:5.2f}x {ours / theirs:5.2f}x   1.30x")


def _until(prompt: bytes, *arguments: str) -> Callable[[], float]:
    def measure() -> float:
        start = time.perf_counter()
        with PtyRecorder([*_CLUSTERDECK, *arguments], columns=120, rows=40) as terminal:
            terminal.wait_for(prompt)
            return time.perf_counter() - start

    return measure


def _demo_nodes(count: int) -> Callable[[], float]:
    def measure() -> float:
        start = time.perf_counter()
        with DemoCluster(count) as cluster:
            cluster.wait_ready()
            return time.perf_counter() - start

    return measure


CASES: dict[str, tuple[Callable[[], float], float | None]] = {
    "clusterdeck --help": (_help, 0.15),
    "clusterdeck repl, first prompt": (_until(b"no nodes", "repl"), 0.5),
    "clusterdeck, first prompt on the full screen": (_until(b"deck", "-w", "node[1-24]"), 1.0),
    "clusterdeck demo -n 24, first prompt": (_until(b"deck", "demo", "-n", "24"), None),
    "clusterdeck demo -n 100, first prompt": (_until(b"deck", "demo", "-n", "100"), None),
    "demo cluster of 24 nodes, ready": (_demo_nodes(24), None),
    "demo cluster of 100 nodes, ready": (_demo_nodes(100), None),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=7)
    repeat = parser.parse_args().repeat
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("CONFIG", "STATE", "CACHE"):
            os.environ[f"CLUSTERDECK_{kind}_DIR"] = os.path.join(folder, kind.lower())
        print(f"{'':46}   best median  figure   (load {os.getloadavg()[0]:.1f})")
        for name, (measure, figure) in CASES.items():
            times = [measure() for _ in range(repeat)]
            wanted = f"{figure:.2f}" if figure is not None else "-"
            print(f"{name:46} {min(times):6.2f} {statistics.median(times):6.2f}  {wanted:>6}")
        _compare(repeat)


if __name__ == "__main__":
    main()
