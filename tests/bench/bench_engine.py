"""The engine beside ClusterShell, in one run: ratios of medians (below 1 = less than ClusterShell).

    python tests/bench/bench_engine.py [--repeat 5] [--only NAME] [--small]

Each measurement is a process of its own; the two programs take turns. CPU is the measuring process' own
(RUSAGE_SELF), memory its growth over the idle program, or what tracemalloc counts for the trees. `--small` takes
smaller amounts, for a first look.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

OURS, THEIRS = "clusterdeck", "clustershell"
Measures = dict[str, float]


def api(program: str) -> Any:
    """The names that both programs share, from one of them."""
    if program == OURS:
        import clusterdeck.engine as module

        return module

    class Names:
        from ClusterShell.Event import EventHandler
        from ClusterShell.MsgTree import MsgTree
        from ClusterShell.Task import task_self
        from ClusterShell.Worker.Exec import ExecWorker

    return Names


def rss() -> float:
    """Resident memory now, KiB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024


def peak() -> float:
    """Highest resident memory so far, KiB."""
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def cpu() -> float:
    """CPU seconds of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def measured(work: Callable[[], None]) -> Measures:
    """Wall, CPU and memory growth of one piece of work."""
    memory, begin, start = rss(), cpu(), time.perf_counter()
    work()
    return {"wall s": time.perf_counter() - start, "cpu s": cpu() - begin, "growth KiB": max(0.0, peak() - memory)}


def local_true(names: Any, small: bool) -> Measures:
    """2,000 local commands `true`, fanout 64."""
    task = names.task_self()
    task.run("true")

    def work() -> None:
        for _ in range(200 if small else 2000):
            task.shell("true")
        task.resume()
        assert task.max_retcode() == 0

    return measured(work)


def gather(names: Any, small: bool) -> Measures:
    """`seq 1 200` on 2,000 nodes through the exec worker, gathered."""
    task = names.task_self()
    task.run("true")
    count = 200 if small else 2000

    def work() -> None:
        task.schedule(names.ExecWorker(f"node[1-{count}]", handler=None, command="seq 1 200"))
        task.resume()
        groups = list(task.iter_buffers())
        assert len(groups) == 1
        assert len(groups[0][1]) == count

    return measured(work)


def tree_alike(names: Any, small: bool) -> Measures:
    """MsgTree: 10,000 keys x 200 equal lines."""
    lines = [b"line %d of the same text" % number for number in range(200)]
    return _tree(names, small, 10000, lambda key: lines)


def tree_apart(names: Any, small: bool) -> Measures:
    """MsgTree: 10,000 keys x 20 lines in 500 distinct messages."""
    messages = [[b"message %d line %d of it" % (which, number) for number in range(20)] for which in range(500)]
    return _tree(names, small, 10000, lambda key: messages[key % 500])


def tree_alike_chunks(names: Any, small: bool) -> Measures:
    """The same as tree_alike, filled as each engine fills it: ours by chunks, ClusterShell line by line."""
    lines = [b"line %d of the same text" % number for number in range(200)]
    return _tree(names, small, 10000, lambda key: lines, chunks=True)


def tree_apart_chunks(names: Any, small: bool) -> Measures:
    """The same as tree_apart, filled as each engine fills it: ours by chunks, ClusterShell line by line."""
    messages = [[b"message %d line %d of it" % (which, number) for number in range(20)] for which in range(500)]
    return _tree(names, small, 10000, lambda key: messages[key % 500], chunks=True)


def _tree(names: Any, small: bool, keys: int, lines_of: Callable[[int], list[bytes]], chunks: bool = False) -> Measures:
    """Time with lines at hand; memory with lines made anew for each key, as they come from a node."""
    names_of_keys = [f"node{key}" for key in range(keys // 10 if small else keys)]

    def fill(tree: Any, fresh: bool) -> None:
        for number, key in enumerate(names_of_keys):
            lines = lines_of(number)
            if fresh:
                lines = [bytes(bytearray(line)) for line in lines]
            if chunks and hasattr(tree, "extend"):
                tree.extend(key, lines)
            else:
                for line in lines:
                    tree.add(key, line)
        assert sum(len(members) for _, members in tree.walk()) == len(names_of_keys)

    start, begin = time.perf_counter(), cpu()
    fill(names.MsgTree(), False)
    wall, used = time.perf_counter() - start, cpu() - begin
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tree = names.MsgTree()
    fill(tree, True)
    memory = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return {"wall s": wall, "cpu s": used, "memory KiB": memory / 1024}


def stream(names: Any, small: bool) -> Measures:
    """One 100 MB stream of 100-byte lines from a local command."""
    task = names.task_self()
    task.run("true")
    size = 10_000_000 if small else 100_000_000

    def work() -> None:
        worker = task.shell(f"yes {'x' * 99} 2>/dev/null | head -c {size}")
        task.resume()
        assert len(worker.read()) == size - 1

    return measured(work)


def timers_idle(names: Any, small: bool) -> Measures:
    """CPU of 10,000 timers that wait, while one fires 20 times a second, for 2 s; and its lateness."""
    return _timers(names, interval=None)


def timers_busy(names: Any, small: bool) -> Measures:
    """CPU of 10,000 timers that each fire once a second, for 3 s, and the worst lateness of a timer among them."""
    return _timers(names, interval=1.0)


def _timers(names: Any, interval: float | None) -> Measures:
    task = names.task_self()
    late: list[float] = []

    class Quiet(names.EventHandler):  # type: ignore[misc]
        def ev_timer(self, timer: Any) -> None:
            pass

    class Probe(names.EventHandler):  # type: ignore[misc]
        def __init__(self) -> None:
            self.due = time.monotonic() + 0.05
            self.count = 0

        def ev_timer(self, timer: Any) -> None:
            late.append(time.monotonic() - self.due)
            self.due += 0.05
            self.count += 1
            if self.count == 40:
                timer.invalidate()

    quiet = Quiet()
    for number in range(10000):
        if interval is None:
            task.timer(3600.0, quiet, autoclose=True)
        else:
            task.timer(interval + number / 10000, quiet, interval=interval, autoclose=True)
    task.timer(0.05, Probe(), interval=0.05)
    begin, start = cpu(), time.perf_counter()
    task.resume()
    wall = time.perf_counter() - start
    return {"core share": (cpu() - begin) / wall, "late s": max(late)}


def precision(names: Any, small: bool) -> Measures:
    """Worst lateness of a 20 Hz timer while 64 commands at a time print and end."""
    task = names.task_self()
    late: list[float] = []

    class Probe(names.EventHandler):  # type: ignore[misc]
        due = time.monotonic() + 0.05

        def ev_timer(self, timer: Any) -> None:
            late.append(time.monotonic() - self.due)
            self.due += 0.05

    probe = Probe()
    probe.due = time.monotonic() + 0.05
    task.timer(0.05, probe, interval=0.05, autoclose=True)
    task.schedule(names.ExecWorker("node[1-1000]", handler=None, command="seq 1 200"))
    task.resume()
    late.sort()
    return {"worst s": late[-1], "p95 s": late[int(len(late) * 0.95)]}


CASES: dict[str, Callable[[Any, bool], Measures]] = {
    function.__name__: function
    for function in (
        local_true,
        gather,
        tree_alike,
        tree_apart,
        tree_alike_chunks,
        tree_apart_chunks,
        stream,
        timers_idle,
        timers_busy,
        precision,
    )
}


def pdsh_dshbak(small: bool) -> float | None:
    """Seconds of pdsh piped into dshbak -c for the work of `gather`; None where they are missing."""
    if shutil.which("pdsh") is None or shutil.which("dshbak") is None:
        return None
    start = time.perf_counter()
    nodes = f"node[1-{200 if small else 2000}]"
    command = f"pdsh -R exec -f 64 -w '{nodes}' seq 1 200 | dshbak -c"
    subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def one(program: str, case: str, small: bool) -> Measures:
    """One measurement in a process of its own."""
    command = [sys.executable, __file__, "--program", program, "--only", case, *(["--small"] if small else [])]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    found: Measures = json.loads(answer.stdout.splitlines()[-1])
    return found


def compare(case: str, repeat: int, small: bool) -> None:
    """Print one table row per measure."""
    runs: dict[str, list[Measures]] = {OURS: [], THEIRS: []}
    other: list[float] = []
    for _ in range(repeat):
        for program, found in runs.items():
            found.append(one(program, case, small))
        if case == "gather" and (seconds := pdsh_dshbak(small)) is not None:
            other.append(seconds)
    print(f"{case}: {(CASES[case].__doc__ or '').strip()}")
    for measure in runs[OURS][0]:
        ours, theirs = (statistics.median(run[measure] for run in runs[program]) for program in (OURS, THEIRS))
        ratio = f"{ours / theirs:.2f}" if theirs else "-"
        print(f"  {measure:12} {OURS} {ours:10.4f}   {THEIRS} {theirs:10.4f}   ratio {ratio}", flush=True)
    if other:
        print(f"  {'wall s':12} pdsh | dshbak -c {statistics.median(other):.4f}", flush=True)


def main() -> None:
    """Measure, or be the process that is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--only", choices=sorted(CASES))
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--program", choices=[OURS, THEIRS])
    arguments = parser.parse_args()
    if arguments.program:
        print(json.dumps(CASES[arguments.only](api(arguments.program), arguments.small)))
        assert threading.active_count() == 1
        return
    for case in [arguments.only] if arguments.only else CASES:
        compare(case, arguments.repeat, arguments.small)


if __name__ == "__main__":
    main()
