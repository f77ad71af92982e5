"""Handlers and names of ClusterShell's first generation, and their warnings, counted exactly."""

from __future__ import annotations

import os
import warnings
from typing import Any

import pytest

from clusterdeck.engine.events import EventHandler
from clusterdeck.engine.task import Task
from clusterdeck.engine.workers.exec import ExecWorker
from clusterdeck.engine.workers.stream import StreamWorker
from clusterdeck.tests.support.patience import with_time_enough


class Legacy(EventHandler):
    """Everything with the worker only."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def ev_start(self, worker: Any) -> None:
        self.events.append("start")

    def ev_pickup(self, worker: Any) -> None:  # type: ignore[override]
        self.events.append("pickup")

    def ev_read(self, worker: Any) -> None:  # type: ignore[override]
        self.events.append(f"read {worker.current_node} {worker.current_sname} {worker.current_msg!r}")

    def ev_error(self, worker: Any) -> None:
        self.events.append(f"error {worker.current_node} {worker.current_sname} {worker.current_errmsg!r}")

    def ev_hup(self, worker: Any) -> None:  # type: ignore[override]
        self.events.append(f"hup {worker.current_node} {worker.current_rc}")

    def ev_timeout(self, worker: Any) -> None:
        self.events.append(f"timeout {worker.num_timeout()}")

    def ev_close(self, worker: Any) -> None:  # type: ignore[override]
        self.events.append("close")


class Modern(EventHandler):
    """Everything as it is declared now."""

    def ev_start(self, worker: Any) -> None: ...
    def ev_pickup(self, worker: Any, node: Any) -> None: ...
    def ev_read(self, worker: Any, node: Any, sname: str, msg: bytes) -> None: ...
    def ev_hup(self, worker: Any, node: Any, rc: int | None) -> None: ...
    def ev_close(self, worker: Any, timedout: bool) -> None: ...


def run(task: Task, *args: Any, **kwargs: Any) -> tuple[Any, list[type[Warning]]]:
    """Run a command; its worker and the categories of all warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        worker = task.run(*args, **kwargs)
    return worker, [warning.category for warning in caught]


def test_a_local_command(task: Task) -> None:
    handler = Legacy()
    _, told = run(task, "echo foo; echo bar; echo err >&2", handler=handler, stderr=True)
    assert sorted(handler.events) == sorted(
        [
            "start",
            "pickup",
            "read None stdout b'foo'",
            "read None stdout b'bar'",
            "error None stderr b'err'",
            "hup None 0",
            "close",
        ]
    )
    # pickup, two reads, hup, close; ev_error is called without one.
    assert told == [DeprecationWarning] * 5


def test_a_timeout(task: Task) -> None:
    handler = Legacy()
    _, told = run(task, "exec sleep 60", handler=handler, timeout=0.2)
    assert handler.events == ["start", "pickup", "timeout 1", "close"]
    assert told == [DeprecationWarning] * 3


def test_nodes(task: Task) -> None:
    handler = Legacy()
    _, told = run(task, "echo foo; exit 3", handler=handler, nodes="n1", remote=False)
    assert handler.events == ["start", "pickup", "read n1 stdout b'foo'", "hup n1 3", "close"]
    assert told == [DeprecationWarning] * 4


@pytest.mark.parametrize("kwargs", [{}, {"nodes": "n[1-2]", "remote": False}, {"stderr": True}, {"timeout": 0.2}])
def test_new_handlers_cause_no_warning_at_all(task: Task, kwargs: dict[str, Any]) -> None:
    command = "echo foo; echo bar >&2; " + ("exec sleep 60" if "timeout" in kwargs else "true")
    assert run(task, command, handler=Modern(), **kwargs)[1] == []


