"""The three stores, with a real redis-server on a Unix socket for the third."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterdeck.engine.task import Task
from clusterdeck.engine.taskmanager.manager import TaskManager
from clusterdeck.tests.support.sshd import Sshd

#: No call of these tests may block for longer, seconds: a hang fails, it does not stall the suite.
PATIENCE = 30.0


class RedisServer:
    """A redis-server of our own, on a Unix socket only, that appends every change to a file.

    fsync: "always" where the server is killed. With "everysec" it answers before it has written while an fsync of the
    second before is still under way (a busy disk), and what it answered to is then lost with it.
    """

    def __init__(self, folder: Path, fsync: str = "everysec") -> None:
        self.folder = folder
        self.fsync = fsync
        self.socket = folder / "s"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        words = ["redis-server", "--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "600"]
        words += ["--dir", str(self.folder), "--save", "", "--appendonly", "yes", "--appendfsync", self.fsync]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        import redis

        end = time.monotonic() + PATIENCE
        while True:
            try:
                client = redis.Redis(unix_socket_path=str(self.socket))
                client.ping()
                client.close()
                return
            except redis.exceptions.RedisError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise
                time.sleep(0.01)

    def stop(self, signal_number: int = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(signal_number)
            self.process.wait()
            self.process = None


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    if shutil.which("redis-server") is None:
        pytest.fail(
            "redis-server is not installed: the Redis store cannot be tested (Debian: apt install redis-server)"
        )
    with tempfile.TemporaryDirectory(prefix="cdr") as folder:
        server = RedisServer(Path(folder))
        server.start()
        yield server
        server.stop()


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A server for tests that stop it."""
    with tempfile.TemporaryDirectory(prefix="cdr") as folder:
        server = RedisServer(Path(folder), "always")
        server.start()
        yield server
        server.stop()


_numbers = itertools.count()

MakeManager = Callable[..., TaskManager]


@pytest.fixture(params=["memory", "sqlite", "redis"])
def make_manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeManager]:
    """Makes managers with an empty queue each; calls with the same `name` share the place where it is kept."""
    made: list[TaskManager] = []

    def make(name: str | None = None, **options: Any) -> TaskManager:
        key = name or f"q{os.getpid()}-{next(_numbers)}"
        if request.param == "memory":
            manager = TaskManager(None, **options)
        elif request.param == "sqlite":
            manager = TaskManager(f"sqlite:///{tmp_path / key}", **options)
        else:
            server: RedisServer = request.getfixturevalue("redis_server")
            manager = TaskManager(server.address, name=key, **options)
        made.append(manager)
        return manager

    make.kind = request.param  # type: ignore[attr-defined]
    yield make
    for manager in made:
        manager.close()


@pytest.fixture
def manager(make_manager: MakeManager) -> TaskManager:
    return make_manager()


class Background:
    """A call in a thread, whose end is awaited with a limit."""

    def __init__(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> None:
        self.value: Any = None
        self.error: BaseException | None = None

        def run() -> None:
            try:
                self.value = call(*arguments, **named)
            except BaseException as error:
                self.error = error

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    @property
    def waiting(self) -> bool:
        self.thread.join(0.05)
        return self.thread.is_alive()

    def result(self, patience: float = PATIENCE) -> Any:
        self.thread.join(patience)
        assert not self.thread.is_alive(), "the call hangs"
        if self.error is not None:
            raise self.error
        return self.value


@pytest.fixture
def background() -> type[Background]:
    return Background


class _Orders:
    def ev_msg(self, _port: Any, order: Callable[[], None]) -> None:
        order()


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Task]:
    """A Task with a thread of its own, as the console has one."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    task = Task()
    task.set_default("stdout_msgtree", False)
    task.set_default("stderr_msgtree", False)
    task.port(handler=_Orders())
    task.resume()
    yield task
    task.abort(kill=True)


@pytest.fixture
def ssh_task(task: Task, sshd: Sshd) -> Task:
    task.set_info("ssh_config", str(sshd.config))
    return task
