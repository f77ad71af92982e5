"""Figures of the task manager.

core     add, take + store and collect in memory with 200,000 queued, from 1 and 4 threads (goal: 100,000/s)
latency  a blocking get: from the request to the return in a waiting thread, p50 and p99
sqlite   the same as core with a journal and 20,000 queued (goal: 10,000/s)
redis    take + store beside a plain redis-py list queue and RQ, if it is installed, turn by turn on one server
         (goals: not slower than the list by more than 1.5 times, 5 times RQ)
wire     tasks through a Unix socket to two worker processes
slots    memory and threads of 10,000 registered slots (goal: 50 MB and no thread each)
nodes    jobs that 10,000 slots of 10,000 nodes can be given in a second
map      2,000 `true` over 64 loopback nodes beside GNU parallel --sshlogin on the same nodes (goal: 3 times as fast)

Every figure is one of this machine at this moment; the load is printed with it.
"""

from __future__ import annotations

import argparse
import operator
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clusterdeck.engine.states import NodeState
from clusterdeck.engine.task import Task
from clusterdeck.engine.taskmanager.driver import SlotDriver
from clusterdeck.engine.taskmanager.errors import TaskManagerTermination
from clusterdeck.engine.taskmanager.jobs import CommandEnd
from clusterdeck.engine.taskmanager.manager import TaskManager
from clusterdeck.engine.taskmanager.mapping import MapRun
from clusterdeck.engine.taskmanager.slots import DEFAULT_TAG, SlotPool
from clusterdeck.engine.taskmanager.sockets import SocketServer
from clusterdeck.engine.taskmanager.task_runner import TaskRunner
from clusterdeck.tests.support.sshd import Sshd

PARAMETERS = {"x": "y" * 90}


def rate(count: int, call: Callable[[], object]) -> float:
    """Operations per second."""
    start = time.perf_counter()
    call()
    return count / (time.perf_counter() - start)


