"""Maps on real sshd nodes: slow nodes, time limits, halting, nodes that come and go, job logs beside GNU parallel's.

Each node name leads to the same server, so commands tell by `{node}` where they are.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterdeck.engine.task import Task
from clusterdeck.engine.taskmanager.driver import SlotDriver
from clusterdeck.engine.taskmanager.halt import parse_halt
from clusterdeck.engine.taskmanager.jobs import JobEvent
from clusterdeck.engine.taskmanager.manager import TaskManager
from clusterdeck.engine.taskmanager.mapping import MapOptions, MapRun
from clusterdeck.engine.taskmanager.task_runner import TaskRunner
from clusterdeck.tests.engine_taskmanager.nodes import cut
from clusterdeck.tests.support.sshd import Sshd

MakeDriver = Callable[..., SlotDriver]


@pytest.fixture
def make_driver(ssh_task: Task) -> Iterator[MakeDriver]:
    made: list[SlotDriver] = []

    def make(**slots: int) -> SlotDriver:
        driver = SlotDriver(TaskManager(), TaskRunner(ssh_task, worker="paramiko")).start()
        driver.add_nodes(slots)
        made.append(driver)
        return driver

    yield make
    for driver in made:
        assert driver.close()
        assert driver.errors == []


def finished(run: MapRun) -> Any:
    assert run.wait(30), run.progress()
    progress = run.progress()
    run.close()
    return progress


def test_a_slow_node_takes_fewer(make_driver: MakeDriver, tmp_path: Path) -> None:
    """One that does not get on with its first job leaves all others to the quick one."""
    driver = make_driver(node1=1, node2=1)
    gate, ran = tmp_path / "gate", Counter[str]()

    def heard(event: JobEvent) -> None:
        ran[event.node] += event.final
        if ran["node2"] == 39:
            gate.touch()

    command = f"test {{node}} = node1 && until test -e {gate}; do sleep 0.02; done; echo {{}}"
    assert finished(MapRun(driver, command, map(str, range(40)), on_event=heard).start()).done == 40
    assert ran == {"node1": 1, "node2": 39}


def test_no_item_becomes_shell_text(make_driver: MakeDriver) -> None:
    """Bare and in both quotes, on a real node: each job sees its item and nothing else."""
    chance = random.Random(1)
    letters = "ab \t\n\r'\"`$\\;&|<>(){}[]*?~!#%^=-,.:/\u00e9\u202e\x07\x1b"
    items = ["".join(chance.choices(letters, k=chance.randint(0, 30))) for _ in range(60)]
    items += [
        "$(touch HACKED)",
        "`touch HACKED`",
        "'; touch HACKED; '",
        '"; touch HACKED; "',
        "-n",
        "--",
        "{node}",
        "{#}",
    ]
    found: dict[int, bytes] = {}
    for template in (
        "printf '%s\\n' {}",
        "printf '%s\\n' '{}'",
        "printf '%s\\n' \"{}\"",
        "printf '%s\\n' \"$(printf %s {}; echo x)\"",
    ):
        run = MapRun(
            make_driver(node1=4),
            template,
            items,
            on_event=lambda event: found.update({event.number: event.end.output}) if event.final else None,
        ).start()
        assert finished(run).done == len(items)
        tail = "x\n" if "echo x" in template else "\n"
        # The engine takes a carriage return at a line's end off.
        expected = [(item + tail).replace("\r\n", "\n").encode() for item in items]
        assert found == dict(enumerate(expected, 1))
        found.clear()


def test_a_job_far_above_the_median_is_ended(make_driver: MakeDriver, tmp_path: Path) -> None:
    driver = make_driver(node1=2)
    log = str(tmp_path / "log")
    run = MapRun(driver, "sleep {}", [*["0.2"] * 6, "600"], MapOptions(timeout="600%", joblog=log)).start()
    progress = finished(run)
    assert (progress.done, progress.timeout) == (6, 1)
    assert rows(log)[7][6:8] == ["-1", "15"]


def test_nodes_join_and_leave_while_it_runs(make_driver: MakeDriver, tmp_path: Path) -> None:
    driver = make_driver(node1=1)
    gate, where = tmp_path / "gate", Counter[str]()

    def heard(event: JobEvent) -> None:
        where[event.node] += event.final

    command = f"while test {{node}} = node1 && ! test -e {gate}; do sleep 0.02; done; echo {{}}"
    run = MapRun(driver, command, map(str, range(10)), on_event=heard).start()
    while driver.nodes()[0].running < 1:
        time.sleep(0.01)
    driver.remove_node("node1")
    driver.add_nodes({"node2": 2})
    while where["node2"] < 9:
        time.sleep(0.01)
    assert driver.nodes()[0].state == "draining"
    gate.touch()
    assert finished(run).done == 10
    assert where == {"node1": 1, "node2": 9}
    assert [view.name for view in driver.nodes()] == ["node2"]


def test_halting_ends_what_runs_on_nodes(make_driver: MakeDriver, tmp_path: Path) -> None:
    driver = make_driver(node1=2, node2=2)
    marks = tmp_path / "marks"
    marks.mkdir()
    # The bad one waits until all four have begun.
    bad = f"{{ until test $(ls {marks} | wc -l) -eq 4; do sleep 0.02; done; exit 1; }}"
    command = f"touch {marks}/{{#}}; test {{}} = bad && {bad}; sleep 600"
    items = ["x", "x", "x", "bad", *["x"] * 20]
    progress = finished(MapRun(driver, command, items, MapOptions(halt=parse_halt("now,fail=1"))).start())
    assert progress.halted
    assert (progress.failed, progress.cancelled) == (1, 23)
    assert len(list(marks.iterdir())) == 4


def test_a_retriable_job_of_a_lost_node_runs_again(make_sshd: Callable[..., Sshd], task: Task, tmp_path: Path) -> None:
    server, other = make_sshd(), make_sshd(prefix="other")
    config = server.folder / "both"
    config.write_text(server.config.read_text() + "\n" + other.config.read_text())
    task.set_info("ssh_config", str(config))
    driver = SlotDriver(TaskManager(), TaskRunner(task, worker="paramiko")).start()
    driver.add_nodes({"node1": 1})
    starts, going_on = tmp_path / "starts", tmp_path / "going_on"
    going_on.touch()
    # It survives its connection, as jobs do, and ends with the test.
    command = (
        f"echo {{node}} >>{starts}; test {{node}} = node1 && while test -e {going_on}; do sleep 0.1; done; echo {{}}"
    )
    run = MapRun(driver, command, ["a"], MapOptions(retriable=True)).start()
    while not starts.exists():
        time.sleep(0.02)
    driver.add_nodes({"other1": 1})
    cut(server)
    assert finished(run).done == 1
    assert starts.read_text() == "node1\nother1\n"
    going_on.unlink()
    driver.close()


def test_nothing_is_left_on_the_nodes(ssh_task: Task, tmp_path: Path) -> None:
    driver = SlotDriver(TaskManager(), TaskRunner(ssh_task, worker="paramiko")).start()
    driver.add_nodes({"node1": 2, "node2": 1})
    # The server hands its own environment on to nobody: ask where the notes are.
    found: list[str] = []
    run = MapRun(
        driver,
        'sleep 0.1; ls "${XDG_RUNTIME_DIR:-$HOME/.cache}"/clusterdeck/slot-*; echo {}',
        ["1"] * 4,
        on_event=lambda event: found.extend(event.end.output.decode().split()),
    ).start()
    assert finished(run).done == 4
    notes = {Path(word) for word in found if "/slot-" in word and word.endswith(("node1-1", "node1-2", "node2-1"))}
    pool = driver._runner._pool  # type: ignore[attr-defined]
    mine = {note for note in notes if pool in note.name}
    assert len(mine) == 3
    assert driver.close()
    assert not any(note.exists() for note in mine)


# -- the job log beside GNU parallel's


def rows(path: str | Path) -> dict[int, list[str]]:
    """The lines of a job log by number (0: the header)."""
    lines = [line.split("\t") for line in Path(path).read_text().splitlines()]
    return {0 if number == 0 else int(line[0]): line for number, line in enumerate(lines)}


@pytest.fixture
def parallel(tmp_path: Path, sshd: Sshd) -> Callable[..., str]:
    """Runs GNU parallel on the same nodes."""
    if shutil.which("parallel") is None:
        pytest.fail("GNU parallel is not installed: nothing to compare with (Debian: apt install parallel)")
    home = tmp_path / "parallel"
    home.mkdir()
    (home / "will-cite").touch()
    environment = {**os.environ, "PARALLEL_HOME": str(home), "PARALLEL_SSH": f"ssh -F {sshd.config}", "HOME": str(home)}

    def run(*words: str) -> str:
        done = subprocess.run(
            ["parallel", *words], env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        return done.stdout

    return run


def test_the_job_log_is_that_of_gnu_parallel(
    make_driver: MakeDriver, parallel: Callable[..., str], tmp_path: Path
) -> None:
    items = ["a b", "it's", "$(id)", "plain"]
    template = "printf %s {}; exit {#}"
    ours, theirs = str(tmp_path / "ours"), str(tmp_path / "theirs")
    finished(MapRun(make_driver(node1=1), template, items, MapOptions(joblog=ours)).start())
    parallel("--joblog", theirs, "--sshlogin", "1/node1", template, ":::", *items)
    mine, other = rows(ours), rows(theirs)
    assert mine[0] == other[0]
    assert mine.keys() == other.keys() == {0, 1, 2, 3, 4}
    for number in range(1, 5):
        numbered, other_numbered = mine[number], other[number]
        # Host, bytes sent, exit status and signal. Commands are quoted in ways of their own, and mean the same.
        assert [numbered[at] for at in (0, 1, 4, 6, 7)] == [other_numbered[at] for at in (0, 1, 4, 6, 7)]
        assert len(numbered[2].partition(".")[2]) == len(other_numbered[2].partition(".")[2]) == 3
        said = [
            subprocess.run(["sh", "-c", line[8]], capture_output=True, check=False)
            for line in (numbered, other_numbered)
        ]
        assert said[0].stdout == said[1].stdout == items[number - 1].encode()
        assert said[0].returncode == said[1].returncode == number


def test_each_resumes_from_the_others_job_log(
    make_driver: MakeDriver, parallel: Callable[..., str], tmp_path: Path
) -> None:
    log = str(tmp_path / "log")
    driver = make_driver(node1=2)
    finished(MapRun(driver, "exit {}", ["0", "1"], MapOptions(joblog=log)).start())
    said = parallel(
        "--joblog", log, "--resume-failed", "--sshlogin", "1/node1", "echo ran {}; true", ":::", "0", "1", "2"
    )
    assert sorted(said.splitlines()) == ["ran 1", "ran 2"]
    again = MapRun(driver, "true {}", ["0", "1", "2", "3"], MapOptions(joblog=log, resume=True)).start()
    progress = finished(again)
    assert (progress.skipped, progress.done) == (3, 1)
    assert sorted(rows(log)) == [0, 1, 2, 3, 4]
