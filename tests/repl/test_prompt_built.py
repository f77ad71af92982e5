"""The prompt that both front ends use, hosted as in the full-screen console, on a session without an engine."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from ClusterShell.NodeSet import NodeSet
from prompt_toolkit import PromptSession
from prompt_toolkit.input.base import Input
from prompt_toolkit.output.base import Output
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from clusterdeck.console.commands.catalogue import default_registry
from clusterdeck.console.completion import completion
from clusterdeck.console.repl.history import DeckHistory
from clusterdeck.console.repl.prompt import PromptParts, build_prompt, prompt_text
from clusterdeck.console.runs.options import RunOptions
from clusterdeck.tests.support.fake_session import Answered, FakeSession
from clusterdeck.widgets.prompt import PromptHost

REGISTRY = default_registry()


class Console(App[None]):
    """Only the prompt, over a session that a test prepares."""

    def __init__(self, session: FakeSession) -> None:
        super().__init__()
        self.session = session
        self.lines: list[str] = []
        self.said: list[str] = []
        self.stops = 0
        self.parts = PromptParts(session, REGISTRY, DeckHistory(None, 0), self.stop_run, self.said.append, hosted=True)

    def make(self, input: Input, output: Output) -> PromptSession[str]:  # noqa: A002
        return build_prompt(self.parts, input, output)

    def compose(self) -> ComposeResult:
        yield PromptHost(self.make, self.lines.append)

    def on_mount(self) -> None:
        self.prompt.focus()

    def stop_run(self) -> bool:
        self.stops += 1
        return bool(self.session.runs.running)

    @property
    def prompt(self) -> PromptHost:
        return self.query_one(PromptHost)

    def rows(self) -> list[str]:
        return ["".join(s.text for s in self.prompt.render_line(y)).rstrip() for y in range(self.prompt.size.height)]


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    app = pilot.app
    assert isinstance(app, Console)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if condition():
            return
        await asyncio.sleep(0.005)
        await pilot.pause(0)
    pytest.fail(f"never came true: {app.rows()}, lines {app.lines}, said {app.said}")


def play(session: FakeSession, scenario: Callable[[Console, Pilot[None]], Awaitable[None]]) -> Console:
    app = Console(session)

    async def main() -> None:
        async with app.run_test(size=(100, 24)) as pilot:
            await until(pilot, lambda: app.rows()[0].startswith("deck "))
            await scenario(app, pilot)

    asyncio.run(main())
    assert "clusterdeck-prompt" not in {thread.name for thread in threading.enumerate()}
    return app


@pytest.fixture
def session() -> FakeSession:
    made = FakeSession(lambda command, node: Answered(rc=0 if node != "web1" else 1))
    made.selection.replace(made.resolve("@web"), "@web")
    return made


def test_the_menu_explains_its_rows_and_enter_only_takes_one(session: FakeSession) -> None:
    async def scenario(app: Console, pilot: Pilot[None]) -> None:
        await pilot.press(*":set fanou")
        await until(pilot, lambda: any("nodes at a time" in row for row in app.rows()))
        await pilot.press("down")
        await until(pilot, lambda: app.rows()[0] == "deck @web[4]> :set fanout")
        await pilot.press("enter")
        await until(pilot, lambda: len(app.rows()) == 1)
        assert app.lines == []
        await pilot.press("space", "9", "enter")
        await until(pilot, lambda: app.lines == [":set fanout 9"])

    play(session, scenario)


def test_the_line_is_coloured_while_it_is_typed(session: FakeSession) -> None:
    async def scenario(app: Console, pilot: Pilot[None]) -> None:
        await pilot.press(*":nope")
        await until(pilot, lambda: app.rows()[0].endswith(":nope"))
        styles = {s.text: s.style for s in app.prompt.render_line(0) if s.style and s.style.underline}
        assert ":nope" in "".join(styles)

    play(session, scenario)


def test_ctrl_c_stops_before_it_clears_and_never_ends_the_prompt(session: FakeSession) -> None:
    session.hold = True
    session.shell("sleep", NodeSet("web[1-4]"), RunOptions())

    async def scenario(app: Console, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "1 running 0/4" in app.rows()[0])
        await pilot.press(*"half", "ctrl+c")
        await until(pilot, lambda: app.stops == 1)
        assert app.prompt.text == "half"
        session.runs.running[0].ended = 0.0
        await pilot.press("ctrl+c")
        await until(pilot, lambda: app.prompt.text == "")
        assert app.said == []
        await pilot.press("ctrl+c")
        await until(pilot, lambda: len(app.said) == 1)
        await pilot.press(*"fine", "enter")
        await until(pilot, lambda: app.lines == ["fine"])

    play(session, scenario)


def test_a_backslash_goes_on_in_a_new_line(session: FakeSession) -> None:
    async def scenario(app: Console, pilot: Pilot[None]) -> None:
        await pilot.press(*"one", "\\", "enter", *"two", "\\", "\\", "enter")
        await until(pilot, lambda: app.lines == ["one\\\ntwo\\\\"])
        await pilot.press(*"three", "alt+enter", *"four", "enter")
        await until(pilot, lambda: app.lines[1:] == ["three\nfour"])

    play(session, scenario)


def test_a_broken_completion_is_told_and_takes_nothing_away(
    session: FakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **_names: object) -> list[object]:
        raise ValueError("no luck")

    monkeypatch.setattr("clusterdeck.console.completion.completion.complete", broken)

    async def scenario(app: Console, pilot: Pilot[None]) -> None:
        await pilot.press(*":x")
        await until(pilot, lambda: any("no luck" in text for text in app.said))
        await pilot.press("enter")
        await until(pilot, lambda: app.lines == [":x"])

    play(session, scenario)


def test_a_completion_that_hangs_holds_up_nothing(session: FakeSession, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    asked: list[str] = []

    def hangs(text: str, *_: object, **_names: object) -> list[object]:
        asked.append(text)
        assert release.wait(30)
        return []

    monkeypatch.setattr("clusterdeck.console.completion.completion.complete", hangs)

    async def scenario(app: Console, pilot: Pilot[None]) -> None:
        for number in range(8):
            await pilot.press(*f":x{number}")
            await until(pilot, lambda number=number: app.prompt.text == f":x{number}")  # type: ignore[misc]
            await pilot.press("enter")
            await until(pilot, lambda number=number: len(app.lines) == number + 1)  # type: ignore[misc]
        release.set()

    app = play(session, scenario)
    assert app.lines == [f":x{number}" for number in range(8)]
    assert 0 < len(asked) <= 4
    for thread in threading.enumerate():
        if thread.name == "clusterdeck-completion":
            thread.join(10)


def text_of(parts: PromptParts) -> str:
    return "".join(fragment[1] for fragment in prompt_text(parts))


def test_the_prompt_tells_selection_counts_runs_failures_and_recording(session: FakeSession) -> None:
    name = ""
    parts = PromptParts(session, REGISTRY, DeckHistory(None, 0), lambda: False, print, recording=lambda: name)
    assert text_of(parts) == "deck @web[4]> "
    session.shell("x", NodeSet("web[1-4]"), RunOptions())
    assert text_of(parts) == "deck @web[4] x1> "
    session.hold = True
    session.shell("x", NodeSet("web[1-4]"), RunOptions())
    session.shell("x", NodeSet("web[1-2]"), RunOptions())
    assert text_of(parts) == "deck @web[4] 2 running 0/6> "
    name = "macro"
    assert text_of(parts) == "deck @web[4] 2 running 0/6 rec macro> "
    session.selection.replace(NodeSet("node[1-9]"))
    assert text_of(parts).startswith("deck node[1-9] (9) ")
    session.selection.replace(NodeSet(",".join(f"rack{n}-node[1-3]" for n in range(9))))
    assert text_of(parts).startswith("deck rack[0-8]-node[1-3] (27) ")
    session.selection.replace(NodeSet())
    assert text_of(parts).startswith("deck no nodes ")


def test_a_long_selection_is_cut(session: FakeSession) -> None:
    session.selection.replace(NodeSet("node[" + ",".join(str(n) for n in range(1, 400, 2)) + "]"))
    parts = PromptParts(session, REGISTRY, DeckHistory(None, 0), lambda: False, print)
    assert len(text_of(parts)) < 60
    assert "... (200)> " in text_of(parts)


def test_tab_takes_a_single_candidate_that_is_still_looked_up_and_then_what_is_behind_it(
    session: FakeSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "single" / "inner").mkdir(parents=True)
    known = threading.Event()
    look = completion.complete

    def slow(*given: Any, **named: Any) -> Any:
        assert known.wait(30)
        return look(*given, **named)

    monkeypatch.setattr(completion, "complete", slow)
    line = f":save {tmp_path}/"

    async def scenario(app: Console, pilot: Pilot[None]) -> None:
        app.prompt.insert(f"{line}sin")
        await until(pilot, lambda: app.prompt.text == f"{line}sin")
        await pilot.press("tab")
        known.set()
        await until(pilot, lambda: app.prompt.text == f"{line}single/")
        await pilot.press("tab")
        await until(pilot, lambda: app.prompt.text == f"{line}single/inner/")

    play(session, scenario)
