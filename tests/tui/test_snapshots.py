"""Whole screens in every theme, beside the assertions of the other tests: what an operator sees at a glance.

A screen that is meant to look otherwise: run with UPDATE_SCREENS=1, then read the difference before it is committed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from clusterdeck.console.frontend import Confirmation
from clusterdeck.console.tui.screens.dialogs import ConfirmDialog
from clusterdeck.engine.states import NodeState
from clusterdeck.tests.support.fake_run import FakeSession, finish, mixed, out, states
from clusterdeck.tests.support.screens import compare, styles
from clusterdeck.tests.support.tui import Deck, settled, until
from clusterdeck.widgets.cells import use_ascii
from clusterdeck.widgets.queue_snapshot import QueueProcess, QueueSnapshot, QueueTask, QueueWorker

FOLDER = Path(__file__).with_name("screens")
THEMES = ("dark", "light", "high-contrast", "sixteen", "monochrome")
QUEUE = QueueSnapshot(
    7,
    [
        QueueTask("7f3a-12", "render", "running", "cn17", 12.2, 1, "blender -b scene.blend -f 12"),
        QueueTask("7f3a-9", "render", "failed", "cn2", 100.2, 3, "blender -b scene.blend -f 9"),
        QueueTask("7f3a-14", "", "waiting", "", 30.2, 1, "tar czf /tmp/out.tar.gz /srv/data"),
        QueueTask("7f3a-1", "render", "finished", "cn3", 330.2, 1, "blender -b scene.blend -f 1"),
        QueueTask("7f3a-2", "render", "cancelled", "", 3.2, 1, "blender -b scene.blend -f 2"),
    ],
    [QueueProcess("1", "cn17 slot 1", 0.4, "1 tasks"), QueueProcess("4", "cn18 slot 2", 44, "1 tasks", late=True)],
    {"render": {"waiting": 120, "running": 1, "finished": 33, "failed": 1}, "": {"waiting": 1}},
    [
        QueueWorker("cn17", "up", 2, 1, 20, 0, "", "queue"),
        QueueWorker("cn18", "resting", 2, 0, 12, 3, "3 failures in a row, next try in 20 s", "queue"),
    ],
    ["map 1: gzip {}  12 of 100 done"],
)


def whatever(session: FakeSession) -> None:
    """A run that ended in every way."""
    mixed(session)


def rounds(session: FakeSession) -> None:
    """Two rounds of a timer: numbers, one node without, three that changed; colours of the nodes' own."""
    for number in range(2):
        run = session.make_run("sensors")
        run.timer = 1
        for node in range(24):
            hot = number and node in (3, 8, 21)
            word = b"\x1b[1;31mHOT\x1b[0m" if hot else b"\x1b[32mcool\x1b[0m"
            session.push(out(run, node, b"%d degrees, %s" % (41 + node % 7 + 9 * bool(hot), word)) if node != 5 else
                         out(run, node, "no sensor", stream=1))  # fmt: skip
        session.push(states(run, range(24), NodeState.OK, 0, at=run.started + 1.0), finish(run, run.started + 2.0))


def nothing(_session: FakeSession) -> None:
    """No run yet."""


@asynccontextmanager
async def opened(size: tuple[int, int], fill: Callable[[FakeSession], None]) -> AsyncIterator[tuple[Deck, Pilot[int]]]:
    deck = Deck()
    fill(deck.session)
    async with deck.app.run_test(size=size) as pilot:
        await settled(deck, pilot)
        deck.app.main.painter.queue = QUEUE
        yield deck, pilot
    deck.session.close()


async def kept(name: str, deck: Deck, pilot: Pilot[int]) -> None:
    """The screen as it stands is the one that is kept, in every theme."""
    compare(FOLDER / f"{name}.txt", deck.screen_text())
    shown = {}
    for theme in THEMES:
        deck.app.theme = theme
        await pilot.pause()
        await pilot.pause()
        shown[theme] = deck.strips()
    compare(FOLDER / f"{name}.styles", styles(shown))


