"""Node slots with a pretended runner and clock: who gets what, and what becomes of it when nodes go and come."""

from __future__ import annotations

import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Any

import psutil
import pytest

from clusterdeck.engine.states import NodeState
from clusterdeck.engine.taskmanager.jobs import CommandEnd, JobEvent, JobState
from clusterdeck.engine.taskmanager.manager import TaskManager
from clusterdeck.engine.taskmanager.slots import SlotPool
from clusterdeck.engine.taskmanager.tasks import TaskOptions

OK = CommandEnd(NodeState.OK, 0, b"out\n")
FAILED = CommandEnd(NodeState.FAILED, 3, b"", b"why\n")
UNREACHABLE = CommandEnd(NodeState.UNREACHABLE, reason="refused")
LOST = CommandEnd(NodeState.LOST, reason="connection lost")


class Call:
    def __init__(self, node: str, slot: int, command: str, on_done: Callable[..., None], token: str | None) -> None:
        self.node, self.slot, self.command, self.on_done, self.token = node, slot, command, on_done, token
        self.cancelled = False


class World:
    """A pool, its pretended runner, clock and owner's thread."""

    def __init__(self, adoption: float = 60.0) -> None:
        self.now = 1000.0
        self.calls: list[Call] = []
        self.questions: list[Call] = []
        self.cleaned: list[str] = []
        self.events: list[JobEvent] = []
        self._soon: deque[Callable[[], None]] = deque()
        self.manager = TaskManager()
        self.pool = SlotPool(
            self.manager,
            self,
            post=self._soon.append,
            on_event=self.events.append,
            adoption=adoption,
            clock=lambda: self.now,
        )

    # the runner

    def run(
        self, node: str, slot: int, command: str, on_done: Callable[[CommandEnd], None], *, token: str | None = None
    ) -> Call:
        call = Call(node, slot, command, on_done, token)
        self.calls.append(call)
        return call

    def adopt(self, node: str, slot: int, token: str, on_done: Callable[[CommandEnd | None], None]) -> Call:
        call = Call(node, slot, "?", on_done, token)
        self.questions.append(call)
        return call

    def cancel(self, handle: Call) -> None:
        handle.cancelled = True

    def clean(self, nodes: Iterable[str]) -> None:
        self.cleaned += nodes

    def settle(self, timeout: float = 0.0) -> bool:
        while self._soon:
            self._soon.popleft()()
        return True

    # the owner

    def end(self, call: Call, end: CommandEnd | None = OK) -> None:
        (self.calls if call in self.calls else self.questions).remove(call)
        call.on_done(end)
        self.settle()

    def later(self, seconds: float) -> None:
        self.now += seconds
        self.pool.tick()
        self.settle()

    def add(self, count: int, *, retriable: bool = False, **parameters: Any) -> list[str]:
        options = TaskOptions(retriable=retriable)
        tasks = [
            {"command": "run {}", "argument": str(n), "number": n, "retriable": retriable, **parameters}
            for n in range(count)
        ]
        ids = self.manager.add_task_requests("shell", tasks, options=options)
        self.settle()
        return ids

    def states(self) -> dict[str, int]:
        return dict(Counter(info.state.word for info in self.manager.tasks()))

    def on(self, node: str) -> list[Call]:
        return [call for call in self.calls if call.node == node]


@pytest.fixture
def world() -> World:
    return World()


def test_each_free_slot_takes_the_next_task(world: World) -> None:
    world.pool.add_nodes({"n1": 2, "n2": 1})
    world.add(5)
    assert [(call.node, call.slot, call.command) for call in world.calls] == [
        ("n1", 1, "run 0"),
        ("n2", 1, "run 1"),
        ("n1", 2, "run 2"),
    ]
    world.end(world.calls[1])
    assert [call.command for call in world.on("n2")] == ["run 3"]
    while world.calls:
        world.end(world.calls[0])
    assert world.states() == {"done": 5}
    task_id, _, value = world.manager.get_any_result(timeout=0)
    assert (task_id, value["rc"], value["node"], value["stdout"]) == ("shell_1", 0, "n2", "out\n")
    assert world.pool.running == 0


def test_slow_nodes_take_fewer(world: World) -> None:
    world.pool.add_nodes({"slow": 1, "quick": 1})
    world.add(10)
    for _ in range(9):
        world.end(world.on("quick")[0])
    assert [node.done for node in world.pool.nodes()] == [0, 9]
    assert [call.command for call in world.on("slow")] == ["run 0"]


