"""The hosted prompt under Textual's pilot: everything prompt_toolkit does must work through the widget."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import pytest
from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import Completer, WordCompleter
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input.base import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output.base import Output
from textual import events
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Static

from clusterdeck.widgets.prompt import PromptHost

WORDS = ["run", "resume", "retry", "timeout", "日本語ノード"]
HISTORY = ["nodes -w n[1-10]", "timeout list", "run uptime"]


class Host(App[None]):
    """A prompt under a static text; collects what the prompt does."""

    ENABLE_COMMAND_PALETTE = False
    CSS = "Static { height: 1fr; }"

    def __init__(
        self, *, vi: bool = False, completer: Completer | None = None, bindings: KeyBindings | None = None
    ) -> None:
        super().__init__()
        self.vi, self.completer, self.prompt_bindings = vi, completer or WordCompleter(WORDS), bindings
        self.lines: list[tuple[str, str]] = []
        self.interrupts = 0
        self.ends = 0
        self.ctrl_c = 0
        self.errors: list[BaseException] = []
        self.released = threading.Event()
        self.released.set()
        self.keys_seen: list[str] = []

    def compose(self) -> ComposeResult:
        yield Static("above")
        yield PromptHost(
            self.session,
            self.on_line,
            on_interrupt=self.on_interrupt,
            leave_keys=["f2"],
            empty_leave_keys=["escape"],
        )

    def session(self, input: Input, output: Output) -> PromptSession[str]:  # noqa: A002
        return PromptSession(
            "deck> ",
            input=input,
            output=output,
            completer=self.completer,
            history=InMemoryHistory(HISTORY),
            auto_suggest=AutoSuggestFromHistory(),
            key_bindings=self.prompt_bindings,
            reserve_space_for_menu=7,
            vi_mode=self.vi,
        )

    def on_mount(self) -> None:
        self.prompt.focus()

    @property
    def prompt(self) -> PromptHost:
        return self.query_one(PromptHost)

    def on_line(self, line: str) -> None:
        self.lines.append((line, threading.current_thread().name))
        if line.startswith("wait"):
            assert self.released.wait(60)
        if line.startswith("boom"):
            raise ValueError("boom")

    def on_interrupt(self) -> None:
        self.interrupts += 1
        self.released.set()

    def on_key(self, event: events.Key) -> None:
        self.keys_seen.append(event.key)

    def on_prompt_host_interrupted(self) -> None:
        self.ctrl_c += 1

    def on_prompt_host_end_requested(self) -> None:
        self.ends += 1

    def on_prompt_host_failed(self, message: PromptHost.Failed) -> None:
        self.errors.append(message.error)

    def rows(self) -> list[str]:
        """What the prompt shows, as text."""
        return ["".join(s.text for s in self.prompt.render_line(y)).rstrip() for y in range(self.prompt.size.height)]


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    """Let the app run until `condition` holds; the screen says why if it never does."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if condition():
            return
        await asyncio.sleep(0.005)
        await pilot.pause(0)
    app = pilot.app
    assert isinstance(app, Host)
    pytest.fail(f"never came true; the prompt shows {app.rows()}, lines {app.lines}, errors {app.errors}")


def play(
    scenario: Callable[[Host, Pilot[None]], Awaitable[None]], size: tuple[int, int] = (80, 24), **options: object
) -> Host:
    """Run a scenario; afterwards no thread of the prompt may be left."""
    app = Host(**options)  # type: ignore[arg-type]

    async def main() -> None:
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.rows()[0].startswith("deck>"))
            await scenario(app, pilot)

    before = set(threading.enumerate())
    asyncio.run(main())
    assert not [t for t in set(threading.enumerate()) - before if t.is_alive()]
    return app


def accepted(app: Host) -> list[str]:
    return [line for line, _ in app.lines]


def test_a_typed_line_runs_in_the_prompt_thread() -> None:
    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        await pilot.press(*"uname -a")
        await until(pilot, lambda: app.rows()[0] == "deck> uname -a")
        await pilot.press("enter")
        await until(pilot, lambda: bool(app.lines) and app.rows()[0] == "deck>")

    app = play(scenario)
    assert app.lines == [("uname -a", "clusterdeck-prompt")]


def test_the_menu_opens_while_typing_and_tab_completes() -> None:
    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        await pilot.press(*"re")
        await until(pilot, lambda: len(app.rows()) == 3)
        assert [row.strip() for row in app.rows()[1:]] == ["resume", "retry"]
        await pilot.press("tab", "tab")
        await until(pilot, lambda: app.rows()[0] == "deck> retry")
        await pilot.press("enter")
        await until(pilot, lambda: accepted(app) == ["retry"])
        await until(pilot, lambda: len(app.rows()) == 1)

    play(scenario)


