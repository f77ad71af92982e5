"""Questions: the safe answer has the focus, what was typed before counts for nothing, nobody waits for ever."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Button, Input

from clusterdeck.console.frontend import Answer, Confirmation, Document, Question
from clusterdeck.console.runs.events import QuestionAsked, QuestionSettled
from clusterdeck.console.tui.screens import dialogs
from clusterdeck.console.tui.screens.dialogs import ConfirmDialog, QuestionDialog
from clusterdeck.engine.states import NodeState
from clusterdeck.tests.support.fake_run import FakeSession, states
from clusterdeck.tests.support.tui import Deck, settled, until


class Asker(threading.Thread):
    """A command's thread that asks the front end something."""

    def __init__(self, ask: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._ask = ask
        self.answer: Any = "none yet"
        self.start()

    def run(self) -> None:
        self.answer = self._ask()


async def opened(deck: Deck, pilot: Pilot[int], kind: type) -> Any:
    await until(pilot, lambda: isinstance(deck.app.screen, kind) and bool(deck.app.screen.query(Button)))
    dialog: Any = deck.app.screen
    await until(pilot, lambda: not dialog.deaf)
    return dialog


async def test_cancel_has_the_focus_and_enter_refuses() -> None:
    deck = Deck()
    async with deck.app.run_test(size=(80, 24)) as pilot:
        await settled(deck, pilot)
        asker = Asker(lambda: deck.front_end.confirm(Confirmation("Reboot?", ("nodes  node[1-24]",), 24)))
        dialog = await opened(deck, pilot, ConfirmDialog)
        assert dialog.focused.id == "cancel"
        assert "This touches 24 nodes." in deck.screen_text()
        await pilot.press("enter")
        await until(pilot, lambda: not asker.is_alive())
        assert asker.answer is False


async def test_agreeing_takes_a_move_and_enter() -> None:
    deck = Deck()
    async with deck.app.run_test(size=(80, 24)) as pilot:
        await settled(deck, pilot)
        asker = Asker(lambda: deck.front_end.confirm(Confirmation("Reboot?")))
        await opened(deck, pilot, ConfirmDialog)
        await pilot.press("right", "enter")
        await until(pilot, lambda: not asker.is_alive())
        assert asker.answer is True


async def test_type_ahead_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialogs, "DEAF", math.inf)
    deck = Deck()
    async with deck.app.run_test(size=(80, 24)) as pilot:
        await settled(deck, pilot)
        asker = Asker(lambda: deck.front_end.confirm(Confirmation("Reboot?")))
        await until(pilot, lambda: isinstance(deck.app.screen, ConfirmDialog))
        await pilot.press("right", "enter", "tab", "enter", "y", "escape")
        assert isinstance(deck.app.screen, ConfirmDialog)
        assert asker.is_alive()
        dialog: Any = deck.app.screen
        monkeypatch.setattr(dialogs, "DEAF", 0.0)
        assert dialog.focused.id == "cancel"
        await pilot.press("escape")
        await until(pilot, lambda: not asker.is_alive())
        assert asker.answer is False
        assert deck.lines == []


async def test_a_key_from_before_the_question_never_answers_however_late_it_is_handed_on() -> None:
    """A busy machine gives them seconds after they were pressed."""
    deck = Deck()
    async with deck.app.run_test(size=(80, 24)) as pilot:
        await settled(deck, pilot)
        early = [events.Key(key, None) for key in ("right", "enter", "escape")]
        asker = Asker(lambda: deck.front_end.confirm(Confirmation("Reboot?")))
        dialog = await opened(deck, pilot, ConfirmDialog)
        for event in early:
            deck.app.post_message(event)
        await pilot.press("tab")  # the first that was meant for it
        assert dialog.focused.id == "agree"
        assert asker.is_alive()
        await pilot.press("enter")
        await until(pilot, lambda: not asker.is_alive())
        assert asker.answer is True


async def test_type_ahead_is_no_part_of_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialogs, "DEAF", math.inf)
    deck = Deck()
    async with deck.app.run_test(size=(80, 24)) as pilot:
        await settled(deck, pilot)
        asker = Asker(lambda: deck.front_end.ask(Question("Password of node1", "secret", secret=True)))
        await until(pilot, lambda: isinstance(deck.app.screen, QuestionDialog))
        dialog: Any = deck.app.screen
        await until(pilot, lambda: bool(dialog.query("#answer")))
        await pilot.press(*"uptime", "enter")
        assert dialog.deaf
        assert dialog.query_one("#answer", Input).value == ""
        monkeypatch.setattr(dialogs, "DEAF", 0.0)
        await pilot.press(*"right", "enter")
        await until(pilot, lambda: not asker.is_alive())
        assert asker.answer == Answer(text="right")