def queue_rates(manager: TaskManager, count: int, threads: int) -> tuple[float, float, float]:
    """add, take + store, collect."""
    share = count // threads

    def in_threads(work: Callable[[], None]) -> None:
        if threads == 1:
            work()
            return
        running = [threading.Thread(target=work) for _ in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()

    def add() -> None:
        for _ in range(share):
            manager.add_task_request("t", PARAMETERS)

    def work() -> None:
        process = manager.register_process()
        for _ in range(share):
            task_id, _, _ = manager.get_any_task(process)
            manager.store_result(task_id, 1)

    def collect() -> None:
        for _ in range(share):
            manager.get_any_result()

    return (
        rate(count, lambda: in_threads(add)),
        rate(count, lambda: in_threads(work)),
        rate(count, lambda: in_threads(collect)),
    )


def show(name: str, rates: tuple[float, ...]) -> None:
    add, work, collect = (f"{each:>10,.0f}/s" for each in rates)
    print(f"{name:<34} add {add}   take+store {work}   collect {collect}")


def bench_core() -> None:
    for threads in (1, 4):
        show(f"memory, 200,000 queued, {threads} thread(s)", queue_rates(TaskManager(), 200_000, threads))


def bench_sqlite() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for threads in (1, 4):
            with TaskManager(f"sqlite:///{folder}/journal{threads}") as manager:
                show(f"SQLite WAL, 20,000 queued, {threads} thread(s)", queue_rates(manager, 20_000, threads))


def latency(manager: TaskManager, waiters: int, count: int = 2000) -> list[float]:
    """Seconds from each request to its return in one of the waiting threads, sorted."""
    found: list[float] = []

    def wait() -> None:
        while True:
            try:
                _, _, asked = manager.get_any_task()
            except TaskManagerTermination:
                return
            found.append(time.perf_counter() - asked)

    threads = [threading.Thread(target=wait) for _ in range(waiters)]
    for thread in threads:
        thread.start()
    for number in range(count):
        manager.add_task_request("t", time.perf_counter())
        while len(found) <= number:
            time.sleep(0.0002)
    manager.terminate()
    for thread in threads:
        thread.join()
    return sorted(found)


def show_latency(name: str, found: list[float]) -> None:
    p50, p99 = (found[int(len(found) * part)] * 1e6 for part in (0.5, 0.99))
    print(f"blocking get, {name:<28} p50 {p50:>6,.0f} us   p99 {p99:>7,.0f} us", flush=True)


def bench_latency() -> None:
    for waiters in (1, 20):
        show_latency(f"memory, {waiters} waiting", latency(TaskManager(), waiters))
    with redis_server() as path, TaskManager(f"unix://{path}", name="latency") as manager:
        show_latency("Redis, 1 waiting", latency(manager, 1, 500))


@contextmanager
def redis_server() -> Iterator[str]:
    """A server without a file; its socket."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["redis-server", "--port", "0", "--unixsocket", f"{folder}/s", "--save", "", "--appendonly", "no"]
        server = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        try:
            while not os.path.exists(f"{folder}/s"):
                time.sleep(0.01)
            yield f"{folder}/s"
        finally:
            server.kill()
            server.wait()


def bench_redis(rounds: int = 41, count: int = 400) -> None:
    import redis

    with redis_server() as path, TaskManager(f"unix://{path}", name="bench") as manager:
        client = redis.Redis(unix_socket_path=path)
        process = manager.register_process()

        def ours() -> float:
            manager.add_task_requests("t", [PARAMETERS] * count)

            def work() -> None:
                for _ in range(count):
                    task_id, _, _ = manager.get_any_task(process)
                    manager.store_result(task_id, 1)

            return rate(count, work)

        def plain() -> float:
            text = '{"x":"' + "y" * 90 + '"}'
            client.rpush("list", *[text] * count)

            def work() -> None:
                for _ in range(count):
                    client.lpop("list")
                    client.rpush("results", "1")

            return rate(count, work)

        found: dict[str, list[float]] = {"ours": [], "plain list": [], "RQ": []}
        for number in range(rounds):  # many short ones: what disturbs one disturbs the one beside it
            found["ours"].append(ours())
            found["plain list"].append(plain())
            found["RQ"] += _rq(client, count // 10) if number % 4 == 0 else []
        client.close()
    for name, rates in found.items():
        if rates:
            print(f"redis, take+store, {name:<12} {statistics.median(rates):>10,.0f}/s  (of {len(rates)} rounds)")
        else:
            print(f"redis, {name}: not measured, the package is not installed")
    ratio = statistics.median(map(operator.truediv, found["plain list"], found["ours"]))
    print(f"redis: plain list / ours = {ratio:.2f} (goal: at most 1.5)")
    if found["RQ"]:
        ratio = statistics.median(map(operator.truediv, found["ours"][::4], found["RQ"]))
        print(f"redis: ours / RQ = {ratio:.1f} (goal: 5)")


def _rq(client: Any, count: int) -> list[float]:
    try:
        import rq
    except ImportError:
        return []
    import logging

    logging.disable(logging.WARNING)
    queue = rq.Queue(connection=client)
    for _ in range(count):
        queue.enqueue("operator.add", 1, 2)
    worker = rq.SimpleWorker([queue], connection=client)  # no fork per job: RQ's fastest
    return [rate(count, lambda: worker.work(burst=True, logging_level="ERROR"))]


def bench_wire(count: int = 10_000) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "work.py").write_text("def do_t(x): return 1\n")
        manager = TaskManager()
        server = SocketServer(manager, f"{folder}/q").start()
        words = [
            sys.executable,
            "-m",
            "clusterdeck",
            "worker",
            "--slots",
            "4",
            "--socket",
            f"{folder}/q",
            f"{folder}/work.py",
        ]
        workers = [subprocess.Popen(words) for _ in range(2)]
        while len(manager.processes()) < 2:
            time.sleep(0.05)

        def work() -> None:
            manager.add_task_requests("t", [["x"]] * count)
            for _ in range(count):
                manager.get_any_result()

        print(f"Unix socket, 2 workers of 4 slots: {rate(count, work):,.0f} tasks/s end to end")
        server.stop_workers()
        for worker in workers:
            worker.wait()
        server.close()


class _Nobody:
    def run(self, *_: Any, **__: Any) -> None: ...
    def adopt(self, *_: Any, **__: Any) -> None: ...
    def cancel(self, _handle: Any) -> None: ...
    def clean(self, _nodes: Any) -> None: ...
    def settle(self, _timeout: float) -> bool:
        return True


def bench_slots() -> None:
    tracemalloc.start()  # what this allocates, whatever the parts before have left to be used again
    threads = threading.active_count()
    driver = SlotDriver(TaskManager(), _Nobody()).start()
    start = time.perf_counter()
    driver.add_nodes({f"node{number}": 4 for number in range(2500)})
    took = time.perf_counter() - start
    more = tracemalloc.get_traced_memory()[0] / 1e6
    tracemalloc.stop()
    threads = threading.active_count() - threads
    print(f"10,000 slots: {more:.1f} MB, {threads} thread(s) for all, {took * 1000:.0f} ms, traced (goal: 50 MB)")
    driver.close()


class _Ending(_Nobody):
    """Ends what it was given when it is asked to, in no time."""

    def __init__(self) -> None:
        self.begun: deque[Callable[[CommandEnd], None]] = deque()

    def run(
        self, node: str, slot: int, command: str, on_done: Callable[[CommandEnd], None], *, token: str | None = None
    ) -> None:
        self.begun.append(on_done)


def bench_nodes(nodes: int = 10_000, count: int = 20_000) -> None:
    """What the handing out itself can do, whoever runs the commands."""
    soon: deque[Callable[[], None]] = deque()
    runner, manager = _Ending(), TaskManager()
    pool = SlotPool(manager, runner, post=soon.append)
    pool.add_nodes({f"node{number}": 1 for number in range(nodes)})
    manager.add_task_requests(DEFAULT_TAG, [{"command": "true"}] * (count + nodes))

    def settle() -> None:
        while soon:
            soon.popleft()()
            pool.next_deadline()

    def work() -> None:
        for _ in range(count):
            runner.begun.popleft()(CommandEnd(NodeState.OK, 0))
            settle()

    settle()  # every slot has its first one

    print(f"{nodes} nodes: {rate(count, work):,.0f} jobs/s handed out and ended")
    pool.close()


class _Orders:
    def ev_msg(self, _port: Any, order: Callable[[], None]) -> None:
        order()


def bench_map(count: int = 2000, nodes: int = 64, slots: int = 4, limit: float = 300.0) -> None:
    names = [f"node{number}" for number in range(1, nodes + 1)]
    arguments = [str(number) for number in range(count)]
    with tempfile.TemporaryDirectory() as folder, Sshd(Path(folder), {"MaxStartups": "500:30:1000"}) as server:
        rates = ours_over(server, names, slots, arguments)
        if shutil.which("parallel") is None:
            print("map: GNU parallel is not installed, not compared")
            return
        theirs = parallel_over(server, Path(folder), names, slots, arguments, limit)
    for label, jobs in rates.items():
        print(f"map: {jobs / theirs:.1f} times as fast as GNU parallel, {label} (goal: 3)")


def ours_over(server: Sshd, names: list[str], slots: int, arguments: list[str]) -> dict[str, float]:
    """Jobs per second of two maps after each other: the first makes the connections."""
    task = Task()
    for name in ("stdout_msgtree", "stderr_msgtree"):
        task.set_default(name, False)
    task.set_info("ssh_config", str(server.config))
    task.port(handler=_Orders())
    task.resume()
    driver = SlotDriver(TaskManager(), TaskRunner(task, worker="paramiko")).start()
    rates: dict[str, float] = {}
    start = time.perf_counter()
    driver.add_nodes(dict.fromkeys(names, slots))
    for label in ("connections made first", "over kept connections"):
        run = MapRun(driver, "true {}", arguments).start()
        run.wait()
        progress = run.progress()
        run.close()
        took = time.perf_counter() - start
        rates[label] = len(arguments) / took
        ends = f"{progress.done} done, {progress.failed} failed"
        what = f"map, {len(arguments)} x true over {len(names)} nodes, {label}"
        print(f"{what}: {took:.2f} s, {rates[label]:.1f} jobs/s, {ends}", flush=True)
        start = time.perf_counter()
    driver.close()
    task.abort(kill=True)
    return rates


def parallel_over(
    server: Sshd, folder: Path, names: list[str], slots: int, arguments: list[str], limit: float
) -> float:
    """Jobs per second of GNU parallel, which is stopped after `limit` seconds and then judged by its job log."""
    logins = ",".join(f"{slots}/{name}" for name in names)
    home, log = folder / "parallel", folder / "joblog"
    home.mkdir()
    (home / "will-cite").touch()
    environment = {**os.environ, "PARALLEL_SSH": f"ssh -F {server.config}", "PARALLEL_HOME": str(home)}
    words = ["parallel", "--joblog", str(log), "--sshlogin", logins, "true", ":::", *arguments]
    start = time.perf_counter()
    with subprocess.Popen(words, env=environment, stderr=subprocess.PIPE) as process:
        try:
            _, errors = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.terminate()  # once: start no more; twice: end at once
            _, errors = process.communicate()
    took = time.perf_counter() - start
    rows = [line.split("\t") for line in log.read_text().splitlines()[1:]]
    good = sum(row[6] == "0" for row in rows)
    print(f"GNU parallel, {good} of {len(arguments)} well in {took:.2f} s: {good / took:.1f} jobs/s {errors[-200:]!r}")
    return good / took


PARTS: dict[str, Callable[[], None]] = {
    "core": bench_core,
    "latency": bench_latency,
    "sqlite": bench_sqlite,
    "redis": bench_redis,
    "wire": bench_wire,
    "slots": bench_slots,
    "nodes": bench_nodes,
    "map": bench_map,
}


def main() -> None:
    """Measure the parts named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"what to measure (all): {', '.join(PARTS)}")
    parts = parser.parse_args().parts
    for name in [name for name in parts if name not in PARTS]:
        parser.error(f"no part {name!r}: {', '.join(PARTS)}")
    for name in parts or PARTS:
        print(f"-- {name}: load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
        PARTS[name]()


if __name__ == "__main__":
    main()
