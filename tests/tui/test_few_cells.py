"""A small terminal: what is needed to answer, to type and to find the way is there all the same."""

from __future__ import annotations

from functools import partial
from typing import Any

from prompt_toolkit import PromptSession

from clusterdeck.console.frontend import Confirmation, Question
from clusterdeck.console.tui.screens.dialogs import ConfirmDialog, question_dialog
from clusterdeck.engine.states import NodeState
from clusterdeck.tests.support.fake_run import FakeSession, states
from clusterdeck.tests.support.tui import Deck, settled, until
from clusterdeck.widgets.status_bar import ProgressLine


async def test_the_way_to_the_help_and_to_the_view_is_offered_at_60_columns() -> None:
    deck = Deck()
    async with deck.app.run_test(size=(60, 15)) as pilot:
        await settled(deck, pilot)
        footer = deck.screen_text().splitlines()[-1]
        assert footer.startswith(" ^O view  ^C stop ")
        assert footer.rstrip().endswith("F1 help")
        await pilot.press("ctrl+o", "0")
        await until(pilot, lambda: "? Help" in deck.screen_text().splitlines()[-1])
        assert deck.screen_text().splitlines()[-1].startswith(" Enter Open  o Order ")
        await pilot.press("slash")
        await until(pilot, lambda: "Esc no filter" in deck.screen_text().splitlines()[-1])


async def test_toasts_and_long_commands_hide_no_button() -> None:
    deck = Deck()
    async with deck.app.run_test(size=(60, 15), notifications=True) as pilot:
        await settled(deck, pilot)
        for number in range(4):
            deck.app.tell(f"told {number}")
        await until(pilot, lambda: "told 3" in deck.screen_text())
        asked = Confirmation("run on 128 nodes", tuple(f"line {n}" for n in range(12)), 128, typed="128")
        deck.app.open_dialog(ConfirmDialog(asked), lambda _agreed: None)
        await until(pilot, lambda: "Cancel       Go ahead" in deck.screen_text(), deck.screen_text)
        assert "Type  128  to agree." in deck.screen_text()
        await until(pilot, lambda: "told" not in deck.screen_text(), deck.screen_text)


async def test_the_smallest_dialog_has_its_buttons_at_once() -> None:
    deck = Deck()
    async with deck.app.run_test(size=(30, 8)) as pilot:
        await settled(deck, pilot)
        lines = tuple(f"line {n}" for n in range(12))
        rows = tuple((f"node{n}", "ssh-ed25519", "SHA256:" + "x" * 43) for n in range(5))
        for dialog, title, last, buttons in (
            (ConfirmDialog(Confirmation("run on 128 nodes", lines, 128, typed="128")), "run on", "Type", "Go ahead"),
            (ConfirmDialog(Confirmation("Go on?")), "Go on?", "Go on?", "Go ahead"),
            (question_dialog(Question("Unknown keys", "host-keys", rows, ("accept", "no"))), "Unknown", "DNS", "no"),
            (question_dialog(Question("Password", "secret", secret=True)), "Password", "Password", "Send"),
        ):
            deck.app.push_screen(dialog)
            wanted = (title, "Cancel", buttons)
            await until(pilot, lambda wanted=wanted: all(w in deck.screen_text() for w in wanted), deck.screen_text)  # type: ignore[misc]
            await until(pilot, lambda dialog=dialog: not dialog.deaf)  # type: ignore[misc]
            await pilot.press("pagedown", "pagedown", "pagedown", "pagedown", "pagedown", "pagedown", "pagedown")
            await until(pilot, lambda last=last: last in deck.screen_text(), deck.screen_text)  # type: ignore[misc]
            assert buttons in deck.screen_text()
            await pilot.press("escape")
            await until(pilot, lambda: deck.app.screen is deck.app.main)


async def test_the_prompt_gives_up_its_menu_rather_than_itself() -> None:
    deck = Deck()
    prompt: Any = partial(PromptSession, "deck> ", reserve_space_for_menu=7)
    deck.app._make_prompt = lambda keys, output: prompt(input=keys, output=output)
    async with deck.app.run_test(size=(40, 10)) as pilot:
        await settled(deck, pilot)
        await until(pilot, lambda: "deck> " in deck.screen_text(), deck.screen_text)
        for size in ((30, 8), (80, 24), (40, 9)):
            await pilot.resize_terminal(*size)
            await pilot.press("x")
            await until(pilot, lambda: "deck> x" in deck.screen_text(), deck.screen_text)
            assert "too small" not in deck.screen_text()
        assert "F1 help" in deck.screen_text().splitlines()[-1]


async def test_nodes_that_have_ended_are_not_the_slowest() -> None:
    session = FakeSession()
    run = session.make_run("sleep 9")
    session.push(states(run, range(24), NodeState.RUNNING))
    deck = Deck(session)
    async with deck.app.run_test(size=(120, 24)) as pilot:
        await settled(deck, pilot)
        assert "slowest node1 " in deck.screen_text()
        session.push(states(run, range(23), NodeState.OK))
        await until(pilot, lambda: "slowest" not in deck.screen_text(), deck.screen_text)
        assert deck.app.main.query_one(ProgressLine).run is deck.app.main.deck.run
