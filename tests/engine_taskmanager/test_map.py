"""Maps and workers over a real Task: local ones with the exec worker, and over SSH with the paramiko worker."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from clusterdeck.engine.task import Task
from clusterdeck.engine.taskmanager.driver import SlotDriver
from clusterdeck.engine.taskmanager.halt import parse_halt
from clusterdeck.engine.taskmanager.joblog import read_job_log
from clusterdeck.engine.taskmanager.jobs import JobEvent, JobState
from clusterdeck.engine.taskmanager.manager import TaskManager
from clusterdeck.engine.taskmanager.mapping import MapOptions, MapRun
from clusterdeck.engine.taskmanager.task_runner import TaskRunner
from clusterdeck.engine.taskmanager.template import TemplateError
from clusterdeck.tests.engine_taskmanager.nodes import cut
from clusterdeck.tests.support.patience import with_time_enough
from clusterdeck.tests.support.processes import descendants
from clusterdeck.tests.support.sshd import Sshd


def make_driver(task: Task, worker: str, nodes: dict[str, int], **options: Any) -> SlotDriver:
    driver = SlotDriver(TaskManager(), TaskRunner(task, worker=worker), **options).start()
    driver.add_nodes(nodes)
    return driver


@pytest.fixture
def driver(task: Task) -> Iterator[SlotDriver]:
    driver = make_driver(task, "exec", {"n1": 2, "n2": 2})
    yield driver
    assert driver.close()
    assert driver.errors == []


def finished(run: MapRun) -> Any:
    assert run.wait(30), run.progress()
    return run.progress()


def test_every_argument_once_quoted_and_told(driver: SlotDriver) -> None:
    arguments = ["a b", "it's", "$(id)", "", "-n", *map(str, range(60))]
    events: list[JobEvent] = []
    run = MapRun(driver, "printf '%s|' {#} {}", arguments, on_event=events.append).start()
    progress = finished(run)
    run.close()
    outputs = {event.number: event.end.output.decode() for event in events if event.final}
    assert outputs == {number: f"{number}|{argument}|\n" for number, argument in enumerate(arguments, 1)}
    assert (progress.total, progress.done, progress.failed, progress.running) == (65, 65, 0, 0)
    assert {event.node for event in events} == {"n1", "n2"}
    assert driver.manager.number_of_tasks() == ({}, {}, {})


def test_job_log_and_resume(driver: SlotDriver, tmp_path: Path) -> None:
    log = str(tmp_path / "log")
    first = MapRun(driver, "exit {}", ["0", "1", "0", "2"], MapOptions(joblog=log)).start()
    assert finished(first).failed == 2
    first.close()
    lines = read_job_log(log)
    assert {number: line.exit_status for number, line in lines.items()} == {1: 0, 2: 1, 3: 0, 4: 2}
    assert lines[4].command == "exit 2"
    again = MapRun(driver, "true {}", ["0", "1", "0", "2", "5"], MapOptions(joblog=log, resume=True)).start()
    progress = finished(again)
    again.close()
    assert (progress.total, progress.skipped, progress.done) == (1, 4, 1)
    failed = MapRun(driver, "true {}", ["0", "1", "0", "2", "5"], MapOptions(joblog=log, resume_failed=True)).start()
    progress = finished(failed)
    failed.close()
    assert (progress.total, progress.skipped, progress.done) == (2, 3, 2)
    assert all(line.succeeded for line in read_job_log(log).values())


def test_failed_jobs_are_retried_by_one_call(driver: SlotDriver, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    run = MapRun(driver, f"test -e {flag} || exit {{}}", ["1", "2", "3"]).start()
    assert finished(run).failed == 3
    flag.touch()
    assert run.retry() == 3
    progress = finished(run)
    assert (progress.done, progress.failed) == (3, 0)
    run.close()


def test_halt_now_ends_the_running_ones(driver: SlotDriver) -> None:
    arguments = ["0.01; exit 1", *["60"] * 40]
    run = MapRun(driver, "sh -c 'sleep '{}", arguments, MapOptions(halt=parse_halt("now,fail=1"))).start()
    progress = finished(run)
    run.close()
    assert progress.halted
    assert (progress.failed, progress.cancelled) == (1, 40)


def test_halt_soon_lets_them_end(driver: SlotDriver) -> None:
    run = MapRun(driver, "exit {}", ["1"] * 100, MapOptions(halt=parse_halt("fail=3"))).start()
    progress = finished(run)
    run.close()
    assert progress.halted
    assert 3 <= progress.failed <= 7
    assert progress.failed + progress.cancelled == 100


def test_time_limit_ends_a_job(driver: SlotDriver, tmp_path: Path) -> None:
    log = str(tmp_path / "log")

    def attempt(limit: float) -> Any:
        Path(log).unlink(missing_ok=True)
        run = MapRun(driver, "sleep {}", ["0", "600"], MapOptions(timeout=limit, joblog=log)).start()
        progress = finished(run)
        run.close()
        return progress

    progress = with_time_enough(attempt, lambda progress: progress.done)
    assert (progress.done, progress.timeout) == (1, 1)
    assert (read_job_log(log)[2].exit_status, read_job_log(log)[2].signal) == (-1, 15)
    end = time.monotonic() + 30
    while sleepers("600"):  # they were sent SIGTERM together with the one whose end was told
        assert time.monotonic() < end
        time.sleep(0.02)


def sleepers(seconds: str) -> list[psutil.Process]:
    return descendants(os.getpid(), lambda words: words == ["sleep", seconds])


def test_a_map_can_be_cancelled(driver: SlotDriver) -> None:
    run = MapRun(driver, "sleep {}", ["60"] * 20).start()
    while run.progress().running < 4:
        time.sleep(0.01)
    run.cancel()
    progress = finished(run)
    run.close()
    assert progress.cancelled == 20


def test_waiting_jobs_can_be_cancelled_in_the_queue(driver: SlotDriver, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    run = MapRun(driver, f"until test -e {gate}; do sleep 0.02; done; sleep {{}}", ["0"] * 4 + ["60"] * 3).start()
    while run.progress().running < 4:
        time.sleep(0.01)
    for info in driver.manager.tasks():
        if info.state.word == "waiting":
            driver.manager.cancel(info.id)
    gate.touch()
    progress = finished(run)
    run.close()
    assert (progress.done, progress.cancelled) == (4, 3)


def test_nodes_join_while_it_runs(task: Task) -> None:
    driver = make_driver(task, "exec", {})
    run = MapRun(driver, "echo {} {node}", ["1", "2"]).start()
    assert not run.wait(0.1)
    driver.add_nodes({"late": 1})
    assert finished(run).done == 2
    run.close()
    assert driver.close()


def test_unsafe_templates_are_refused_before_anything_runs(driver: SlotDriver) -> None:
    with pytest.raises(TemplateError):
        MapRun(driver, "echo `ls {}`", ["x"])
    with pytest.raises(ValueError, match="percentage"):
        MapRun(driver, "echo {}", ["x"], MapOptions(timeout="soon"))
    assert driver.manager.number_of_tasks() == ({}, {}, {})


def test_journal_map_goes_on_in_another_console(task: Task, tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'journal'}"
    with TaskManager(address) as manager:
        idle = SlotDriver(manager, TaskRunner(task, worker="exec")).start()
        MapRun(idle, "echo {}", ["1", "2", "3"]).start()
        assert idle.close()
    with TaskManager(address) as manager:
        driver = SlotDriver(manager, TaskRunner(task, worker="exec")).start()
        driver.add_nodes({"n1": 1})
        outputs = {manager.get_any_result(timeout=20)[2]["stdout"] for _ in range(3)}
        assert outputs == {"1\n", "2\n", "3\n"}
        assert driver.close()


# -- over SSH


def test_map_over_ssh(ssh_task: Task) -> None:
    driver = make_driver(ssh_task, "paramiko", {f"node{n}": 2 for n in range(1, 5)})
    run = MapRun(driver, "echo {} on {node}", [str(n) for n in range(40)]).start()
    progress = finished(run)
    run.close()
    assert progress.done == 40
    assert {node.name: node.state for node in driver.nodes()} == {f"node{n}": "up" for n in range(1, 5)}
    assert sum(node.done for node in driver.nodes()) == 40
    assert driver.close()


def test_a_result_is_adopted_after_the_connection_was_cut(
    make_sshd: Callable[..., Sshd], task: Task, tmp_path: Path
) -> None:
    server = make_sshd()
    task.set_info("ssh_config", str(server.config))
    driver = make_driver(task, "paramiko", {"node1": 1})
    gate, count = tmp_path / "gate", tmp_path / "count"
    command = f"echo x >>{count}; while ! test -e {gate}; do sleep 0.05; done; exit {{}}"
    run = MapRun(driver, command, ["0", "4"]).start()
    while not count.exists():
        time.sleep(0.02)
    cut(server)
    while run.progress().lost < 1:
        time.sleep(0.02)
    gate.touch()
    progress = finished(run)
    run.close()
    assert (progress.done, progress.failed, progress.lost) == (1, 1, 0)
    assert count.read_text() == "x\nx\n"  # each ran once
    assert driver.close()


def test_unreachable_node_and_a_good_one(make_sshd: Callable[..., Sshd], task: Task) -> None:
    server, gone = make_sshd(), make_sshd(prefix="gone")
    gone.stop()
    config = server.folder / "both"
    config.write_text(server.config.read_text() + "\n" + gone.config.read_text())
    task.set_info("ssh_config", str(config))
    driver = make_driver(task, "paramiko", {"gone1": 2, "node1": 2})
    run = MapRun(driver, "echo {}", [str(n) for n in range(20)]).start()
    progress = finished(run)
    run.close()
    assert (progress.done, progress.failed, progress.lost) == (20, 0, 0)
    states = {node.name: (node.state, node.done) for node in driver.nodes()}
    assert states == {"gone1": ("down", 0), "node1": ("up", 20)}
    assert driver.close()


def test_jobstates_say_whether_they_are_over() -> None:
    over = {state for state in JobState if state.finished}
    assert over == {JobState.DONE, JobState.FAILED, JobState.TIMEOUT, JobState.CANCELLED}
