"""Runs in which somebody is killed with SIGKILL: what was lost, what was accepted twice, how long a call took.

Used by test_faults.py (a few of each) and by tests/bench/bench_taskmanager_faults.py (a thousand).
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clusterdeck.engine.taskmanager.errors import StaleTask, UnknownProcess
from clusterdeck.engine.taskmanager.manager import TaskManager
from clusterdeck.engine.taskmanager.sockets import SocketServer
from clusterdeck.tests.engine_taskmanager.faulty import POINTS, Stopwatch

FAULTY = str(Path(__file__).with_name("faulty.py"))
#: Seconds after which a run that is not over counts what is missing as lost.
PATIENCE = 20.0

__all__ = ["POINTS", "Nursery", "Report", "journal_run", "redis_run", "restart_run", "wire_run"]


@dataclass(frozen=True)
class Report:
    """What some runs found. longest: seconds by which any call took longer than it was allowed to wait."""

    runs: int = 0
    requests: int = 0
    lost: int = 0
    twice: int = 0
    longest: float = 0.0

    def __add__(self, other: Report) -> Report:
        counts = (self.runs + other.runs, self.requests + other.requests, self.lost + other.lost)
        return Report(*counts, self.twice + other.twice, max(self.longest, other.longest))

    def check(self) -> None:
        """Nothing lost, nothing twice, nobody hangs; how long calls take on a quiet machine is the benchmark's."""
        assert (self.lost, self.twice) == (0, 0), self
        assert self.longest < 10.0, self


class Victim:
    """A process that the nursery made."""

    def __init__(self, nursery: Nursery, pid: int, voice: int) -> None:
        self.pid = pid
        self._nursery = nursery
        self._voice = open(voice, encoding="ascii")  # noqa: SIM115 - closed by `end`
        self.longest = 0.0

    def ready(self) -> None:
        """Wait until it works."""
        assert self._voice.readline() == "ready\n"

    def kill(self) -> None:
        """kill -9."""
        os.kill(self.pid, signal.SIGKILL)

    def lines(self) -> list[str]:
        """What it said until its end; a line that was cut off is left out."""
        text = self._voice.read()
        lines = text[: text.rfind("\n") + 1].splitlines()
        self.longest = max([self.longest, *(float(line.split()[1]) for line in lines if line.startswith("slow"))])
        return [line for line in lines if not line.startswith("slow")]

    def wait(self) -> int:
        """Its exit code, negative for a signal; -SIGABRT when it hung."""
        impatience = threading.Timer(PATIENCE, os.kill, (self.pid, signal.SIGABRT))
        impatience.start()
        self.lines()
        impatience.cancel()
        self._voice.close()
        return self._nursery.wait(self.pid)


class Nursery:
    """A process that has everything imported and forks the victims. One caller at a time. A context manager."""

    def __init__(self) -> None:
        self._orders, theirs = socket.socketpair()
        with theirs:
            words = [sys.executable, FAULTY, str(theirs.fileno())]
            self._process = subprocess.Popen(words, pass_fds=[theirs.fileno()])

    def spawn(self, kind: str, *words: Any) -> Victim:
        """A process of that kind (see faulty.py)."""
        ours, theirs = os.pipe()
        socket.send_fds(self._orders, [json.dumps(["spawn", kind, words]).encode()], [theirs])
        os.close(theirs)
        return Victim(self, int(self._orders.recv(32)), ours)

    def wait(self, pid: int) -> int:
        """The exit code of one of them."""
        self._orders.sendall(json.dumps(["wait", pid]).encode())
        return int(self._orders.recv(32))

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *_: object) -> None:
        self._orders.close()
        self._process.wait()


class _Onlooker:
    """Looks at a manager all the time, from a thread of its own: nobody may hang, whoever dies."""

    def __init__(self, manager: TaskManager, watch: Stopwatch) -> None:
        self._over = threading.Event()

        def look() -> None:
            while not self._over.wait(0.005):
                watch(manager.status)
                watch(manager.tasks)

        self._thread = threading.Thread(target=look)
        self._thread.start()

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def _collect(manager: TaskManager, ids: list[str], watch: Stopwatch) -> tuple[int, int]:
    """Fetch all outcomes: (lost, twice). A result that is not the right one counts as lost."""
    end = time.monotonic() + PATIENCE
    found: Counter[str] = Counter()
    while sum(found.values()) < len(ids) and time.monotonic() < end:
        try:
            task_id, _, value = watch(manager.get_any_result, timeout=0.2)
        except TimeoutError:
            continue
        if value == int(task_id.rpartition("_")[2]) * 2:
            found[task_id] += 1
    while (outcome := watch(manager.try_outcome)) is not None:
        found[outcome.task_id] += 1
    return len(set(ids) - found.keys()), sum(found.values()) - len(found)


