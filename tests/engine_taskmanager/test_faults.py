"""kill -9 of workers, managers and the Redis server: nothing lost, nothing accepted twice, nobody hangs.

A few runs of each kind (faults.py); tests/bench/bench_taskmanager_faults.py does a thousand.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterdeck.engine.taskmanager.errors import StaleTask, StoreUnavailable
from clusterdeck.engine.taskmanager.manager import TaskManager
from clusterdeck.tests.engine_taskmanager.faults import (
    POINTS,
    Nursery,
    journal_run,
    redis_run,
    restart_run,
    wire_run,
)


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Another seed for every test, the same ones every time."""
    return random.Random(request.node.nodeid)


@pytest.mark.parametrize("point", POINTS)
def test_worker_killed_on_the_wire(point: str, nursery: Nursery, tmp_path: Path, chance: random.Random) -> None:
    for _ in range(3):
        wire_run(nursery, point, tmp_path, chance).check()


@pytest.mark.parametrize("point", POINTS)
def test_worker_killed_on_redis(point: str, nursery: Nursery, redis_server: Any, chance: random.Random) -> None:
    for _ in range(3):
        redis_run(nursery, point, redis_server.address, chance).check()


def test_manager_killed_with_a_journal(nursery: Nursery, tmp_path: Path, chance: random.Random) -> None:
    for run in range(8):
        journal_run(nursery, f"sqlite:///{tmp_path / f'journal{run}'}", chance).check()


def test_redis_killed_and_restarted_in_the_middle(own_redis: Any, chance: random.Random) -> None:
    """Workers reconnect by themselves; 0 lost, 0 twice; once it is back no call hangs over a second."""
    restart_run(own_redis, chance).check()


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
    with pytest.raises(ValueError, match="sqlite:/absolute/path"):
        TaskManager("sqlite:relative")
    with TaskManager(f"sqlite:{tmp_path / 'short'}") as manager:
        manager.addTaskRequest("tag", 1)
    assert (tmp_path / "short").exists()


def test_redis_out_of_reach_is_said_in_time(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(StoreUnavailable, match="out of reach"):
        TaskManager(f"unix://{tmp_path / 'nobody'}", patience=0.3)
    assert time.monotonic() - start < 20.0


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
