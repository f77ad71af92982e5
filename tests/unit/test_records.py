"""The audit log, the archive of runs, and crash reports."""

from __future__ import annotations

import json
import os
import shutil
import syslog
import threading
from pathlib import Path

import pytest
from ClusterShell.NodeSet import NodeSet

from clusterdeck.console.crash import write_crash_report
from clusterdeck.console.records import AuditError, archive, open_records
from clusterdeck.console.records.archive import RunArchive, trim, write_run
from clusterdeck.console.records.audit import AuditLog, verify_chain
from clusterdeck.console.records.system_log import message
from clusterdeck.console.runs import run_store
from clusterdeck.console.runs.events import Chunk, NodeChange, NodesChanged, OutputArrived, RunFinished
from clusterdeck.console.runs.options import RunOptions
from clusterdeck.console.runs.output import OutputLimits
from clusterdeck.console.runs.pages import LOST
from clusterdeck.console.runs.runs import Run
from clusterdeck.console.runs.spool import Spool, SpoolBudget
from clusterdeck.console.session.node_expressions import NodeExpressionError
from clusterdeck.console.settings import paths
from clusterdeck.console.settings.settings import Settings
from clusterdeck.console.start import open_session
from clusterdeck.engine.states import NodeState
from clusterdeck.tests.support.fake_run import kept


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLUSTERDECK_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def ended_run(tmp_path: Path, number: int = 1, command: str = "uname -r", size: int = 6) -> Run:
    run = Run(
        number,
        command,
        "shell",
        NodeSet("n[1-3]"),
        RunOptions(),
        OutputLimits(),
        Spool(lambda: tmp_path, 0, SpoolBudget(0)),
    )
    text = b"x" * (size - 1) + b"\n"
    run.apply(OutputArrived(number, (Chunk(0, 0, text, 1), Chunk(1, 0, b"a\n", 1), Chunk(1, 1, b"e\n", 1))))
    ends = ((0, NodeState.OK, 0), (1, NodeState.FAILED, 2), (2, NodeState.TIMEOUT, None))
    run.apply(NodesChanged(number, tuple(NodeChange(node, end, 1.0, rc) for node, end, rc in ends)))
    run.apply(RunFinished(number, run.started + 1.5))
    return run


def log(tmp_path: Path, *, required: bool = False) -> AuditLog:
    return AuditLog(tmp_path / "audit.jsonl", demanding(required), lambda _text: None)


def demanding(required: bool) -> Settings:
    settings = Settings()
    settings.set("records.audit_required", required)
    return settings


def test_the_audit_log_tells_who_ran_what_where_with_which_result(tmp_path: Path) -> None:
    audit = log(tmp_path)
    run = ended_run(tmp_path, command="mysql --password=tiger -e x")
    audit.submitted(run)
    audit.finished(run)
    file = tmp_path / "audit.jsonl"
    begun, over = [json.loads(line) for line in file.read_text().splitlines()]
    assert (begun["event"], begun["nodes"], begun["count"], begun["uid"]) == ("run", "n[1-3]", 3, os.getuid())
    assert "tiger" not in file.read_text()
    assert begun["command"] == "mysql --password=*** -e x"
    assert over["rc"] == {"0": "n1", "2": "n2"}
    assert over["timeout"] == "n3"
    assert over["counts"] == {"ok": 1, "failed": 1, "timeout": 1}
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_changed_or_missing_line_shows(tmp_path: Path) -> None:
    audit = log(tmp_path)
    for number in range(5):
        audit.note("test", number=number)
    file = tmp_path / "audit.jsonl"
    assert verify_chain(file) is None
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:2] + lines[3:]))
    assert verify_chain(file) == 3
    file.write_text("".join(lines).replace('"number": 1', '"number": 9'))
    assert verify_chain(file) == 3
    file.write_text("{broken\n")
    assert verify_chain(file) == 1


def test_many_writers_keep_one_chain(tmp_path: Path) -> None:
    def write() -> None:
        mine = log(tmp_path)
        for _ in range(25):
            mine.note("test", text="x" * 50)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    file = tmp_path / "audit.jsonl"
    assert len(file.read_text().splitlines()) == 100
    assert verify_chain(file) is None


