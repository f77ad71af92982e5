"""`n` in very long outputs: the keys are heard while it looks, and it says where it arrived."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.pilot import Pilot

from clusterdeck.tests.support.tui import Deck, long_pane, until
from clusterdeck.widgets.output_pane import OutputPane
from clusterdeck.widgets.search import Search

ROWS = 12_000


@asynccontextmanager
async def searched_pane() -> AsyncIterator[tuple[Deck, Pilot[int], OutputPane, list[str]]]:
    """A pane on many lines, its cursor in the first; and what it tells."""
    async with long_pane(ROWS, "line {:06}".format, ended=True) as (deck, pilot, pane, _run):
        pane.move_cursor(0)
        await pilot.pause()
        told: list[str] = []
        deck.app.tell = lambda text, level="": told.append(text)  # type: ignore[method-assign]
        yield deck, pilot, pane, told
    assert not [thread for thread in threading.enumerate() if thread.name == "clusterdeck-search" and not _ends(thread)]


def _ends(thread: threading.Thread) -> bool:
    thread.join(10)
    return not thread.is_alive()


class Slow:
    """Matching that waits, wherever it is not in the screen's thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()
        found_in = Search.found_in

        def slow(search: Search, text: str) -> bool:
            if threading.current_thread() is not threading.main_thread():
                self.reached.set()
                assert self.open.wait(30)
            return found_in(search, text)

        monkeypatch.setattr(Search, "found_in", slow)


async def test_a_match_far_away_is_found_beside_everything_else_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async with searched_pane() as (deck, pilot, pane, told):
        slow = Slow(monkeypatch)
        pane.search = Search("line 009000")
        await pilot.press("n")
        await until(pilot, slow.reached.is_set)
        await pilot.press("right", "question_mark", "escape")  # the screen goes on
        assert (pane._walk.walking, pane.cursor_row, told) == (True, 0, [])
        slow.open.set()
        await until(pilot, lambda: pane.cursor_row == 9_000)
        await until(pilot, lambda: told == ["Found in line 9001 of 12000."])
        assert not pane._walk.walking
        assert "line 009000" in deck.screen_text()
        await pilot.press("N")  # around, back to itself
        await until(pilot, lambda: len(told) == 2)
        assert pane.cursor_row == 9_000


@pytest.mark.parametrize("key", ["down", "end", "f"])
async def test_who_goes_elsewhere_is_not_called_back(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with searched_pane() as (_deck, pilot, pane, told):
        slow = Slow(monkeypatch)
        pane.search = Search("line 009000")
        await pilot.press("n")
        await until(pilot, slow.reached.is_set)
        await pilot.press(key)
        at = pane.cursor_row
        assert at == (1 if key == "down" else ROWS - 1)
        slow.open.set()
        done: list[Any] = []
        pane._walk._background.submit(lambda: 1, done.append)  # comes after what was under way
        await until(pilot, lambda: bool(done))
        assert (pane._walk.walking, pane.cursor_row, told) == (False, at, [])


async def test_near_matches_are_there_with_the_key_and_none_is_told() -> None:
    async with searched_pane() as (_deck, pilot, pane, told):
        pane.set_search("line 001234")
        assert pane.cursor_row == 1234
        pane.set_search("line 001234")
        assert pane.cursor_row == 1234  # where it is, it stays
        pane.set_search("no such line")
        await until(pilot, lambda: not pane._walk.walking)
        assert (pane.cursor_row, told) == (1234, [])  # it is still being typed
        await pilot.press("n")
        await until(pilot, lambda: told == ["Nothing matches."])
        assert pane.cursor_row == 1234
