"""Random sequences of calls against a simple model, over every store: order, fencing, counts, exactly one outcome.

CLUSTERDECK_MODEL_STEPS: steps per store (default 3,400: more than 10,000 in all).
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from clusterdeck.engine.taskmanager.errors import UnknownProcess, UnknownTask
from clusterdeck.engine.taskmanager.manager import TaskManager
from clusterdeck.engine.taskmanager.stores.base import Claim
from clusterdeck.engine.taskmanager.tasks import TaskId, TaskOptions, TaskState

TAGS = ("a", "b", "c")
STEPS = int(os.environ.get("CLUSTERDECK_MODEL_STEPS", "3400"))
LENGTH = 70


class ModelTask:
    def __init__(self, task_id: str, tag: str, value: int, retriable: bool, most: int, requester: str | None) -> None:
        self.id, self.tag, self.value = task_id, tag, value
        self.retriable, self.most, self.requester = retriable, most, requester
        self.state = TaskState.WAITING
        self.attempt = 0
        self.losses = 0
        self.owner: int | None = None
        self.leased_at = 0


class Model(RuleBasedStateMachine):
    """The model is two lists (waiting in order, finished in order) and a dictionary."""

    make: Any = None
    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.manager: TaskManager = self.make()
        self.tasks: dict[str, ModelTask] = {}
        self.waiting: list[str] = []
        self.finished: list[str] = []
        self.tokens: list[TaskId] = []
        self.processes: list[int] = []
        self.next_process = 0
        self.number = 0
        self.clock = 0

    def teardown(self) -> None:
        self.manager.close()

    # -- the model's own steps

    def put_back(self, task: ModelTask) -> None:
        task.state, task.owner = TaskState.WAITING, None
        self.waiting.insert(0, task.id)

    def finish(self, task: ModelTask, state: TaskState) -> None:
        task.state, task.owner = state, None
        self.finished.append(task.id)

    def lose(self, task: ModelTask) -> None:
        task.losses += 1
        if not task.retriable:
            self.finish(task, TaskState.LOST)
        elif task.losses >= task.most:
            self.finish(task, TaskState.FAILED)
        else:
            self.put_back(task)

    def holder(self, token: TaskId, *states: TaskState) -> ModelTask | None:
        task = self.tasks.get(token)
        held = task is not None and task.state in (TaskState.LEASED, *states) and task.attempt == token.attempt
        return task if held else None

    # -- rules

    @rule(
        tag=st.sampled_from(TAGS),
        retriable=st.booleans(),
        most=st.integers(1, 3),
        requester=st.sampled_from([None, "me", "you"]),
    )
    def add(self, tag: str, retriable: bool, most: int, requester: str | None) -> None:
        options = TaskOptions(retriable=retriable, max_attempts=most)
        task_id = self.manager.add_task_request(tag, self.number, requester=requester, options=options)
        assert task_id == f"{tag}_{self.number}"
        self.tasks[task_id] = ModelTask(task_id, tag, self.number, retriable, most, requester)
        self.waiting.append(task_id)
        self.number += 1

    @rule(count=st.integers(1, 4), tag=st.sampled_from(TAGS))
    def add_many(self, count: int, tag: str) -> None:
        values = list(range(self.number, self.number + count))
        for task_id, value in zip(self.manager.add_task_requests(tag, values), values, strict=True):
            assert task_id == f"{tag}_{value}"
            self.tasks[task_id] = ModelTask(task_id, tag, value, True, 3, None)
            self.waiting.append(task_id)
        self.number += count

    @rule(data=st.data(), tags=st.sampled_from([None, ("a",), ("b",), ("a", "c"), ("c", "b", "a")]))
    def take(self, data: st.DataObject, tags: tuple[str, ...] | None) -> None:
        owner = data.draw(st.sampled_from([None, *self.processes]))
        taken = self.manager.try_task(tags, owner)
        fitting = [task_id for task_id in self.waiting if tags is None or self.tasks[task_id].tag in tags]
        if not fitting:
            assert taken is None
            return
        assert taken is not None
        task = self.tasks[fitting[0]]
        task.attempt += 1
        assert (taken[0], taken[0].attempt, taken[1], taken[2]) == (task.id, task.attempt, task.tag, task.value)
        self.waiting.remove(task.id)
        self.clock += 1
        task.state, task.owner, task.leased_at = TaskState.LEASED, owner, self.clock
        self.tokens.append(taken[0])

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), how=st.sampled_from(["store", "store", "fail", "return", "lose"]))
    def end(self, data: st.DataObject, how: str) -> None:
        token = data.draw(st.sampled_from(self.tokens))  # old ones too: they must be refused
        # What was thought lost may still be told by the one who had it.
        task = self.holder(token, TaskState.LOST) if how in ("store", "fail") else self.holder(token)
        if how == "store":
            accepted = self.manager.storeResult(token, token.attempt)
        elif how == "fail":
            accepted = self.manager.storeException(token, ValueError("x"), "trace")
        elif how == "return":
            accepted = self.manager.returnTask(token)
        else:
            try:
                accepted = self.manager.lose_task(token)
            except Exception:
                accepted = False
        assert accepted == (task is not None)
        if task is None:
            return
        if how == "return":
            self.put_back(task)
        elif how == "lose":
            self.lose(task)
        else:
            if task.state is TaskState.LOST:
                self.finished.remove(task.id)
            self.finish(task, TaskState.DONE if how == "store" else TaskState.FAILED)

    @rule(data=st.data(), by=st.sampled_from(["any", "tag", "id", "requester"]))
    def collect(self, data: st.DataObject, by: str) -> None:
        tag, requester = data.draw(st.sampled_from(TAGS)), data.draw(st.sampled_from(["me", "you"]))
        wanted = data.draw(st.sampled_from([*self.tasks, "never_9"]))
        claim = {
            "any": Claim(),
            "tag": Claim(tag=tag),
            "id": Claim(task_id=wanted),
            "requester": Claim(requester=requester),
        }[by]
        matches: dict[str, Callable[[ModelTask], bool]] = {
            "any": lambda task: True,
            "tag": lambda task: task.tag == tag,
            "id": lambda task: task.id == wanted,
            "requester": lambda task: task.requester == requester,
        }
        fits = matches[by]
        peeked = self.manager.peek(wanted)
        ended = self.tasks[wanted] if wanted in self.finished else None
        assert (peeked and (peeked.task_id, peeked.state)) == (ended and (ended.id, ended.state))
        mine = [task_id for task_id in self.finished if self.tasks[task_id].requester == requester]
        assert self.manager.ended_of(requester) == mine
        outcome = self.manager.try_outcome(claim)
        fitting = [task_id for task_id in self.finished if fits(self.tasks[task_id])]
        if not fitting:
            assert outcome is None
            return
        assert outcome is not None
        task = self.tasks.pop(fitting[0])
        self.finished.remove(task.id)
        assert (outcome.task_id, outcome.tag, outcome.state) == (task.id, task.tag, task.state)
        assert outcome.value == (task.attempt if task.state is TaskState.DONE else None)
        with pytest.raises(UnknownTask):
            self.manager.get_result(task.id, timeout=0)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        task_id = data.draw(st.sampled_from([*self.tasks, "never_9"]))
        task = self.tasks.get(task_id)
        possible = task is not None and not task.state.finished
        assert self.manager.cancel(task_id) == possible
        if possible and task is not None:
            if task.state is TaskState.WAITING:
                self.waiting.remove(task_id)
            self.finish(task, TaskState.CANCELLED)

    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        task_id = data.draw(st.sampled_from([*self.tasks, "never_9"]))
        task = self.tasks.get(task_id)
        bad = (TaskState.FAILED, TaskState.LOST, TaskState.CANCELLED)
        possible = task is not None and task.state in bad
        assert self.manager.retry(task_id) == possible
        if possible and task is not None:
            self.finished.remove(task_id)
            task.losses = 0
            self.put_back(task)

    @precondition(lambda self: len(self.processes) < 5)
    @rule()
    def register(self) -> None:
        pid = self.manager.register_process(info={"n": self.next_process})
        assert pid == self.next_process
        self.next_process += 1
        self.processes.append(pid)

    @precondition(lambda self: self.processes)
    @rule(data=st.data())
    def unregister(self, data: st.DataObject) -> None:
        pid = data.draw(st.sampled_from(self.processes))
        assert self.manager.unregister_process(pid) is True
        self.processes.remove(pid)
        held = [task for task in self.tasks.values() if task.state is TaskState.LEASED and task.owner == pid]
        for task in sorted(held, key=lambda task: -task.leased_at):
            self.lose(task)
        assert self.manager.unregister_process(pid) is False
        with pytest.raises(UnknownProcess):
            self.manager.try_task(None, pid)

    @rule(label=st.sampled_from("xy"), value=st.integers())
    def data_items(self, label: str, value: int) -> None:
        self.manager.store_data(**{label: value})
        assert self.manager.retrieve_data(label) == value

    @invariant()
    def counts_agree(self) -> None:
        type(self).steps += 1
        expected: tuple[dict[str, int], ...] = ({}, {}, {})
        for task in self.tasks.values():
            column = expected[min(int(task.state), 2)]
            column[task.tag] = column.get(task.tag, 0) + 1
        assert self.manager.number_of_tasks() == expected


@pytest.mark.parametrize("kind", ["memory", "sqlite", "redis"])
def test_calls_in_any_order(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    numbers = iter(range(1_000_000))

    def make(_self: Any = None) -> TaskManager:
        name = f"model{os.getpid()}-{random.getrandbits(40)}-{next(numbers)}"
        if kind == "memory":
            return TaskManager()
        if kind == "sqlite":
            return TaskManager(f"sqlite:///{tmp_path / name}")
        return TaskManager(request.getfixturevalue("redis_server").address, name=name)

    machine: Any = type(f"Model_{kind}", (Model,), {"make": make})
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    phases = (Phase.explicit, Phase.generate, Phase.shrink)
    rounds = max(1, STEPS // LENGTH)
    options = settings(
        max_examples=rounds,
        stateful_step_count=LENGTH,
        deadline=None,
        suppress_health_check=checks,
        phases=phases,
        database=None,
        print_blob=True,
    )
    while machine.steps < STEPS:
        run_state_machine_as_test(machine, settings=options)