def test_what_must_be_recorded_is_not_run_without(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="cannot be written"):
        AuditLog(tmp_path / "no" / "audit", demanding(True), print).submitted(ended_run(tmp_path))
    warnings: list[str] = []
    lax = AuditLog(tmp_path / "no" / "audit", demanding(False), warnings.append)
    lax.submitted(ended_run(tmp_path))
    lax.finished(ended_run(tmp_path))
    assert len(warnings) == 1


def test_the_audit_log_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("")
    (tmp_path / "audit.jsonl").symlink_to(tmp_path / "target")
    with pytest.raises(AuditError):
        log(tmp_path, required=True).note("x")
    assert (tmp_path / "target").read_text() == ""


def test_runs_come_back_from_disk(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    write_run(ended_run(tmp_path, command="echo token=abc"), folder)
    (run,) = kept(folder)
    assert (run.id, run.kind, run.line, str(run.nodes)) == (1, "shell", "echo token=***", "n[1-3]")
    assert run.ended is not None
    assert run.ended - run.started == pytest.approx(1.5)
    assert run.summary() == "ok 1, failed 1, timeout 1"
    assert (run.rc(0), run.rc(1), run.rc(2)) == (0, 2, None)
    assert [line.text for line in run.lines(0, 0, 9)] == ["xxxxx"]
    assert [(line.stream, line.text) for line in run.lines(1, 0, 9)] == [("stdout", "a"), ("stderr", "e")]
    assert [group.folded for group in run.groups()] == ["n1", "n2"]
    assert run.restored
    (place,) = folder.iterdir()
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in place.iterdir())
    (place / "output").unlink()
    assert [line.text for line in kept(folder)[0].lines(0, 0, 9)] == [LOST.decode()]


def test_runs_of_earlier_sessions_are_there_and_numbers_go_on(tmp_path: Path) -> None:
    settings = Settings()
    settings.set("worker", "exec")
    for _ in range(2):
        with open_session(settings, "n[1-2]", interactive=True) as session:
            assert session.runs.wait_earlier(30)
            before = len(session.runs)
            assert session.runs.last is None
            with pytest.raises(NodeExpressionError, match="newest run"):
                session.resolve("@failed")
            run = session.shell("echo hi %h; exit %n", session.selection.current, RunOptions())
            while not run.done.is_set():
                session.wait_batch(1)
                session.drain()
    assert (before, run.id) == (1, 2)
    with open_session(settings, None, interactive=True) as session:
        assert session.runs.wait_earlier(30)
        assert [one.id for one in session.runs] == [1, 2]
        assert str(session.resolve("@run:1:failed")) == "n2"
        old = session.runs.get(1)
        assert old is not None
        assert [group.folded for group in old.groups()] == ["n1", "n2"]


def test_a_console_does_not_wait_for_runs_that_a_disk_does_not_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (7, 3, 1):
        write_run(ended_run(tmp_path, number=number), paths.runs_dir())
    answers = threading.Semaphore(0)
    restore = archive.restore

    def slow(place: Path) -> Run:
        assert threading.current_thread() is not threading.main_thread()
        assert answers.acquire(timeout=30)
        return restore(place)

    monkeypatch.setattr(archive, "restore", slow)
    monkeypatch.setattr(run_store, "PATIENCE", 0.01)
    settings = Settings()
    settings.set("worker", "exec")
    with open_session(settings, "n1", interactive=True) as session:
        assert (len(session.runs), session.runs.reading) == (0, True)
        with pytest.raises(NodeExpressionError, match=r"no run '7'; those of earlier sessions are still being read"):
            session.resolve("@run:7")
        run = session.local("true")
        assert run.id == 8  # the names of the folders tell so much
        answers.release(3)
        assert session.runs.wait_earlier(30)
        assert [one.id for one in session.runs] == [1, 3, 7, 8]
        assert session.runs.last is run
        assert str(session.resolve("@run:7")) == "n[1-3]"
        while not run.done.is_set():
            session.wait_batch(1)
            session.drain()