VIEWS = {
    "panes": whatever, "gathered": whatever, "failures": whatever, "queue": whatever, "runs": whatever,
    "log": whatever, "diff": whatever, "plot": rounds,
}  # fmt: skip


@pytest.mark.parametrize("size", [(80, 24), (160, 50)], ids=["80x24", "160x50"])
@pytest.mark.parametrize("view", VIEWS)
async def test_views(view: str, size: tuple[int, int]) -> None:
    async with opened(size, VIEWS[view]) as (deck, pilot):
        deck.app.main.open_view(view, focus=True)
        await settled(deck, pilot)
        await kept(f"{view}-{size[0]}x{size[1]}", deck, pilot)


@pytest.mark.parametrize("view", ["panes", "gathered"])
async def test_a_round_with_changes_and_colours(view: str) -> None:
    async with opened((100, 30), rounds) as (deck, pilot):
        deck.app.main.open_view(view, focus=True)
        await settled(deck, pilot)
        await kept(f"changed-{view}-100x30", deck, pilot)


@pytest.mark.parametrize("size", [(80, 24), (60, 15)], ids=["80x24", "60x15"])
async def test_node_list_alone(size: tuple[int, int]) -> None:
    async with opened(size, whatever) as (deck, pilot):
        await pilot.press("ctrl+o", "0", "down", "space")
        await settled(deck, pilot)
        await kept(f"nodes-{size[0]}x{size[1]}", deck, pilot)


async def test_search_and_filter() -> None:
    async with opened((80, 24), whatever) as (deck, pilot):
        deck.app.main.open_view("panes", focus=True)
        await settled(deck, pilot)
        await pilot.press("home", "ctrl+f", *"10", "enter")
        deck.app.main.set_filter("state:ok node1*")
        await settled(deck, pilot)
        await until(pilot, lambda: "3 matches" in deck.screen_text(), deck.screen_text)
        await kept("search-80x24", deck, pilot)


async def test_help() -> None:
    async with opened((80, 24), whatever) as (deck, pilot):
        deck.app.main.show_document("a text", [f"line {number}" for number in range(40)], "info")
        deck.app.main.set_focus(deck.app.main.focus_target())
        await settled(deck, pilot)
        await kept("document-80x24", deck, pilot)


async def test_dialog() -> None:
    async with opened((80, 24), whatever) as (deck, pilot):
        deck.app.main.open_view("gathered", focus=True)  # whether the end of the run has done so yet, or not
        await settled(deck, pilot)
        asked = Confirmation("'reboot' on 24 nodes", ("nodes  node[1-24] (24)",), 24)
        deck.app.open_dialog(ConfirmDialog(asked), lambda _agreed: None)
        await until(pilot, lambda: "Go ahead" in deck.screen_text(), deck.screen_text)
        await kept("dialog-80x24", deck, pilot)


async def test_empty_console() -> None:
    async with opened((80, 24), nothing) as (deck, pilot):
        await kept("empty-80x24", deck, pilot)


async def test_ascii_only() -> None:
    deck = Deck()
    deck.session.settings.screen.ascii = True
    rounds(deck.session)
    mixed(deck.session)
    try:
        async with deck.app.run_test(size=(120, 20)) as pilot:
            for view in VIEWS:
                await settled(deck, pilot)
                deck.app.main.open_view(view)
                await settled(deck, pilot)
                assert deck.screen_text().isascii(), deck.screen_text()
            deck.app.open_dialog(ConfirmDialog(Confirmation("Reboot?", ("node1",), 1, typed="1")), lambda _agreed: None)
            await until(pilot, lambda: "+---" in deck.screen_text(), deck.screen_text)
            assert deck.screen_text().isascii(), deck.screen_text()
            await pilot.app.pop_screen()
            await pilot.press("ctrl+p")
            await until(pilot, lambda: "Shell command" in deck.screen_text())
            assert deck.screen_text().isascii(), deck.screen_text()
    finally:
        use_ascii(False)
    deck.session.close()
