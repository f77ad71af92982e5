"""Reactor, line buffers, spawning and reaping: the ground floor of the engine."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdeck.engine import spawn
from clusterdeck.engine.reactor import BACKENDS, READ, WRITE, Reactor, best_backend
from clusterdeck.engine.spawn import Reaper
from clusterdeck.engine.streams import LineBuffer, OutputStream


@pytest.fixture(params=list(BACKENDS))
def reactor(request: pytest.FixtureRequest) -> Iterator[Reactor]:
    reactor = Reactor(request.param)
    assert reactor.identifier == request.param
    yield reactor
    reactor.close()
    reactor.close()
    assert reactor.closed


def until(reactor: Reactor, done: Callable[[], Any], seconds: float = 20.0) -> None:
    """Turn until something is true."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not come"
        reactor.turn(0.5)


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(KeyError, match="nosuch"):
        Reactor("nosuch")
    assert best_backend("auto") in BACKENDS


def test_a_backend_that_the_host_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    import selectors

    monkeypatch.delattr(selectors, "EpollSelector")
    assert best_backend("epoll") == best_backend("auto") == "poll"
    monkeypatch.delattr(selectors, "PollSelector")
    assert best_backend("poll") == "select"


def test_reading_and_writing(reactor: Reactor) -> None:
    reader, writer = os.pipe()
    seen: list[tuple[str, int]] = []
    reactor.watch(writer, WRITE, lambda mask: seen.append(("w", mask)))
    reactor.turn(5)
    assert seen == [("w", WRITE)]
    reactor.unwatch(writer)
    reactor.watch(reader, READ, lambda mask: seen.append(("r", mask)))
    os.write(writer, b"x")
    reactor.turn(5)
    reactor.turn(0)
    assert seen[1:] == [("r", READ)] * 2
    reactor.unwatch(reader)
    reactor.unwatch(reader)
    reactor.turn(0)
    assert len(seen) == 3
    os.close(reader)
    os.close(writer)


def test_a_callback_that_closes_another_descriptor(reactor: Reactor) -> None:
    """The closed one's callback is not called, even when its number is in use again."""
    pipes = [os.pipe() for _ in range(2)]
    called: list[int] = []

    def close_the_other(index: int) -> Callable[[int], None]:
        def ready(_mask: int) -> None:
            called.append(index)
            other = pipes[1 - index]
            reactor.unwatch(other[0])
            reactor.unwatch(pipes[index][0])

        return ready

    for index, (reader, writer) in enumerate(pipes):
        reactor.watch(reader, READ, close_the_other(index))
        os.write(writer, b"x")
    reactor.turn(5)
    assert len(called) == 1
    for ends in pipes:
        for fd in ends:
            os.close(fd)


