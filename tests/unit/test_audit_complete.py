"""Whatever starts a command writes a line first, and none starts where the line cannot be written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clusterdeck.console.batch.front_end import BatchFrontEnd, play_lines
from clusterdeck.console.records.audit import verify_chain
from clusterdeck.console.runs.options import RunOptions
from clusterdeck.console.settings import paths
from clusterdeck.console.settings.settings import Settings
from clusterdeck.console.start import open_session

#: A line of the command language, and what begins and ends by it in the log: (event, kind or "").
WAYS: dict[str, list[tuple[str, str]]] = {
    "touch {done}": [("run", "shell"), ("end", "")],
    ":shell --batch 1,rest -- touch {done}": [("run", "shell"), ("end", "")],
    "!touch {done}": [("run", "local"), ("end", "")],
    ":copy {source} {done}": [("run", "copy"), ("end", "")],
    ":rcopy --flat {source} {folder}": [("run", "rcopy"), ("end", "")],
    ":timer --once 0.1s touch {done}": [("run", "timer"), ("end", "")],
    ":play {macro}": [("run", "shell"), ("end", "")],
    ":queue map -w n1 touch ::: {done}": [("queue map", ""), ("queue job", "")],
}


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("CONFIG", "STATE", "CACHE"):
        monkeypatch.setenv(f"CLUSTERDECK_{kind}_DIR", str(tmp_path / kind.lower()))
    monkeypatch.chdir(tmp_path)


def play(line: str, tmp_path: Path, *, required: bool = True) -> tuple[int, list[dict[str, Any]]]:
    """The exit code of a line, and the lines that the log has got by it."""
    settings = Settings()
    settings.set("run.worker", "exec")
    settings.set("records.audit_required", required)
    done, source, macro = tmp_path / "done", tmp_path / "source", tmp_path / "config" / "macros" / "m.deck"
    source.write_text("x\n")
    (tmp_path / "folder").mkdir()
    macro.parent.mkdir(parents=True, mode=0o700)
    macro.write_text(f"touch {done}\n")
    macro.chmod(0o600)
    text = line.format(done=done, source=source, folder=tmp_path / "folder", macro=macro)
    with open_session(settings, "n[1-2]", interactive=False) as session:
        front_end = BatchFrontEnd(session, agree=True)
        code = play_lines(session, front_end, [text])
        if line.startswith(":timer") and not code:

            def over() -> bool:
                return not session.timers()[0].active and not session.runs.running

            assert front_end.pump_until(over, 20)
    log = paths.audit_file()
    if not log.is_file():
        return code, []
    assert verify_chain(log) is None
    return code, [json.loads(entry) for entry in log.read_text().splitlines()]


@pytest.mark.parametrize("line", WAYS)
def test_it_is_written_down(line: str, tmp_path: Path) -> None:
    code, entries = play(line, tmp_path)
    assert code == 0
    assert [(entry["event"], entry.get("kind", "")) for entry in entries] == WAYS[line]
    assert all(entry["who"] and entry["session"] for entry in entries if entry["event"] != "end")


@pytest.mark.parametrize("line", WAYS)
def test_it_does_not_run_unwritten(line: str, tmp_path: Path) -> None:
    paths.audit_file().mkdir()  # a folder cannot be written to, not even by root
    play(line, tmp_path)
    assert not (tmp_path / "done").exists()
    assert not list((tmp_path / "folder").iterdir())


def test_runs_that_the_end_of_the_session_stops_are_told_too(tmp_path: Path) -> None:
    settings = Settings()
    settings.set("run.worker", "exec")
    with open_session(settings, "n[1-2]", interactive=False) as session:
        session.shell("sleep 60", session.selection.current, RunOptions())
    run, end = [json.loads(entry) for entry in paths.audit_file().read_text().splitlines()]
    assert (run["event"], end["event"]) == ("run", "end")
    assert end["counts"] == {"aborted": 2}
