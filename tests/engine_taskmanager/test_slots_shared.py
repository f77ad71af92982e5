"""Node slots on a store that several consoles share: a console that is killed loses nothing."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import redis

from clusterdeck.engine.states import NodeState
from clusterdeck.engine.taskmanager import slot_line
from clusterdeck.engine.taskmanager.driver import SlotDriver
from clusterdeck.engine.taskmanager.jobs import CommandEnd, JobEvent, JobState
from clusterdeck.engine.taskmanager.manager import TaskManager
from clusterdeck.engine.taskmanager.mapping import MapOptions, MapRun
from clusterdeck.engine.taskmanager.slots import TAKEN
from clusterdeck.engine.taskmanager.stores.base import Claim
from clusterdeck.engine.taskmanager.tasks import Failure, TaskState
from clusterdeck.tests.engine_taskmanager.conftest import RedisServer


class Holding:
    """A runner whose commands end when they are told to."""

    def __init__(self) -> None:
        self.held: list[Callable[[CommandEnd], None]] = []

    def run(
        self, node: str, slot: int, command: str, on_done: Callable[[CommandEnd], None], *, token: str | None = None
    ) -> Any:
        self.held.append(on_done)

    def adopt(self, node: str, slot: int, token: str, on_done: Callable[[CommandEnd | None], None]) -> Any: ...

    def cancel(self, handle: Any) -> None: ...

    def clean(self, nodes: Iterable[str]) -> None: ...

    def settle(self, timeout: float) -> bool:
        return True


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def short_period(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slot_line, "PERIOD", 0.15)


@pytest.mark.usefixtures("short_period")
def test_a_console_that_is_gone_gives_its_tasks_to_others(redis_server: RedisServer) -> None:
    name = f"gone{os.getpid()}-{time.monotonic_ns()}"
    first, second = (TaskManager(redis_server.address, name=name) for _ in range(2))
    runner, other = Holding(), Holding()
    driver = SlotDriver(first, runner).start()
    driver.add_nodes({"node1": 1})
    task = second.add_task_request("shell", {"command": "true"})
    until(lambda: runner.held)
    # As long as it lives it keeps what it has, however long that takes.
    time.sleep(1.2)
    assert [info.attempt for info in second.tasks()] == [1]
    # Killed: its thread says nothing more.
    driver.post(lambda: driver.pool.__dict__.update(_ping=lambda _now: None))
    taker = SlotDriver(second, other).start()
    taker.add_nodes({"node2": 1})
    until(lambda: other.held)
    assert [(info.id, info.attempt) for info in second.tasks()] == [(task, 2)]
    other.held[0](CommandEnd(NodeState.OK, 0, b"second\n"))
    runner.held[0](CommandEnd(NodeState.OK, 0, b"first, and too late\n"))
    assert second.get_result(task, timeout=30)["stdout"] == "second\n"
    taker.close()
    driver.close()
    assert second.processes() == []
    for manager in (first, second):
        manager.close()


@pytest.mark.usefixtures("short_period")
def test_slots_that_were_given_up_register_again(redis_server: RedisServer) -> None:
    manager = TaskManager(redis_server.address, name=f"again{os.getpid()}-{time.monotonic_ns()}")
    driver = SlotDriver(manager, Holding()).start()
    driver.add_nodes({"node1": 2})
    before = {process.id for process in manager.processes()}
    for process in before:
        manager.unregister_process(process)
    until(lambda: len(manager.processes()) == 2)
    assert before.isdisjoint(process.id for process in manager.processes())
    driver.close()
    assert manager.processes() == []
    manager.close()


@pytest.fixture
def two_managers(redis_server: RedisServer) -> Iterator[tuple[TaskManager, TaskManager]]:
    name = f"two{os.getpid()}-{time.monotonic_ns()}"
    managers = TaskManager(redis_server.address, name=name), TaskManager(redis_server.address, name=name)
    yield managers
    for manager in managers:
        manager.close()


def result(parameters: dict[str, Any]) -> dict[str, Any]:
    return {"rc": 0, "node": "far", "slot": 1, "runtime": 0.1, "stdout": parameters["argument"], "stderr": ""}


def test_a_map_ends_though_others_run_its_jobs_and_fetch_their_results(
    two_managers: tuple[TaskManager, TaskManager],
) -> None:
    mine, others = two_managers
    driver = SlotDriver(mine, Holding()).start()
    run = MapRun(driver, "echo {}", map(str, range(40))).start()
    fetched = 0
    for _ in range(40):
        task_id, _, parameters = others.get_any_task(timeout=30)
        others.store_result(task_id, result(parameters))
        fetched += others.try_outcome(Claim(task_id=task_id)) is not None  # or the map was faster
    assert run.wait(20), run.progress()
    progress = run.progress()
    assert (progress.done, progress.cancelled) == (40 - fetched, fetched)
    run.close()
    driver.close()


def test_what_failed_in_another_console_is_retried_by_the_map_or_by_anybody(
    two_managers: tuple[TaskManager, TaskManager],
) -> None:
    mine, others = two_managers
    driver = SlotDriver(mine, Holding()).start()
    run = MapRun(driver, "echo {}", ["a"]).start()
    for by_map in (True, False):
        task_id, _, parameters = others.get_any_task(timeout=30)
        others.store_exception(task_id, Failure("CommandFailed", "exit status 1 on far"))
        until(lambda: run.progress().failed == 1)
        assert run.wait(10)
        assert run.retry() == 1 if by_map else others.retry(task_id)
        until(lambda: run.progress().waiting == 1)
        assert not run.wait(0)
    task_id, _, parameters = others.get_any_task(timeout=30)
    others.store_result(task_id, result(parameters))
    assert run.wait(20), run.progress()
    assert (run.progress().done, run.progress().failed) == (1, 0)
    assert others.number_of_tasks() == ({}, {}, {})
    run.close()
    driver.close()


def test_a_map_ends_though_news_got_lost_with_a_connection(
    two_managers: tuple[TaskManager, TaskManager], redis_server: RedisServer
) -> None:
    mine, others = two_managers
    driver = SlotDriver(mine, Holding()).start()
    run = MapRun(driver, "echo {}", ["a"]).start()
    task_id, _, parameters = others.get_any_task(timeout=30)
    client = redis.Redis(unix_socket_path=str(redis_server.socket))
    client.client_kill_filter(_type="pubsub")  # what news come on
    others.store_result(task_id, result(parameters))
    assert run.wait(20), run.progress()
    assert run.progress().done == 1
    client.close()
    run.close()
    driver.close()


class Sleeper:
    """A console with a map of one job, that sleeps in the middle of it."""

    def __init__(self, manager: TaskManager, *, retriable: bool) -> None:
        self.events: list[JobEvent] = []
        self.ends: list[Callable[[CommandEnd], None]] = []
        self.driver = SlotDriver(manager, self).start()
        self.map = MapRun(self.driver, "job {}", ["a"], MapOptions(retriable=retriable), self.events.append)
        self.map.start()
        self.driver.add_nodes({"node1": 1})
        until(lambda: self.ends)
        self._awake = threading.Event()
        self._asleep = threading.Event()
        self.driver.post(self._sleep)
        assert self._asleep.wait(20)

    def _sleep(self) -> None:
        """In the driver's thread. When it is over, its next sign of life is due."""
        self._asleep.set()
        self._awake.wait(30)
        pool = self.driver.pool
        pool._next_ping = 0.0
        for node in pool._nodes.values():
            node.ping_at = 0.0

    def wake(self) -> None:
        self._awake.set()

    def told(self) -> list[JobState]:
        return [event.state for event in self.events]

    def run(
        self, node: str, slot: int, command: str, on_done: Callable[[CommandEnd], None], *, token: str | None = None
    ) -> Any:
        self.ends.append(on_done)
        return on_done

    def cancel(self, handle: Any) -> None:
        handle(CommandEnd(NodeState.ABORTED))

    def adopt(self, node: str, slot: int, token: str, on_done: Callable[[CommandEnd | None], None]) -> Any: ...

    def clean(self, nodes: Iterable[str]) -> None: ...

    def settle(self, timeout: float) -> bool:
        return True