def test_failures_are_told_with_status_and_output(world: World) -> None:
    world.pool.add_node("n1")
    (task_id,) = world.add(1)
    world.end(world.calls[0], FAILED)
    outcome = world.manager.try_outcome()
    assert outcome is not None
    assert outcome.failure is not None
    assert (outcome.failure.type_name, outcome.failure.message) == ("CommandFailed", "exit status 3 on n1")
    assert outcome.failure.traceback == "why\n"
    assert (world.events[-1].task_id, world.events[-1].state, world.events[-1].final) == (
        task_id,
        JobState.FAILED,
        True,
    )


def test_unreachable_node_gives_its_tasks_to_others_first(world: World) -> None:
    world.pool.add_nodes({"n1": 1, "n2": 1})
    world.add(3)
    world.end(world.on("n1")[0], UNREACHABLE)
    assert world.pool.nodes()[0].state == "down"
    assert world.states() == {"waiting": 2, "running": 1}
    world.end(world.on("n2")[0])
    assert [call.command for call in world.calls] == ["run 0"]  # in front again
    assert world.calls[0].node == "n2"
    world.later(1.0)
    (probe,) = world.on("n1")
    assert (probe.command, probe.slot) == ("true", 0)
    world.end(probe, UNREACHABLE)
    assert 1.9 < world.pool.nodes()[0].retry_in <= 2.0  # waits longer each time
    world.later(2.0)
    world.end(world.on("n1")[0], OK)
    assert world.pool.nodes()[0].state == "up"
    assert [call.command for call in world.on("n1")] == ["run 2"]


