"""Manager and worker processes on top of the queue: `do_TAG` methods, shared state, shutdown."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from clusterdeck.engine.taskmanager import MasterProcess, SlaveProcess, TaskManager, TaskRaisedException, WorkerProcess


class Worker(SlaveProcess):
    def do_add(self, first: int, second: int) -> int:
        return first + second

    def do_table(self, table: list[int], at: int) -> int:
        return table[at]

    def do_break(self) -> None:
        raise ValueError("broken")

    def do_unsendable(self) -> Any:
        return {1, 2} if not isinstance(self.info, str) else object()


def start(worker: WorkerProcess) -> threading.Thread:
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    return thread


def test_requests_results_and_shutdown(manager: TaskManager) -> None:
    master = MasterProcess(manager)
    threads = [start(Worker(manager, watchdog_period=5, info=number)) for number in range(3)]
    ids = [master.requestTask("add", number, number) for number in range(30)]
    found = {task_id: value for task_id, _, value in (master.retrieveResult(timeout=30) for _ in ids)}
    assert found == {task_id: 2 * number for number, task_id in enumerate(ids)}
    master.request_task("break")
    with pytest.raises(TaskRaisedException) as raised:
        master.retrieve_result("break", timeout=30)
    assert isinstance(raised.value.exception, ValueError)
    assert "do_break" in raised.value.traceback
    assert master.shutdown(timeout=30) is True
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert manager.processes() == []
    assert master.retrieve_result() == (None, None, None)


def test_shared_states_are_apart(manager: TaskManager) -> None:
    master = MasterProcess(manager)
    thread = start(Worker(manager, watchdog_period=None))
    first = master.set_global_state(table=[10, 11])
    second = master.set_global_state(table=[20, 21])
    assert first != second
    for state, expected in ((first, 11), (second, 21)):
        master.request_task("table", master.global_state_value(state, "table"), 1)
        assert master.retrieve_result("table", timeout=30)[2] == expected
    master.delete_global_state(first)
    with pytest.raises(KeyError):
        master.global_state_value(first, "table")
    assert master.shutdown(30)
    thread.join(30)


def test_a_shared_item_that_is_gone_fails_every_task_that_needs_it(manager: TaskManager) -> None:
    master = MasterProcess(manager)
    thread = start(Worker(manager, watchdog_period=None))
    state = master.set_global_state(table=[10])
    reference = master.global_state_value(state, "table")
    master.delete_global_state(state)
    for _ in range(2):
        master.request_task("table", reference, 0)
        with pytest.raises(TaskRaisedException) as raised:
            master.retrieve_result("table", timeout=30)
        assert isinstance(raised.value.exception, KeyError)
    assert master.shutdown(30)
    thread.join(30)


def test_tasks_nobody_can_do_wait_without_spinning(manager: TaskManager) -> None:
    master = MasterProcess(manager)
    thread = start(Worker(manager, watchdog_period=None))
    master.request_task("unknown")
    master.request_task("add", 1, 1)
    assert master.retrieve_result(timeout=30)[2] == 2
    (info,) = manager.tasks()
    assert (info.state.word, info.attempt) == ("waiting", 0)
    manager.cancel(info.id)
    manager.try_outcome()
    assert master.shutdown(30)
    thread.join(30)


def test_shutdown_does_not_hang_on_a_killed_worker(manager: TaskManager) -> None:
    master = MasterProcess(manager)
    manager.register_process(None, "killed, and never promised to ping")
    before = time.monotonic()
    assert master.shutdown(timeout=0.3) is False
    assert time.monotonic() - before < 20
    assert manager.processes() == []


def test_a_worker_that_was_given_up_registers_again(manager: TaskManager) -> None:
    master = MasterProcess(manager)
    worker = Worker(manager, watchdog_period=None)
    thread = start(worker)
    master.request_task("add", 1, 1)
    assert master.retrieve_result(timeout=30)[2] == 2
    first = worker.process_id
    assert first is not None
    manager.unregister_process(first)
    master.request_task("add", 2, 2)
    assert master.retrieve_result(timeout=30)[2] == 4
    assert worker.process_id != first
    assert master.shutdown(30)
    thread.join(30)


def test_a_result_the_store_cannot_keep_fails_its_task(make_manager: Any) -> None:
    manager = make_manager()
    master = MasterProcess(manager)
    thread = start(Worker(manager, watchdog_period=None, info="text"))
    master.request_task("unsendable")
    if make_manager.kind == "memory":
        assert master.retrieve_result(timeout=30)[1] == "unsendable"
    else:
        with pytest.raises(TaskRaisedException, match="JSON"):
            master.retrieve_result(timeout=30)
    assert master.shutdown(30)
    thread.join(30)


def test_a_worker_needs_something_to_do(manager: TaskManager) -> None:
    with pytest.raises(ValueError, match="do_TAG"):
        WorkerProcess(manager)
