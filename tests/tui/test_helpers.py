"""What stands behind the screen: the resolver's thread, looks at the queue, the clipboard, the pump."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clusterdeck.console.queue.ways import Ended
from clusterdeck.console.repl.prompt import PromptParts
from clusterdeck.console.tui import clipboard, errands, launch
from clusterdeck.console.tui.errands import Errand, known_groups, look_at_queue
from clusterdeck.console.tui.housekeeping import Collector
from clusterdeck.console.tui.pump import Pump
from clusterdeck.console.tui.resolver import ExpressionResolver
from clusterdeck.engine.taskmanager.jobs import JobState
from clusterdeck.engine.taskmanager.tasks import TaskInfo, TaskState
from clusterdeck.tests.support.fake_run import FakeSession, mixed
from clusterdeck.tests.support.fake_session import FakeSession as AnsweringSession
from clusterdeck.tests.support.tui import Deck, settled, until
from clusterdeck.widgets.filter_model import Resolution


def waited(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_the_resolver_answers_at_once_and_asks_in_its_thread() -> None:
    asked: list[tuple[str, str]] = []

    def resolve(expression: str) -> list[str]:
        asked.append((expression, threading.current_thread().name))
        if expression == "@bad":
            raise ValueError("no group bad")
        return ["a", "b"]

    resolver = ExpressionResolver(resolve)
    assert resolver("@x") == Resolution(None, pending=True)
    waited(lambda: not resolver("@x").pending)
    assert resolver("@x").names == frozenset({"a", "b"})
    waited(lambda: not resolver("@bad").pending)
    assert resolver("@bad").error == "no group bad"
    assert asked[0] == ("@x", "clusterdeck-filter")
    count = len(asked)
    resolver("@x")
    assert len(asked) == count
    resolver.forget()
    assert resolver("@x").pending
    waited(lambda: not resolver("@x").pending)
    resolver.close()
    waited(lambda: "clusterdeck-filter" not in [thread.name for thread in threading.enumerate()])


def test_a_group_program_that_hangs_keeps_nothing() -> None:
    release = threading.Event()
    resolver = ExpressionResolver(lambda _expression: (release.wait(30) and []) or [])
    begun = time.monotonic()
    for number in range(600):
        assert resolver(f"@g{number}").pending
    resolver.close(0.05)
    assert time.monotonic() - begun < 5
    release.set()


async def test_a_filter_by_results_follows_the_results() -> None:
    session = FakeSession("node[1-4]")
    session.groups["failed"] = "node1"
    deck = Deck(session)
    async with deck.app.run_test(size=(140, 40)) as pilot:
        await settled(deck, pilot)
        main = deck.app.main
        main.set_filter("@failed")
        await until(pilot, lambda: len(main.nodes.listed) == 1)
        session.groups["failed"] = "node[2-3]"
        mixed(session)
        await until(pilot, lambda: len(main.nodes.listed) == 2)
    session.close()


def test_a_look_at_the_queue() -> None:
    now = time.time()
    info = TaskInfo("job_1", "job", TaskState.LEASED, 2, 1, 7, None, now - 10, now - 4, 0.0)
    node = SimpleNamespace(
        name="node1", state="down", slots=4, running=1, done=3, failed=1, lost=1, retry_in=5.0, reason="refused \x1b[2J"
    )
    process = SimpleNamespace(id=7, info={"node": "node1", "slot": 0}, silent=1.5, running=1, period=None)
    # An idle slot of a map that ended, a worker that breaks its word, and one that gave none.
    others = [
        SimpleNamespace(id=3, info={"node": "node2", "slot": 0}, silent=90.0, running=0, period=None),
        SimpleNamespace(id=8, info="w1", silent=90.0, running=0, period=5.0),
        SimpleNamespace(id=9, info="w2", silent=90.0, running=0, period=None),
    ]
    lost = TaskInfo("job_2", "job", TaskState.LOST, 1, 1, None, None, now - 10, now - 4, now - 2)
    done = Ended("job_0", JobState.DONE, "node2", "make", now - 3, ("built",))
    service: Any = SimpleNamespace(
        version=9,
        status=lambda: SimpleNamespace(
            waiting={"job": 2}, running={"job": 1}, finished={"job": 1}, processes=[process, *others], paused=True
        ),
        tasks=lambda limit: [
            SimpleNamespace(info=info, command="make \x9b -j4"),
            SimpleNamespace(info=lost, command="make"),
        ],
        ended=lambda: [done],
        running=lambda: [SimpleNamespace(task_id="job_1", node="node1")],
        nodes=lambda: [node],
        maps=SimpleNamespace(nodes=dict, all=list),
        worker_nodes=list,
        way_of=lambda task: [SimpleNamespace(at=now - 4, text=f"{task} began on node1 slot 1")],
        result_lines=lambda _task: ("the last line",),
    )
    seen = look_at_queue(service)
    assert list(seen.notes) == ["paused: no task begins until :queue resume"]
    task, gone, kept = seen.tasks
    assert (task.id, task.state, task.where, task.attempts) == ("job_1", "running", "node1", 2)
    assert "\x9b" not in task.text
    assert any("given back 1 time:" in step for step in task.way)
    assert any(step.startswith("job_1 began on node1 slot 1, 4 s ago") for step in task.way)
    assert task.way[-1] == "  the last line"
    assert (gone.id, gone.state) == ("job_2", "lost")
    assert (kept.id, kept.tag, kept.state, kept.where, kept.way[-1]) == ("job_0", "job", "finished", "node2", "  built")
    assert seen.counts == {"job": {"waiting": 2, "running": 1, "lost": 1, "finished": 1}}
    assert [(one.id, one.late) for one in seen.processes] == [("7", False), ("8", True), ("9", False)]
    (worker,) = seen.workers
    assert worker.failed == 2
    assert worker.trouble.endswith("next try in 5 s")
    assert "\x1b" not in worker.trouble
    assert seen.processes[0].where == "node1 slot 0"
    assert seen.version == 9


def test_a_queue_that_nobody_works_for_says_so() -> None:
    status = SimpleNamespace(waiting={"shell": 1, "shell.map1": 2}, processes=[], paused=False)
    service: Any = SimpleNamespace(
        maps=SimpleNamespace(nodes=lambda: {1: []}), nodes=list, worker_nodes=list, is_shared=False
    )
    assert errands._notes(service, status) == ["nobody takes the waiting tasks: :queue join NODES"]
    for change in ({"waiting": {"shell.map1": 2}}, {"processes": [SimpleNamespace(info="a worker", running=0)]}):
        assert errands._notes(service, SimpleNamespace(**{**vars(status), **change})) == []
    some: list[dict[str, Any]] = [{"is_shared": True}, {"nodes": lambda: [1]}, {"worker_nodes": lambda: [1]}]
    for served in some:
        assert errands._notes(SimpleNamespace(**{**vars(service), **served}), status) == []


def test_groups_that_cannot_be_read_are_none() -> None:
    def broken() -> dict[str, list[str]]:
        raise OSError("no such program")

    assert known_groups(broken) == {}


def test_an_errand_runs_one_at_a_time() -> None:
    release = threading.Event()
    looks: list[int] = []
    answers: list[object] = []

    def look() -> int:
        looks.append(1)
        release.wait(20)
        return len(looks)

    errand = Errand(look, answers.append, lambda callback: callback())
    errand.maybe(100.0)
    errand.maybe(200.0)
    release.set()
    waited(lambda: answers == [1])
    errand.maybe(100.5)
    assert len(looks) == 1
    errand.maybe(102.0)
    waited(lambda: answers == [1, 2])


async def test_the_pump_ends_with_the_error_of_a_tick() -> None:
    failed: list[Exception] = []
    session: Any = SimpleNamespace(drain=lambda budget: [])

    def tick(_now: float, _events: object) -> None:
        raise RuntimeError("a tick failed")

    pump = Pump(session, 60, tick, failed.append)
    pump.start()
    while not failed:
        await asyncio.sleep(0.01)
    ticks = pump.ticks
    await asyncio.sleep(0.1)
    assert pump.ticks == ticks == 1
    pump.stop()


@pytest.mark.parametrize(
    ("environment", "there", "expected"),
    [
        ({"WAYLAND_DISPLAY": "w", "DISPLAY": ":0"}, {"wl-copy", "xclip"}, "wl-copy"),
        ({"DISPLAY": ":0"}, {"xclip"}, "xclip"),
        ({"DISPLAY": ":0"}, {"xsel"}, "xsel"),
        ({}, {"pbcopy"}, "pbcopy"),
        ({}, {"xclip"}, None),
        ({"DISPLAY": ":0", "SSH_CONNECTION": "1"}, {"xclip"}, None),
    ],
)
def test_native_clipboard(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], there: set[str], expected: str | None
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: name if name in there else None)
    command = clipboard.native_tool(environment)
    assert (command[0] if command else None) == expected


def test_copying_with_a_tool_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clipboard, "native_tool", lambda: ("false",))
    assert not clipboard.copy_native("text")
    monkeypatch.setattr(clipboard, "native_tool", lambda: ("/no/such/tool",))
    assert not clipboard.copy_native("text")
    monkeypatch.setattr(clipboard, "native_tool", lambda: ("cat",))
    assert clipboard.copy_native("text")
    monkeypatch.setattr(clipboard, "native_tool", lambda: None)
    assert not clipboard.copy_native("text")


def test_full_collections_wait_for_a_quiet_moment() -> None:
    before = gc.get_threshold()
    collector = Collector()
    assert not collector.tick(1e6, False)
    collector.start(1000.0)
    try:
        assert gc.get_threshold()[2] > 100_000
        assert not collector.tick(1059.0, False)
        assert not collector.tick(1061.0, True)
        assert not collector.tick(1063.0, False)
        assert collector.tick(1064.5, False)
        assert not collector.tick(1070.0, False)
        assert not collector.tick(1064.5 + 899, True)
        assert collector.tick(1064.5 + 901, True)
    finally:
        collector.stop()
    assert gc.get_threshold() == before


def test_the_prompt_of_the_screen_knows_what_is_recorded_and_the_queue(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CLUSTERDECK_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("CLUSTERDECK_CONFIG_DIR", str(tmp_path / "config"))
    made: list[Any] = []
    built: list[PromptParts] = []

    def app(*arguments: Any, **_names: Any) -> SimpleNamespace:
        made.extend(arguments)
        return SimpleNamespace(call_soon=lambda action: None)

    monkeypatch.setattr(launch, "ClusterdeckApp", app)
    monkeypatch.setattr(launch, "build_prompt", lambda parts, *_streams: built.append(parts))
    opened: Any = launch.make_app(AnsweringSession())  # type: ignore[arg-type]
    execute, make_prompt = made[3], made[4]
    make_prompt(None, None)
    (parts,) = built
    assert parts.queue is opened.queue
    assert parts.recording() == ""
    execute(":record mine")
    assert parts.recording() == "mine"
    execute(":stop")
    assert parts.recording() == ""
