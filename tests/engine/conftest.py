"""Places to run a command in, each with each engine: a local shell, the exec worker, ssh and paramiko to an sshd."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clusterdeck.engine.defaults import DEFAULTS
from clusterdeck.engine.task import Task, task_self
from clusterdeck.tests.support.sshd import Sshd

ENGINES = ("epoll", "poll", "select")
LOCAL = ("popen", "exec")
DISTANT = ("ssh", "paramiko")


def label(key: Any) -> str:
    """A key as the tables write it: a node's name, or `self` for a worker that is its own key."""
    return key if isinstance(key, str) else "self"


class Recorder:
    """All events, in order, as short texts; `on` maps the beginning of such a text to what is done then."""

    def __init__(self, **on: Callable[[Any], Any]) -> None:
        self.events: list[str] = []
        self.on = on

    def _note(self, source: Any, text: str) -> None:
        self.events.append(text)
        action = self.on.get(text.split(" ")[0])
        if action is not None:
            action(source)

    def ev_start(self, worker: Any) -> None:
        self._note(worker, "start")

    def ev_pickup(self, worker: Any, node: Any) -> None:
        self._note(worker, f"pickup {label(node)}")

    def ev_read(self, worker: Any, node: Any, sname: str, msg: bytes) -> None:
        self._note(worker, f"read {label(node)} {sname} {msg.decode()}")

    def ev_written(self, worker: Any, node: Any, sname: str, size: int) -> None:
        self._note(worker, f"written {label(node)} {sname} {size}")

    def ev_hup(self, worker: Any, node: Any, rc: int | None) -> None:
        self._note(worker, f"hup {label(node)} {rc}")

    def ev_close(self, worker: Any, timedout: bool) -> None:
        self._note(worker, f"close {timedout}")

    def ev_timer(self, timer: Any) -> None:
        self._note(timer, "timer")

    def ev_port_start(self, port: Any) -> None:
        self._note(port, "port")

    def ev_msg(self, port: Any, msg: Any) -> None:
        self._note(port, f"msg {msg}")


class Place:
    """One way of running a command on one node."""

    def __init__(self, name: str, task: Task, sshd: Sshd | None) -> None:
        self.name = name
        self.task = task
        #: How events name the target.
        self.node = "self" if name == "popen" else "node1"
        if sshd is not None:
            task.set_default("distant_workername", name)
            task.set_info("connect_timeout", 60)
            task.set_info("ssh_options", sshd.ssh_options)
            task.set_info("ssh_config", str(sshd.config))

    def shell(self, command: str, **kwargs: Any) -> Any:
        """Schedule a command there."""
        if self.name != "popen":
            kwargs["nodes"] = "node1"
        if self.name == "exec":
            kwargs["remote"] = False
        return self.task.shell(command, **kwargs)

    def expect(self, *events: str) -> list[str]:
        """Events of the tables for this place: NODE stands for the target."""
        return [event.replace("NODE", self.node) for event in events]

    def error(self, worker: Any) -> bytes | None:
        """The worker's message on stderr."""
        found: bytes | None = worker.error() if self.name == "popen" else worker.node_error("node1")
        return found

    def read(self, worker: Any) -> bytes | None:
        """The worker's message."""
        found: bytes | None = worker.read() if self.name == "popen" else worker.read("node1")
        return found


@pytest.fixture
def task() -> Iterator[Task]:
    """The Task of this thread; killed at the end."""
    task = task_self()
    yield task
    task.abort(kill=True)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each engine in turn, as the default of new Tasks."""
    before, DEFAULTS.engine = DEFAULTS.engine, request.param
    yield request.param
    DEFAULTS.engine = before


@pytest.fixture(params=[*LOCAL, *DISTANT])
def place(request: pytest.FixtureRequest, engine: str) -> Iterator[Place]:
    """Each place with each engine."""
    sshd = request.getfixturevalue("sshd") if request.param in DISTANT else None
    task = task_self()
    assert task.info("engine") == engine
    yield Place(request.param, task, sshd)
    task.abort(kill=True)
