"""`:queue` through the interpreter, on real slots and a runner that answers by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterdeck.console.commands.catalogue import default_registry
from clusterdeck.console.exits import ExitCode
from clusterdeck.console.interpreter.interpreter import Interpreter
from clusterdeck.console.queue import maps as maps_module
from clusterdeck.console.queue.queue import QueueService
from clusterdeck.engine.states import NodeState
from clusterdeck.engine.taskmanager.joblog import JobLog, JobLogError
from clusterdeck.engine.taskmanager.jobs import CommandEnd
from clusterdeck.engine.taskmanager.tasks import TaskState
from clusterdeck.tests.support.answering_runner import AnsweringRunner
from clusterdeck.tests.support.fake_session import FakeFrontEnd, FakeSession


class Deck:
    """A console with a queue."""

    def __init__(self, folder: Path, *, interactive: bool = False) -> None:
        self.folder = folder
        self.session = FakeSession()
        self.front_end = FakeFrontEnd(interactive=interactive)
        self.interpreter = Interpreter(self.session, default_registry(), self.front_end)
        self.runner = AnsweringRunner()
        self.queue = QueueService(self.session, lambda _name: self.runner)
        self.interpreter.context.queue = self.queue

    def __call__(self, line: str, code: int = ExitCode.OK) -> str:
        before = len(self.front_end.documents)
        outcome = self.interpreter.execute(line)
        shown = self.front_end.documents[before:]
        text = "\n".join("\n".join([document.title, *document.lines]) for document in shown)
        assert outcome.code == code, text
        return text


@pytest.fixture
def deck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deck]:
    for name in ("STATE", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"CLUSTERDECK_{name}_DIR", str(tmp_path / name.lower()))
    made = Deck(tmp_path)
    yield made
    made.queue.close()


def test_map_runs_every_item_once_and_shows_outputs(deck: Deck) -> None:
    shown = deck(":queue map -w web[1-3] -j 2 -- job {} {#} ::: a 'b c' \"d;e\"")
    assert "3 jobs on 6 slots of 3 nodes" in shown
    assert "done 3 of 3" in shown
    assert sorted(command for _, command in deck.runner.ran) == ["job 'b c' 2", "job 'd;e' 3", "job a 1"]
    assert {node for node, _ in deck.runner.ran} <= {"web1", "web2", "web3"}
    assert "ran job a 1" in shown
    assert "no results" in deck(":queue results")
    noted = [what for what, _ in deck.session.noted]
    assert noted == ["queue map", "queue job", "queue job", "queue job"]
    assert deck.session.noted[0][1]["nodes"] == "web[1-3]"


def test_what_is_queued_is_recorded_without_its_secrets(deck: Deck) -> None:
    deck(":queue join web1")
    deck(":queue map -- app --password=tiger {} ::: a")
    assert "tiger" not in str(deck.session.noted)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ('"echo {}; sleep 1" ::: a', "echo a; sleep 1"),
        ("'echo {}; sleep 1' ::: a", "echo a; sleep 1"),
        ('-- "echo {}; sleep 1" ::: a', "echo a; sleep 1"),
        ("\"'/my tools/run' {}\" ::: a", "'/my tools/run' a"),
        ("'echo {}' '{}' ::: a", "'echo a' 'a'"),
        ("echo '{} x' ::: a", "echo 'a x'"),
        ('"{}"/x ::: a', "a/x"),
    ],
)
def test_one_quoted_word_is_unquoted_once(deck: Deck, line: str, command: str) -> None:
    deck(f":queue map -w n1 {line}")
    assert deck.runner.ran == [("n1", command)]


def test_one_quoted_word_is_unquoted_for_a_single_task_too(deck: Deck) -> None:
    deck(':queue add "echo x; sleep 1"')
    deck(':queue add -T double --json -- "text"')
    waiting = deck.queue.manager.tasks((TaskState.WAITING,), 9)
    assert [info.parameters for info in waiting if info.tag == "double"] == ["text"]
    assert [info.parameters["command"] for info in waiting if info.tag != "double"] == ["echo x; sleep 1"]


def test_map_runs_on_the_selection_if_nobody_joined(deck: Deck) -> None:
    deck(":queue map -- job ::: a", ExitCode.REFUSED)
    deck("@db")
    deck(":queue map -- job ::: a b c")
    assert {node for node, _ in deck.runner.ran} <= {"db1", "db2"}


def test_map_with_failures(deck: Deck) -> None:
    shown = deck(":queue map -w web1 -- fail ::: a b", ExitCode.EXPECTATION_FAILED)
    assert "failed 2 of 2" in shown
    assert "\x1b" not in shown
    deck(":queue map -w web1 --halt now,fail=1 -- fail ::: a b c d e f", ExitCode.EXPECTATION_FAILED)
    assert sum(command.startswith("fail") for _, command in deck.runner.ran) < 2 + 6


def test_job_log_and_resume(deck: Deck) -> None:
    log = deck.folder / "log"
    items = deck.folder / "items"
    items.write_text("a\nb\n")
    deck(f":queue map -w web1 --joblog {log} --from {items} -- job")
    assert len(log.read_text().splitlines()) == 3
    deck.runner.ran.clear()
    items.write_text("a\nb\nc\n")
    shown = deck(f":queue map -w web1 --joblog {log} --resume --from {items} -- job")
    assert [command for _, command in deck.runner.ran] == ["job c"]
    assert "skipped 2" in shown
    assert "job log" in deck(":queue map -w web1 --resume -- job ::: a", ExitCode.USAGE)


def test_no_more_jobs_begin_when_the_job_log_cannot_be_written(deck: Deck, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: JobLog, _line: object) -> None:
        raise JobLogError(f"job log {self.path.name}: No space left on device")

    monkeypatch.setattr(JobLog, "add", full)
    line = f":queue map -w web1 -j 1 --joblog {deck.folder / 'log'} -- job ::: a b c d e f"
    shown = deck(line, ExitCode.EXPECTATION_FAILED)
    assert "halted; job log log: No space left on device" in shown
    assert len(deck.runner.ran) < 6


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (":queue map -w web1 -- job", "no items"),
        (":queue map -w web1 -- job ::: 'a", "cannot be read"),
        (":queue map -w web1 -- job 'x {} ::: a", "a quote is never closed: add a ' where"),
        (":queue frob", "usage: :queue, or with add, map"),
        (":queue wait 9", "there is no map 9: :queue map begins one"),
        (":queue map -w web1 -- job `{}` ::: a", "`"),
        (":queue map -w web1 --timeout soon -- job ::: a", "timeout"),
        (":queue map -w web1 --halt maybe -- job ::: a", "halt"),
        (":queue map -w web1 --from /no/such -- job", "cannot read"),
        (":queue cancel", "nothing is named"),
        (":queue leave web1", "no such node"),
    ],
)
def test_what_cannot_be_done_queues_nothing(deck: Deck, line: str, message: str) -> None:
    assert message in deck(line, ExitCode.USAGE)
    assert deck.runner.ran == []


def test_dry_run_renders_and_queues_nothing(deck: Deck) -> None:
    shown = deck(":queue map --dry-run -- gzip -c {} '>' {.}.gz ::: 'a b.log'")
    assert "gzip -c 'a b.log'" in shown
    assert "'a b'.gz" in shown
    assert not deck.queue.used


def test_queued_commands_wait_for_nodes_that_join(deck: Deck) -> None:
    assert ":queue join" in deck(":queue add -- make test")
    assert "make test" in deck(":queue")
    deck(":queue join web1 -j 2")
    deck(":queue add -- hold")
    assert deck.runner.some_held.wait(30)
    shown = deck(":queue")
    assert "web1/" in shown
    assert "1/2" in deck(":queue nodes")
    deck.runner.held[0](CommandEnd(NodeState.OK, 0, b"released\n"))
    text = ""
    for _ in range(1500):
        text += deck(":queue results")
        if "released" in text:
            break
        deck.interpreter.pause(0.02)
    assert "ran make test" in text
    assert "released" in text
    assert "1 node will get no more" in deck(":queue leave web1")
    assert "no node works" in deck(":queue nodes")


def test_cancel_and_retry(deck: Deck) -> None:
    deck(":queue join web1")
    deck(":queue add -- hold")
    assert deck.runner.some_held.wait(30)
    deck(":queue add -- job")
    assert "over already" in deck(":queue cancel nosuch_3", ExitCode.ERROR)
    assert "nothing to retry" in deck(":queue retry nosuch_3", ExitCode.ERROR)
    assert "2 tasks" in deck(":queue cancel all")
    deck(":queue join web2")
    deck(":queue add -- fail")
    text = ""
    for _ in range(1500):
        text = deck(":queue")
        if "failed" in text.partition("task ")[2]:
            break
        deck.interpreter.pause(0.02)
    assert "1 task once more" in deck(":queue retry failed")


def test_a_pause(deck: Deck) -> None:
    deck(":queue join web1")
    assert "no task begins until :queue resume" in deck(":queue pause")
    assert "the queue is paused: :queue resume lets it go on" in deck(":queue add -- job")
    assert "the queue is paused" in deck(":queue join web1")
    shown = deck(":queue")
    assert "the queue is paused" in shown
    assert "what runs goes on" in shown
    before = len(deck.front_end.documents)

    def resume_when_told() -> None:
        end = time.monotonic() + 20
        while time.monotonic() < end and not any(
            "queue is paused" in text
            for told in deck.front_end.documents[before:]
            for text in (told.title, *told.lines)
        ):
            time.sleep(0.01)
        deck.queue.manager.resume()

    thread = threading.Thread(target=resume_when_told)
    thread.start()
    shown = deck(":queue map -w web2 -- {} ::: job")
    thread.join()
    assert shown.index("the queue is paused") < shown.index("done 1 of 1"), "without an operator it waits, and says why"
    assert "the queue goes on" in deck(":queue resume")
    assert not deck.queue.manager.paused


def test_the_view_knows_a_tasks_way_and_result(deck: Deck) -> None:
    deck(":queue join web1")
    deck(":queue add -- fail it")
    deck(':queue add -T square --json -- [3, "\\u001b[2J"]')
    while len(deck.queue.way_of("shell_0")) < 2:
        deck.interpreter.pause(0.01)
    steps = [step.text for step in deck.queue.way_of("shell_0")]
    assert steps[0] == "began on web1 slot 1"
    assert steps[1].startswith("failed on web1 slot 1 after ")
    assert steps[1].endswith("exit status 1")
    assert deck.queue.result_lines("shell_0") == ("no good",)
    commands = {row.info.id: row.command for row in deck.queue.tasks()}
    assert commands["shell_0"] == "fail it"
    assert commands["square_1"].startswith('[3, "')
    assert "\x1b" not in commands["square_1"]
    assert deck.queue.way_of("nosuch_1") == ()


def test_an_operator_gets_the_prompt_back_and_hears_of_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTERDECK_STATE_DIR", str(tmp_path))
    deck = Deck(tmp_path, interactive=True)
    try:
        deck(":queue map -w web1 -- hold ::: a b")
        assert deck.runner.some_held.wait(30)
        deck.runner.some_held.clear()
        deck.runner.held[0](CommandEnd(NodeState.OK, 0))
        assert deck.runner.some_held.wait(30)
        deck.runner.held[-1](CommandEnd(NodeState.OK, 0))
        assert "done 2 of 2" in deck(":queue wait")
        deck(":queue map -w web1 -- fail ::: a")
        for _ in range(1500):
            if deck.session.notices:
                break
            deck.interpreter.pause(0.02)
        assert "failed 1" in deck.session.notices[-1].text
        assert deck.session.notices[-1].level == "warning"
        assert "map 2: 1 job " in deck(":queue retry --map 2")
    finally:
        deck.queue.close()


def test_nodes_are_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTERDECK_STATE_DIR", str(tmp_path))
    deck = Deck(tmp_path, interactive=True)
    deck.front_end.agree = False
    try:
        deck(":queue map -w web1 -- rm -rf ::: a", ExitCode.REFUSED)
        deck(":queue join n[1-99]", ExitCode.REFUSED)
        deck.session.settings.set("safety.protected", "web1")
        deck(":queue map -w web[1-2] -- job ::: a", ExitCode.REFUSED)
        assert deck.runner.ran == []
    finally:
        deck.queue.close()


def test_a_queue_that_another_process_serves(deck: Deck) -> None:
    socket = deck.folder / "q.sock"
    deck.front_end.interactive = True
    deck(f":queue serve {socket}")
    assert socket.stat().st_mode & 0o077 == 0
    other = Deck(deck.folder)
    other.session.settings.set("queue.socket", str(socket))
    assert "shell_0" in other(":queue add -- job")
    assert "shell" in other(":queue")
    deck(":queue join web1")
    text = ""
    for _ in range(1500):
        text = other(":queue results")
        if "ran job" in text:
            break
        deck.interpreter.pause(0.02)
    assert "ran job" in text
    assert not other.queue.used
    deck.queue.close()
    assert "no queue is served" in other(":queue", ExitCode.USAGE)


# -- in macros


def play(deck: Deck, text: str, code: int = ExitCode.OK) -> str:
    folder = deck.folder / "config" / "macros"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "m.deck").write_text(text)
    return deck(":play m", code)


MAP = ":queue map -w web[1-2] -- {} ::: job flaky fail\n"


def test_a_map_that_failed_stops_a_macro_unless_the_next_line_judges_it(deck: Deck) -> None:
    shown = play(deck, MAP + ":say never", ExitCode.EXPECTATION_FAILED)
    assert "m.deck:1: map 1 did not end well for every job" in shown
    assert "\nnever" not in shown
    shown = play(deck, MAP.replace("flaky fail", "flaky2") + ":queue retry\n:expect ok==all\n:say fine")
    assert "map 2: 1 job once more" in shown, "not those of the map before"
    assert "ok is 2 of 2" in shown
    assert "\nfine" in shown
    shown = play(deck, MAP + ":queue retry --map 1\n:say never", ExitCode.EXPECTATION_FAILED)
    assert "m.deck:2: map 1 did not end well" in shown
    (task,) = deck.queue.manager.ended_of(deck.queue.maps.find(3).run.id)
    shown = play(deck, f":queue retry {task}\n:say never", ExitCode.EXPECTATION_FAILED)
    assert "1 task once more" in shown
    assert shown.index("once more") < shown.index("map 3: done 2, failed 1 of 3"), "one task, by its id, is waited for"


@pytest.mark.parametrize(
    ("lines", "code", "said"),
    [
        (
            ":expect ok>=60% and failed==0",
            ExitCode.EXPECTATION_FAILED,
            "expected ok>=60% and failed==0, but ok is 1 of 3",
        ),
        (":expect failed<=2\n:say on", ExitCode.OK, "failed is 2 of 3"),
        (":if bad>0\n:say repair\n:end", ExitCode.OK, "\nrepair"),
        (":if @failed\n:end", ExitCode.USAGE, "are nodes of a run, and the step before was map"),
        (":expect groups==1", ExitCode.USAGE, "groups cannot be counted of a map: use ok, failed,"),
        (":on-failure continue\n:expect failed==2", ExitCode.OK, "failed is 2 of 3"),
        ("uptime\n", ExitCode.EXPECTATION_FAILED, "map 1 did not end well"),
    ],
)
def test_lines_that_judge_a_map(deck: Deck, lines: str, code: int, said: str) -> None:
    shown = play(deck, MAP.replace("flaky", "fail2") + lines, code)
    assert said in shown


def test_a_macro_goes_on_after_a_map_that_failed_if_it_says_so(deck: Deck) -> None:
    shown = play(deck, ":on-failure continue\n" + MAP + "@web1 uptime\n:expect ok==all\n:say end")
    assert "ok is 1 of 1" in shown, "the newest is a run again"
    assert "\nend" in shown


def test_maps_in_the_background_are_waited_for_at_the_end_of_a_macro(deck: Deck) -> None:
    shown = play(
        deck,
        MAP.replace("map", "map --background").replace("flaky", "fail2") + ":say meanwhile",
        ExitCode.EXPECTATION_FAILED,
    )
    assert shown.index("\nmeanwhile") < shown.index("map 1: done 1, failed 2 of 3")


def test_only_the_ends_that_are_named_are_retried(deck: Deck) -> None:
    deck(MAP, ExitCode.EXPECTATION_FAILED)
    assert "0 tasks once more" in deck(":queue retry lost")
    deck(":queue results")
    assert "0 jobs once more; the results of 2 were taken" in deck(":queue retry --map 1")


def test_of_old_maps_nothing_is_kept_that_could_not_be_retried(deck: Deck, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps_module, "KEPT", 2)
    for _ in range(4):
        deck(":queue map -w web1 -- fail ::: a", ExitCode.EXPECTATION_FAILED)
    assert [job.number for job in deck.queue.maps.all()] == [3, 4]
    assert sorted(info.tag for info in deck.queue.manager.tasks()) == ["shell.map3", "shell.map4"]
    assert "2 tasks once more" in deck(":queue retry", ExitCode.EXPECTATION_FAILED)
