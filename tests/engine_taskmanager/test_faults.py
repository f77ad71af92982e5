"""kill -9 of workers, managers and the Redis server: nothing lost, nothing accepted twice, nobody hangs.

CLUSTERDECK_FAULT_RUNS: runs of each kind (default few; tests/bench/bench_taskmanager_faults.py does 1,000).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from clusterdeck.engine.taskmanager.errors import StaleTask, StoreUnavailable
from clusterdeck.engine.taskmanager.manager import TaskManager
from clusterdeck.engine.taskmanager.sockets import SocketServer

FAULTY = str(Path(__file__).with_name("faulty.py"))
POINTS = ("waiting", "handed", "running", "storing", "stored", "leaving")
RUNS = int(os.environ.get("CLUSTERDECK_FAULT_RUNS", "1"))
KILLS = int(os.environ.get("CLUSTERDECK_FAULT_KILLS", "4"))


def spawn(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, FAULTY, *words], stdout=subprocess.PIPE, text=True)


def ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


@pytest.mark.parametrize("point", POINTS)
def test_worker_killed_on_the_wire(point: str, tmp_path: Path) -> None:
    for _ in range(RUNS):
        manager = TaskManager()
        server = SocketServer(manager, str(tmp_path / "q")).start()
        victim = spawn("wire", server.path, point)
        ready(victim)
        ids = manager.add_task_requests("t", range(5))
        assert victim.wait(10) == -signal.SIGKILL
        worker = spawn("wire", server.path, "none")
        found = Counter(manager.get_any_result(timeout=10)[0] for _ in ids)
        assert found == Counter(ids)
        assert manager.try_outcome() is None
        server.stop_workers()
        assert worker.wait(10) == 0
        assert manager.processes() == []
        end(worker)
        end(victim)
        server.close()


@pytest.mark.parametrize("point", POINTS)
def test_worker_killed_on_redis(point: str, redis_server: Any) -> None:
    for _ in range(RUNS):
        name = f"fault{os.getpid()}-{random.getrandbits(40)}"
        manager = TaskManager(redis_server.address, name=name, factor=2.0)
        victim = spawn("store", redis_server.address, name, point, "0.1")
        ready(victim)
        ids = manager.add_task_requests("t", range(5))
        assert victim.wait(10) == -signal.SIGKILL
        worker = spawn("store", redis_server.address, name, "none", "5.0")
        found: Counter[str] = Counter()
        for _ in ids:
            task_id, _, value = manager.get_any_result(timeout=10)
            found[task_id] += 1
            assert value == int(task_id.split("_")[1]) * 2
        assert found == Counter(ids)
        assert manager.try_outcome() is None
        manager.terminate()
        assert worker.wait(10) == 0
        end(worker)
        end(victim)
        manager.close()


def test_manager_killed_with_a_journal(tmp_path: Path) -> None:
    for run in range(max(RUNS, KILLS)):
        address = f"sqlite:///{tmp_path / f'journal{run}'}"
        victim = spawn("produce", address)
        ready(victim)
        lines: list[str] = []
        assert victim.stdout is not None
        stop = threading.Timer(random.uniform(0.02, 0.3), victim.kill)
        stop.start()
        lines = victim.stdout.read().splitlines()
        stop.join()
        end(victim)
        check_journal(address, lines)


def check_journal(address: str, lines: list[str]) -> None:
    """Every acknowledged request is there (or was fetched), every acknowledged result too, none twice."""
    told = [line.split() for line in lines if line.count(" ") >= 1]
    if lines and not lines[-1].startswith(("added", "stor", "fetched")):
        told = told[:-1]
    whole = told[:-1] if told and len(told[-1]) < (3 if told[-1][0] == "added" else 2) else told
    added = {words[1]: int(words[2]) for words in whole if words[0] == "added"}
    stored = {words[1] for words in whole if words[0] == "stored"}
    storing = {words[1] for words in whole if words[0] == "storing"}
    fetched = {words[1] for words in whole if words[0] == "fetched"}
    manager = TaskManager(address)
    found: dict[str, Any] = {}
    while (outcome := manager.try_outcome()) is not None:
        assert outcome.task_id not in found
        found[outcome.task_id] = outcome.value
    # One may have been fetched at the very moment of the kill, before that could be said.
    missing = stored - found.keys() - fetched
    assert len(missing) <= 1
    assert not found.keys() & fetched
    assert found.keys() <= storing
    again: dict[str, Any] = {}
    while (taken := manager.try_task()) is not None:
        assert taken[0] not in again
        again[taken[0]] = taken[2]
        manager.store_result(taken[0], 0)
    assert not again.keys() & (found.keys() | fetched)
    lost = added.keys() - again.keys() - found.keys() - fetched - missing
    assert not lost
    assert all(again[task_id] == number for task_id, number in added.items() if task_id in again)
    assert manager.add_task_request("t", 0) not in added.keys() | again.keys() | found.keys() | fetched
    manager.close()


def test_running_tasks_of_a_killed_manager(tmp_path: Path) -> None:
    """Those that may run twice go back in front; the others are LOST, with their attempts remembered."""
    from clusterdeck.engine.taskmanager.tasks import TaskOptions

    address = f"sqlite:///{tmp_path / 'journal'}"
    code = (
        "import os, signal\n"
        "from clusterdeck.engine.taskmanager.manager import TaskManager\n"
        "from clusterdeck.engine.taskmanager.tasks import TaskOptions\n"
        f"m = TaskManager({address!r})\n"
        "m.add_task_requests('t', range(3))\n"
        "m.add_task_request('once', 3, options=TaskOptions(retriable=False))\n"
        "m.register_process(); m.store_data(shared=[1])\n"
        "m.get_any_task(0); m.get_any_task(0); m.get_task_with_tag('once', 0)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    with TaskManager(address) as manager:
        assert [each.id for each in manager.tasks()] == ["t_0", "t_1", "t_2", "once_3"]
        assert [each.state.word for each in manager.tasks()] == ["waiting"] * 3 + ["lost"]
        assert manager.retrieve_data("shared") == [1]
        assert manager.register_process() == 1
        held, _, _ = manager.get_any_task(timeout=0)
        assert (held, held.attempt) == ("t_0", 2)
        with pytest.raises(StaleTask):
            manager.store_result("t_0", "from before", attempt=1)
        assert manager.add_task_request("t", 9, options=TaskOptions()) != "once_3"
    with TaskManager(address) as manager:
        assert [each.id for each in manager.tasks()][:2] == ["t_0", "t_1"]


def test_journal_is_its_owners_and_refuses_strangers(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with TaskManager(f"sqlite:///{path}"):
        assert path.stat().st_mode & 0o777 == 0o600
        with pytest.raises(StoreUnavailable, match="another manager"):
            TaskManager(f"sqlite:///{path}")
    (tmp_path / "text").write_text("this is no journal, only some text that is longer than a header" * 20)
    with pytest.raises(StoreUnavailable):
        TaskManager(f"sqlite:///{tmp_path / 'text'}")
    with pytest.raises(StoreUnavailable):
        TaskManager(f"sqlite:///{tmp_path / 'no' / 'folder'}")
    with pytest.raises(ValueError, match="sqlite"):
        TaskManager("sqlite://")


def test_redis_killed_and_restarted_in_the_middle(own_redis: Any) -> None:
    """Workers reconnect by themselves; 0 lost, 0 twice; once it is back no call hangs over a second."""
    total, workers = 300, 3
    manager = TaskManager(own_redis.address, name="restart")
    accepted: Counter[str] = Counter()
    slowest: list[float] = []
    over = threading.Event()
    counting = threading.Lock()

    def work() -> None:
        mine = TaskManager(own_redis.address, name="restart")
        pid = mine.register_process()
        while not over.is_set():
            start = time.monotonic()
            try:
                task_id, _, value = mine.get_any_task(pid, timeout=0.3)
                mine.store_result(task_id, value)
            except TimeoutError:
                continue
            except StaleTask:
                continue
            with counting:
                accepted[task_id] += 1
                if returned and start > returned[0]:
                    slowest.append(time.monotonic() - start)
        mine.close()

    returned: list[float] = []
    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    ids: list[str] = []
    for number in range(total):
        ids.append(manager.add_task_request("t", number))
        if number == total // 2:
            own_redis.stop(signal.SIGKILL)

            def restart() -> None:
                own_redis.start()
                returned.append(time.monotonic())

            starter = threading.Timer(0.3, restart)
            starter.start()
    starter.join()
    assert len(set(ids)) == total
    found = Counter(manager.get_any_result(timeout=10)[0] for _ in ids)
    assert found == Counter(ids)
    over.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert accepted == Counter(ids)
    assert max(slowest, default=0.0) < 1.0
    assert manager.number_of_tasks() == ({}, {}, {})
    manager.close()


def test_redis_out_of_reach_is_said_in_time(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(StoreUnavailable, match="out of reach"):
        TaskManager(f"unix://{tmp_path / 'nobody'}", patience=0.3)
    assert time.monotonic() - start < 3.0


@pytest.mark.parametrize(
    "address", ["redis://db.example.org:6379/0", "redis://192.0.2.7", "redis://user:pw@10.0.0.1/1"]
)
def test_plain_redis_to_another_host_is_refused(address: str) -> None:
    with pytest.raises(StoreUnavailable, match="rediss://") as raised:
        TaskManager(address, patience=0.1)
    assert "pw" not in str(raised.value)


def test_other_addresses_are_refused() -> None:
    for address in ("postgres://x", "file:///x", "http://x", "x"):
        with pytest.raises(ValueError, match="store"):
            TaskManager(address)
