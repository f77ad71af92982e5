"""What the interface says in passing, and scripts rely on all the same."""

from __future__ import annotations

import builtins
import gc
import itertools
import os
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ClusterShell.NodeSet import NodeSet

from clusterdeck.engine import errors
from clusterdeck.engine.task import Task, task_self
from clusterdeck.engine.workers.exec import ExecWorker
from clusterdeck.engine.workers.popen import WorkerPopen
from clusterdeck.engine.workers.stream import StreamWorker, WorkerSimple
from clusterdeck.tests.engine.conftest import Recorder


@pytest.mark.parametrize("nodes", [None, "", NodeSet(), []])
def test_no_nodes_is_a_local_command_whose_percent_signs_stay(task: Task, nodes: Any) -> None:
    worker = task.shell("echo %h", nodes=nodes, key="k", whatever=3)
    task.resume()
    assert (type(worker), worker.read(), task.key_buffer("k")) == (WorkerPopen, b"%h", b"%h")


@pytest.mark.parametrize("nodes", ["n[1-2]", NodeSet("n[1-2]"), "n2,n1"])
def test_nodes_are_text_or_a_node_set_and_come_back_as_one(task: Task, nodes: Any) -> None:
    handler = Recorder()
    worker = task.shell("true", nodes=nodes, remote=False, handler=handler, nothing="of that name")
    task.resume()
    assert (type(worker), type(worker.nodes), str(worker.nodes)) == (ExecWorker, NodeSet, "n[1-2]")
    assert {event for event in handler.events if event.startswith("pickup")} == {"pickup n1", "pickup n2"}


def test_threads_of_tasks_have_names(leak_check: None) -> None:
    task = Task()
    try:
        assert task.thread.name.startswith("Task-")
        assert task.thread.name.removeprefix("Task-").isdecimal()
        assert (task.thread.daemon, task.thread.is_alive()) == (False, True)
    finally:
        task.abort(kill=True)


def test_a_time_out_is_the_built_in_one_as_well(task: Task) -> None:
    task.shell("sleep 60")
    with pytest.raises(builtins.TimeoutError) as caught:
        task.resume(timeout=0.1)
    assert isinstance(caught.value, errors.TimeoutError)
    assert "0.1 seconds" in str(caught.value)


_STREAM_GETTERS: dict[str, Callable[[Task, Any], Any]] = {
    "task.iter_errors": lambda task, _worker: task.iter_errors(),
    "task.key_error": lambda task, _worker: task.key_error("n1"),
    "task.node_error": lambda task, _worker: task.node_error("n1"),
    "worker.node_error": lambda _task, worker: worker.node_error("n1"),
    "worker.read": lambda _task, worker: worker.read("n1", sname="stderr"),
    "worker.iter_errors": lambda _task, worker: next(worker.iter_errors()),
    "worker.iter_node_errors": lambda _task, worker: next(worker.iter_node_errors()),
}


@pytest.mark.parametrize("getter", _STREAM_GETTERS)
def test_stderr_that_is_not_recorded(task: Task, getter: str) -> None:
    """The getters raise when called, stdout is as ever, and switched on again there is just nothing."""
    task.set_default("stderr_msgtree", False)
    worker = ExecWorker("n1", None, command="echo out; echo err >&2", stderr=True)
    task.schedule(worker)
    task.resume()
    with pytest.raises(errors.TaskMsgTreeError, match="stderr"):
        _STREAM_GETTERS[getter](task, worker)
    assert (task.key_buffer("n1"), worker.node_buffer("n1")) == (b"out", b"out")
    task.set_default("stderr_msgtree", True)
    assert (list(task.iter_errors()), task.key_error("n1"), worker.node_error("n1")) == ([], b"", None)


def test_what_mirrors_the_last_event(task: Task) -> None:
    """Local workers name no node; distant ones the one that the event is about."""
    seen: list[tuple[Any, ...]] = []

    def note(worker: Any) -> None:
        seen.append((worker.current_node, worker.current_sname, worker.current_msg, worker.current_rc))

    local = WorkerPopen("echo foo; exit 3", handler=Recorder(read=note, hup=note))
    distant = ExecWorker("n1", Recorder(read=note, hup=note), command="echo bar; exit 4")
    for worker in (local, distant):
        task.schedule(worker)
        task.resume()
    assert seen == [
        (None, "stdout", b"foo", None),
        (None, "stdout", b"foo", 3),
        ("n1", "stdout", b"bar", None),
        ("n1", "stdout", b"bar", 4),
    ]


