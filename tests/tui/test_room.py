"""Terminals that are none, that cannot draw, or that have no room: one clear line, and no harm."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clusterdeck.console.frontend import Confirmation
from clusterdeck.console.tui.screens.dialogs import ConfirmDialog
from clusterdeck.console.tui.screens.too_small import LEAST, TooSmallScreen
from clusterdeck.console.tui.terminal import unfit
from clusterdeck.engine.states import NodeState
from clusterdeck.tests.support.fake_run import FakeSession, states
from clusterdeck.tests.support.tui import Deck, settled, until


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


TERMINAL = Terminal()
PIPE = io.StringIO()


@pytest.mark.parametrize(
    ("streams", "told"),
    [
        ((PIPE, TERMINAL, TERMINAL), "standard input is none"),
        ((TERMINAL, PIPE, TERMINAL), "standard output is none"),
        ((TERMINAL, TERMINAL, PIPE), "standard error is none"),
        ((PIPE, PIPE, None), "standard input, standard output and standard error are none"),
    ],
)
def test_what_is_no_terminal_is_named(
    streams: tuple[io.StringIO | None, io.StringIO | None, io.StringIO | None], told: str
) -> None:
    problem = unfit({"TERM": "xterm"}, streams)
    assert told in problem
    assert "clusterdeck run" in problem
    assert "\n" not in problem


def test_a_closed_stream_is_no_terminal() -> None:
    closed = io.StringIO()
    closed.close()
    assert "standard error is none" in unfit({"TERM": "xterm"}, (TERMINAL, TERMINAL, closed))


@pytest.mark.parametrize(
    ("kind", "told"), [("dumb", "TERM=dumb"), ("", "TERM is not set"), ("unknown", "TERM=unknown")]
)
def test_a_terminal_that_cannot_draw_is_refused(kind: str, told: str) -> None:
    problem = unfit({"TERM": kind} if kind else {}, (TERMINAL,) * 3)
    assert told in problem
    assert "clusterdeck repl" in problem
    assert unfit({"TERM": "vt100"}, (TERMINAL,) * 3) == ""


@pytest.mark.parametrize("words", [[], ["demo", "-n", "3"]])
@pytest.mark.parametrize(
    ("kind", "given", "told"), [("xterm", 2, "standard error is none"), ("dumb", 3, "cannot draw")]
)
def test_the_console_refuses_with_one_line_and_its_code(
    words: list[str], kind: str, given: int, told: str, tmp_path: Path
) -> None:
    master, slave = os.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "clusterdeck", *words],
            env={**os.environ, "TERM": kind, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
            stdin=slave,
            stdout=slave,
            stderr=subprocess.PIPE if given == 2 else slave,
            timeout=60,
            check=False,
        )
        said = done.stderr.decode() if given == 2 else os.read(master, 65536).decode()
    finally:
        os.close(slave)
        os.close(master)
    assert done.returncode == 7
    assert told in said
    assert said.count("\n") == 1
    assert "\x1b" not in said
    assert list(tmp_path.iterdir()) == []


async def test_too_small_says_so_and_everything_comes_back() -> None:
    session = FakeSession()
    session.push(states(session.make_run("sleep 100"), range(24), NodeState.RUNNING))
    deck = Deck(session)
    async with deck.app.run_test(size=(80, 24)) as pilot:
        await settled(deck, pilot)
        await pilot.press(*"half")
        await deck.wait_prompt(pilot, "half")
        await pilot.resize_terminal(LEAST.width - 1, 24)
        await until(pilot, lambda: "29x24 is too small" in deck.screen_text(), deck.screen_text)
        await pilot.resize_terminal(12, 4)
        await until(pilot, lambda: "12x4 is" in deck.screen_text(), deck.screen_text)
        await pilot.press("x", "enter")
        await pilot.press("ctrl+c")
        assert session.aborted == [(1, None)]
        await pilot.resize_terminal(LEAST.width, LEAST.height)
        await until(pilot, lambda: deck.app.screen is deck.app.main)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "deck> half" in deck.screen_text(), deck.screen_text)
        await pilot.press("enter")
        await deck.wait_line(pilot, "half")


async def test_a_question_asked_while_too_small_can_be_answered_and_leaves_no_note_behind() -> None:
    deck = Deck()
    async with deck.app.run_test(size=(80, 24)) as pilot:
        await settled(deck, pilot)
        await pilot.resize_terminal(20, 6)
        await until(pilot, lambda: isinstance(deck.app.screen, TooSmallScreen))
        answers: list[bool | None] = []
        dialog = ConfirmDialog(Confirmation("Reboot?"))
        deck.app.open_dialog(dialog, answers.append)
        await until(pilot, lambda: deck.app.screen is dialog and not dialog.deaf)
        await pilot.resize_terminal(80, 24)
        await pilot.press("escape")
        await until(pilot, lambda: deck.app.screen is deck.app.main)
        assert answers == [False]
