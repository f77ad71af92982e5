"""A disk that hangs while old output is read back: the screen answers, says so, and shows the lines when they come."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from textual.geometry import Offset
from textual.pilot import Pilot
from textual.selection import Selection

from clusterdeck.console.records.archive import ArchiveFile, restore, write_run
from clusterdeck.console.runs.runs import Run
from clusterdeck.engine.states import NodeState
from clusterdeck.tests.support.fake_run import FakeSession, finish, out, states
from clusterdeck.tests.support.tui import Deck, long_pane, settled, until
from clusterdeck.tests.tui.test_never_blocks import watched
from clusterdeck.widgets.gather_view import GatherView
from clusterdeck.widgets.output_pane import OutputPane
from clusterdeck.widgets.plot_view import PlotView

LIMIT = 30.0
LINES = 30_000
READING = "reading \N{HORIZONTAL ELLIPSIS}"


class Disk:
    """While it is shut, whoever reads waits for `turns`, and it must not be the screen."""

    def __init__(self) -> None:
        self.turns = threading.Semaphore(0)
        self.shut = True
        self.reads = 0

    def slow(self, read: Callable[..., Any]) -> Callable[..., Any]:
        def slowly(*arguments: Any) -> Any:
            if self.shut:
                reader = threading.current_thread()
                assert reader is not threading.main_thread()
                assert reader.daemon, "the program could not end"
                self.reads += 1
                assert self.turns.acquire(timeout=LIMIT)
            return read(*arguments)

        return slowly

    def open(self) -> None:
        self.shut = False
        self.turns.release(100)

    def close(self) -> None:
        self.turns = threading.Semaphore(0)
        self.shut = True


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    made = Disk()
    monkeypatch.setattr(os, "pread", made.slow(os.pread))
    monkeypatch.setattr(ArchiveFile, "read", made.slow(ArchiveFile.read))
    yield made
    made.open()


def text(number: int) -> str:
    return f"line {number:06} {'x' * 48}"


def spooled_pane() -> AbstractAsyncContextManager[tuple[Deck, Pilot[int], OutputPane, Run]]:
    """A pane that follows a node whose older lines are on disk; the run goes on."""
    return long_pane(LINES, text, ended=False)


def rows(deck: Deck, pane: OutputPane) -> list[str]:
    """The pane's rows as they are on the screen."""
    region = pane.content_region
    lines = [strip.text for strip in deck.strips()[region.y : region.bottom]]
    return [line[region.x : region.right][:60].rstrip() for line in lines]


def shows(deck: Deck, pane: OutputPane) -> bool:
    top = pane.scroll_offset.y
    wanted = [text(number)[:60] for number in range(top, top + pane.size.height)]
    return [row[: len(wanted[0])] for row in rows(deck, pane)] == wanted


async def test_scrolling_back_on_a_disk_that_hangs(disk: Disk) -> None:
    async with spooled_pane() as (deck, pilot, pane, run):
        assert pane.following
        assert shows(deck, pane)  # the newest lines are in memory
        async with watched():
            await pilot.press("home")
            await until(pilot, lambda: READING in deck.screen_text())
            assert set(rows(deck, pane)) == {READING}
            await until(pilot, lambda: disk.reads == 1)
            await pilot.press(*["pagedown"] * 5)
            pane.move_cursor(3_000)
            await pilot.press("pagedown", "pageup")
            at = pane.scroll_offset.y
            assert at > 2_900
            assert (set(rows(deck, pane)), pane.following, disk.reads) == ({READING}, False, 1)
            deck.session.push(out(run, 0, *map(text, range(LINES, LINES + 500))))
            await until(pilot, lambda: pane.waiting == 500)
            assert (pane.scroll_offset.y, pane.row_count()) == (at, LINES + 500)
            await pilot.press("end")
            await until(pilot, lambda: shows(deck, pane))
            assert (pane.following, pane.scroll_offset.y) == (True, LINES + 500 - pane.size.height)
            await pilot.press("home")
            await until(pilot, lambda: READING in deck.screen_text())
        assert disk.reads == 1
        disk.open()
        await until(pilot, lambda: shows(deck, pane))
        assert (pane.scroll_offset.y, pane.cursor_row, pane.following) == (0, 0, False)
        for row in range(0, 4_000, 500):  # on a disk that answers, every page of the way comes
            pane.move_cursor(row)
            await until(pilot, lambda: shows(deck, pane))


async def test_what_is_no_longer_on_the_screen_is_not_read(disk: Disk) -> None:
    size = len(text(0)) + 1
    async with spooled_pane() as (deck, pilot, pane, _run):
        pages = deck.session.runs.pages

        def wanted(row: int) -> bool:
            return any(place.offset <= row * size < place.offset + place.size for place in list(pages._wanted))

        await pilot.press("home")
        await until(pilot, lambda: disk.reads == 1)
        for row in range(2_000, 14_000, 2_000):
            pane.move_cursor(row)
            await until(pilot, lambda: wanted(row))  # noqa: B023 - waited for right here
        disk.turns.release()
        await until(pilot, lambda: disk.reads == 2)  # the newest wish
        await until(pilot, lambda: len(pages._wanted) <= 3)
        disk.turns.release(2)  # there may be two pages on show
        await until(pilot, lambda: shows(deck, pane))
        assert pane.cursor_row == 12_000
        assert disk.reads <= 4


