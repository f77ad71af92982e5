"""A paused queue hands out nothing, to nobody; everything else goes on."""

from __future__ import annotations

from typing import Any

import pytest

from clusterdeck.engine.taskmanager.errors import TaskManagerTermination
from clusterdeck.engine.taskmanager.manager import TaskManager
from clusterdeck.engine.taskmanager.processes import ManagerProcess, WorkerProcess
from clusterdeck.engine.taskmanager.remote import RemoteQueue
from clusterdeck.engine.taskmanager.sockets import SocketServer


def test_nothing_is_handed_out_and_all_else_goes_on(manager: TaskManager, background: Any) -> None:
    first, second = manager.add_task_requests("t", [1, 2])
    held = manager.get_any_task(timeout=0)[0]
    manager.pause()
    manager.pause()
    assert manager.paused
    assert manager.status().paused
    assert manager.try_task() is None
    with pytest.raises(TimeoutError):
        manager.get_task_with_tag("t", timeout=0)
    third = manager.add_task_request("t", 3)
    assert manager.store_result(held, "done")
    assert manager.get_result(first, timeout=0) == "done"
    assert manager.cancel(third)
    assert manager.retry(third), "to the front, but not out"
    waiting = background(lambda: manager.get_any_task(timeout=30)[0])
    other = background(lambda: manager.get_task_with_tag("t", timeout=30)[0])
    manager.resume()
    assert {waiting.result(30), other.result(30)} == {second, third}
    assert not manager.paused


def test_workers_of_a_queue_that_drains_wait_for_the_end_of_the_pause(manager: TaskManager, background: Any) -> None:
    manager.pause()
    master = ManagerProcess(manager)
    master.request_task("double", 4)
    worker = background(WorkerProcess(manager, watchdog_period=None, functions={"double": lambda n: 2 * n}).run)
    manager.terminate()
    with pytest.raises(TimeoutError):
        manager.get_any_task(timeout=0.05)
    with pytest.raises(TimeoutError):
        master.retrieve_result(timeout=0.05)
    manager.resume()
    assert master.retrieve_result(timeout=30)[2] == 8
    worker.result(30)
    manager.pause()
    with pytest.raises(TaskManagerTermination):
        manager.get_any_task(timeout=30)


def test_it_stays_paused_where_the_queue_stays(make_manager: Any) -> None:
    kept = make_manager.kind != "memory"
    with make_manager("kept") as manager:
        manager.add_task_request("t")
        manager.pause()
    with make_manager("kept") as manager:
        assert manager.paused == kept
        assert manager.try_task() is None
        manager.resume()
    with make_manager("kept") as manager:
        assert (manager.try_task() is not None) == kept


def test_from_another_process(tmp_path: Any) -> None:
    manager = TaskManager()
    server = SocketServer(manager, str(tmp_path / "q")).start()
    with RemoteQueue(server.path) as client:
        client.pause()
        assert manager.paused
        assert client.status()["paused"] is True
        client.resume()
        assert not manager.paused
    server.close()
