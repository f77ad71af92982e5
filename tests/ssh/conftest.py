"""A Task with the paramiko worker, and a handler that writes down what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clusterdeck.engine.states import FailureKind, NodeEnd, NodeState
from clusterdeck.engine.task import Task, task_self
from clusterdeck.tests.support.sshd import Sshd


class Recorder:
    """Events by node."""

    def __init__(self) -> None:
        self.ends: dict[str, NodeEnd] = {}
        self.lines: dict[str, list[bytes]] = {}
        self.errors: dict[str, list[bytes]] = {}
        self.connects: list[str] = []
        self.progress: dict[str, tuple[int, int]] = {}
        self.on_lines: Callable[[Any, str], None] | None = None

    def ev_connect(self, worker: Any, node: str) -> None:
        self.connects.append(node)

    def ev_lines(self, worker: Any, node: str, sname: str, lines: list[bytes]) -> None:
        (self.lines if sname == "stdout" else self.errors).setdefault(node, []).extend(lines)
        if self.on_lines is not None:
            self.on_lines(worker, node)

    def ev_progress(self, worker: Any, node: str, done: int, total: int) -> None:
        self.progress[node] = (done, total)

    def ev_end(self, worker: Any, node: str, end: NodeEnd) -> None:
        assert node not in self.ends, "ev_end came twice"
        self.ends[node] = end

    def kind(self, node: str) -> FailureKind | None:
        failure = self.ends[node].failure
        return None if failure is None else failure.kind

    def states(self) -> set[NodeState]:
        return {end.state for end in self.ends.values()}


@pytest.fixture
def task() -> Iterator[Task]:
    """The Task of this thread with the paramiko worker; killed at the end."""
    task = task_self()
    task.set_default("distant_workername", "paramiko")
    yield task
    task.abort(kill=True)


@pytest.fixture
def ssh_task(task: Task, sshd: Sshd) -> Task:
    """The same, on the shared server's nodes."""
    task.set_info("ssh_config", str(sshd.config))
    return task


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()