def test_up_recalls_and_ctrl_r_searches_the_history() -> None:
    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        await pilot.press("up")
        await until(pilot, lambda: app.rows()[0] == "deck> run uptime")
        await pilot.press("ctrl+u", "ctrl+r", *"n[1")
        await until(pilot, lambda: "reverse-i-search" in app.rows()[0] and "nodes -w n[1-10]" in app.rows()[0])
        await pilot.press("enter")
        await until(pilot, lambda: app.rows()[0] == "deck> nodes -w n[1-10]")
        await pilot.press("enter")
        await until(pilot, lambda: accepted(app) == ["nodes -w n[1-10]"])

    play(scenario)


def test_a_suggestion_from_the_history_is_shown_and_taken() -> None:
    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        await pilot.press(*"timeout l")
        await until(pilot, lambda: app.rows()[0] == "deck> timeout list")
        await pilot.press("right", "enter")
        await until(pilot, lambda: accepted(app) == ["timeout list"])

    play(scenario)


def test_emacs_keys_edit_the_line() -> None:
    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        await pilot.press(
            *"one two three", "alt+b", "ctrl+k", "ctrl+a", *"x ", "ctrl+e", "backspace", "ctrl+y", "enter"
        )
        await until(pilot, lambda: accepted(app) == ["x one twothree"])

    play(scenario)


def test_vi_keys_edit_the_line() -> None:
    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        await pilot.press(*"hello world", "escape")
        await pilot.press(*"0dwix", "enter")
        await until(pilot, lambda: accepted(app) == ["xworld"])

    play(scenario, vi=True)


def test_a_paste_is_one_piece_even_with_line_ends_and_wide_characters() -> None:
    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        app.prompt.post_message(events.Paste("echo 日本語\necho two"))
        await until(pilot, lambda: len(app.rows()) == 2)
        assert app.rows()[0] == "deck> echo 日本語"
        assert not app.lines
        await pilot.press("enter")
        await until(pilot, lambda: accepted(app) == ["echo 日本語\necho two"])

    play(scenario)


def test_wide_characters_keep_the_cursor_right() -> None:
    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        await pilot.press("日", "本", "語", "left")
        await until(pilot, lambda: app.cursor_position.x == len("deck> ") + 4)
        strip = app.prompt.render_line(0)
        reverse = [segment.text for segment in strip if segment.style and segment.style.reverse]
        assert reverse == ["語"]
        assert strip.cell_length == 80
        await pilot.press("x", "enter")
        await until(pilot, lambda: accepted(app) == ["日本x語"])

    play(scenario)


def test_a_burst_of_keys_arrives_whole_and_in_order() -> None:
    text = "".join(chr(ord("a") + i % 26) for i in range(100))

    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        for char in text:
            app.prompt.post_message(events.Key(char, char))
        await until(pilot, lambda: app.prompt.text == text)
        await until(pilot, lambda: "".join(row.removeprefix("deck> ") for row in app.rows()) == text)
        for line in range(30):
            for char in f"line {line}":
                app.prompt.post_message(events.Key("space" if char == " " else char, char))
            app.prompt.post_message(events.Key("enter", "\r"))
        await until(pilot, lambda: len(app.lines) == 30)

    app = play(scenario)
    assert accepted(app) == [text + "line 0", *(f"line {line}" for line in range(1, 30))]


def test_resizing_wraps_the_line_anew() -> None:
    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        await pilot.press(*("x" * 60))
        await until(pilot, lambda: app.rows() == ["deck> " + "x" * 60])
        for width in (40, 90, 30, 50, 33, 40):
            await pilot.resize_terminal(width, 24)
        await until(pilot, lambda: app.rows() == ["deck> " + "x" * 34, "x" * 26])
        await pilot.resize_terminal(200, 50)
        await until(pilot, lambda: app.rows() == ["deck> " + "x" * 60])

    play(scenario)


def test_a_small_screen_keeps_room_for_the_rest() -> None:
    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        app.prompt.insert("\n".join(["line"] * 30))
        await until(pilot, lambda: len(app.rows()) > 3)
        assert app.prompt.size.height <= 7
        assert app.query_one(Static).size.height >= 8

    play(scenario, size=(60, 15))


def test_ctrl_c_while_a_line_runs_reaches_the_app_and_drops_what_was_typed_ahead() -> None:
    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        app.released.clear()
        await pilot.press(*"wait", "enter")
        await until(pilot, lambda: app.prompt.busy)
        await until(pilot, lambda: "Ctrl-C stops it" in app.rows()[0])
        await pilot.press(*"rm", "enter", "ctrl+c")
        await until(pilot, lambda: not app.prompt.busy and app.rows()[0] == "deck>")

    app = play(scenario)
    assert app.interrupts == 1
    assert accepted(app) == ["wait"]


