"""Writes in a thread of their own: in order, waited for at the end, never waited for by whoever has them written."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ClusterShell.NodeSet import NodeSet

from clusterdeck.console.records import AuditError, archive, open_records
from clusterdeck.console.records.audit import AuditLog, verify_chain
from clusterdeck.console.runs.disk_writer import DiskWriter
from clusterdeck.console.runs.options import RunOptions
from clusterdeck.console.runs.runs import Run
from clusterdeck.console.runs.spool import Spool, SpoolBudget
from clusterdeck.console.session.session import Session
from clusterdeck.console.settings import paths
from clusterdeck.console.settings.settings import Settings
from clusterdeck.console.start import open_session
from clusterdeck.tests.support.fake_run import kept

LIMIT = 30.0


class Gate:
    """A disk: what is written to it waits until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()

    def hold(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def held(*arguments: Any, **named: Any) -> Any:
            self.reached.set()
            assert self.open.wait(LIMIT)
            return write(*arguments, **named)

        return held


@pytest.fixture
def gate() -> Iterator[Gate]:
    found = Gate()
    yield found
    found.open.set()


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTERDECK_STATE_DIR", str(tmp_path / "state"))


def local_settings(**changed: Any) -> Settings:
    settings = Settings()
    settings.set("run.worker", "exec")
    for key, value in changed.items():
        settings.set(key.replace("__", "."), value)
    return settings


def pump(session: Session, until: Callable[[], bool]) -> float:
    """Drain until something is true; the longest that one drain took, in seconds."""
    longest = 0.0
    deadline = time.monotonic() + LIMIT
    while not until():
        assert time.monotonic() < deadline
        session.wait_batch(0.02)
        before = time.monotonic()
        session.drain()
        longest = max(longest, time.monotonic() - before)
    return longest


def test_jobs_are_done_in_order_and_close_waits_for_them(gate: Gate) -> None:
    writer = DiskWriter("test")
    done: list[int] = []
    writer.submit(gate.hold(lambda: done.append(0)))
    for number in range(1, 50):
        writer.submit(lambda number=number: done.append(number))  # type: ignore[misc]
    assert gate.reached.wait(LIMIT)
    assert (done, writer.waiting) == ([], 50)
    assert writer.close(patience=0.01) == 50
    gate.open.set()
    assert writer.close(LIMIT) == 0
    writer.submit(lambda: done.append(50))
    assert done == list(range(51))
    assert "test" not in [thread.name for thread in threading.enumerate()]


def test_a_call_waits_for_what_was_before_it_and_raises_what_it_raised() -> None:
    writer = DiskWriter("test")
    done: list[int] = []
    writer.submit(lambda: done.append(1))
    writer.call(lambda: done.append(2))
    assert done == [1, 2]
    with pytest.raises(AuditError, match="no"):
        writer.call(lambda: (_ for _ in ()).throw(AuditError("no")))
    assert writer.close() == 0


def test_sizes_are_told_when_they_are_taken_and_done() -> None:
    told: list[int] = []
    writer = DiskWriter("test", told.append, lambda size: told.append(-size))
    writer.submit(lambda: None, 7)
    writer.close()
    writer.submit(lambda: None, 9)
    assert told == [7, -7, 9, -9]


def test_an_end_is_no_matter_of_the_pump_and_the_next_run_waits_for_its_record(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AuditLog, "write_end", gate.hold(AuditLog.write_end))
    with open_session(local_settings(), "n[1-2]", interactive=True) as session:
        first = session.shell("echo one", NodeSet("n[1-2]"), RunOptions())
        assert pump(session, first.done.is_set) < 10.0
        assert gate.reached.wait(LIMIT)
        assert "end" not in paths.audit_file().read_text()
        begun: list[Run] = []
        thread = threading.Thread(
            target=lambda: begun.append(session.shell("echo two", NodeSet("n1"), RunOptions())), daemon=True
        )
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()  # not without the record of what was before
        gate.open.set()
        thread.join(LIMIT)
        pump(session, lambda: bool(begun) and begun[0].done.is_set())
    entries = [json.loads(line) for line in paths.audit_file().read_text().splitlines()]
    assert [(entry["event"], entry["run"]) for entry in entries] == [("run", 1), ("end", 1), ("run", 2), ("end", 2)]
    assert entries[1]["rc"] == {"0": "n[1-2]"}
    assert verify_chain(paths.audit_file()) is None
    assert [run.id for run in kept()] == [1, 2]


def test_what_must_not_run_unwritten_does_not() -> None:
    settings = local_settings(records__audit_required=True)
    with open_session(settings, "n1", interactive=True) as session:
        paths.audit_file().mkdir()
        with pytest.raises(AuditError):
            session.shell("true", NodeSet("n1"), RunOptions())
        assert not len(session.runs)


def test_a_kept_run_is_written_without_the_lock_of_the_runs(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json, "dump", gate.hold(json.dump))
    monkeypatch.setattr(archive, "_BACKLOG", 2)
    with open_session(local_settings(records__audit=False), "n1", interactive=True) as session:
        for _ in range(3):
            run = session.shell("echo one", NodeSet("n1"), RunOptions())
            assert pump(session, run.done.is_set) < 10.0
            assert gate.reached.wait(LIMIT)
        gate.open.set()
    assert [run.id for run in kept()] == [1, 2]  # no more than may wait


def test_a_disk_that_never_answers_is_told_and_does_not_keep_the_console(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(AuditLog, "write_end", gate.hold(AuditLog.write_end))
    monkeypatch.setattr(DiskWriter.close, "__defaults__", (0.05,))
    settings = local_settings(records__keep_runs=False)
    with open_records(settings, interactive=True, warn=told.append) as records:
        session = Session(settings, on_submit=records.submitted, on_finish=records.finished)
        with session:
            run = session.shell("true", NodeSet("n1"), RunOptions())
            pump(session, run.done.is_set)
    assert told == ["records that the audit log lacks, as the disk does not answer: 1"]


def spooled(tmp_path: Path, quota: int = 10**6) -> tuple[Spool, DiskWriter, SpoolBudget]:
    writer, budget = DiskWriter("test"), SpoolBudget(quota)
    return Spool(lambda: tmp_path, quota, budget, writer=writer), writer, budget


def test_what_is_not_on_disk_yet_is_read_from_memory(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool, writer, budget = spooled(tmp_path)
    assert spool.append(b"first") == 0
    writer.call(lambda: None)
    monkeypatch.setattr(os, "pwrite", gate.hold(os.pwrite))
    assert [spool.append(b"second"), spool.append(b"third")] == [5, 11]
    assert gate.reached.wait(LIMIT)
    text = b"firstsecondthird"
    places = [(start, size) for start in range(17) for size in range(17)]
    assert all(spool.read(start, size) == text[start : start + size] for start, size in places)
    gate.open.set()
    writer.call(lambda: None)
    assert all(spool.read(start, size) == text[start : start + size] for start, size in places)
    assert budget.used == 16
    spool.close()
    assert (budget.used, spool.read(0, 5), writer.close()) == (0, b"", 0)
    assert spool._descriptor == -1


def test_a_spool_is_closed_without_waiting_for_its_write(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool, writer, budget = spooled(tmp_path)
    monkeypatch.setattr(os, "pwrite", gate.hold(os.pwrite))
    spool.append(b"x" * 100)
    assert gate.reached.wait(LIMIT)
    spool.close()
    assert budget.used == 0
    gate.open.set()
    assert writer.close() == 0
    assert spool._descriptor == -1


def test_a_run_that_needs_no_disk_costs_no_thread(tmp_path: Path) -> None:
    with Session(local_settings()) as session:
        run = session.shell("echo one", NodeSet("n1"), RunOptions())
        pump(session, run.done.is_set)
    assert session._disk._thread is None
    assert session._disk._finished == 0


def test_what_a_full_disk_does_not_take_any_more_stays_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[OSError] = []
    writer = DiskWriter("test")
    spool = Spool(lambda: tmp_path, 10**6, SpoolBudget(10**6), errors.append, writer)
    spool.append(b"kept")
    writer.call(lambda: None)

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    assert spool.append(b"too") == 4
    writer.call(lambda: None)
    assert spool.append(b"much") is None
    assert spool.read(0, 20) == b"kepttoo"
    assert len(errors) == 1
    spool.close()
    writer.close()


def test_the_nodes_are_held_back_by_a_spool_that_hangs_and_nothing_is_lost(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = local_settings(limits__pending_output=64 * 1024, limits__node_memory=64 * 1024)
    monkeypatch.setattr(os, "pwrite", gate.hold(os.pwrite))
    with Session(settings) as session:
        run = session.shell("seq -w 1000000", NodeSet("n1"), RunOptions())
        longest = pump(session, lambda: gate.reached.is_set() and session._outbox._held)
        # What was on its way still comes; then nothing does, as long as the disk hangs.
        seen, since = -1, time.monotonic()
        while time.monotonic() - since < 0.3:
            longest = max(longest, pump(session, lambda: True))
            session.drain()
            if run.output.bytes_total != seen:
                seen, since = run.output.bytes_total, time.monotonic()
            time.sleep(0.01)
        assert run.ended is None
        assert seen < 4_000_000
        assert longest < 10.0
        gate.open.set()
        pump(session, run.done.is_set)
        assert run.output.lost(0) == (0, 0)
        text = b"".join(run.output.pieces(0)).split()
        assert (len(text), text[0], text[-1]) == (1_000_000, b"0000001", b"1000000")
        assert text == sorted(text)