def wire_run(nursery: Nursery, point: str, folder: Path, chance: random.Random) -> Report:
    """A worker on the Unix socket dies at `point`; another one does the rest."""
    manager, watch = TaskManager(), Stopwatch()
    server = SocketServer(manager, str(folder / f"q{chance.getrandbits(40)}")).start()
    with _Onlooker(manager, watch):
        victim = nursery.spawn("wire", server.path, point, chance.uniform(0, 0.02))
        victim.ready()
        ids = watch(manager.add_task_requests, "t", range(chance.randint(1, 12)))
        assert victim.wait() == -signal.SIGKILL
        worker = nursery.spawn("wire", server.path, "none", 0.0)
        lost, twice = _collect(manager, ids, watch)
        server.stop_workers()
        assert worker.wait() == 0
    assert manager.processes() == []
    server.close()
    return Report(1, len(ids), lost, twice, watch.longest)


def redis_run(nursery: Nursery, point: str, address: str, chance: random.Random) -> Report:
    """The same with workers right on a Redis store; the dead one is given up when it was silent too long."""
    name = f"fault{os.getpid()}-{chance.getrandbits(60)}"
    manager, watch = TaskManager(address, name=name, factor=2.0), Stopwatch()
    with _Onlooker(manager, watch):
        victim = nursery.spawn("store", address, name, point, 0.05, chance.uniform(0, 0.02))
        victim.ready()
        ids = watch(manager.add_task_requests, "t", range(chance.randint(1, 12)))
        assert victim.wait() == -signal.SIGKILL
        worker = nursery.spawn("store", address, name, "none", 5.0, 0.0)
        lost, twice = _collect(manager, ids, watch)
        watch(manager.terminate)
        assert worker.wait() == 0
    manager.close()
    return Report(1, len(ids), lost, twice, max(watch.longest, worker.longest, victim.longest))


def journal_run(nursery: Nursery, address: str, chance: random.Random) -> Report:
    """A manager with an SQLite journal is killed at any moment; what it acknowledged is there afterwards."""
    victim = nursery.spawn("produce", address)
    victim.ready()
    stop = threading.Timer(chance.uniform(0.005, 0.2), victim.kill)
    stop.start()
    lines = [line.split() for line in victim.lines()]
    stop.join()
    assert victim.wait() == -signal.SIGKILL
    added = {words[1]: int(words[2]) for words in lines if words[0] == "added"}
    stored, storing, fetched = (
        {words[1] for words in lines if words[0] == what} for what in ("stored", "storing", "fetched")
    )
    watch = Stopwatch()
    manager = watch(TaskManager, address)
    found: Counter[str] = Counter()
    while (outcome := manager.try_outcome()) is not None:
        found[outcome.task_id] += 1
    # One may have been fetched at the very moment of the kill, before that could be said.
    missing = stored - found.keys() - fetched
    waiting: dict[str, Any] = {}
    while (taken := manager.try_task()) is not None:
        assert taken[0] not in waiting
        waiting[taken[0]] = taken[2]
        manager.store_result(taken[0], 0)
    known = waiting.keys() | found.keys() | fetched
    lost = len(added.keys() - known - missing) + max(0, len(missing) - 1)
    lost += sum(waiting[task_id] != number for task_id, number in added.items() if task_id in waiting)
    twice = (
        sum(found.values()) - len(found) + len(found.keys() & fetched) + len(waiting.keys() & (found.keys() | fetched))
    )
    assert found.keys() <= storing
    assert manager.add_task_request("t", 0) not in added.keys() | known  # no id ever means two tasks
    manager.close()
    return Report(1, len(added), lost, twice, max(watch.longest, victim.longest))


def restart_run(server: Any, chance: random.Random) -> Report:
    """The Redis server is killed while requests go in and three workers work, and comes back; all reconnect.

    Counted are the calls that began after it was back.
    """
    name = f"restart{chance.getrandbits(40)}"
    manager, watch = TaskManager(server.address, name=name), Stopwatch()
    accepted: Counter[str] = Counter()
    over, counting, back = threading.Event(), threading.Lock(), threading.Event()

    def work() -> None:
        mine = TaskManager(server.address, name=name)
        pid = mine.register_process()
        while not over.is_set():
            timed = watch if back.is_set() else Stopwatch()
            try:
                task_id, _, value = timed(mine.get_any_task, pid, timeout=0.3)
                timed(mine.store_result, task_id, value * 2)
            except (TimeoutError, StaleTask):
                continue
            except UnknownProcess:
                pid = mine.register_process()
                continue
            with counting:
                accepted[task_id] += 1
        mine.close()

    def restart() -> None:
        server.start()
        back.set()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    total = chance.randint(100, 300)
    fatal = chance.randrange(total)
    ids: list[str] = []
    for number in range(total):
        ids.append((watch if back.is_set() else Stopwatch())(manager.add_task_request, "t", number))
        if number == fatal:
            server.stop(signal.SIGKILL)
            starter = threading.Timer(chance.uniform(0.0, 0.5), restart)
            starter.start()
    starter.join()
    lost, twice = _collect(manager, ids, watch)
    over.set()
    for thread in threads:
        thread.join()
    twice += sum(accepted.values()) - len(accepted) + total - len(set(ids))
    assert manager.number_of_tasks() == ({}, {}, {})
    manager.close()
    return Report(1, total, lost, twice, watch.longest)
