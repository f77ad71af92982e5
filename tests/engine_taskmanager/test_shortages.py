"""A journal that cannot be written: nothing is lost, nothing is stuck, and what is wrong is said in one line."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterdeck.engine.taskmanager.errors import StoreUnavailable, UnknownProcess
from clusterdeck.engine.taskmanager.manager import TaskManager
from clusterdeck.engine.taskmanager.processes import WorkerProcess
from clusterdeck.engine.taskmanager.stores import attendance
from clusterdeck.engine.taskmanager.stores.sqlite import SQLiteStore
from clusterdeck.engine.taskmanager.tasks import TaskOptions


class Journaled:
    """A queue in a file whose disk can be filled."""

    def __init__(self, path: Path) -> None:
        self.store = SQLiteStore(str(path))
        self.manager = TaskManager(self.store)
        self._base: Any = self.store._file._base

    def fill(self) -> None:
        """No page more; nor one less: changes need some, too."""
        (pages,) = self._base.execute("PRAGMA page_count").fetchone()
        self._base.execute(f"PRAGMA max_page_count={pages}")
        with contextlib.suppress(StoreUnavailable):
            while True:
                self.manager.add_task_request("filler", "x" * 500)

    def forbid(self) -> None:
        """Nothing at all can be written."""
        self._base.execute("PRAGMA query_only=1")

    def free(self) -> None:
        self._base.execute("PRAGMA query_only=0")
        self._base.execute("PRAGMA max_page_count=1000000")


@pytest.fixture
def journaled(tmp_path: Path) -> Iterator[Journaled]:
    made = Journaled(tmp_path / "q.db")
    yield made
    made.manager.close()


def test_a_full_disk_refuses_and_changes_nothing(journaled: Journaled, tmp_path: Path) -> None:
    manager = journaled.manager
    first = manager.add_task_request("t", 1)
    journaled.fill()
    before = manager.number_of_tasks()
    with pytest.raises(StoreUnavailable, match=r"journal .*q\.db: database or disk is full"):
        manager.add_task_requests("t", ["x" * 100_000, "y"])
    with pytest.raises(StoreUnavailable):
        manager.store_data(item="x" * 100_000)
    assert manager.number_of_tasks() == before
    journaled.free()
    assert manager.get_task_with_tag("t", timeout=0)[0] == first
    manager.close()
    with TaskManager(f"sqlite:///{tmp_path / 'q.db'}") as again:
        assert again.knows(first)
        with pytest.raises(KeyError):
            again.retrieve_data("item")


def test_tasks_of_a_process_that_leaves_meanwhile_go_back_when_the_disk_has_room(
    journaled: Journaled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attendance, "AGAIN", 0.01)
    manager = journaled.manager
    manager.add_task_requests("t", [0, 1, 2])
    leaving = manager.register_process()
    held = [manager.get_any_task(leaving, timeout=0)[0] for _ in range(3)]
    journaled.forbid()
    with pytest.raises(StoreUnavailable, match="readonly"):
        manager.unregister_process(leaving)
    with pytest.raises(StoreUnavailable):
        manager.register_process()
    assert manager.processes() == []
    assert manager.number_of_tasks()[1] == {"t": 3}, "still held"
    with pytest.raises(UnknownProcess):
        manager.try_task(None, leaving)
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.extend(manager.get_any_task(timeout=20)[0] for _ in range(3)))
    thread.start()
    journaled.free()
    thread.join(30)
    assert found == held, "in their order, and to whoever waits"


def test_a_silent_process_is_given_up_when_the_disk_has_room(
    journaled: Journaled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attendance, "AGAIN", 0.01)
    manager = journaled.manager
    task = manager.add_task_request("t", 0, options=TaskOptions(retriable=False))
    silent = manager.register_process(0.001)
    assert manager.get_any_task(silent, timeout=0)[0] == task
    journaled.forbid()
    while manager.processes():
        threading.Event().wait(0.005)
    assert manager.peek(task) is None
    journaled.free()
    with pytest.raises(Exception, match="may not be run twice"):
        manager.get_result(task, timeout=20)


def test_a_worker_goes_on_pinging_when_the_store_was_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """One ping that fails is no reason to be silent for ever, and so be given up in the middle of a task."""
    manager = TaskManager(factor=1e6)
    manager.add_task_request("wait")
    pinged = threading.Event()
    fails = iter([True, True])
    ping = manager.ping

    def unreliable(process_id: int) -> None:
        if next(fails, False):
            raise StoreUnavailable("away")
        ping(process_id)
        pinged.set()

    monkeypatch.setattr(manager, "ping", unreliable)
    worker = WorkerProcess(manager, watchdog_period=0.01, functions={"wait": lambda: pinged.wait(20)})
    thread = threading.Thread(target=worker.run)
    thread.start()
    assert manager.get_any_result(timeout=30)[2] is True
    manager.terminate()
    thread.join(20)
    assert not thread.is_alive()


def test_what_cannot_be_opened_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database, but long enough to be looked at as one" * 20)
    (tmp_path / "newer").touch()
    base = sqlite3.connect(tmp_path / "newer")
    base.execute("PRAGMA user_version=99")
    base.close()
    owner = TaskManager(f"sqlite:///{tmp_path / 'owned'}")
    for name, message in {
        "text": "file is not a database",
        "newer": "format 99, this program writes 1",
        "no/folder": "No such file or directory",
        "owned": "another manager has it open",
    }.items():
        with pytest.raises(StoreUnavailable, match=message) as caught:
            TaskManager(f"sqlite:///{tmp_path / name}")
        assert "\n" not in str(caught.value)
    owner.close()