def test_files_are_kept_alive_until_they_are_read_and_closed_then(task: Task) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"kept\n")
    os.close(writer)
    worker = WorkerSimple(os.fdopen(reader, "rb"), None, None, "k", None)
    gc.collect()
    task.schedule(worker)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task.resume()
    assert worker.read() == b"kept"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(reader)


@pytest.mark.parametrize("setter", ["set_reader", "set_writer"])
def test_streams_are_set_before_the_start_only(task: Task, setter: str) -> None:
    reader, writer = os.pipe()
    worker = StreamWorker(Recorder(start=lambda started: refused(started)))
    worker.set_reader("stdout", reader)
    told: list[str] = []

    def refused(started: Any) -> None:
        with pytest.raises(errors.WorkerError, match="late"):
            getattr(started, setter)("late", writer)
        told.append("refused")
        os.close(writer)

    task.schedule(worker)
    task.resume()
    assert told == ["refused"]


def test_what_does_not_hold_the_run_holds_a_slot(task: Task, tmp_path: Path) -> None:
    """autoclose is not a way round the fanout; ports, timers and streams need no slot."""
    reader, writer = os.pipe()
    os.close(writer)
    task.set_info("fanout", 1)
    streams = StreamWorker(None, key="s")
    streams.set_reader("stdout", reader)
    order: list[str] = []
    go_on = tmp_path / "go_on"

    def fire(_timer: Any) -> None:
        order.append("timer")
        go_on.touch()

    first = f"until test -e {go_on}; do sleep 0.02; done; echo first"
    task.shell(first, autoclose=True, handler=Recorder(hup=lambda _w: order.append("first")))
    task.schedule(streams)
    task.timer(0.05, handler=Recorder(timer=fire))
    task.shell("echo second", handler=Recorder(hup=lambda _w: order.append("second")))
    task.resume()
    assert order == ["timer", "first", "second"]


def test_what_other_threads_asked_for_comes_before_the_first_start(task: Task) -> None:
    handler = Recorder()
    port = task.port(handler=Recorder(msg=lambda port: task.remove_port(port)))
    task.shell("echo one", handler=handler)
    task.set_info("fanout", 8)

    def outside() -> None:
        task.set_info("fanout", 1)
        task.shell("echo two", key="two", handler=handler)
        assert port.msg_send("go on")

    thread = threading.Thread(target=outside)
    thread.start()
    thread.join(20)
    task.resume()
    # With a fanout of 1 one comes after the other.
    assert [event.split()[0] for event in handler.events] == ["start", "pickup", "read", "hup", "close"] * 2


def test_a_killed_task_closes_its_ports(leak_check: None) -> None:
    task = Task()
    port = task.port(handler=Recorder())
    task.resume()
    answers: list[bool] = [port.msg("taken")]
    task.abort(kill=True)
    answers += [port.msg("late"), port.msg_send("later")]
    assert (answers, port.closed) == ([True, False, False], True)


def test_sleeping_in_a_handler_fires_no_timer_twice_in_a_turn(task: Task) -> None:
    fired: list[str] = []

    def slow(_timer: Any) -> None:
        fired.append("slow")
        time.sleep(0.25)

    def be_quick(_timer: Any) -> None:
        fired.append("quick")
        if len(fired) >= 4:
            task_self().abort()

    task.timer(0.01, handler=Recorder(timer=slow), interval=0.2)
    quick = task.timer(0.01, handler=Recorder(timer=be_quick), interval=0.2)
    task.resume(30)
    assert not quick.is_valid()
    assert all(one != other for one, other in itertools.pairwise(fired)), fired


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (r"foo\nbar\n", b"foo\nbar"),
        (r"foo\r\nbar\r\n", b"foo\nbar"),
        (r"foo\rbar", b"foo\rbar"),
        (r"\n\nfoo\n\n", b"\n\nfoo\n"),
        (r"foo", b"foo"),
        (r"\n", b""),
        (r"", None),
        (r"foo\r", b"foo\r"),
        (r"\000\377\n", b"\0\xff"),
    ],
)
def test_lines_and_messages(task: Task, output: str, message: bytes | None) -> None:
    """No line end at the end, ever; empty lines inside stay; a message of one empty line is not none."""
    worker = task.run(f"printf '{output}'")
    assert worker.read() == message
    assert task.key_buffer(worker) == (message or b"")