async def test_some_host_keys_are_accepted_by_their_nodes_and_nonsense_is_told() -> None:
    session = FakeSession()
    deck = Deck(session)
    rows = tuple((f"node{number}", "127.0.0.1", "ssh-ed25519", "SHA256:x") for number in range(40))
    async with deck.app.run_test(size=(80, 24)) as pilot:
        await settled(deck, pilot)
        session.push(QuestionAsked(1, "host-keys", "unknown", rows, ("accept", "import", "refuse")))
        dialog = await opened(deck, pilot, QuestionDialog)
        line = dialog.query_one("#which", Input)
        shown = dialog.query_one(".dialog-lines")
        await pilot.press("pagedown")
        assert shown.scroll_offset.y > 0
        assert dialog.focused.id == "cancel"
        for text, told in (("node[1-", "node[1-"), ("web1", "none of these hosts is in web1")):
            dialog.set_focus(line)
            await pilot.press("ctrl+u", *text, "enter")
            assert dialog.focused.id == "choice-0"
            assert session.answered == []
            await pilot.press("enter")
            await until(pilot, lambda told=told: told in deck.screen_text())  # type: ignore[misc]
            assert dialog.focused is line
        await pilot.press("end", "ctrl+u", *"node[3-4]", "enter", "enter")
        await until(pilot, lambda: session.answered == [(1, "accept node[3-4]")])


async def test_an_import_names_its_source() -> None:
    session = FakeSession()
    deck = Deck(session)
    async with deck.app.run_test(size=(80, 24)) as pilot:
        await settled(deck, pilot)
        session.push(QuestionAsked(1, "host-keys", "unknown", (("node1",),), ("accept", "import", "refuse")))
        dialog = await opened(deck, pilot, QuestionDialog)
        dialog.set_focus(dialog.query_one("#which", Input))
        await pilot.press(*"/etc/keys", "enter", "right", "enter")
        await until(pilot, lambda: session.answered == [(1, "import /etc/keys")])


async def test_a_count_has_to_be_typed() -> None:
    deck = Deck()
    async with deck.app.run_test(size=(80, 24)) as pilot:
        await settled(deck, pilot)
        asker = Asker(lambda: deck.front_end.confirm(Confirmation("Reboot?", (), 128, typed="128")))
        dialog = await opened(deck, pilot, ConfirmDialog)
        assert dialog.query_one("#agree", Button).disabled
        await pilot.press(*"12")
        assert dialog.query_one("#typed", Input).value == "12"
        await pilot.press("enter")
        assert asker.is_alive()
        await pilot.press("8", "enter")
        await until(pilot, lambda: not asker.is_alive())
        assert asker.answer is True


async def test_a_secret_shows_nothing_and_is_not_kept() -> None:
    deck = Deck()
    async with deck.app.run_test(size=(80, 24)) as pilot:
        await settled(deck, pilot)
        asker = Asker(lambda: deck.front_end.ask(Question("Password of node1", "secret", secret=True)))
        await opened(deck, pilot, QuestionDialog)
        await pilot.press(*"hunter2")
        assert "hunter2" not in deck.screen_text()
        await pilot.press("enter")
        await until(pilot, lambda: not asker.is_alive())
        assert asker.answer == Answer(text="hunter2")
        assert "hunter2" not in repr(asker.answer)
        assert "hunter2" not in "".join(entry.text for entry in deck.app.book.entries)


async def test_hostile_text_in_a_question_is_shown_as_text() -> None:
    deck = Deck()
    async with deck.app.run_test(size=(80, 24)) as pilot:
        await settled(deck, pilot)
        rows = (("n[red]1[/]", "\x1b]52;c;QQ\x07", "[@click=app.quit]x[/]"),)
        asker = Asker(
            lambda: deck.front_end.ask(Question("[bold]keys[/] \x9b2J", "host-keys", rows, ("accept", "refuse")))
        )
        await opened(deck, pilot, QuestionDialog)
        shown = deck.screen_text()
        assert "n[red]1[/]" in shown
        assert "[bold]keys[/]" in shown
        assert not any(ord(character) < 32 for character in shown.replace("\n", ""))
        assert "\x9b" not in shown
        await pilot.press("right", "enter")
        await until(pilot, lambda: not asker.is_alive())
        assert asker.answer == Answer(choice="accept")


async def test_the_end_of_the_console_answers_no() -> None:
    deck = Deck()
    async with deck.app.run_test(size=(80, 24)) as pilot:
        await settled(deck, pilot)
        asker = Asker(lambda: deck.front_end.confirm(Confirmation("Reboot?")))
        await opened(deck, pilot, ConfirmDialog)
    await asyncio.to_thread(asker.join, 30)
    assert asker.answer is False
    assert deck.front_end.confirm(Confirmation("again?")) is False
    assert deck.front_end.ask(Question("again?")) is None
    assert not deck.front_end.interactive


