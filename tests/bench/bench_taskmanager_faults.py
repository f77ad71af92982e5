"""The fault tests of the task manager at length: kill -9 of workers, managers and the Redis server.

For each kind: how many runs, requests, lost, accepted twice, and by how much the longest call of any process was late
(a call that waits for something is late when it takes longer than its time limit). Then random calls against the model.
The figures to reach: 0 lost, 0 twice, no call late by a second. The exit code is 1 if one is missed.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from clusterdeck.tests.engine_taskmanager.conftest import RedisServer
from clusterdeck.tests.engine_taskmanager.faults import (
    POINTS,
    Nursery,
    Report,
    journal_run,
    redis_run,
    restart_run,
    wire_run,
)

Run = Callable[[Nursery, random.Random], Report]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000, help="deaths of a worker per way of working, over all points")
    parser.add_argument("--kills", type=int, default=200, help="deaths of a manager with a journal")
    parser.add_argument("--restarts", type=int, default=20, help="deaths and returns of the Redis server")
    parser.add_argument("--steps", type=int, default=10_000, help="random calls per store against the model (0: none)")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32), help="to repeat a run")
    return parser.parse_args()


def main() -> int:
    """Run all kinds; the exit code."""
    options = arguments()
    print(f"seed {options.seed}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    good = True
    with tempfile.TemporaryDirectory(prefix="cdf") as folder:
        place = Path(folder)
        for name in ("redis", "killed"):
            (place / name).mkdir()
        redis, killed = RedisServer(place / "redis"), RedisServer(place / "killed", "always")
        redis.start()
        killed.start()
        try:
            for point in POINTS:
                share = -(-options.runs // len(POINTS))
                good &= several(options, share, f"worker on the wire, {point}", _wire(point, place))
                good &= several(options, share, f"worker on Redis, {point}", _redis(point, redis))
            good &= several(options, options.kills, "manager with a journal", _journal(place))
            good &= several(options, options.restarts, "Redis server", _restart(killed), jobs=1)
        finally:
            redis.stop()
            killed.stop()
    return 0 if model(options.steps) and good else 1


def _wire(point: str, folder: Path) -> Run:
    return lambda nursery, chance: wire_run(nursery, point, folder, chance)


def _redis(point: str, server: RedisServer) -> Run:
    return lambda nursery, chance: redis_run(nursery, point, server.address, chance)


def _journal(folder: Path) -> Run:
    return lambda nursery, chance: journal_run(nursery, f"sqlite:///{folder}/{chance.getrandbits(60)}", chance)


def _restart(server: Any) -> Run:
    return lambda _nursery, chance: restart_run(server, chance)


def several(options: argparse.Namespace, runs: int, what: str, run: Run, jobs: int | None = None) -> bool:
    """That many runs, some at a time; prints what they found. Whether all was well."""

    def some(count: int, number: int) -> Report:
        chance = random.Random(f"{options.seed} {what} {number}")
        with Nursery() as nursery:
            return sum((run(nursery, chance) for _ in range(count)), Report())

    jobs = jobs or options.jobs
    start = time.monotonic()
    with ThreadPoolExecutor(jobs) as pool:
        counts = [len(range(number, runs, jobs)) for number in range(jobs)]
        found = sum(pool.map(some, counts, range(jobs)), Report())
    print(
        f"kill -9, {what:<28} {found.runs:>5} runs {found.requests:>7} requests  lost {found.lost}  twice {found.twice}"
        f"  longest call {found.longest:.3f} s  ({time.monotonic() - start:.0f} s)",
        flush=True,
    )
    return found.lost == found.twice == 0 and found.longest < 1.0


def model(steps: int) -> bool:
    """Random calls against the model, over each store; whether they agree."""
    if not steps:
        return True
    start = time.monotonic()
    environment = {**os.environ, "CLUSTERDECK_MODEL_STEPS": str(steps)}
    words = [sys.executable, "-m", "pytest", "-q", "tests/engine_taskmanager/test_model.py"]
    done = subprocess.run(words, env=environment, check=False)
    print(f"model: {steps} random calls per store in {time.monotonic() - start:.0f} s, exit status {done.returncode}")
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
