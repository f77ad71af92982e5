"""Programs as they were written for ScientificPython's task manager run after a change of their imports."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

import pytest

from clusterdeck.engine.taskmanager import (
    MasterProcess,
    SlaveProcess,
    TaskManager,
    TaskManagerTermination,
    TaskRaisedException,
)


def slave_program(manager: Any, notes: list[str]) -> None:
    """The loop of an original slave: any task, by tag; returns what it cannot do."""
    pid = manager.registerProcess(watchdog_period=60, info="a slave")
    notes.append(manager.activeProcessInfo(pid))
    try:
        while True:
            manager.ping(pid)
            one_task(manager, pid, *manager.getAnyTask(pid))
    except TaskManagerTermination:
        pass
    manager.unregisterProcess(pid)


def one_task(manager: Any, pid: int, task_id: str, tag: str, parameters: Any) -> None:
    if tag == "root":
        (number,) = parameters
        try:
            result = math.sqrt(number) * manager.retrieveData("factor")
        except ValueError as error:
            manager.storeException(task_id, error, "the traceback")
        else:
            manager.storeResult(task_id, result)
    else:
        manager.returnTask(task_id)
        task_id, parameters = manager.getTaskWithTag("shout", pid)  # another one may be faster
        manager.storeResult(task_id, parameters.upper())


def test_the_original_interface(manager: TaskManager) -> None:
    notes: list[str] = []
    boss = manager.registerProcess()
    manager.storeData(factor=2.0, unused=1)
    manager.deleteData("unused")
    threads = [threading.Thread(target=slave_program, args=(manager, notes)) for _ in range(2)]
    for thread in threads:
        thread.start()
    while manager.numberOfActiveProcesses() < 3:
        time.sleep(0.005)
    ids = [manager.addTaskRequest("root", (number * number,), boss) for number in range(10)]
    wrong = manager.addTaskRequest("root", (-1,), process_id=boss)
    shout = manager.addTaskRequest("shout", "heard")
    found: dict[str, tuple[str, Any]] = {}
    causes: list[BaseException] = []
    while len(found) < 12:
        try:
            task_id, tag, result = manager.getAnyResult()
        except TaskRaisedException as raised:
            task_id, tag, result = raised.task_id, raised.tag, raised.traceback
            causes.append(raised.exception)
        found[task_id] = (tag, result)
    assert [type(cause) for cause in causes] == [ValueError]
    assert found[wrong] == ("root", "the traceback")
    assert found[shout] == ("shout", "HEARD")
    assert [found[task_id] for task_id in ids] == [("root", 2.0 * number) for number in range(10)]
    assert manager.numberOfTasks() == ({}, {}, {})
    manager.addTaskRequest("root", (81,))
    assert manager.getResultWithTag("root")[1] == 18.0
    manager.terminate()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    with pytest.raises(TaskManagerTermination):
        manager.getAnyResult()
    assert notes == ["a slave", "a slave"]


class Master(MasterProcess):
    """Adds up square roots, in the way of the original's demonstration program."""

    def run(self) -> float:
        for number in range(20):
            self.requestTask("sqrt", 1.0 * number)
        total = 0.0
        for _ in range(20):
            _, _, (_, root) = self.retrieveResult("sqrt")
            total += root
        self.shutdown()
        return total


class Slave(SlaveProcess):
    def do_sqrt(self, number: float) -> tuple[float, float]:
        return number, math.sqrt(number)


def test_master_and_slaves(manager: TaskManager) -> None:
    slaves = [Slave(manager, watchdog_period=60) for _ in range(3)]
    threads = [threading.Thread(target=slave.run) for slave in slaves]
    for thread in threads:
        thread.start()
    assert Master(manager, label="demo").run() == pytest.approx(sum(map(math.sqrt, range(20))))
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert manager.numberOfActiveProcesses() == 0
