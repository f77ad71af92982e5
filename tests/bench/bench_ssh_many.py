"""Thousands of kept connections in one process: threads, memory each, and what they cost while nothing happens.

    python tests/bench/bench_ssh_many.py [--nodes 2000] [--idle 20]
    python tests/bench/bench_ssh_many.py --check     # a small run for correctness

Nodes are addresses 127.1.x.y of one real sshd, which has a process for each connection: 2,000 of them take about 3 GB.
Held against: the number of threads does not grow with the nodes, < 120 KiB a connection, < 1 % of one core while idle.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
from ClusterShell.NodeSet import NodeSet

from clusterdeck.engine.task import Task, task_self
from clusterdeck.engine.workers.paramiko import pool_of
from clusterdeck.tests.bench.bench_ssh import server

_KIB, _PERCENT, _THREADS = 120.0, 1.0, 8


def _rss_kib() -> float:
    return float(psutil.Process().memory_info().rss) / 1024


def _connect(task: Task, nodes: str) -> float:
    """Connect and run one command; seconds."""
    started = time.monotonic()
    worker = task.run("true", nodes=nodes)
    codes = {rc: len(found) for rc, found in worker.iter_retcodes()}
    assert codes == {0: len(NodeSet(nodes))}, codes
    return time.monotonic() - started


def _idle(task: Task, seconds: float) -> float:
    """Turn the reactor and do nothing; percent of one core."""
    reactor = pool_of(task).reactor
    until, used = time.monotonic() + seconds, time.process_time()
    while (left := until - time.monotonic()) > 0:
        reactor.turn(left)
    return (time.process_time() - used) / seconds * 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=2000)
    parser.add_argument("--idle", type=float, default=20.0, help="seconds")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if options.check:
        options.nodes, options.idle = 16, 1.0
    with tempfile.TemporaryDirectory() as name, server(Path(name), options.nodes) as world:
        task = task_self()
        task.set_default("distant_workername", "paramiko")
        task.set_info("ssh_config", world["config"])
        task.set_info("connect_timeout", 120)
        addresses = [f"127.1.{n // 250}.{n % 250 + 1}" for n in range(options.nodes)]
        # What is loaded once is not a connection's: one of them comes before the count.
        _connect(task, addresses[0])
        before, threads = _rss_kib(), threading.active_count()
        cold = _connect(task, ",".join(addresses))
        warm = min(_connect(task, ",".join(addresses)) for _ in range(2))
        live = pool_of(task).live_count
        percent = _idle(task, options.idle)
        each, more = (_rss_kib() - before) / options.nodes, threading.active_count() - threads
        print(
            f"{live} connections: cold {cold:.1f} s, warm {warm:.2f} s, {each:.0f} KiB each, {more:+d} threads, ",
            end="",
        )
        print(f"idle {percent:.2f} % of a core")
        good = live == options.nodes and more <= _THREADS and percent < _PERCENT and (each < _KIB or options.check)
        task.abort(kill=True)
    print("within the limits" if good else "NOT within the limits")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