def test_tasks_for_others_do_not_make_every_end_of_a_job_ask_for_every_slot(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.pool.add_nodes({f"n{number}": 2 for number in range(60)})
    world.manager.add_task_request("square", 2)
    world.add(3)
    world.end(world.calls[0], UNREACHABLE)
    asked: list[str] = []
    take = world.manager.try_task

    def counted(*words: Any) -> Any:
        asked.append(words[2])
        return take(*words)

    monkeypatch.setattr(world.manager, "try_task", counted)
    while world.calls:
        world.end(world.calls[0])
    assert len(asked) < 20, len(asked)
    assert world.states() == {"waiting": 1, "done": 3}


def test_a_task_that_avoids_every_node_runs_after_all(world: World) -> None:
    world.pool.add_node("n1")
    world.add(1)
    world.end(world.calls[0], UNREACHABLE)
    assert world.calls == []
    world.later(1.0)
    world.end(world.calls[0], OK)
    assert [(call.node, call.command) for call in world.calls] == [("n1", "run 0")]


def test_a_task_that_avoids_a_node_is_not_forgotten_in_a_pause(world: World) -> None:
    world.pool.add_nodes({"n1": 1, "n2": 1})
    world.add(2)
    world.manager.pause()
    world.end(world.on("n1")[0], UNREACHABLE)
    world.later(1.0)
    world.end(world.on("n1")[0], OK)  # it is back, and first in the line
    world.end(world.on("n2")[0], OK)
    assert world.calls == []
    world.manager.resume()
    world.settle()
    assert [(call.node, call.command) for call in world.calls] == [("n2", "run 0")]


def test_retriable_task_of_a_lost_node_runs_elsewhere(world: World) -> None:
    world.pool.add_nodes({"n1": 1, "n2": 1})
    world.add(2, retriable=True)
    assert all(call.token for call in world.calls)
    lost = world.on("n1")[0]
    world.end(lost, LOST)
    world.end(world.on("n2")[0])
    assert [(call.node, call.command) for call in world.calls] == [("n2", "run 0")]
    assert JobState.RETURNED in {event.state for event in world.events}
    world.end(world.calls[0])
    assert world.states() == {"done": 2}


def test_other_tasks_of_a_lost_node_are_adopted_when_it_comes_back(world: World) -> None:
    world.pool.add_nodes({"n1": 1, "n2": 1})
    world.add(2)
    first = world.on("n1")[0]
    token = first.token
    assert token
    world.end(first, LOST)
    assert world.pool.lost == ["shell_0"]
    assert world.events[-1].state is JobState.LOST
    assert not world.events[-1].final
    world.end(world.on("n2")[0])
    assert world.calls == []  # nobody else runs it
    world.later(1.0)
    world.end(world.on("n1")[0], OK)  # the probe
    (question,) = world.questions
    assert (question.node, question.slot, question.token) == ("n1", 1, token)
    world.end(question, OK)
    assert world.states() == {"done": 2}
    assert world.pool.lost == []
    assert world.events[-1].final


def test_adoption_may_find_that_it_never_started(world: World) -> None:
    world.pool.add_nodes({"n1": 1, "n2": 1})
    world.add(1)
    world.end(world.calls[0], LOST)
    world.later(1.0)
    world.end(world.on("n1")[0], OK)
    world.end(world.questions[0], None)
    assert [call.command for call in world.calls] == ["run 0"]


def test_adoption_may_find_that_it_died(world: World) -> None:
    world.pool.add_node("n1")
    world.add(1)
    world.end(world.calls[0], LOST)
    world.later(1.0)
    world.end(world.calls[0], OK)
    world.end(world.questions[0], CommandEnd(NodeState.FAILED, None, reason="it died with the connection"))
    assert world.states() == {"lost": 1}
    assert world.events[-1].state is JobState.LOST
    assert world.events[-1].final


def test_node_that_goes_again_while_it_is_asked(world: World) -> None:
    world.pool.add_node("n1")
    world.add(1)
    world.end(world.calls[0], LOST)
    world.later(1.0)
    world.end(world.calls[0], OK)
    world.end(world.questions[0], LOST)
    assert world.pool.lost == ["shell_0"]
    world.later(2.0)
    world.end(world.calls[0], OK)
    world.end(world.questions[0], CommandEnd(NodeState.FAILED, 9))
    assert world.states() == {"failed": 1}


def test_hope_ends_and_one_call_retries() -> None:
    world = World(adoption=5.0)
    world.pool.add_nodes({"n1": 1, "n2": 1})
    world.add(2)
    world.end(world.on("n1")[0], LOST)
    world.end(world.on("n2")[0])
    for _ in range(3):
        world.later(2.0)
    assert world.states() == {"done": 1, "lost": 1}
    assert world.manager.retry_all() == 1
    world.settle()
    assert [(call.node, call.command) for call in world.calls if call.slot] == [("n2", "run 0")]


def test_lost_jobs_can_be_given_up_at_once(world: World) -> None:
    world.pool.add_nodes({"n1": 1, "n2": 1})
    world.add(1)
    node = world.calls[0].node
    world.end(world.calls[0], LOST)
    assert world.pool.retry_lost() == 1
    world.settle()
    assert [call.command for call in world.calls] == ["run 0"]
    assert world.calls[0].node != node


def test_late_end_of_a_node_that_was_given_up_is_fenced(world: World) -> None:
    world.pool.add_nodes({"n1": 1, "n2": 1})
    world.add(1)
    late = world.calls[0]
    world.end(late, LOST)
    world.pool.retry_lost()
    world.settle()
    late.on_done(OK)
    world.settle()
    assert world.states() == {"running": 1}
    world.end(world.calls[0], CommandEnd(NodeState.OK, 0, b"right\n"))
    assert world.manager.get_any_result(timeout=0)[2]["stdout"] == "right\n"


def test_node_that_fails_everything_rests_while_others_succeed(world: World) -> None:
    world.pool.add_nodes({"good": 1, "hole": 1})
    world.add(100)
    world.end(world.on("good")[0])
    world.end(world.on("good")[0])
    for _ in range(5):
        world.end(world.on("hole")[0], FAILED)
    assert world.pool.nodes()[1].state == "resting"
    assert world.on("hole") == []
    world.later(1.0)
    (trial,) = world.on("hole")
    world.end(trial, FAILED)
    assert world.pool.nodes()[1].state == "resting"
    world.later(2.0)
    world.end(world.on("hole")[0])
    assert world.pool.nodes()[1].state == "up"


def test_when_everybody_fails_nobody_rests(world: World) -> None:
    world.pool.add_nodes({"n1": 1, "n2": 1})
    world.add(40)
    while world.calls:
        world.end(world.calls[0], FAILED)
    assert world.states() == {"failed": 40}


def test_time_limit_in_seconds(world: World) -> None:
    world.pool.add_node("n1")
    world.add(1, timeout=5)
    world.later(4.0)
    assert not world.calls[0].cancelled
    assert world.pool.next_deadline() == pytest.approx(1.0)
    world.later(1.0)
    assert world.calls[0].cancelled
    world.end(world.calls[0], CommandEnd(NodeState.ABORTED))
    assert world.events[-1].state is JobState.TIMEOUT
    assert world.manager.try_outcome().failure.type_name == "CommandTimeout"


def test_time_limit_as_percent_of_the_median(world: World) -> None:
    world.pool.add_nodes({"n1": 1, "n2": 1})
    world.add(6, timeout="300%", run="r")
    slow = world.on("n1")[0]
    for _ in range(3):
        world.now += 2.0
        world.end(world.on("n2")[0])
    assert not slow.cancelled
    world.later(0.5)
    assert slow.cancelled  # 6.5 s; three jobs took 2 s each
    assert not world.on("n2")[0].cancelled


def test_draining_removing_and_joining(world: World) -> None:
    world.pool.add_nodes({"n1": 1, "n2": 1})
    world.add(10)
    world.pool.drain_node("n1")
    world.end(world.on("n1")[0])
    assert world.on("n1") == []
    world.pool.remove_node("n2")
    assert [node.name for node in world.pool.nodes()] == ["n1", "n2"]
    world.end(world.on("n2")[0])
    assert [node.name for node in world.pool.nodes()] == ["n1"]
    assert world.calls == []
    world.pool.add_node("n3", 2)
    world.pool.add_node("n1")
    assert sorted(call.node for call in world.calls) == ["n1", "n3", "n3"]
    assert world.manager.number_of_active_processes() == 3


def test_cancelling_a_running_and_a_waiting_task(world: World) -> None:
    world.pool.add_node("n1")
    running, waiting = world.add(2)
    assert world.pool.cancel_task(waiting) is True
    assert world.pool.cancel_task(running) is True
    world.settle()
    assert world.calls[0].cancelled
    world.end(world.calls[0], CommandEnd(NodeState.ABORTED))
    assert world.states() == {"cancelled": 2}
    assert world.pool.cancel_task(running) is False
    assert world.pool.running == 0


def test_task_cancelled_in_the_manager_ends_its_command(world: World) -> None:
    world.pool.add_node("n1")
    (task_id,) = world.add(1)
    assert world.manager.cancel(task_id)
    world.settle()
    assert world.calls[0].cancelled
    world.end(world.calls[0], CommandEnd(NodeState.ABORTED))
    assert world.states() == {"cancelled": 1}


def test_tags_of_single_nodes(world: World) -> None:
    world.pool.add_node("n1")
    world.pool.add_node("g1", tags=["shell@gpu"])
    world.manager.add_task_request("shell@gpu", {"command": "train"})
    world.manager.add_task_request("shell@gpu", {"command": "train"})
    world.settle()
    assert [(call.node, call.command) for call in world.calls] == [("g1", "train")]


@pytest.mark.parametrize(
    "parameters",
    [
        None,
        "id",
        {"command": 1},
        {"command": "echo `{}`", "argument": "x", "number": 1},
        {"command": "x", "timeout": "abc"},
    ],
)
def test_tasks_that_cannot_run_fail_and_the_slot_goes_on(world: World, parameters: Any) -> None:
    world.pool.add_node("n1")
    world.manager.add_task_request("shell", parameters)
    world.manager.add_task_request("shell", {"command": "fine"})
    world.settle()
    assert [call.command for call in world.calls] == ["fine"]
    assert world.states() == {"running": 1, "failed": 1}


def test_closing_gives_everything_back(world: World) -> None:
    world.pool.add_nodes({"n1": 1, "n2": 1})
    world.add(1, retriable=True)
    world.add(1, retriable=False)
    world.pool.close()
    assert all(call.cancelled for call in world.calls)
    assert world.states() == {"waiting": 1, "lost": 1}
    assert world.manager.processes() == []
    for call in list(world.calls):
        world.end(call)
    assert world.states() == {"waiting": 1, "lost": 1}


def test_ten_thousand_slots_cost_no_thread_and_little_memory() -> None:
    world = World()
    threads, before = set(threading.enumerate()), psutil.Process(os.getpid()).memory_info().rss
    world.pool.add_nodes({f"n{number}": 4 for number in range(2500)})
    assert world.manager.number_of_active_processes() == 10_000
    assert set(threading.enumerate()) <= threads
    assert psutil.Process(os.getpid()).memory_info().rss - before < 50_000_000
    world.add(10)
    assert len(world.calls) == 10
