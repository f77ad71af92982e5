"""The four deadlocks of the original, as regression tests: each stopped its whole manager for ever."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from clusterdeck.engine.taskmanager.errors import StaleTask, UnknownProcess
from clusterdeck.engine.taskmanager.manager import TaskManager


def still_serves(manager: TaskManager, background: Any) -> None:
    """Everybody else can still work."""

    def use() -> str:
        task_id = manager.add_task_request("after", 1)
        held, _ = manager.get_task_with_tag("after", timeout=20)
        manager.store_result(held, 2)
        return task_id if manager.get_result(task_id, timeout=20) == 2 else ""

    assert background(use).result()


def test_unregistering_a_process_with_several_tasks(manager: TaskManager, background: Any) -> None:
    """The original changed the list that it walked over, and failed with the lock held."""
    pid = manager.register_process()
    ids = manager.add_task_requests("t", range(5))
    for _ in ids:
        manager.get_any_task(pid, timeout=20)
    assert background(manager.unregister_process, pid).result() is True
    assert manager.number_of_tasks() == ({"t": 5}, {}, {})
    assert [manager.get_any_task(timeout=20)[0] for _ in ids] == ids
    still_serves(manager, background)


def test_a_process_that_was_given_up_asks_for_a_task(manager: TaskManager, background: Any) -> None:
    """The original raised in the middle: the task stuck in running, the lock held."""
    pid = manager.register_process()
    manager.unregister_process(pid)
    manager.add_task_request("t", 0)
    with pytest.raises(UnknownProcess):
        background(manager.get_any_task, pid).result()
    with pytest.raises(UnknownProcess):
        background(manager.get_task_with_tag, "t", pid).result()
    assert manager.number_of_tasks() == ({"t": 1}, {}, {})
    still_serves(manager, background)


def test_unregistering_twice(manager: TaskManager, background: Any) -> None:
    """The watchdog racing with a clean exit did this to the original."""
    pid = manager.register_process()
    manager.add_task_request("t", 0)
    manager.get_any_task(pid, timeout=20)
    calls = [background(manager.unregister_process, pid) for _ in range(8)]
    assert sorted(call.result() for call in calls) == [False] * 7 + [True]
    assert manager.number_of_tasks() == ({"t": 1}, {}, {})
    still_serves(manager, background)


def test_storing_while_the_worker_is_unregistered(manager: TaskManager, background: Any) -> None:
    """Both calls took two locks in opposite orders."""
    for _ in range(60):
        pid = manager.register_process()
        manager.add_task_request("t", 0)
        held, _ = manager.get_task_with_tag("t", pid, timeout=20)
        start = threading.Barrier(2)

        def store(task_id: Any = held, start: threading.Barrier = start) -> bool:
            start.wait(20)
            try:
                return manager.store_result(task_id, "mine")
            except StaleTask:
                return False

        def leave(process_id: int = pid, start: threading.Barrier = start) -> bool:
            start.wait(20)
            return manager.unregister_process(process_id)

        storing, leaving = background(store), background(leave)
        assert leaving.result() is True
        if storing.result():
            assert manager.number_of_tasks() == ({}, {}, {"t": 1})
            assert manager.get_any_result(timeout=20)[2] == "mine"
        else:
            assert manager.number_of_tasks() == ({"t": 1}, {}, {})
            manager.cancel(held)
            assert manager.try_outcome() is not None
    still_serves(manager, background)


def test_missing_data_items_do_not_stop_the_manager(manager: TaskManager, background: Any) -> None:
    """The original leaked its lock on every KeyError."""
    for call in (manager.retrieve_data, manager.delete_data):
        with pytest.raises(KeyError):
            background(call, "never").result()
    still_serves(manager, background)
