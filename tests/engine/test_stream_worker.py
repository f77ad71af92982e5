"""StreamWorker and WorkerSimple, with each engine."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from clusterdeck.engine import errors
from clusterdeck.engine.task import Task
from clusterdeck.engine.workers.stream import StreamWorker, WorkerSimple
from clusterdeck.tests.engine.conftest import Recorder

pytestmark = pytest.mark.usefixtures("engine")


def pipe_with(data: bytes, close: bool = True) -> tuple[int, int]:
    """A pipe that holds `data`."""
    reader, writer = os.pipe()
    os.write(writer, data)
    if close:
        os.close(writer)
    return reader, writer


def closed(fd: int) -> bool:
    """Whether a descriptor number is not in use."""
    try:
        os.fstat(fd)
    except OSError:
        return True
    return False


def test_several_streams(task: Task) -> None:
    handler = Recorder()
    worker = StreamWorker(handler, key="k")
    fds = [pipe_with(b"one\ntwo")[0], pipe_with(b"three\n")[0]]
    task.set_default("pipe1_msgtree", True)
    worker.set_reader("pipe1", fds[0])
    worker.set_reader("pipe2", fds[1])
    task.schedule(worker)
    task.resume()
    assert (handler.events[:2], handler.events[-2:]) == (["start", "pickup k"], ["hup k None", "close False"])
    assert sorted(handler.events[2:-2]) == ["read k pipe1 one", "read k pipe1 two", "read k pipe2 three"]
    assert worker.read(sname="pipe1") == b"one\ntwo"
    with pytest.raises(errors.TaskMsgTreeError, match="pipe2"):
        worker.read(sname="pipe2")
    assert all(closed(fd) for fd in fds)
    with pytest.raises(errors.WorkerError, match="running"):
        worker.set_reader("late", 0)


def test_descriptors_that_stay_open(task: Task) -> None:
    reader, _ = pipe_with(b"foo\n")
    worker = StreamWorker(None)
    worker.set_reader("stdout", reader, closefd=False)
    task.schedule(worker)
    task.resume()
    assert worker.read() == b"foo"
    assert not closed(reader)
    assert os.get_blocking(reader)
    os.close(reader)


def test_writing(task: Task) -> None:
    reader, writer = os.pipe()
    handler = Recorder()
    worker = StreamWorker(handler, key="k")
    worker.set_writer("out", writer)
    worker.write(b"hello ", "out")
    worker.write(b"world")
    worker.set_write_eof("out")
    worker.write(b"dropped")
    task.schedule(worker)
    task.resume()
    assert os.read(reader, 100) == b"hello world"
    assert os.read(reader, 100) == b""
    os.close(reader)
    assert handler.events == ["start", "pickup k", "written k out 11", "hup k None", "close False"]


def test_a_large_write_goes_through_a_small_pipe(task: Task) -> None:
    """The worker writes what it reads at the other end."""
    reader, writer = os.pipe()
    data = b"".join(b"%d\n" % number for number in range(100_000))
    worker = StreamWorker(None)
    worker.set_writer("out", writer)
    worker.set_reader("stdout", reader)
    worker.write(data)
    worker.set_write_eof()
    task.schedule(worker)
    task.resume(60)
    assert worker.read() == data.removesuffix(b"\n")


def test_nobody_reads(task: Task) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    worker = StreamWorker(None)
    worker.set_writer("out", writer)
    worker.write(b"x")
    task.schedule(worker)
    task.resume(20)
    assert closed(writer)


def test_a_full_device_ends_the_stream(task: Task) -> None:
    """ENOSPC: the writer is closed and what is left is dropped; the run goes on with the other streams."""
    reader, _ = pipe_with(b"read all the same\n")
    writer = os.open("/dev/full", os.O_WRONLY)
    handler = Recorder()
    worker = StreamWorker(handler, key="k")
    worker.set_reader("stdout", reader)
    worker.set_writer("out", writer)
    worker.write(b"x" * 100_000)
    worker.write(b"more")
    task.schedule(worker)
    task.resume(20)
    assert handler.events == ["start", "pickup k", "read k stdout read all the same", "hup k None", "close False"]
    assert closed(writer)


def test_timeout_hands_out_what_has_no_end(task: Task) -> None:
    reader, writer = pipe_with(b"one\ntwo", close=False)
    handler = Recorder()
    worker = StreamWorker(handler, key="k", timeout=0.2)
    worker.set_reader("stdout", reader)
    task.schedule(worker)
    task.resume()
    events = ["start", "pickup k", "read k stdout one", "read k stdout two", "hup k None", "close True"]
    assert handler.events == events
    assert worker.read() == b"one\ntwo"
    assert (task.num_timeout(), list(task.iter_keys_timeout()), task.max_retcode()) == (1, ["k"], None)
    os.close(writer)


def test_abort_drops_what_has_no_end(task: Task) -> None:
    reader, writer = pipe_with(b"one\ntwo", close=False)
    handler = Recorder(read=lambda worker: worker.abort())
    worker = StreamWorker(handler, key="k")
    worker.set_reader("stdout", reader)
    task.schedule(worker)
    task.resume()
    assert handler.events[2:] == ["read k stdout one", "hup k None", "close False"]
    assert worker.read() == b"one"
    assert closed(reader)
    os.close(writer)


def test_a_regular_file(task: Task, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a\nb\n")
    with open(tmp_path / "file", "rb") as file:
        worker = WorkerSimple(file, None, None, "file", None)
        task.schedule(worker)
        task.resume(20)
    assert worker.read() == b"a\nb"


def test_an_unretained_stream_does_not_hold_the_worker(task: Task) -> None:
    idle, idle_writer = os.pipe()
    reader, _ = pipe_with(b"foo\n")
    worker = StreamWorker(None)
    worker.set_reader("idle", idle, retain=False)
    worker.set_reader("stdout", reader)
    task.schedule(worker)
    task.resume(20)
    assert worker.read() == b"foo"
    assert closed(idle)
    os.close(idle_writer)


def test_no_stream_at_all(task: Task) -> None:
    handler = Recorder()
    task.schedule(StreamWorker(handler, key="k"))
    task.resume(20)
    assert handler.events == ["start", "pickup k", "hup k None", "close False"]


@pytest.mark.parametrize("order", ["reader first", "writer first"])
@pytest.mark.parametrize("closefd", [True, False])
def test_the_end_of_writing_leaves_a_socket_open_for_reading(task: Task, order: str, closefd: bool) -> None:
    """The other side sees the end and answers; the number is given back once, when nobody needs it any more."""
    ours, theirs = socket.socketpair()
    number = ours.detach()
    theirs.settimeout(20)
    strangers: list[int] = []

    def answer() -> None:
        said = b"".join(iter(lambda: theirs.recv(100), b""))
        theirs.sendall(b"you said " + said)
        theirs.close()

    def open_another(_worker: Any) -> None:
        # Takes the number where it was given back too early, and loses it where it is given back twice.
        strangers.append(os.open(os.devnull, os.O_RDONLY))

    worker = StreamWorker(Recorder(read=open_another, written=open_another), key="k")
    for word in (order.split()[0], "writer" if order.startswith("reader") else "reader"):
        getattr(worker, f"set_{word}")("stdin" if word == "writer" else "stdout", number, closefd=closefd)
    worker.write(b"hello")
    worker.set_write_eof()
    task.schedule(worker)
    thread = threading.Thread(target=answer)
    thread.start()
    task.resume(20)
    thread.join(20)
    assert worker.read() == b"you said hello"
    for stranger in strangers:
        os.close(stranger)
    if closefd:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.close(number)
    else:
        assert os.get_blocking(number)
        os.close(number)


def test_a_socket_both_ways(task: Task) -> None:
    ours, theirs = socket.socketpair()
    worker = WorkerSimple(ours, ours, None, "sock", None)
    assert (worker.reader_fileno(), worker.writer_fileno(), worker.error_fileno()) == (
        ours.fileno(),
        ours.fileno(),
        None,
    )
    worker.write(b"ping\n")

    class Answer:
        def ev_written(self, worker: Any, node: Any, sname: str, size: int) -> None:
            assert theirs.recv(100) == b"ping\n"
            theirs.sendall(b"pong\n")
            theirs.close()

    worker.eh = Answer()
    task.schedule(worker)
    task.resume(20)
    assert worker.read() == b"pong"
    assert ours.fileno() == -1


def test_worker_simple_with_three_pipes(task: Task) -> None:
    out, _ = pipe_with(b"out\n")
    err, _ = pipe_with(b"err\n")
    reader, writer = os.pipe()
    worker = WorkerSimple(os.fdopen(out, "rb"), os.fdopen(writer, "wb"), os.fdopen(err, "rb"), None, None, stderr=True)
    worker.write(b"in")
    worker.set_write_eof()
    task.schedule(worker)
    task.resume(20)
    assert (worker.read(), worker.error()) == (b"out", b"err")
    assert os.read(reader, 10) in (b"in", b"")
    os.close(reader)


def test_set_key(task: Task) -> None:
    reader, _ = pipe_with(b"foo\n")
    worker = StreamWorker(None)
    worker.set_reader("stdout", reader)
    worker.set_key("k")
    task.schedule(worker)
    task.resume(20)
    assert task.key_buffer("k") == b"foo"
    with pytest.raises(errors.WorkerError, match="late"):
        worker.set_key("late")


def test_nothing_is_left_when_it_never_starts(task: Task) -> None:
    reader, writer = pipe_with(b"foo\n", close=False)
    worker = StreamWorker(None)
    worker.set_reader("stdout", reader)
    task.schedule(worker)
    worker.abort()
    assert closed(reader)
    task.resume(20)
    with contextlib.suppress(OSError):
        os.close(writer)
