"""Processes for fault tests: workers that kill themselves (SIGKILL) at one of six points, and a manager to be killed.

`python faulty.py FD` is the nursery that forks them (see faults.py): everything is imported once, so a start costs
milliseconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

from clusterdeck.engine.taskmanager.errors import StaleTask, TaskManagerTermination, UnknownProcess
from clusterdeck.engine.taskmanager.frames import TO_WORKER, FrameReader, encode
from clusterdeck.engine.taskmanager.manager import TaskManager
from clusterdeck.engine.taskmanager.stores.redis_link import packed

T = TypeVar("T")
Say = Callable[[str], None]

#: A worker dies while it waits; after a task was handed to it; while it runs; in the middle of storing; after storing;
#: while it signs off. "none" works until the end.
POINTS = ("waiting", "handed", "running", "storing", "stored", "leaving")


class Stopwatch:
    """Seconds by which any call took longer than it was allowed to wait."""

    def __init__(self, say: Say | None = None) -> None:
        self.longest = 0.0
        self._say = say

    def __call__(self, call: Callable[..., T], *arguments: Any, timeout: float | None = None) -> T:
        start = time.monotonic()
        try:
            return call(*arguments) if timeout is None else call(*arguments, timeout=timeout)
        finally:
            took = time.monotonic() - start - (timeout or 0.0)
            if took > self.longest:
                self.longest = took
                if self._say is not None:
                    self._say(f"slow {took:.6f}")


def die(pause: float = 0.0) -> None:
    time.sleep(pause)
    os.kill(os.getpid(), signal.SIGKILL)


def send_and_die(connection: Any, words: Any, _text: Any) -> None:
    """The request goes out, the answer is not waited for."""
    connection.send_packed_command((packed(words),))
    die()


def over_store(say: Say, address: str, name: str, point: str, period: float, pause: float) -> None:
    """A worker right on the store (Redis). point: where it dies, after `pause` seconds."""
    manager = TaskManager(address, name=name)
    watch = Stopwatch(say)
    pid = manager.register_process(period, f"pid {os.getpid()}")
    say("ready")
    if point == "waiting":
        try:
            manager.get_task_with_tag("nothing", pid, timeout=pause)
        except (TimeoutError, UnknownProcess):  # a busy machine: it may have been silent too long by now
            die()
    while True:
        try:
            task_id, _, value = watch(manager.get_any_task, pid, timeout=0.5)
        except TimeoutError:
            with contextlib.suppress(UnknownProcess):
                watch(manager.ping, pid)
            continue
        except UnknownProcess:  # a busy machine: it was silent too long
            pid = manager.register_process(period, f"pid {os.getpid()}")
            continue
        except TaskManagerTermination:
            break
        if point in ("handed", "running"):
            die(pause if point == "running" else 0.0)
        link: Any = manager._store._link  # type: ignore[attr-defined]
        if point == "storing":
            link._ask = send_and_die
        try:
            watch(manager.store_result, task_id, value * 2)
        except StaleTask:
            continue
        if point == "stored":
            die(pause)
        if point == "leaving":
            link._ask = send_and_die
            manager.unregister_process(pid)
    manager.close()


def over_wire(say: Say, path: str, point: str, pause: float) -> None:
    """A worker on the Unix socket, with the six points between its frames."""
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    reader = FrameReader(TO_WORKER)
    sock.sendall(encode("hello", version=1, role="worker", tags=None, credits=1, period=30, info=f"pid {os.getpid()}"))
    while data := sock.recv(65536):
        for frame in reader.feed(data):
            if frame["kind"] == "welcome":
                say("ready")
                if point == "waiting":
                    die(pause)
            elif frame["kind"] == "task":
                _one_task(sock, frame, point, pause)
            elif frame["kind"] == "stored":
                if point == "leaving":
                    sock.sendall(encode("bye"))
                    die()
                sock.sendall(encode("credit", count=1))
            elif frame["kind"] == "stop":
                sock.sendall(encode("bye"))


def _one_task(sock: socket.socket, frame: dict[str, Any], point: str, pause: float) -> None:
    lease = {"id": frame["id"], "attempt": frame["attempt"]}
    if point == "handed":
        die(pause)
    sock.sendall(encode("ack", **lease))
    if point == "running":
        die(pause)
    result = encode("result", **lease, value=frame["parameters"] * 2)
    if point == "storing":
        sock.sendall(result[: len(result) // 2])
        die(pause)
    sock.sendall(result)
    if point == "stored":
        die()


def producing(say: Say, address: str) -> None:
    """A manager with a journal that does a bit of everything, and says what was acknowledged, until it is killed."""
    manager = TaskManager(address)
    watch = Stopwatch(say)
    pid = manager.register_process()
    say("ready")
    number = 0
    while True:
        task_id = watch(manager.add_task_request, "t", number)
        say(f"added {task_id} {number}")
        if number % 3 == 1:
            held, _, value = watch(manager.get_any_task, pid, timeout=0)
            if number % 2:
                say(f"storing {held}")
                watch(manager.store_result, held, value * 2)
                say(f"stored {held}")
        if number % 7 == 5:
            outcome = watch(manager.try_outcome)
            if outcome is not None:
                say(f"fetched {outcome.task_id}")
        number += 1


KINDS: dict[str, Callable[..., None]] = {"store": over_store, "wire": over_wire, "produce": producing}


def _live(voice: int, kind: str, words: list[Any]) -> None:
    """The whole life of a forked process."""

    def say(text: str) -> None:
        os.write(voice, text.encode() + b"\n")

    KINDS[kind](say, *words)
    os._exit(0)


def nursery(orders: socket.socket) -> None:
    """["spawn", kind, arguments] with a descriptor to speak on: forks, tells the pid; ["wait", pid]: its status."""
    while True:
        data, descriptors, _, _ = socket.recv_fds(orders, 4096, 1)
        if not data:
            return
        order, *arguments = json.loads(data)
        if order == "wait":
            orders.sendall(b"%d" % os.waitstatus_to_exitcode(os.waitpid(arguments[0], 0)[1]))
            continue
        pid = os.fork()
        if pid == 0:
            orders.close()
            _live(descriptors[0], *arguments)
        os.close(descriptors[0])
        orders.sendall(b"%d" % pid)


if __name__ == "__main__":
    nursery(socket.socket(fileno=int(sys.argv[1])))
