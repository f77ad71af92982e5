"""Whole screens as text, beside the assertions of the other tests: what an operator sees at a glance.

A screen that is meant to look otherwise: run with UPDATE_SCREENS=1, then read the difference before it is committed.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from clusterdeck.tests.support.fake_run import FakeSession, mixed
from clusterdeck.tests.support.tui import Deck, settled
from clusterdeck.widgets.cells import use_ascii

FOLDER = Path(__file__).with_name("screens")
#: Textual's own scrollbars have no other form.
SCROLLBARS = set("\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588 ")
_TIME = re.compile(r"\d\d:\d\d:\d\d")


def compare(name: str, shown: str) -> None:
    """The screen is what is kept under this name, times of the day apart."""
    text = "\n".join(line.rstrip() for line in _TIME.sub("00:00:00", shown).splitlines()) + "\n"
    path = FOLDER / f"{name}.txt"
    if os.environ.get("UPDATE_SCREENS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8"), f"{path.name} differs; UPDATE_SCREENS=1 accepts it"


@pytest.mark.parametrize("size", [(80, 24), (160, 50)], ids=["80x24", "160x50"])
@pytest.mark.parametrize("view", ["panes", "gathered", "failures", "runs", "diff", "queue", "plot"])
async def test_views(view: str, size: tuple[int, int]) -> None:
    deck = Deck()
    mixed(deck.session)
    async with deck.app.run_test(size=size) as pilot:
        await settled(deck, pilot)
        deck.app.main.open_view(view, focus=True)
        await settled(deck, pilot)
        compare(f"{view}-{size[0]}x{size[1]}", deck.screen_text())
    deck.session.close()


@pytest.mark.parametrize("size", [(80, 24), (60, 15)], ids=["80x24", "60x15"])
async def test_node_list_alone(size: tuple[int, int]) -> None:
    deck = Deck()
    mixed(deck.session)
    async with deck.app.run_test(size=size) as pilot:
        await settled(deck, pilot)
        await pilot.press("ctrl+o", "0")
        await settled(deck, pilot)
        compare(f"nodes-{size[0]}x{size[1]}", deck.screen_text())
    deck.session.close()


async def test_empty_console() -> None:
    deck = Deck(FakeSession("node[1-3]"))
    async with deck.app.run_test(size=(80, 24)) as pilot:
        await settled(deck, pilot)
        compare("empty-80x24", deck.screen_text())
    deck.session.close()


async def test_ascii_only() -> None:
    deck = Deck()
    deck.session.settings.screen.ascii = True
    mixed(deck.session)
    try:
        async with deck.app.run_test(size=(120, 20)) as pilot:
            for view in ("panes", "gathered", "failures", "diff", "plot"):
                await settled(deck, pilot)
                deck.app.main.open_view(view)
                await settled(deck, pilot)
                shown = [piece.text for strip in deck.strips() for piece in strip if not piece.text.isascii()]
                assert set("".join(shown)) <= set("\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588 "), (
                    shown
                )  # scrollbars
    finally:
        use_ascii(False)
    deck.session.close()