def test_numbers_that_are_known_too_late_stay_with_the_younger_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        write_run(ended_run(tmp_path, number=number), paths.runs_dir())
    listed = threading.Event()
    places = archive.kept_places

    def slow() -> list[Path]:
        assert listed.wait(30)
        return places()

    monkeypatch.setattr("clusterdeck.console.records.earlier.kept_places", slow)
    monkeypatch.setattr(run_store, "PATIENCE", 0.01)
    with open_session(Settings(), "n1", interactive=True) as session:
        first = session.local("true")
        assert (first.id, first.restored) == (1, False)
        listed.set()
        assert session.runs.wait_earlier(30)
        assert [(one.id, one.restored) for one in session.runs] == [(2, True), (1, False)]
        assert session.local("true").id == 3


def test_a_run_of_an_earlier_session_is_repeated_as_it_was(tmp_path: Path) -> None:
    settings = Settings()
    settings.set("worker", "exec")
    options = RunOptions(timeout=7.5, environment=(("WORD", "it's"),), stderr=True)
    with open_session(settings, "n[1-2]", interactive=True) as session:
        run = session.shell("echo one\necho $WORD %h\nexit %n", session.selection.current, options)
        while not run.done.is_set():
            session.wait_batch(1)
            session.drain()
    with open_session(settings, None, interactive=True) as session:
        assert session.runs.wait_earlier(30)
        old = session.runs.get(1)
        assert old is not None
        assert old.options == options
        again = session.repeat(old, old.bad_nodes(), retry=True)
        while not again.done.is_set():
            session.wait_batch(1)
            session.drain()
        assert str(again.nodes) == "n2"
        assert [line.text for line in again.lines(0, 0, 9)] == ["one", "it's n2"]


def test_copies_can_be_repeated_too(tmp_path: Path) -> None:
    run = ended_run(tmp_path, command=":copy a b c")
    here = os.getcwd()
    folder = tmp_path / "runs"
    folder.mkdir()
    out = ("copy", (f"{here}/a", f"{here}/b/", "/c"), "d")
    back_again = ("rcopy", ("a", "b/", "/c"), f"{here}/d")
    for kind, sources, dest in (out, back_again):
        run.kind, run.sources, run.destination = kind, ("a", "b/", "/c"), "d"
        place = write_run(run, folder)
        (back,) = kept(folder)
        assert (back.kind, back.sources, back.destination, back.unrepeatable) == (kind, sources, dest, "")
        shutil.rmtree(place)


@pytest.mark.parametrize(
    ("command", "options", "reason"),
    [
        ("mysql --password=tiger", RunOptions(), "secret"),
        ("mysql", RunOptions(environment=(("API_TOKEN", "tiger"),)), "secret"),
        ("mysql", RunOptions(stdin=b"tiger"), "standard input"),
        ("mysql", RunOptions(open_stdin=True), "standard input"),
    ],
)
def test_what_is_not_kept_cannot_be_repeated(tmp_path: Path, command: str, options: RunOptions, reason: str) -> None:
    run = ended_run(tmp_path, command=command)
    run.options = options
    folder = tmp_path / "runs"
    folder.mkdir()
    place = write_run(run, folder)
    assert all(b"tiger" not in file.read_bytes() for file in place.iterdir())
    (back,) = kept(folder)
    assert reason in back.unrepeatable


@pytest.mark.parametrize("data", [
    None, [], {}, {"command": 1}, {"command": "x", "options": []}, {"command": "x", "options": {"nope": 1}},
    {"command": "x", "options": {"sudo": "yes"}, "sources": [], "destination": ""},
    {"command": "x", "options": {"environment": [1]}, "sources": [], "destination": ""},
    {"command": "x", "options": {"fanout": []}, "sources": [], "destination": ""},
])  # fmt: skip
def test_a_record_that_says_nonsense_is_shown_but_never_repeated(tmp_path: Path, data: object) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    place = write_run(ended_run(tmp_path), folder)
    content = json.loads((place / "run.json").read_text())
    (place / "run.json").write_text(json.dumps({**content, "again": data}))
    (back,) = kept(folder)
    assert back.unrepeatable
    assert back.options == RunOptions()


