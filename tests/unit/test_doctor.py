"""The doctor: what it finds, that it names a remedy, and that it is never the patient."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from ClusterShell.NodeSet import NodeSet

from clusterdeck.console import doctor
from clusterdeck.console.crash import write_crash_report
from clusterdeck.console.doctor import Finding, examine
from clusterdeck.console.records.audit import AuditLog
from clusterdeck.console.runs.options import RunOptions
from clusterdeck.console.runs.output import OutputLimits
from clusterdeck.console.runs.runs import Run
from clusterdeck.console.runs.spool import Spool, SpoolBudget
from clusterdeck.console.settings import paths
from clusterdeck.console.settings.settings import Settings


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for kind in ("CONFIG", "STATE", "CACHE"):
        monkeypatch.setenv(f"CLUSTERDECK_{kind}_DIR", str(tmp_path / kind.lower()))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SSH_AUTH_SOCK", "")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(topic: str, level: str = "") -> list[Finding]:
    return [finding for finding in examine() if finding.topic == topic and finding.level.startswith(level)]


def test_a_sound_installation_has_no_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert [finding for finding in examine() if finding.level == "error"] == []
    assert doctor.main(as_json=False) == 0
    shown = capsys.readouterr().out
    for topic in ("versions", "terminal", "settings", "groups", "ssh", "limits", "state", "crashes"):
        assert f"{topic}\n" in shown


def break_settings(folder: Path) -> None:
    (folder / "config").mkdir()
    (folder / "config" / "config.toml").write_text("[run]\nfanuot = 3\n")


def break_agent(_folder: Path) -> None:
    os.environ["SSH_AUTH_SOCK"] = "/nosuch/agent"


def break_log(_folder: Path) -> None:
    log = AuditLog(paths.audit_file(), Settings(), print)
    for number in range(3):
        log.note("x", number=number)
    lines = paths.audit_file().read_text().splitlines(keepends=True)
    paths.audit_file().write_text(lines[0] + lines[2])


def break_state(folder: Path) -> None:
    (folder / "state").write_text("")


def leave_a_crash(_folder: Path) -> None:
    assert write_crash_report(RuntimeError("password=tiger \x1b]0;title\x07"), ["run", "--password=tiger"]) is not None


def open_known_hosts(folder: Path) -> None:
    (folder / ".ssh").mkdir()
    (folder / ".ssh" / "known_hosts").write_text("")
    (folder / ".ssh" / "known_hosts").chmod(0o666)


def lay_out_a_tree(folder: Path) -> None:
    place = folder / ".config" / "clustershell"
    place.mkdir(parents=True)
    (place / "topology.conf").write_text("[routes]\n")
    os.environ.pop("CLUSTERDECK_CLUSH_CONF", None)
    os.environ["XDG_CONFIG_HOME"] = str(folder / ".config")


@pytest.mark.parametrize(
    ("harm", "topic", "level", "text"),
    [
        (break_settings, "settings", "error", "did you mean 'run.fanout'"),
        (break_agent, "ssh", "warning", "/nosuch/agent"),
        (break_log, "state", "error", "line 2 does not follow"),
        (break_state, "state", "error", "state"),
        (leave_a_crash, "crashes", "warning", "1 reports"),
        (open_known_hosts, "ssh", "warning", "known_hosts"),
        (lay_out_a_tree, "settings", "warning", "topology.conf: not used"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_wrong_is_named(
    harm: Callable[[Path], None], topic: str, level: str, text: str, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SSH_AUTH_SOCK", "CLUSTERDECK_CLUSH_CONF", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, "")  # so that what is done to them is undone
    harm(folders)
    assert any(text in finding.text for finding in found(topic, level)), examine()
    assert doctor.main(as_json=False) == (1 if level == "error" else 0)


def test_crash_reports_are_shown_clean(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leave_a_crash(folders)
    (report,) = (folders / "state" / "crashes").iterdir()
    report.write_bytes(b"\x1b]0;title\x07evil\n" + report.read_bytes())
    doctor.main(as_json=False)
    shown = capsys.readouterr().out
    assert "evil" in shown
    assert "\x1b" not in shown
    assert "tiger" not in shown


def test_json_is_the_same_report(capsys: pytest.CaptureFixture[str]) -> None:
    doctor.main(as_json=True)
    report = json.loads(capsys.readouterr().out)
    assert {entry["topic"] for entry in report} == {finding.topic for finding in examine()}
    assert set(report[0]) == {"topic", "text", "level", "remedy"}


def test_a_part_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> list[Finding]:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(doctor, "_limits", fail)
    assert [finding.text for finding in found("limits", "error")] == ["could not be examined: ZeroDivisionError: oh"]


#: No process can have this number (the kernel's are below 2**22).
_NOBODY = 2**22 + 7


def begin_copy(number: int, kind: str, destination: Path, pid: int) -> tuple[AuditLog, Run]:
    """What stands in the audit log once a console with that process number has begun to copy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "getpid", lambda: pid)
        log = AuditLog(paths.audit_file(), Settings(), print)
    spool = Spool(lambda: destination, 0, SpoolBudget(0))
    run = Run(number, f":{kind} x", kind, NodeSet("n[1-3]"), RunOptions(), OutputLimits(), spool)
    run.destination = str(destination)
    log.submitted(run)
    return log, run


def test_what_copies_of_a_killed_console_left_is_told_and_goes_by_the_remedy(folders: Path) -> None:
    here = folders / "it's here"
    (here / "n1").mkdir(parents=True)
    left = here / "n1" / (".clusterdeck-" + "0" * 16)
    log, run = begin_copy(1, "rcopy", here, _NOBODY)
    log.finished(run)
    begin_copy(2, "rcopy", here, os.getpid())
    left.write_text("half")
    assert found("state", "warning") == [], "one has ended, the other's console lives"
    begin_copy(3, "rcopy", here, _NOBODY)
    begin_copy(4, "copy", here / "file", _NOBODY)
    begin_copy(5, "rcopy", folders / "nothing left", _NOBODY)
    back, out = found("state", "warning")
    assert back.text.startswith(f"1 half-copied file below {here}:")
    assert out.text.startswith("half-copied files may be on n[1-3]:")
    kept = [here / "n1" / ".clusterdeck-mine", here / "n1" / "other"]
    for file in kept:
        file.touch()
    beside = here / left.name  # where the copy out to `file` had its own
    beside.touch()
    for finding, gone in ((out, beside), (back, left)):
        assert "-cmin +1440" in finding.remedy, "a file that a copy writes to just now is left alone"
        subprocess.run(finding.remedy.replace("-cmin +1440", ""), shell=True, check=False, stderr=subprocess.DEVNULL)
        assert not gone.exists()
        assert left.exists() == (gone is beside), "what is deeper is not another file's"
    assert all(file.exists() for file in kept)
    assert [finding.text for finding in found("state", "warning")] == [out.text]