async def test_searching_copying_and_the_pager_on_a_disk_that_hangs(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with spooled_pane() as (deck, pilot, pane, _run):
        told: list[str] = []
        handed: list[str] = []
        deck.app.tell = lambda text, level="": told.append(text)  # type: ignore[method-assign]

        async def run_on(_command: list[str], name: str) -> bool:
            handed.extend(Path(name).read_text().splitlines())
            return True

        monkeypatch.setattr(deck.app.programs, "run_on", run_on)
        async with watched():
            await pilot.press("home")
            pane.set_search("line 001234")
            await pilot.press("n", "v", "Y")
            await until(pilot, lambda: disk.reads >= 3)
            await pilot.press("down", "up", "question_mark", "escape", "n")
            assert pane._walk.walking
            assert (pane.cursor_row, handed, deck.app.clipboard) == (0, [], "")
            await until(pilot, lambda: any("Reading" in one for one in told))
        disk.open()
        await until(pilot, lambda: pane.cursor_row == 1_234)
        await until(pilot, lambda: text(1_234)[:60] in rows(deck, pane))
        await until(pilot, lambda: bool(handed) and bool(deck.app.clipboard))
        assert handed == [text(number) for number in range(LINES)]
        assert deck.app.clipboard.splitlines() == handed[:20_000]
        pane.move_cursor(0)
        await until(pilot, lambda: shows(deck, pane))
        await pilot.press("y")
        assert deck.app.clipboard == text(0)  # what is on the screen is copied at once


def earlier(folder: Path) -> list[Run]:
    """Two runs of an earlier session, read back from their folders."""
    session = FakeSession("node[1-12]")
    made = []
    for number in (1, 2):
        run = session.make_run("measure")
        for node in range(12):
            value = 10 * number + node % 3
            session.push(out(run, node, f"load {value}", "second line", f"third of {number}"))
        session.push(
            states(run, range(8), NodeState.OK, 0), states(run, range(8, 12), NodeState.FAILED, 1), finish(run)
        )
        session.drain(LIMIT)
        made.append(restore(write_run(run, folder)))
    session.close()
    return made


VIEWS = {"1": "panes", "2": "gathered", "3": "failures", "d": "diff", "p": "plot"}


async def views(deck: Deck, pilot: Pilot[int], wanted: dict[str, str] | None, *, whole: bool = False) -> dict[str, str]:
    """What is on the screen in every view; wanted: waits until it is that, whole: until all of it is there."""
    plot = deck.app.main.query_one("#plot", PlotView)
    found: dict[str, str] = {}
    for key, view in VIEWS.items():
        await pilot.press(key)
        await until(pilot, lambda view=view: deck.app.main.view == view)  # type: ignore[misc]
        if wanted is not None:
            told = wanted[view]
            await until(pilot, lambda told=told: deck.screen_text() == told, deck.screen_text)  # type: ignore[misc]
        if whole:
            await settled(deck, pilot)
            if view == "plot":
                await until(pilot, lambda: plot._numbers is not None and not plot._numbers.pending)
            await settled(deck, pilot)
        found[view] = deck.screen_text()
    return found


async def words(deck: Deck, pilot: Pilot[int], wanted: dict[str, str]) -> None:
    """Go through the views and wait in each for its word."""
    for key, view in VIEWS.items():
        await pilot.press(key)
        word = wanted.get(view, view.capitalize())
        await until(pilot, lambda view=view, word=word: deck.app.main.view == view and word in deck.screen_text())  # type: ignore[misc]


async def test_runs_of_earlier_sessions_on_a_disk_that_hangs(disk: Disk, tmp_path: Path) -> None:
    disk.open()
    runs = earlier(tmp_path)
    session = FakeSession("node[1-12]")
    for run in runs:
        session.runs.add(run)
    deck = Deck(session)
    async with deck.app.run_test(size=(140, 40)) as pilot:
        await settled(deck, pilot)
        deck.app.main.painter.show_run(2)
        await pilot.press("ctrl+o")
        await views(deck, pilot, None)
        await settled(deck, pilot)
        await until(pilot, lambda: session.runs.pages._thread is None)
        await settled(deck, pilot)
        whole = await views(deck, pilot, None, whole=True)
        assert all(READING not in shown for shown in whole.values())
        assert "load 22" in whole["gathered"]
        assert "third of 2" in whole["failures"]

        session.runs.pages.close()
        disk.close()
        deck.app.main.painter.show_run(1)
        await pilot.pause()
        deck.app.main.painter.show_run(2)
        async with watched():
            await words(deck, pilot, {"panes": READING, "gathered": READING, "failures": READING, "diff": "comparing"})
            await pilot.press("2")
            gathered = deck.app.main.query_one("#gathered", GatherView)
            await pilot.press("down", "enter", "m", "m", "enter", "up")
            gathered.set_search("load 22")
            await pilot.press("n", "n")
            assert gathered._walk.walking
            gathered.set_search("")
            await pilot.press("slash", *"out:/load 21/")
            await until(pilot, lambda: deck.app.deck.filter.result.pending)
        disk.open()
        await until(pilot, lambda: deck.app.deck.filter.result.nodes == [1, 4, 7, 10])
        await pilot.press("escape")
        await until(pilot, lambda: not deck.app.deck.filter.text)
        deck.app.main.set_focus(gathered)
        gathered.move_cursor(0)
        await views(deck, pilot, whole)
    session.close()


async def test_what_was_marked_and_is_still_read_is_copied_and_stops_no_run(disk: Disk) -> None:
    async with spooled_pane() as (deck, pilot, pane, _run):
        await pilot.press("home")
        deck.app.main.selections = {pane: Selection(Offset(0, 4), Offset(11, 5))}
        await pilot.press("ctrl+c")
        assert (deck.session.aborted, deck.app.main.selections) == ([], {})
        disk.open()
        await until(pilot, lambda: bool(deck.app.clipboard))
        assert deck.app.clipboard == f"{text(4)}\n{text(5)[:11]}"
        await pilot.press("ctrl+c")
        await until(pilot, lambda: bool(deck.session.aborted))