def test_broken_runs_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    write_run(ended_run(tmp_path), folder)
    for number, text in enumerate(("{", "[]", '{"format": 9}', '{"format": 1}')):
        broken = folder / f"{number}-1-1"
        broken.mkdir()
        (broken / "run.json").write_text(text)
    (folder / "empty-1-1").mkdir()
    assert len(kept(folder)) == 1


def test_the_oldest_runs_go_first(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    for number in range(1, 5):
        place = write_run(ended_run(tmp_path, number=number, size=10_000), folder)
        os.utime(place, (number, number))
    assert trim(folder, 25_000) == 2
    assert [run.id for run in kept(folder)] == [3, 4]


def test_the_archive_writes_in_its_own_thread_and_ends(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    warnings: list[str] = []
    archive = RunArchive(folder, 10**9, warnings.append)
    for number in range(1, 4):
        archive.add(ended_run(tmp_path, number=number))
    archive.close()
    assert [run.id for run in kept(folder)] == [1, 2, 3]
    gone = RunArchive(tmp_path / "nowhere", 10**9, warnings.append)
    gone.add(ended_run(tmp_path))
    gone.add(ended_run(tmp_path))
    gone.close()
    assert len(warnings) == 1
    assert not [thread for thread in threading.enumerate() if thread.name == "run-archive"]


def test_records_follow_the_settings(state: Path) -> None:
    settings = Settings()
    settings.records.audit = False
    with open_records(settings, interactive=False) as records:
        assert records.audit is None
        assert records.archive is None
    with open_records(Settings(), interactive=True) as records:
        assert records.archive is not None
    assert (state / "runs").is_dir()


def test_crash_reports_have_places_and_no_secrets(state: Path) -> None:
    try:
        secret = "password=hunter2"
        raise RuntimeError(secret)
    except RuntimeError as error:
        file = write_crash_report(error, ["run", "-w", "n1", "mysql", "--password=tiger"])
    assert file is not None
    text = file.read_text()
    assert "test_crash_reports" in text
    assert "RuntimeError" in text
    assert "tiger" not in text
    assert text.splitlines()[0] == "RuntimeError: password=***"
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_audit_log_tells_what_the_settings_add(tmp_path: Path) -> None:
    settings = Settings()
    for key, value in (("run.sudo", True), ("run.worker", "ssh"), ("run.user", "bob")):
        settings.set(key, value)
    AuditLog(tmp_path / "audit.jsonl", settings, print).submitted(ended_run(tmp_path))
    record = json.loads((tmp_path / "audit.jsonl").read_text())
    assert (record["sudo"], record["worker"], record["user"]) == (True, "ssh", "bob")


def test_the_system_log_gets_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, str]] = []
    monkeypatch.setattr(syslog, "openlog", lambda name, options, facility: sent.append((facility, name)))
    monkeypatch.setattr(syslog, "syslog", lambda level, text: sent.append((level, text)))
    settings = Settings()
    settings.set("records.syslog", True)
    with open_records(settings, interactive=False) as records:
        records.submitted(ended_run(tmp_path, command="mysql --password=tiger " + "x" * 100_000))
        records.note("queue join", {"nodes": "n[1-3]"})
    assert sent[0] == (syslog.LOG_AUTHPRIV, "clusterdeck")
    run, joined = [json.loads(text) for _level, text in sent[1:]]
    assert (run["event"], run["nodes"], joined["event"]) == ("run", "n[1-3]", "queue join")
    assert "tiger" not in sent[1][1]
    assert len(sent[1][1]) <= 4096
    assert len(paths.audit_file().read_text()) > 100_000


@pytest.mark.parametrize("text", ["x" * 9000, "\N{GRINNING FACE}" * 3000, '"' * 9000])
def test_messages_to_the_system_log_stay_legible(text: str) -> None:
    found = message({"event": "run", "command": text, "rc": {str(n): "n" * 90 for n in range(90)}})
    assert len(found) <= 4096
    assert json.loads(found)["event"] == "run"


def test_an_end_that_cannot_be_written_is_told_and_no_more(tmp_path: Path) -> None:
    warnings: list[str] = []
    audit = AuditLog(tmp_path / "no" / "audit", demanding(True), warnings.append)
    audit.finished(ended_run(tmp_path))
    assert len(warnings) == 1
