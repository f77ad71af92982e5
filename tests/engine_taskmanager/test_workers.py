"""A worker in this process, over a pair of sockets: whatever its functions do, every task gets its answer."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from clusterdeck.engine.taskmanager.frames import TO_MANAGER, VERSION, FrameReader, encode
from clusterdeck.engine.taskmanager.workers import Worker


class RudeError(Exception):
    def __str__(self) -> NoReturn:
        raise RuntimeError("no text")


def _raise(error: BaseException) -> Callable[[], Any]:
    def function() -> Any:
        raise error

    return function


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "file": _raise(FileNotFoundError(2, "No such file", "/data/7")),
    "pipe": _raise(BrokenPipeError("of the task's own")),
    "exit": lambda: sys.exit(3),
    "stop": _raise(KeyboardInterrupt()),
    "rude": _raise(RudeError()),
    "deep": lambda: _nested(1000),
    "set": lambda: {1},
    "nan": lambda: float("nan"),
    "fine": lambda: "fine",
}


def _nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


class Manager:
    """The other end of a worker's wire."""

    def __init__(self) -> None:
        self.sock, theirs = socket.socketpair()
        self.sock.settimeout(20)
        self._frames = FrameReader(TO_MANAGER)
        self._ready: list[dict[str, Any]] = []
        self._attempt = 0

        def run() -> None:
            with theirs, theirs.makefile("rb", buffering=0) as reader, theirs.makefile("wb", buffering=0) as writer:
                self.code = Worker(reader, writer, FUNCTIONS).run()

        self.code = -1
        self.thread = threading.Thread(target=run)
        self.thread.start()

    def next(self) -> dict[str, Any]:
        while not self._ready:
            self._ready += self._frames.feed(self.sock.recv(65536))
        return self._ready.pop(0)

    def does(self, tag: str) -> dict[str, Any]:
        """What becomes of a task."""
        self._attempt += 1
        self.sock.sendall(encode("task", id="t_0", attempt=self._attempt, tag=tag, parameters=None))
        assert self.next()["kind"] == "ack"
        end = self.next()
        assert self.next() == {"kind": "credit", "count": 1}, "it takes the next one"
        return end


def test_every_task_is_answered_whatever_it_does(capfd: pytest.CaptureFixture[str]) -> None:
    manager = Manager()
    assert manager.next()["kind"] == "hello"
    manager.sock.sendall(encode("welcome", version=VERSION, process=0))
    expected = {
        "file": "FileNotFoundError", "pipe": "BrokenPipeError", "exit": "SystemExit", "stop": "KeyboardInterrupt",
        "rude": "RudeError", "deep": "ValueError", "set": "TypeError", "nan": "ValueError",
    }  # fmt: skip
    for tag, kind in expected.items():
        end = manager.does(tag)
        assert (end["kind"], end.get("error", {}).get("type_name")) == ("exception", kind), tag
    assert manager.does("unknown")["kind"] == "return"
    assert manager.does("fine")["value"] == "fine"
    manager.sock.close()
    manager.thread.join(20)
    assert manager.code == 0
    assert "Traceback" not in capfd.readouterr().err
