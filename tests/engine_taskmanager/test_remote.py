"""A client of a served queue: what `clusterdeck queue` does from another process."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterdeck.engine.taskmanager.errors import StoreUnavailable, UnknownTask
from clusterdeck.engine.taskmanager.manager import TaskManager
from clusterdeck.engine.taskmanager.remote import RemoteQueue
from clusterdeck.engine.taskmanager.sockets import SocketServer
from clusterdeck.engine.taskmanager.tasks import TaskState


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[TaskManager, RemoteQueue]]:
    manager = TaskManager()
    server = SocketServer(manager, str(tmp_path / "q")).start()
    with RemoteQueue(server.path) as client:
        yield manager, client
    server.close()


def test_add_look_cancel_retry(served: tuple[TaskManager, RemoteQueue]) -> None:
    manager, client = served
    assert client.add("t", [{"command": "a"}, 2], retriable=False) == ["t_0", "t_1"]
    assert client.status()["waiting"] == {"t": 2}
    assert client.cancel("t_0") is True
    assert client.cancel("t_0") is False
    assert [(task["id"], task["state"]) for task in client.tasks(["cancelled"])] == [("t_0", "cancelled")]
    assert client.retry("t_0") is True
    held, _, parameters = manager.get_any_task(timeout=0)
    assert (held, parameters) == ("t_0", {"command": "a"})
    manager.lose_task(held)
    assert client.retry_all() == 1
    with pytest.raises(ValueError, match="tag"):
        client.add("no tag", [1])
    with pytest.raises(ValueError, match="add"):
        client.add("t", [])


def test_results_are_waited_for(served: tuple[TaskManager, RemoteQueue]) -> None:
    manager, client = served
    client.add("t", [1, 2, 3], requester="me")
    assert client.outcome(tag="t", wait=0.05) is None

    def work() -> None:
        for _ in range(2):
            held, _, value = manager.get_any_task(timeout=5)
            manager.store_result(held, value * 10)
        held, _, _ = manager.get_any_task(timeout=5)
        manager.store_exception(held, ValueError("no"))

    thread = threading.Timer(0.1, work)
    thread.start()
    first, second = client.outcome("t_1", wait=10), client.outcome(requester="me", wait=10)
    assert first is not None
    assert second is not None
    assert (first.task_id, first.value, second.task_id, second.value) == ("t_1", 20, "t_0", 10)
    third = client.outcome(wait=10)
    assert third is not None
    assert third.failure is not None
    assert (third.state, third.failure.type_name, third.failure.message) == (TaskState.FAILED, "ValueError", "no")
    thread.join()


def test_termination_and_resumption(served: tuple[TaskManager, RemoteQueue]) -> None:
    manager, client = served
    client.terminate("now")
    assert manager.status().termination == "now"
    client.terminate(None)
    assert manager.status().termination is None


def test_nobody_serves_there(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="no queue is served"):
        RemoteQueue(str(tmp_path / "nobody"))
    assert UnknownTask("x").task_id == "x"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--socket", "/nonexistent/q", "json"], "no do_TAG function"),
        (["--stdio", "no.such.module"], "cannot be loaded"),
        (["--stdio"], "MODULE"),
        (["os"], "--stdio"),
        (["--stdio", "--slots", "0", "os"], "--slots"),
    ],
)
def test_wrong_worker_command_lines_say_what_is_wrong(words: list[str], message: str) -> None:
    command = [sys.executable, "-m", "clusterdeck.engine.taskmanager.worker_main", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""