def test_arguments_after_the_worker_count_as_legacy(task: Task) -> None:
    got: list[tuple[Any, ...]] = []

    class Handler(EventHandler):
        def ev_read(self, worker: Any, *args: Any) -> None:
            got.append(args)

    _, told = run(task, "echo foo", handler=Handler())
    assert got == [()]
    assert told == [DeprecationWarning]


def test_a_handler_need_not_be_an_eventhandler(task: Task) -> None:
    got: list[bytes] = []

    class Handler:
        def ev_read(self, worker: Any, node: Any, sname: str, msg: bytes) -> None:
            got.append(msg)

    assert run(task, "echo foo", handler=Handler())[1] == []
    assert got == [b"foo"]


def test_chunks_instead_of_lines(task: Task) -> None:
    """ev_lines takes the place of ev_read, and its lines are recorded all the same."""
    got: list[bytes] = []

    class Handler(EventHandler):
        def ev_read(self, worker: Any, node: Any, sname: str, msg: bytes) -> None:
            pytest.fail("ev_read was called beside ev_lines")

        def ev_lines(self, worker: Any, node: Any, sname: str, lines: list[bytes]) -> None:
            got.extend(lines)

    worker, _ = run(task, "seq 1 1000", handler=Handler())
    assert got == [b"%d" % number for number in range(1, 1001)]
    assert worker.read() == b"\n".join(got)


def test_ev_end_once_per_node_with_the_state(task: Task) -> None:
    ends: dict[str, tuple[str, int | None]] = {}
    order: list[str] = []

    class Handler(EventHandler):
        def ev_hup(self, worker: Any, node: Any, rc: int | None) -> None:
            order.append(f"hup {node}")

        def ev_end(self, worker: Any, node: Any, end: Any) -> None:
            assert node not in ends
            ends[node] = (end.state.word, end.rc)
            order.append(f"end {node}")

    handler = Handler()

    def attempt(limit: float) -> None:
        ends.clear()
        order.clear()
        task.schedule(ExecWorker("n[0-2]", handler, timeout=limit, command="[ %n = 2 ] && exec sleep 60; exit %n"))
        task.resume()

    with_time_enough(attempt, lambda _: (ends.get("n0"), ends.get("n1")) == (("ok", 0), ("failed", 1)))
    aborted = ExecWorker("a", handler, command="true")
    task.schedule(aborted)
    aborted.abort()
    task.resume()
    assert ends == {"n0": ("ok", 0), "n1": ("failed", 1), "n2": ("timeout", None), "a": ("aborted", None)}
    assert order.index("hup n1") + 1 == order.index("end n1")
    assert "hup n2" not in order


def test_last_words(task: Task) -> None:
    """last_read() and its kin, of local and of distant workers."""
    seen: list[Any] = []

    class Handler(EventHandler):
        def ev_read(self, worker: Any) -> None:  # type: ignore[override]
            seen.append(worker.last_read())

        def ev_error(self, worker: Any) -> None:
            seen.append(worker.last_error())

        def ev_hup(self, worker: Any) -> None:  # type: ignore[override]
            if isinstance(worker, ExecWorker):
                seen.append((worker.last_node(), worker.last_retcode()))

    run(task, "echo foo; sleep 0.1; echo bar >&2", handler=Handler(), stderr=True)
    assert seen == [b"foo", b"bar"]
    seen.clear()
    _, told = run(task, "echo foo; exit 2", handler=Handler(), nodes="n1", remote=False)
    assert seen == [("n1", b"foo"), ("n1", ("n1", 2))]
    assert set(told) == {DeprecationWarning}


def test_streams_count_as_local(task: Task) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"foo\n")
    handler = Legacy()
    worker = StreamWorker(handler, key="k", timeout=0.2)
    worker.set_reader("stdout", reader)
    task.schedule(worker)
    _, told = run(task)
    assert handler.events == ["start", "pickup", "read None stdout b'foo'", "hup None None", "timeout 1", "close"]
    assert told == [DeprecationWarning] * 5
    os.close(writer)