def give_up(manager: TaskManager) -> None:
    """What other consoles do with one that is silent."""
    for process in manager.processes():
        manager.unregister_process(process.id)


@pytest.mark.parametrize("when", ["asleep", "awake"])
def test_what_others_did_while_a_console_slept_is_its_result(
    two_managers: tuple[TaskManager, TaskManager], when: str
) -> None:
    first, second = two_managers
    console = Sleeper(first, retriable=True)
    give_up(second)
    task, _, parameters = second.get_any_task(timeout=20)
    if when == "asleep":
        assert second.store_result(task, result(parameters))
    console.wake()
    until(lambda: JobState.RETURNED in console.told())  # its own command was ended: it is of no use
    if when == "awake":
        assert second.store_result(task, result(parameters))
    assert console.map.wait(20)
    progress = console.map.progress()
    assert (progress.done, progress.cancelled) == (1, 0)
    assert console.told() == [JobState.RUNNING, JobState.RETURNED, JobState.DONE]
    assert console.events[1].end.reason == TAKEN
    assert (console.events[2].node, console.events[2].end.output) == ("far", b"a")
    console.driver.close()


@pytest.mark.parametrize("state", [NodeState.OK, NodeState.FAILED])
def test_what_may_not_run_twice_is_not_lost_to_a_console_that_only_slept(
    two_managers: tuple[TaskManager, TaskManager], state: NodeState
) -> None:
    first, second = two_managers
    console = Sleeper(first, retriable=False)
    give_up(second)
    (task,) = second.ended_of(console.map.id)
    lost = second.peek(task)
    assert lost is not None
    assert lost.state is TaskState.LOST
    before = {process.id for process in second.processes()}
    console.wake()
    until(lambda: second.processes() and before.isdisjoint(process.id for process in second.processes()))
    assert console.told() == [JobState.RUNNING]
    console.ends[0](CommandEnd(state, 0 if state is NodeState.OK else 3, b"done\n"))
    assert console.map.wait(20)
    assert console.told()[1:] == [JobState.DONE if state is NodeState.OK else JobState.FAILED]
    assert second.knows(task) == (state is NodeState.FAILED), "what failed can be retried"
    console.driver.close()


def test_what_was_cancelled_while_a_console_slept_is_cancelled(
    two_managers: tuple[TaskManager, TaskManager],
) -> None:
    first, second = two_managers
    console = Sleeper(first, retriable=True)
    (task,) = second.tasks()
    assert second.cancel(task.id)
    console.wake()
    assert console.map.wait(20)
    assert console.told() == [JobState.RUNNING, JobState.CANCELLED]
    console.driver.close()
