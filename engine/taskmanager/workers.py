"""A worker: a process that runs the `do_TAG` functions of Python modules for a manager at the other end of a pipe.

`clusterdeck worker --stdio MODULE...` speaks on its standard input and output (over SSH), `--socket PATH` on a Unix
socket. The modules are named on its own command line; the manager sends names of tags and JSON, never code.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import queue
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from .errors import FrameError
from .frames import TO_WORKER, VERSION, Frame, FrameReader, encode
from .peer_user import connect
from .processes import call_task
from .tasks import NAME, Failure

#: Seconds between pings; after four of them in silence the manager gives the worker up.
DEFAULT_PERIOD = 30.0
Functions = Mapping[str, Callable[..., Any]]


class WorkerModuleError(Exception):
    """A module on the worker's command line cannot be used; the message names it and says why."""


def load_functions(modules: Sequence[str]) -> dict[str, Callable[..., Any]]:
    """The `do_TAG` functions of modules (dotted names, or paths of .py files) by tag. WorkerModuleError."""
    functions: dict[str, Callable[..., Any]] = {}
    for name in modules:
        module = _load(name)
        found = {
            attribute[3:]: value
            for attribute, value in vars(module).items()
            if attribute.startswith("do_") and NAME.fullmatch(attribute[3:]) and callable(value)
        }
        if not found:
            raise WorkerModuleError(f"module {name!r} has no do_TAG function")
        twice = sorted(found.keys() & functions.keys())
        if twice:
            raise WorkerModuleError(f"module {name!r}: do_{twice[0]} is in another module too")
        functions.update(found)
    if not functions:
        raise WorkerModuleError("name at least one module with do_TAG functions")
    return functions


def _load(name: str) -> ModuleType:
    try:
        if not name.endswith(".py"):
            return importlib.import_module(name)
        path = Path(name)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} is no Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
        return module
    except Exception as error:
        raise WorkerModuleError(f"module {name!r} cannot be loaded: {type(error).__name__}: {error}") from error


def serve_stdio(modules: Sequence[str], *, slots: int = 1, period: float | None = DEFAULT_PERIOD) -> int:
    """Work for the manager on standard input and output until it ends; an exit code (0, or 1 after a fault).

    What the functions print goes to standard error: standard output is the wire. Raises WorkerModuleError.
    """
    wire_in, wire_out = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    with open(wire_in, "rb", buffering=0) as reader, open(wire_out, "wb", buffering=0) as writer:
        return Worker(reader, writer, load_functions(modules), slots=slots, period=period).run()


def serve_socket(path: str, modules: Sequence[str], *, slots: int = 1, period: float | None = DEFAULT_PERIOD) -> int:
    """Work for the manager on a Unix socket until it ends; an exit code. Raises WorkerModuleError, OSError."""
    functions = load_functions(modules)
    with (
        connect(path) as sock,
        sock.makefile("rb", buffering=0) as reader,
        sock.makefile("wb", buffering=0) as writer,
    ):
        return Worker(reader, writer, functions, slots=slots, period=period).run()


class Readable(Protocol):
    """An unbuffered binary file: what is there, b"" at the end."""

    def read(self, size: int, /) -> bytes | None: ...


class Writable(Protocol):
    """An unbuffered binary file: how much was written."""

    def write(self, data: memoryview, /) -> int | None: ...


class Worker:
    """Runs tasks, `slots` at a time in a thread each; reads the wire in the caller's thread.

    period: seconds between pings, None for none.
    """

    def __init__(
        self, reader: Readable, writer: Writable, functions: Functions, *, slots: int = 1, period: float | None = None
    ) -> None:
        if not 1 <= slots <= 1024:
            raise ValueError("a worker has 1 to 1024 slots")
        self._in = reader
        self._out = writer
        self._functions = functions
        self._slots = slots
        self._period = period
        self._writing = threading.Lock()
        self._tasks: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self._dropped: set[tuple[str, int]] = set()
        self._over = threading.Event()
        self._stopping = False
        self._leaving = False
        self._busy = 0
        self._fault = ""

    def run(self) -> int:
        """Until the manager goes or says stop; 0, or 1 after a fault (told on standard error)."""
        info = f"{socket.gethostname()} pid {os.getpid()}"
        tags = sorted(self._functions)
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self._slots)]
        if self._period is not None:
            threads.append(threading.Thread(target=self._ping, daemon=True))
        self._send(
            "hello", version=VERSION, role="worker", tags=tags, credits=self._slots, period=self._period, info=info
        )
        for thread in threads:
            thread.start()
        try:
            self._listen()
        except (FrameError, OSError) as error:
            self._fault = str(error)
        self._over.set()
        # The tasks that are still being run are the manager's to give to others; a daemon thread ends with the process.
        for _ in range(self._slots):
            self._tasks.put(None)
        for thread in threads:
            thread.join(0.5)
        if self._fault:
            sys.stderr.write(f"clusterdeck worker: {self._fault}\n")
        return 1 if self._fault else 0

    def _listen(self) -> None:
        frames = FrameReader(TO_WORKER)
        while data := self._in.read(65536):
            for frame in frames.feed(data):
                self._heard(frame)
                if self._fault:
                    return
            self._leave_if_idle()

    def _leave_if_idle(self) -> None:
        """Say good-bye once stopped and idle; the manager then hangs up, which ends `_listen`."""
        with self._writing:
            leave = self._stopping and self._busy == 0 and not self._leaving
            self._leaving = self._leaving or leave
        if leave:
            self._send("bye")

    def _heard(self, frame: Frame) -> None:
        kind = frame["kind"]
        if kind == "task":
            with self._writing:
                self._busy += 1
            self._tasks.put(frame)
        elif kind == "cancelled":
            self._dropped.add((frame["id"], frame["attempt"]))
        elif kind == "stop":
            self._stopping = True
        elif kind == "stored":
            self._dropped.discard((frame["id"], frame["attempt"]))
        elif kind == "fault":
            self._fault = frame["message"]

    def _send(self, kind: str, **fields: Any) -> None:
        data = memoryview(encode(kind, **fields))
        with self._writing:
            while data:
                data = data[self._out.write(data) or 0 :]

    def _work(self) -> None:
        while (frame := self._tasks.get()) is not None:
            try:
                self._one(frame)
                with self._writing:
                    self._busy -= 1
                if self._stopping:
                    self._leave_if_idle()
                else:
                    self._send("credit", count=1)
            except (OSError, ValueError):  # the manager is gone; ValueError: and our end is closed by now
                return

    def _one(self, frame: Frame) -> None:
        lease = {"id": frame["id"], "attempt": frame["attempt"]}
        # Acknowledged before it starts: what is not acknowledged was surely not started.
        self._send("ack", **lease)
        if (frame["id"], frame["attempt"]) in self._dropped or frame["tag"] not in self._functions:
            self._send("return", **lease)
            return
        try:
            value = call_task(self._functions[frame["tag"]], frame["parameters"])
        except BaseException as error:  # SystemExit too: that is the end of the task, not of this worker
            self._send_failure(lease, Failure.of(error))
            return
        try:
            self._send("result", **lease, value=value)
        except (TypeError, ValueError) as error:  # it is no JSON, or too large
            self._send_failure(lease, Failure.of(error))

    def _send_failure(self, lease: dict[str, Any], failure: Failure) -> None:
        fields = {"type_name": failure.type_name[:200], "message": failure.message, "traceback": failure.traceback}
        self._send("exception", **lease, error=fields)

    def _ping(self) -> None:
        while not self._over.wait(self._period):
            with contextlib.suppress(OSError):
                self._send("ping")
