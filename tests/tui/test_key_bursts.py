"""Keys that come all at once, from a fast typist or in one write, reach what the keys before them opened."""

from __future__ import annotations

from typing import Any

import pytest
from textual import events
from textual._xterm_parser import XTermParser
from textual.pilot import Pilot
from textual.screen import Screen

from clusterdeck.console.tui import key_order
from clusterdeck.console.tui.alt_keys import tell_alt_apart
from clusterdeck.console.tui.keymap import normal
from clusterdeck.console.tui.screens.dialogs import ConfirmDialog
from clusterdeck.engine.states import NodeState
from clusterdeck.tests.support.fake_run import FakeSession, mixed, states
from clusterdeck.tests.support.tui import Deck, settled, until
from clusterdeck.widgets.line_entry import FilterBar, SearchBar
from clusterdeck.widgets.prompt_keys import translate_key


def burst(deck: Deck, *keys: str) -> None:
    """All keys in one turn of the loop, as the terminal's thread hands them over; texts letter by letter."""
    for text in keys:
        for key in [text] if text in ("enter", "escape") or text.startswith("ctrl+") else text:
            deck.app.post_message(events.Key(normal(key), key if len(key) == 1 else None))


async def ready(deck: Deck, pilot: Pilot[int], view: str) -> Any:
    """The console with a view that has the keys."""
    await settled(deck, pilot)
    main = deck.app.main
    main.open_view(view, focus=True)
    await settled(deck, pilot)
    return main


def deck_of(*lines: str) -> Deck:
    session = FakeSession("node[1-60]")
    for seed, line in enumerate(lines):
        mixed(session, line, seed=seed)
    return Deck(session)


@pytest.mark.parametrize("view", ["panes", "gathered", "failures"])
async def test_filter_and_what_is_typed_into_it_in_one_piece(view: str) -> None:
    deck = deck_of("uname -r")
    async with deck.app.run_test(size=(120, 30)) as pilot:
        main = await ready(deck, pilot, view)
        bar = main.query_one("#filter", FilterBar)
        burst(deck, "/node[3-9]", "enter", "uptime")
        await deck.wait_line(pilot, ":nodes node[3-9]")
        await deck.wait_prompt(pilot, "uptime")
        assert bar.input.value == "node[3-9]"
        assert main.view == view
        burst(deck, "ctrl+o", "/", "escape", "escape", " -p", "enter")
        await deck.wait_line(pilot, "uptime -p")
        assert not bar.display


async def test_a_command_typed_behind_a_filter_that_nothing_passes_runs_nowhere() -> None:
    deck = deck_of("uname -r")
    async with deck.app.run_test(size=(120, 30)) as pilot:
        main = await ready(deck, pilot, "panes")
        bar = main.query_one("#filter", FilterBar)
        burst(deck, "/node99", "enter", "reboot", "enter")
        await until(pilot, lambda: bar.input.value == "node99reboot" and "No node" in deck.app.book.entries[-1].text)
        assert bar.input.has_focus
        assert deck.lines == []


async def test_search_and_the_matches_behind_it() -> None:
    deck = deck_of("uname -r")
    async with deck.app.run_test(size=(120, 30)) as pilot:
        main = await ready(deck, pilot, "gathered")
        bar = main.query_one("#search", SearchBar)
        burst(deck, "ctrl+f", "el", "enter", "n", "escape", "x")
        await deck.wait_prompt(pilot, "x")
        assert not bar.display


async def test_letters_no_view_has_a_use_for_keep_their_order() -> None:
    deck = deck_of("uname -r")
    async with deck.app.run_test(size=(120, 30)) as pilot:
        await ready(deck, pilot, "panes")
        burst(deck, "wd/0 -q", "enter")
        await deck.wait_line(pilot, "wd/0 -q")
        assert deck.app.main.view == "panes"


async def test_an_offered_line_is_there_before_what_is_typed_behind_it() -> None:
    deck = deck_of("uname -r")
    async with deck.app.run_test(size=(120, 30)) as pilot:
        main = await ready(deck, pilot, "runs")
        burst(deck, "eout.txt")
        await deck.wait_prompt(pilot, f":save --run {main.deck.run.id} out.txt")


async def test_from_the_prompt_to_the_view_and_on() -> None:
    deck = deck_of("uname -r", "uptime")
    async with deck.app.run_test(size=(120, 30)) as pilot:
        main = await ready(deck, pilot, "panes")
        main.set_focus(main.prompt)
        burst(deck, "ctrl+o", "5", "ctrl+o", "3d", "ctrl+o", "3", ":help")
        await deck.wait_prompt(pilot, "3d:help")
        assert main.view == "failures"


async def test_the_palette_gets_what_is_typed_for_it() -> None:
    deck = deck_of("uname -r")
    async with deck.app.run_test(size=(120, 30)) as pilot:
        main = await ready(deck, pilot, "panes")
        burst(deck, "ctrl+p", "queue")
        await until(pilot, lambda: type(deck.app.screen).__name__ == "CommandPalette")
        palette: Any = deck.app.screen
        await until(pilot, lambda: palette.query_one("CommandInput").value == "queue")
        assert main.view == "panes"


async def test_what_is_typed_behind_a_key_that_asks_answers_nothing() -> None:
    session = FakeSession()
    session.push(states(session.make_run("sleep 100"), range(24), NodeState.RUNNING))
    deck = Deck(session)
    async with deck.app.run_test(size=(80, 24)) as pilot:
        await ready(deck, pilot, "panes")
        burst(deck, "q", "enter", "escape", "d")
        await until(pilot, lambda: isinstance(deck.app.screen, ConfirmDialog))
        dialog: Screen[Any] = deck.app.screen
        await until(pilot, lambda: not dialog.deaf)  # type: ignore[attr-defined]
        assert deck.app.screen is dialog
        assert deck.app.main.view == "panes"
        assert not deck.app.main.prompt.text


async def test_a_key_that_is_never_done_holds_the_others_up_for_a_moment_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(key_order, "PATIENCE", 0.05)
    deck = deck_of("uname -r")
    async with deck.app.run_test(size=(120, 30)) as pilot:
        main = await ready(deck, pilot, "panes")
        later = main.focused.call_later

        def lost(callback: Any, *arguments: Any) -> bool:  # as if the widget had gone with what was in its queue
            return "KeyOrder" in callback.__qualname__ or bool(later(callback, *arguments))

        monkeypatch.setattr(main.focused, "call_later", lost)
        burst(deck, "35")
        await until(pilot, lambda: main.view == "runs")


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        ("\x1b\r", ["alt+enter"]),
        ("\x1b.", ["alt+full_stop"]),
        ("x\r", ["x", "enter"]),
        ("\x1b[A", ["up"]),
    ],
)
def test_alt_is_told_apart(sent: str, keys: list[str]) -> None:
    tell_alt_apart()
    told = [message for message in XTermParser().feed(sent) if isinstance(message, events.Key)]
    assert [event.key for event in told] == keys
    assert translate_key(told[0].key, told[0].character) is not None
