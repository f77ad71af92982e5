"""The parts of a map: halt rules, time limits from medians, the job log, notes on nodes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from clusterdeck.engine.taskmanager import markers
from clusterdeck.engine.taskmanager.halt import parse_halt
from clusterdeck.engine.taskmanager.joblog import COLUMNS, JobLine, JobLog, JobLogError, finished_jobs, read_job_log
from clusterdeck.engine.taskmanager.runtimes import Runtimes, parse_timeout
from clusterdeck.tests.support.processes import command_line, everywhere, wait_gone

# -- halt


@pytest.mark.parametrize(
    ("rule", "failed", "succeeded", "total", "reached"),
    [
        ("fail=1", 1, 0, 100, True),
        ("fail=2", 1, 50, 100, False),
        ("now,fail=2", 2, 0, 100, True),
        ("success=1", 5, 0, 100, False),
        ("soon,success=1", 5, 1, 100, True),
        ("done=10", 4, 6, 100, True),
        ("fail=5%", 5, 0, 100, True),
        ("fail=5%", 4, 0, 100, False),
        ("fail=5%", 2, 0, 10, False),
        ("fail=5%", 3, 0, 10, True),
        ("fail=50%", 49, 1, 100, False),
        ("fail=1%", 3, 0, 0, False),
    ],
)
def test_halt(rule: str, failed: int, succeeded: int, total: int, reached: bool) -> None:
    halt = parse_halt(rule)
    assert halt is not None
    assert halt.reached(failed, succeeded, total) is reached
    assert halt.now is rule.startswith("now")


def test_never_halts() -> None:
    assert parse_halt("never") is None
    assert parse_halt(None) is None


@pytest.mark.parametrize(
    "text", ["", "fail", "fail=", "fail=0", "fail=101%", "later,fail=1", "fail=-1", "fail=1,now", "x=1"]
)
def test_wrong_halt_rules_name_the_value(text: str) -> None:
    with pytest.raises(ValueError, match="--halt"):
        parse_halt(text)


# -- time limits


def test_median_and_percentage() -> None:
    times = Runtimes()
    assert times.limit("300%") is None
    assert times.limit(5) == 5
    assert times.limit(None) is None
    for seconds in (4.0, 1.0, 2.0):
        times.add(seconds)
    assert times.median == 2.0
    assert times.limit("300%") == 6.0
    times.add(3.0)
    assert times.median == 2.5
    assert times.eta(10, 5) == 5.0
    assert times.eta(10, 0) is None


def test_run_times_do_not_grow_without_bound() -> None:
    times = Runtimes(most=100)
    for number in range(1000):
        times.add(float(number % 10))
    assert times.median is not None
    assert 3 <= times.median <= 6


def test_timeouts_in_words() -> None:
    assert [parse_timeout(text) for text in (None, "300%", "5", "2.5s")] == [None, "300%", 5.0, 2.5]
    for text in ("", "0", "-1", "0%", "x", "nan", "inf", "5m5", "%"):
        with pytest.raises(ValueError, match="timeout"):
            parse_timeout(text)


# -- job log


def line(number: int, status: int = 0, sig: int = 0, command: str = "true", node: str = "n1") -> JobLine:
    return JobLine(number, node, 1700000000.1234, 0.5, 0, 12, status, sig, command)


def test_job_log_has_parallels_columns(tmp_path: Path) -> None:
    log = JobLog(tmp_path / "log")
    log.add(line(1, command="echo 'a\tb'\nc"))
    log.close()
    log.close()
    text = (tmp_path / "log").read_text()
    head, job, rest = text.split("\n")
    assert head == "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand"
    assert job == "1\tn1\t1700000000.123\t     0.500\t0\t12\t0\t0\techo 'a b' c"
    assert rest == ""
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600
    assert len(COLUMNS) == 9


def test_resume_reads_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = JobLog(path)
    for entry in (line(1), line(2, 1), line(3, -1, 15), line(4), line(2, 0), line(4, 9)):
        log.add(entry)
    log.close()
    assert finished_jobs(path, failed_again=False) == {1, 2, 3, 4}
    assert finished_jobs(path, failed_again=True) == {1, 2}
    again = JobLog(path, append=True)
    again.add(line(5))
    again.close()
    assert list(read_job_log(path)) == [1, 2, 3, 4, 5]
    assert path.read_text().count("Seq") == 1
    assert finished_jobs(tmp_path / "none", failed_again=True) == set()


def test_a_line_cut_short_by_a_crash_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = JobLog(path)
    log.add(line(1))
    log.close()
    with path.open("a") as file:
        file.write("2\tn1\t17000")
    assert finished_jobs(path, failed_again=False) == {1}
    log = JobLog(path, append=True)
    log.add(line(3))
    log.close()
    assert list(read_job_log(path)) == [1, 3], "the rest of it is gone: resuming works again and again"


def test_a_full_disk_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    log = JobLog(path)
    log.add(line(1))
    write = os.write

    def half(file: int, data: memoryview) -> int:
        if len(data) < 20:
            raise OSError(28, "No space left on device")
        return write(file, data[: len(data) - 10])

    monkeypatch.setattr("clusterdeck.engine.taskmanager.joblog.os.write", half)
    with pytest.raises(JobLogError, match="No space left on device"):
        log.add(line(2))
    monkeypatch.undo()
    log.add(line(3))
    log.close()
    assert list(read_job_log(path)) == [1, 3]


def test_a_file_that_is_no_job_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("hello\n")
    with pytest.raises(JobLogError, match="first line"):
        read_job_log(path)
    with pytest.raises(JobLogError):
        JobLog(tmp_path / "no" / "folder")


def test_node_names_cannot_break_the_columns() -> None:
    assert line(1, node="n1\t\n\x1b[2J").text().split("\t")[1] == "n1???[2J"


# -- notes on nodes


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}


def run(command: str, home: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["sh", "-c", command], env=home, capture_output=True, check=False, timeout=60)


NAME, TOKEN = markers.marker_name("pool1", "n1", 3), "0123456789abcdef"


def test_the_wrapper_keeps_output_and_status(home: dict[str, str]) -> None:
    done = run(markers.wrapped("echo 'a b'; echo e >&2; exit 7", NAME, TOKEN), home)
    assert (done.stdout, done.stderr, done.returncode) == (b"a b\n", b"e\n", 7)
    assert markers.answer(run(markers.question(NAME, TOKEN), home).stdout) == ("ended", 7)


def test_another_token_means_never_started(home: dict[str, str]) -> None:
    assert markers.answer(run(markers.question(NAME, TOKEN), home).stdout) == ("none", None)
    run(markers.wrapped("true", NAME, "f" * 16), home)
    assert markers.answer(run(markers.question(NAME, TOKEN), home).stdout) == ("none", None)


def test_a_running_one_is_waited_for(home: dict[str, str], tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    wrapper = subprocess.Popen(["sh", "-c", markers.wrapped(f"read x <{gate}; exit 3", NAME, TOKEN)], env=home)
    note = tmp_path / "clusterdeck" / NAME
    while not note.exists() or not note.read_text().endswith("\n"):
        time.sleep(0.01)
    asking = subprocess.Popen(["sh", "-c", markers.question(NAME, TOKEN)], env=home, stdout=subprocess.PIPE)
    gate.write_text("go\n")
    assert wrapper.wait(60) == 3
    assert markers.answer(asking.communicate(timeout=60)[0]) == ("ended", 3)


def test_one_that_died_without_a_status_is_gone(home: dict[str, str], tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    wrapper = subprocess.Popen(
        ["sh", "-c", markers.wrapped(f"read x <{gate}", NAME, TOKEN)], env=home, start_new_session=True
    )
    note = tmp_path / "clusterdeck" / NAME
    while not note.exists() or not note.read_text().endswith("\n"):
        time.sleep(0.01)
    os.killpg(wrapper.pid, signal.SIGKILL)
    wrapper.wait(60)
    assert markers.answer(run(markers.question(NAME, TOKEN), home).stdout) == ("gone", None)


def test_notes_are_private_and_can_be_removed(home: dict[str, str], tmp_path: Path) -> None:
    run(markers.wrapped("true", NAME, TOKEN), home)
    note = tmp_path / "clusterdeck" / NAME
    assert note.stat().st_mode & 0o777 == 0o600
    assert note.parent.stat().st_mode & 0o777 == 0o700
    run(markers.cleaning("pool1"), home)
    assert not note.exists()


def test_notes_of_killed_consoles_are_bounded_in_age_and_number(home: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "clusterdeck"
    folder.mkdir()
    hours, days = 3600, 86400

    def note(pool: str, node: str, slot: int, age: float, pid: int = 0) -> Path:
        file = folder / markers.marker_name(pool, node, slot)
        file.write_text(f"{TOKEN} {pid or ended.pid}\n0\n")
        os.utime(file, (time.time() - age,) * 2)
        return file

    ended = subprocess.Popen(["true"])
    ended.wait()
    word = folder / f"{markers.marker_name('dead', 'n1', 2)}.{TOKEN}"
    word.touch()
    os.utime(word, (time.time() - 2 * hours,) * 2)
    young = [note(f"p{number}", "n1", 1, 60 + number) for number in range(520)]
    gone = [*young[511:], word, note("old", "n1", 1, 2 * hours), note("old", "n9", 1, 31 * days)]
    runs = note("old", "n1", 2, 20 * days, os.getpid())
    kept = [*young[:511], runs, note("old", "n2", 1, 2 * hours), note("old", "a-n1", 1, 2 * hours), folder / "other"]
    kept[-1].touch()
    os.utime(kept[-1], (0, 0))
    done = run(markers.wrapped("echo ok", NAME, TOKEN, tidy=True), home)
    assert (done.stdout, done.stderr, done.returncode) == (b"ok\n", b"", 0)
    end = time.monotonic() + 20
    while any(file.exists() for file in gone):
        assert time.monotonic() < end, [file.name for file in gone if file.exists()]
        time.sleep(0.01)
    assert [file.name for file in kept if not file.exists()] == []
    assert (folder / NAME).exists()


@pytest.mark.parametrize("output", [b"", b"ended", b"ended x", b"ended 999", b"ended 1 2", b"\xff\xfe", b"rm -rf /"])
def test_nonsense_answers_mean_gone(output: bytes) -> None:
    assert markers.answer(output) == ("gone", None)


@pytest.mark.parametrize(
    ("name", "token"), [("a/../b", TOKEN), ("a b", TOKEN), ("a;id", TOKEN), (NAME, "x;id"), (NAME, "")]
)
def test_names_and_tokens_are_checked(name: str, token: str) -> None:
    with pytest.raises(ValueError, match="marker"):
        markers.wrapped("true", name, token)


def test_node_names_make_safe_file_names() -> None:
    made = markers.marker_name("p", "../n1;id", 2)
    assert made.startswith("slot-p-.._n1_id_")
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", made)
    nodes = ["a:b", "a_b", "a.b", "x" * 70, "x" * 71, "x" * 60]
    assert len({markers.marker_name("p", node, 1) for node in nodes}) == len(nodes)


def alive(text: str) -> list[str]:
    return [command_line(each) for each in everywhere(lambda words: text in words)]


def test_ending_takes_everything_that_was_started(home: dict[str, str], tmp_path: Path) -> None:
    mark = f"61.{os.getpid():07}"
    wrapper = subprocess.Popen(
        ["sh", "-c", markers.wrapped(f"sleep {mark} & sleep {mark}; wait", NAME, TOKEN)], env=home
    )
    while len(alive(mark)) < 2:
        time.sleep(0.01)
    assert run(markers.ending(NAME, "f" * 16), home).returncode == 0
    assert len(alive(mark)) == 2  # another job's token ends nothing
    assert run(markers.ending(NAME, TOKEN), home).returncode == 0
    assert wrapper.wait(60) != 0
    assert wait_gone(everywhere(lambda words: mark in words), 20) == []


def test_a_job_that_was_ended_before_it_began_never_begins(home: dict[str, str], tmp_path: Path) -> None:
    run(markers.ending(NAME, TOKEN), home)
    done = run(markers.wrapped(f"touch {tmp_path / 'began'}", NAME, TOKEN), home)
    assert done.returncode == 143
    assert not (tmp_path / "began").exists()
    assert run(markers.wrapped("exit 5", NAME, "f" * 16), home).returncode == 5
