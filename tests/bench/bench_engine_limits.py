"""The engine at its limits: each case runs in a process of its own, checks itself and prints its figures.

    python tests/bench/bench_engine_limits.py [--only NAME] [--small]

A case that is broken ends the program with an AssertionError. `--small` takes a tenth.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil

from clusterdeck.engine import Task, task_self, task_terminate

Figures = dict[str, float]


def rss() -> float:
    """Resident memory now, KiB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024


def left() -> tuple[int, int, int]:
    """Descriptors, threads and children (zombies count) of this process."""
    gc.collect()
    me = psutil.Process()
    return me.num_fds(), threading.active_count(), len(me.children(recursive=True))


def commands(small: bool) -> Figures:
    """100,000 scheduled commands at fanout 64: what a finished one leaves behind, in bytes."""
    count = 10_000 if small else 100_000
    task = task_self()
    sizes: list[float] = []

    class Look:
        ended = 0

        def ev_hup(self, worker: Any, node: Any, rc: int) -> None:
            self.ended += 1
            if self.ended in (count // 10, count):
                sizes.append(rss())

    look = Look()
    start = time.perf_counter()
    for number in range(count):
        task.shell("true", key=number, handler=look)
    scheduled = rss()
    task.resume()
    wall = time.perf_counter() - start
    assert look.ended == count
    assert task.max_retcode() == 0
    per_command = (sizes[1] - sizes[0]) * 1024 / (count * 0.9)
    # A return code under its key is kept; a worker, a client or a stream that is over is not.
    assert per_command < 1024, per_command
    return {"wall s": wall, "RSS MiB when scheduled": scheduled / 1024, "bytes left by each": per_command}


def lives(small: bool) -> Figures:
    """1,000 lives of Tasks, each with commands, a timer, a port and a failing handler: what is left open."""
    before = left()
    start = time.perf_counter()

    class Fails:
        def ev_read(self, worker: Any, node: Any, sname: str, msg: bytes) -> None:
            raise RuntimeError("from the handler")

        def ev_timer(self, timer: Any) -> None: ...

    for number in range(100 if small else 1000):
        own_thread = number % 4 == 0
        task = Task() if own_thread else task_self()
        task.excepthook = lambda kind, error, trace: None
        task.set_info("fanout", 4)
        task.shell("echo foo; echo bar >&2", nodes="n[1-3]", remote=False, stderr=True)
        task.shell("sleep 60", timeout=0.001 if number % 3 == 0 else None, autoclose=True)
        task.timer(0.0, Fails())
        task.remove_port(task.port())
        if number % 10 == 1:
            task.shell("echo foo", handler=Fails())
        try:
            task.resume()
        except RuntimeError:
            assert number % 10 == 1
        if own_thread:
            task.abort(kill=True)
        else:
            task_terminate()
    after = left()
    assert after == before, (before, after)
    return {"wall s": time.perf_counter() - start, "left open": float(sum(after) - sum(before))}


def descriptors(small: bool) -> Figures:
    """2,000 scheduled commands where a process may have 100 descriptors."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
    task = task_self()
    count = 200 if small else 2000
    start = time.perf_counter()
    task.set_info("fanout", 64)  # three pipes each: more than there are descriptors
    for number in range(count):
        task.shell("echo foo; echo bar >&2", key=number, stderr=True)
    task.resume()
    assert task.max_retcode() == 0
    assert sum(len(keys) for _, keys in task.iter_buffers()) == count
    return {"wall s": time.perf_counter() - start}


def threads(small: bool) -> Figures:
    """8 threads that submit, abort and read, on one Task: every command ends once, no reader sees half a result."""
    task = Task()
    failures: list[BaseException] = []
    task.excepthook = lambda kind, error, trace: failures.append(error)
    ends: dict[Any, int] = {}

    class Count:
        def ev_end(self, worker: Any, node: Any, end: Any) -> None:
            ends[worker] = ends.get(worker, 0) + 1

    count, made, stop, handler = 50 if small else 500, [], threading.Event(), Count()

    def submit(seed: int) -> None:
        chance = random.Random(seed)
        for number in range(count):
            worker = task.shell("echo foo; echo bar", key=(seed, number), handler=handler, timeout=60)
            made.append(worker)
            if chance.random() < 0.3:
                worker.abort()

    def read() -> None:
        while not stop.is_set():
            for message, keys in task.iter_buffers():
                assert bytes(message) in (b"foo", b"foo\nbar")
                assert keys
            assert task.max_retcode() in (None, 0)

    def guarded(call: Callable[..., None], *arguments: Any) -> threading.Thread:
        def run() -> None:
            try:
                call(*arguments)
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    start = time.perf_counter()
    hold = task.port()
    task.resume()
    readers = [guarded(read) for _ in range(3)]
    writers = [guarded(submit, seed) for seed in range(5)]
    for thread in writers:
        thread.join()
    task.remove_port(hold)
    task.join()
    stop.set()
    for thread in readers:
        thread.join()
    task.abort()
    assert failures == []
    assert len(made) == 5 * count
    # One that was aborted before it started tells nothing; the others end exactly once.
    assert set(ends.values()) == {1}
    return {"wall s": time.perf_counter() - start, "commands": float(len(made)), "ends": float(len(ends))}


CASES: dict[str, Callable[[bool], Figures]] = {
    function.__name__: function for function in (commands, lives, descriptors, threads)
}


def main() -> None:
    """Run the cases, or be the process of one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=sorted(CASES))
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        print(json.dumps(CASES[arguments.only](arguments.small)))
        return
    for case in [arguments.only] if arguments.only else CASES:
        command = [sys.executable, __file__, "--here", "--only", case, *(["--small"] if arguments.small else [])]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        print(f"{case}: {(CASES[case].__doc__ or '').strip()}")
        for name, value in json.loads(answer.stdout.splitlines()[-1]).items():
            print(f"  {name:24} {value:12.2f}", flush=True)


if __name__ == "__main__":
    main()