def test_regular_files_are_always_ready(reactor: Reactor, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    fd = os.open(path, os.O_RDONLY)
    got: list[bytes] = []
    reactor.watch(fd, READ, lambda mask: got.append(os.read(fd, 4)))
    for _ in range(3):
        reactor.turn(5)
    assert got == [b"cont", b"ent", b""]
    reactor.unwatch(fd)
    os.close(fd)


def test_deadlines_in_order_and_cancelled(reactor: Reactor) -> None:
    fired: list[str] = []
    second = reactor.call_later(0.02, lambda: fired.append("second"))

    def first() -> None:
        fired.append("first")
        second.cancel()

    reactor.call_later(0.01, first)
    late = reactor.call_later(0.03, lambda: fired.append("third"))
    assert late.active
    time.sleep(0.05)
    reactor.turn(0)
    assert fired == ["first", "third"]
    assert not late.active


def test_an_error_in_a_deadline_leaves_the_others_for_the_next_turn(reactor: Reactor) -> None:
    fired: list[str] = []

    def fail() -> None:
        raise ValueError("here")

    reactor.call_later(0, fail)
    reactor.call_later(0, lambda: fired.append("other"))
    time.sleep(0.01)
    with pytest.raises(ValueError, match="here"):
        reactor.turn(0)
    reactor.turn(0)
    assert fired == ["other"]


def test_cancelled_deadlines_do_not_pile_up(reactor: Reactor) -> None:
    keep = reactor.call_later(3600, lambda: None)
    for _ in range(20_000):
        reactor.call_later(3600, lambda: None).cancel()
    assert len(reactor._deadlines) < 3000
    assert keep.active


def test_waking_from_other_threads(reactor: Reactor) -> None:
    got: list[int] = []

    def call() -> None:
        for _ in range(500):
            reactor.call_soon_threadsafe(lambda: got.append(1))

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    until(reactor, lambda: len(got) == 2000)
    for thread in threads:
        thread.join()
    start = time.monotonic()
    threading.Timer(0.1, reactor.wake).start()
    reactor.turn(20)
    assert time.monotonic() - start < 10


def test_a_wake_up_never_writes_into_what_took_the_number_of_a_closed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread wakes the reactor while its owner closes it: the descriptor stays until the byte is written."""
    reactor = Reactor()
    writing, closed = threading.Event(), threading.Event()
    alive: list[bool] = []
    write = os.write

    def slow_write(fd: int, data: bytes) -> int:
        writing.set()
        closed.wait(0.2)  # as long as it is waited for, it must not happen
        try:
            os.fstat(fd)
            alive.append(True)
        except OSError:
            alive.append(False)
        return write(fd, data)

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", slow_write)
        waker = threading.Thread(target=reactor.wake)
        waker.start()
        assert writing.wait(20)
        reactor.close()
        closed.set()
        waker.join(20)
    assert alive == [True]
    reactor.wake()


def test_soon_is_served_next_turn_only(reactor: Reactor) -> None:
    count = [0]

    def again() -> None:
        count[0] += 1
        reactor.call_soon(again)

    reactor.call_soon(again)
    reactor.turn(0)
    assert count == [1]
    reactor.turn(0)
    assert count == [2]


# -- lines


@given(st.binary(max_size=200).map(lambda data: data.replace(b"\x00", b"\r\n")), st.lists(st.integers(1, 7)))
def test_lines_do_not_depend_on_the_chunks(data: bytes, sizes: list[int]) -> None:
    buffer = LineBuffer()
    lines: list[bytes] = []
    position = 0
    for size in [*sizes, len(data) + 1]:
        lines += buffer.feed(data[position : position + size]) if data[position:] else []
        position += size
    lines += buffer.rest()
    expected = data.split(b"\n")
    last = expected.pop()
    expected = [line.removesuffix(b"\r") for line in expected]
    assert lines == expected + ([last] if last else [])


def test_a_line_limit() -> None:
    buffer = LineBuffer(10)
    assert buffer.feed(b"abcde") == []
    assert buffer.feed(b"fghijkl") == [b"abcdefghijkl"]
    assert buffer.feed(b"m\nn") == [b"m"]
    assert buffer.rest() == [b"n"]
    assert buffer.rest() == []


@given(st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=20))
def test_queued_bytes_leave_in_order(pieces: list[bytes]) -> None:
    reader, writer = os.pipe()
    stream = OutputStream("x", writer, False, lambda: None)
    stream.queue.extend(pieces)
    size = 0
    while stream.queue:
        size += stream.write()
    assert os.read(reader, 65536) == b"".join(pieces)
    assert size == len(b"".join(pieces))
    os.close(reader)
    os.close(writer)


def test_partial_writes_go_on_where_they_stopped() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    stream = OutputStream("x", writer, False, lambda: None)
    data = bytes(range(256)) * 2000
    stream.queue.extend([data[:1000], data[1000:300_000], data[300_000:]])
    got = bytearray()
    while stream.queue:
        try:
            stream.write()
        except BlockingIOError:
            got += os.read(reader, 30_000)
    os.close(writer)
    while piece := os.read(reader, 65536):
        got += piece
    assert bytes(got) == data
    os.close(reader)


# -- processes


def test_spawn_and_reap(reactor: Reactor, leak_check: None) -> None:
    reaper = Reaper(reactor)
    codes: list[int] = []
    for command in ("exit 0", "exit 9", "kill -15 $$", "exec >&-; sleep 0.2; exit 4"):
        process = spawn.spawn(["sh", "-c", command])
        os.set_blocking(process.stdout, True)
        while os.read(process.stdout, 10):
            pass
        reaper.wait(process.pid, codes.append)
        for fd in (process.stdin, process.stdout):
            assert fd is not None
            os.close(fd)
    until(reactor, lambda: len(codes) == 4)
    assert sorted(codes) == [0, 4, 9, 143]


@pytest.mark.parametrize("pidfd", [True, False])
def test_adopted_processes_are_reaped(
    reactor: Reactor, leak_check: None, monkeypatch: pytest.MonkeyPatch, pidfd: bool
) -> None:
    if not pidfd:
        monkeypatch.setattr(spawn, "_pidfd", lambda pid: None)
    reaper = Reaper(reactor)
    process = spawn.spawn(["sleep", "60"], stdin=False, stderr=True)
    called: list[int] = []
    reaper.wait(process.pid, called.append)
    for _ in range(3):
        reactor.turn(0.01)
    assert reaper.reap(process.pid) is None
    spawn.kill(process.pid)
    reaper.adopt(process.pid)
    reaper.sweep(10)
    with pytest.raises(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)
    assert called == []
    for fd in (process.stdout, process.stderr):
        assert fd is not None
        os.close(fd)


@pytest.mark.parametrize("argv", [["/no/such"], ["/etc/hosts"], ["no-such-program-in-path"], ["a\0b"]])
def test_what_cannot_be_started_leaves_nothing(argv: list[str], leak_check: None) -> None:
    with pytest.raises((OSError, ValueError)):
        spawn.spawn(argv)


def test_without_posix_spawn(monkeypatch: pytest.MonkeyPatch, reactor: Reactor) -> None:
    """The slow way gives the same."""
    monkeypatch.setattr(spawn, "_HAVE_SPAWN", False)
    process = spawn.spawn(["sh", "-c", "echo out; exit 3"], stdin=False, env={"PATH": os.environ["PATH"]})
    os.set_blocking(process.stdout, True)
    assert os.read(process.stdout, 100) == b"out\n"
    codes: list[int] = []
    Reaper(reactor).wait(process.pid, codes.append)
    until(reactor, lambda: codes)
    assert codes == [3]
    os.close(process.stdout)
