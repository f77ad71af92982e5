"""Worker processes for fault tests: each kills itself with SIGKILL at one of six points, or works."""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import Any

POINTS = ("waiting", "handed", "running", "storing", "stored", "leaving")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def send_and_die(connection: Any, words: Any, _text: Any) -> None:
    from clusterdeck.engine.taskmanager.stores.redis_link import packed

    connection.send_packed_command((packed(words),))
    die()


def over_store(address: str, name: str, point: str, period: float) -> None:
    """A worker right on the store (Redis). point: where it dies, or "none"."""
    from clusterdeck.engine.taskmanager.errors import StaleTask, TaskManagerTermination
    from clusterdeck.engine.taskmanager.manager import TaskManager

    manager = TaskManager(address, name=name)
    pid = manager.register_process(period, f"pid {os.getpid()}")
    say("ready")
    if point == "waiting":
        try:
            manager.get_task_with_tag("nothing", pid, timeout=0.05)
        except TimeoutError:
            die()
    while True:
        try:
            task_id, _, value = manager.get_any_task(pid, timeout=0.5)
        except TimeoutError:
            manager.ping(pid)
            continue
        except TaskManagerTermination:
            break
        if point in ("handed", "running"):
            die()
        if point == "storing":
            # The request goes out, the answer is not waited for.
            link = manager._store._link  # type: ignore[attr-defined]
            link._ask = send_and_die
        try:
            manager.store_result(task_id, value * 2)
        except StaleTask:
            continue
        if point == "stored":
            die()
        if point == "leaving":
            link = manager._store._link  # type: ignore[attr-defined]
            link._ask = send_and_die
            manager.unregister_process(pid)


def over_wire(path: str, point: str) -> None:
    """A worker on the Unix socket, with the six points between its frames."""
    from clusterdeck.engine.taskmanager.frames import TO_WORKER, FrameReader, encode

    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    reader = FrameReader(TO_WORKER)
    sock.sendall(encode("hello", version=1, role="worker", tags=None, credits=1, period=30, info=f"pid {os.getpid()}"))
    while data := sock.recv(65536):
        for frame in reader.feed(data):
            if frame["kind"] == "welcome":
                say("ready")
                if point == "waiting":
                    die()
            elif frame["kind"] == "task":
                lease = {"id": frame["id"], "attempt": frame["attempt"]}
                if point == "handed":
                    die()
                sock.sendall(encode("ack", **lease))
                if point == "running":
                    die()
                result = encode("result", **lease, value=frame["parameters"] * 2)
                if point == "storing":
                    sock.sendall(result[: len(result) // 2])
                    die()
                sock.sendall(result)
                if point == "stored":
                    die()
            elif frame["kind"] == "stored":
                if point == "leaving":
                    sock.sendall(encode("bye"))
                    die()
                sock.sendall(encode("credit", count=1))
            elif frame["kind"] == "stop":
                sock.sendall(encode("bye"))


def producing(address: str) -> None:
    """A manager with a journal that does a bit of everything, and says what was acknowledged, until it is killed."""
    from clusterdeck.engine.taskmanager.manager import TaskManager

    manager = TaskManager(address)
    pid = manager.register_process()
    say("ready")
    number = 0
    while True:
        task_id = manager.add_task_request("t", number)
        say(f"added {task_id} {number}")
        if number % 3 == 1:
            held, _, value = manager.get_any_task(pid, timeout=0)
            if number % 2:
                say(f"storing {held}")
                manager.store_result(held, value * 2)
                say(f"stored {held}")
        if number % 7 == 5:
            outcome = manager.try_outcome()
            if outcome is not None:
                say(f"fetched {outcome.task_id}")
        number += 1


if __name__ == "__main__":
    {"store": over_store, "wire": over_wire, "produce": producing}[sys.argv[1]](  # type: ignore[operator]
        *[float(word) if word.replace(".", "", 1).isdigit() else word for word in sys.argv[2:]]
    )