def test_keys_typed_while_a_line_runs_wait_for_the_prompt() -> None:
    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        app.released.clear()
        await pilot.press(*"wait", "enter", *"next", "enter")
        await until(pilot, lambda: app.prompt.busy)
        app.released.set()
        await until(pilot, lambda: accepted(app) == ["wait", "next"])

    play(scenario)


def test_ctrl_c_and_ctrl_d_at_the_prompt_are_told_and_never_end_it() -> None:
    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        await pilot.press("ctrl+c")
        await until(pilot, lambda: app.ctrl_c == 1)
        await pilot.press("ctrl+d")
        await until(pilot, lambda: app.ends == 1)
        await pilot.press(*"still here", "enter")
        await until(pilot, lambda: accepted(app) == ["still here"])

    play(scenario)


def test_a_submitted_line_runs_and_the_half_typed_one_stays() -> None:
    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        await pilot.press(*"half typed", "left", "left")
        await until(pilot, lambda: app.prompt.text == "half typed")
        for number in range(20):
            app.prompt.submit(f":retry {number}")
        await until(pilot, lambda: len(app.lines) == 20)
        await until(pilot, lambda: app.rows()[0] == "deck> half typed")
        await pilot.press("X", "enter")
        await until(pilot, lambda: len(app.lines) == 21)

    app = play(scenario)
    assert accepted(app) == [f":retry {number}" for number in range(20)] + ["half typXed"]
    assert {name for _, name in app.lines} == {"clusterdeck-prompt"}


def test_replace_puts_a_line_up_for_editing() -> None:
    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        await pilot.press(*"old")
        app.prompt.replace("again")
        await until(pilot, lambda: app.rows()[0] == "deck> again")
        await pilot.press("!", "enter")
        await until(pilot, lambda: accepted(app) == ["again!"])

    play(scenario)


def test_a_failing_line_is_told_and_the_prompt_stays() -> None:
    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        await pilot.press(*"boom", "enter", *"ok", "enter")
        await until(pilot, lambda: accepted(app) == ["boom", "ok"])
        await until(pilot, lambda: len(app.errors) == 1)

    assert str(play(scenario).errors[0]) == "boom"


def test_a_failing_key_binding_is_told_and_the_prompt_stays() -> None:
    bindings = KeyBindings()

    @bindings.add("c-t")
    def fail(event: KeyPressEvent) -> None:
        raise ValueError("binding")

    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        await pilot.press("ctrl+t")
        await until(pilot, lambda: len(app.errors) == 1)
        await pilot.press(*"ok", "enter")
        await until(pilot, lambda: accepted(app) == ["ok"])

    assert str(play(scenario, bindings=bindings).errors[0]) == "binding"


def test_keys_that_are_not_its_own_bubble_to_the_app() -> None:
    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        await pilot.press("f2", "escape")
        assert app.keys_seen == ["f2", "escape"]
        # Typed and not yet drawn counts as typed: the escape right behind a letter is the prompt's.
        app.prompt.post_message(events.Key("a", "a"))
        app.prompt.post_message(events.Key("escape", None))
        await until(pilot, lambda: app.prompt.text == "a")
        assert app.keys_seen == ["f2", "escape"]
        await pilot.press("ctrl+u")
        await until(pilot, lambda: app.prompt.text == "")
        await pilot.press("escape")
        assert app.keys_seen == ["f2", "escape", "escape"]

    play(scenario)


def test_hostile_text_in_the_line_and_in_the_menu_is_never_painted() -> None:
    hostile = "a\x1b]0;title\x07b\x9b31mc\u202ed\u200b"

    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        app.prompt.insert(hostile)
        await until(pilot, lambda: app.prompt.text != "")
        await pilot.press("ctrl+u", *"zz", "tab")
        await until(pilot, lambda: len(app.rows()) > 1)
        for y in range(app.prompt.size.height):
            text = "".join(segment.text for segment in app.prompt.render_line(y))
            assert text.isprintable(), ascii(text)

    play(scenario, completer=WordCompleter(["zz" + hostile, "zz\u202e\u2066x"]))


def test_leaving_with_a_line_still_running_does_not_hang() -> None:
    app = Host()

    async def main() -> None:
        async with app.run_test() as pilot:
            await until(pilot, lambda: app.rows()[0].startswith("deck>"))
            app.released.clear()
            await pilot.press(*"wait", "enter")
            await until(pilot, lambda: app.prompt.busy)
            asyncio.get_running_loop().call_later(0.05, app.released.set)

    asyncio.run(main())
    assert not [thread for thread in threading.enumerate() if thread.name == "clusterdeck-prompt"]