async def test_the_ui_thread_is_never_made_to_wait() -> None:
    deck = Deck()
    async with deck.app.run_test(size=(80, 24)) as pilot:
        await settled(deck, pilot)
        begun = time.monotonic()
        assert deck.front_end.confirm(Confirmation("Reboot?")) is False
        assert time.monotonic() - begun < 20


async def test_questions_of_the_engine_are_asked_one_by_one() -> None:
    session = FakeSession()
    deck = Deck(session)
    async with deck.app.run_test(size=(80, 24)) as pilot:
        await settled(deck, pilot)
        session.push(
            QuestionAsked(1, "host-keys", "unknown host keys", (("node1", "SHA256:x"),), ("accept", "refuse")),
            QuestionAsked(2, "secret", "passphrase", (), ()),
            QuestionAsked(3, "secret", "another", (), ()),
        )
        dialog = await opened(deck, pilot, QuestionDialog)
        assert dialog.focused.id == "cancel"
        await pilot.press("right", "enter")
        await until(pilot, lambda: (1, "accept") in session.answered)
        await until(pilot, lambda: deck.app.screen is not dialog)
        second = await opened(deck, pilot, QuestionDialog)
        session.push(QuestionSettled(3))
        await pilot.press(*"pw", "enter")
        await until(pilot, lambda: (2, "pw") in session.answered)
        await until(pilot, lambda: deck.app.screen is deck.app.main)
        assert second is not deck.app.screen


async def test_giving_up_on_host_keys_refuses() -> None:
    session = FakeSession()
    deck = Deck(session)
    async with deck.app.run_test(size=(80, 24)) as pilot:
        await settled(deck, pilot)
        session.push(QuestionAsked(1, "host-keys", "unknown", (("node1",),), ("accept", "refuse")))
        await opened(deck, pilot, QuestionDialog)
        await pilot.press("escape")
        await until(pilot, lambda: (1, "refuse") in session.answered)


async def test_leaving_asks_only_if_something_is_alive() -> None:
    session = FakeSession()
    run = session.make_run("sleep 100")
    session.push(states(run, range(24), NodeState.RUNNING))
    deck = Deck(session)
    async with deck.app.run_test(size=(80, 24)) as pilot:
        await settled(deck, pilot)
        await pilot.press("ctrl+q")
        await opened(deck, pilot, ConfirmDialog)
        assert "#1 sleep 100" in deck.screen_text()
        await pilot.press("enter")
        await until(pilot, lambda: deck.app.screen is deck.app.main)
        assert deck.app.is_running
        await pilot.press("ctrl+o", "q")
        await opened(deck, pilot, ConfirmDialog)
        await pilot.press("right", "enter")
        await until(pilot, lambda: deck.app.return_value == 0)


async def test_leaving_an_idle_console() -> None:
    deck = Deck()
    async with deck.app.run_test(size=(80, 24)) as pilot:
        await settled(deck, pilot)
        await pilot.press("ctrl+q")
        await until(pilot, lambda: deck.app.return_value == 0)


async def test_ctrl_c_stops_the_run_then_all_then_asks_to_leave_and_never_quits_by_itself() -> None:
    session = FakeSession()
    for line in ("one", "two"):
        session.push(states(session.make_run(line), range(24), NodeState.RUNNING))
    deck = Deck(session)
    async with deck.app.run_test(size=(80, 24)) as pilot:
        await settled(deck, pilot)
        await pilot.press("ctrl+o", "ctrl+c")
        assert session.aborted == [(2, None)]
        await pilot.press("ctrl+c")
        assert session.aborted == [(2, None), (None, None)]
        await pilot.press("ctrl+c")
        dialog = await opened(deck, pilot, ConfirmDialog)
        assert "2 runs are alive. Stop them and leave?" in deck.screen_text()
        assert dialog.focused.id == "cancel"
        await pilot.press("ctrl+c")
        await until(pilot, lambda: deck.app.screen is deck.app.main)
        assert deck.app.is_running
        assert deck.app.return_value is None


async def test_documents_and_views_from_a_commands_thread() -> None:
    deck = Deck()
    async with deck.app.run_test(size=(80, 24), notifications=True) as pilot:
        await settled(deck, pilot)
        front_end = deck.front_end
        await asyncio.to_thread(front_end.show, Document.of("one line"))
        await until(pilot, lambda: any(n.message == "one line" for n in deck.app._notifications))
        await asyncio.to_thread(front_end.show, Document("many", tuple(f"row {n}" for n in range(50)), data=True))
        await until(pilot, lambda: deck.app.main.view == "document")
        assert deck.app.focused is deck.app.main.prompt
        assert await asyncio.to_thread(front_end.open_view, "failures")
        await until(pilot, lambda: deck.app.main.view == "failures")
        assert not await asyncio.to_thread(front_end.open_view, "no-such-view")
        await asyncio.to_thread(front_end.leave, 3)
        await until(pilot, lambda: deck.app.return_value == 3)
