"""Output read back from disk: in a thread for who must not wait, bounded, never under the lock that the pump takes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from clusterdeck.console.language.conditions import judge
from clusterdeck.console.records.archive import write_run
from clusterdeck.console.runs import run_files
from clusterdeck.console.runs.disk_writer import DiskWriter
from clusterdeck.console.runs.pages import LOST, Pages, Place
from clusterdeck.console.runs.runs import Run
from clusterdeck.console.runs.spool import Spool, SpoolBudget
from clusterdeck.tests.support.fake_run import FakeSession, finish, out
from clusterdeck.tests.support.leaks import no_leaks

LIMIT = 30.0


class Disk:
    """Hands out blocks of one line, and none before it is opened; remembers what was read, in order."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.reached = threading.Event()
        self.read_offsets: list[int] = []

    def read(self, offset: int, size: int) -> bytes:
        self.read_offsets.append(offset)
        self.reached.set()
        assert self.open.wait(LIMIT)
        return b"%0*d\n" % (size - 1, offset)

    def held(self, _offset: int, _size: int) -> bytes | None:
        return None

    def place(self, offset: int, size: int = 8) -> Place:
        return Place(self, offset, size, 1)


@pytest.fixture
def disk() -> Iterator[Disk]:
    made = Disk()
    with no_leaks():
        yield made
        made.open.set()


def wait_for(true: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(3_000):
        if true():
            return
        pause.wait(0.01)
    raise AssertionError("it never came")


def test_the_newest_wish_is_read_first_and_dropped_ones_never(disk: Disk) -> None:
    pages = Pages()
    assert pages.find(disk.place(0)) is None
    assert disk.reached.wait(LIMIT)
    for offset in (1, 2, 3, 0, 2):
        assert pages.find(disk.place(offset)) is None
    assert pages.find(disk.place(9), want=False) is None
    pages.drop_wanted()
    for offset in (4, 5, 6, 5):
        pages.find(disk.place(offset))
    disk.open.set()
    wait_for(lambda: pages.version == 4)
    assert disk.read_offsets == [0, 5, 6, 4]
    assert pages.find(disk.place(5)) == [b"0000005"]


def test_what_is_kept_and_what_is_wanted_is_bounded(disk: Disk) -> None:
    pages = Pages(limit=10_000)
    pages.find(disk.place(0, 1000))
    assert disk.reached.wait(LIMIT)
    for offset in range(1, 2_000):
        pages.find(disk.place(offset, 1000))
    disk.open.set()
    wait_for(lambda: pages._thread is None)
    assert disk.read_offsets == [0, *range(1_999, 1_743, -1)]
    assert [place.offset for place in pages._pages] == list(range(1_752, 1_743, -1))
    giant = disk.place(5_000, 50_000)  # larger than all that is kept: it must be seen all the same
    pages.find(giant)
    wait_for(lambda: pages.find(giant, want=False) is not None)
    assert list(pages._pages) == [giant]


@pytest.fixture
def spooled(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[FakeSession, Run, Disk]]:
    """A run whose output is on disk, and that disk, which hangs."""
    session = FakeSession("node[1-2]")
    run = session.make_run()
    session.push(*(out(run, node, *(f"line {number}" for number in range(5_000))) for node in (0, 1)))
    session.push(finish(run))
    session.drain(LIMIT)
    run.release()
    disk = Disk()
    pread = os.pread

    def hung(descriptor: int, size: int, offset: int) -> bytes:
        disk.reached.set()
        assert disk.open.wait(LIMIT)
        return pread(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", hung)
    yield session, run, disk
    disk.open.set()
    session.close()


READERS: dict[str, Callable[[Run, Path], Any]] = {
    "save": lambda run, folder: run_files.save(run, folder / "clean"),
    "save raw": lambda run, folder: run_files.save(run, folder / "raw", raw=True),
    "export": lambda run, _folder: [list(pieces(run, str)) for pieces in run_files.FORMATS.values()],
    "archive": lambda run, folder: write_run(run, folder),
    "condition": lambda run, _folder: judge("out:/line 4999/ == 2", run, lambda _expression: False),
    "lines": lambda run, _folder: (run.lines(0, 0, 9), run.last_line(1)),
}


@pytest.mark.parametrize("name", READERS)
def test_nobody_holds_the_lock_while_the_disk_hangs(
    name: str, spooled: tuple[FakeSession, Run, Disk], tmp_path: Path
) -> None:
    session, run, disk = spooled
    ended: list[Any] = []
    thread = threading.Thread(target=lambda: ended.append(READERS[name](run, tmp_path)))
    thread.start()
    assert disk.reached.wait(LIMIT)
    assert session.runs.lock.acquire(timeout=LIMIT)  # as the pump does
    session.runs.lock.release()
    assert not ended
    disk.open.set()
    thread.join(LIMIT)
    assert len(ended) == 1
    if name == "save":
        lines = [f"line {number}" for number in range(5_000)]
        assert (tmp_path / "clean" / "node2.out").read_text().splitlines() == lines


def test_a_spool_that_is_closed_while_it_is_read_gives_its_file_back_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = DiskWriter("test")
    spool = Spool(lambda: tmp_path, 10**6, SpoolBudget(10**6), writer=writer)
    spool.append(b"kept")
    writer.call(lambda: None)
    reached, opened = threading.Event(), threading.Event()
    pread = os.pread

    def hung(*arguments: Any) -> bytes:
        reached.set()
        assert opened.wait(LIMIT)
        return pread(*arguments)

    monkeypatch.setattr(os, "pread", hung)
    found: list[bytes] = []
    thread = threading.Thread(target=lambda: found.append(spool.read(0, 4)))
    thread.start()
    assert reached.wait(LIMIT)
    spool.close()
    writer.call(lambda: None)
    assert spool._descriptor >= 0
    opened.set()
    thread.join(LIMIT)
    assert (found, spool._descriptor, spool.read(0, 4)) == ([b"kept"], -1, b"")
    assert writer.close() == 0


def test_what_the_disk_does_not_give_is_lost_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(lambda: tmp_path, 10**6, SpoolBudget(10**6))
    assert spool.append(b"a\nb\n") == 0
    monkeypatch.setattr(os, "pread", partial(_fail, OSError(5, "Input/output error")))
    assert Place(spool, 0, 4, 2).read() == [LOST, LOST]
    spool.close()


def _fail(error: OSError, *_: Any) -> bytes:
    raise error
