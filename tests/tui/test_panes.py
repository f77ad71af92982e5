"""Panes while lines come and go: what is held stays where it is, and what is not there is counted."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from textual.pilot import Pilot

from clusterdeck.console.runs.merged import MergedRing
from clusterdeck.console.runs.runs import Run
from clusterdeck.tests.support.fake_run import FakeSession, finish, out
from clusterdeck.tests.support.tui import Deck, settled
from clusterdeck.widgets.pane_grid import PaneFrame

NODES = 40


@asynccontextmanager
async def flooded(lines: int, *, ring: int = 50_000) -> AsyncIterator[tuple[Deck, Run, Pilot[int]]]:
    """One pane with the lines of 40 nodes, of which `ring` are kept, on a wide screen."""
    session = FakeSession(f"node[1-{NODES}]")
    run = session.make_run("journalctl -f")
    run._merged = MergedRing(ring)
    deck = Deck(session)
    async with deck.app.run_test(size=(200, 50)) as pilot:
        await settled(deck, pilot)
        more(deck, run, 0, lines)
        await settled(deck, pilot)
        await pilot.press("ctrl+o")
        yield deck, run, pilot
    session.close()


def more(deck: Deck, run: Run, first: int, count: int) -> None:
    deck.session.push(*(out(run, number % NODES, f"line {number}.") for number in range(first, first + count)))


def captions(deck: Deck) -> list[str]:
    frames = [frame for frame in deck.app.main.query(PaneFrame) if frame.display]
    return [frame.caption.note for frame in frames]


def shown(deck: Deck) -> list[int]:
    """The numbers of the lines in the pane."""
    return [int(number) for number in re.findall(r"node\d+ +\u2502 line (\d+)\.", deck.screen_text())]


async def test_a_held_pane_stays_held_when_the_search_line_opens_and_the_terminal_changes() -> None:
    async with flooded(200) as (deck, run, pilot):
        pane = deck.app.main.panes.panes[0]
        await pilot.press("f")
        more(deck, run, 200, 37)
        await settled(deck, pilot)
        assert captions(deck) == ["held, 37 lines waiting"]
        await pilot.press("ctrl+f", *"line", "enter")
        await settled(deck, pilot)
        assert not pane.following
        assert captions(deck) == ["held, 37 lines waiting"]
        await pilot.resize_terminal(190, 45)
        await settled(deck, pilot)
        assert deck.app.main.panes.panes[0] is pane
        assert not pane.following
        assert shown(deck)[-1] < 236
        await pilot.press("end")
        await settled(deck, pilot)
        assert captions(deck) == [""]
        assert shown(deck)[-1] == 236


async def test_lines_that_left_the_ring_are_counted_and_what_is_read_stays_in_place() -> None:
    async with flooded(500, ring=400) as (deck, run, pilot):
        pane = deck.app.main.panes.panes[0]
        assert captions(deck) == ["100 older lines only per node"]
        await pilot.press(*["up"] * 60)
        row = pane.row_text(pane.cursor_row)
        assert row.endswith(": line 439.")
        more(deck, run, 500, 150)
        await settled(deck, pilot)
        assert captions(deck) == ["250 older lines only per node, held, 150 lines waiting"]
        assert pane.row_text(pane.cursor_row) == row
        assert 439 in shown(deck)
        more(deck, run, 650, 1000)  # now it went itself
        await settled(deck, pilot)
        assert captions(deck) == ["1,250 older lines only per node, held, 1,150 lines waiting"]
        assert pane.row_text(0).endswith(": line 1250.")


async def test_lines_of_some_nodes_are_picked_from_the_newest_and_that_is_said() -> None:
    async with flooded(6_000) as (deck, run, pilot):
        assert captions(deck) == [""]
        deck.app.main.set_filter("node[1-30]")
        deck.app.main.panes.rearrange()
        await settled(deck, pilot)
        pane = deck.app.main.panes.panes[0]
        assert pane.source is not None
        assert pane.source.title == "30 of 40 nodes"
        assert captions(deck) == ["older lines only per node"]
        assert pane.row_count() == 5_000 * 30 // NODES
        await pilot.press("f")
        more(deck, run, 6_000, 2 * NODES)
        await settled(deck, pilot)
        assert captions(deck) == ["older lines only per node, held, 60 lines waiting"]


async def test_what_has_no_room_is_counted_and_a_zoom_says_that_there_is_more() -> None:
    async with flooded(NODES) as (deck, run, pilot):
        deck.session.push(finish(run))
        nodes = deck.app.main.nodes
        await pilot.press("0", *["space"] * 15, "enter")  # the cursor stands behind the marks
        await settled(deck, pilot)
        assert len(nodes.marks) == 15
        assert captions(deck) == [""] * 11 + ["3 more nodes"]
        await pilot.press("right_square_bracket", "z")
        await settled(deck, pilot)
        assert captions(deck) == ["2 of 12"]
        await pilot.press("escape")
        await settled(deck, pilot)
        assert len(captions(deck)) == 12


async def test_the_match_under_the_cursor_keeps_its_colours() -> None:
    async with flooded(100) as (deck, _run, pilot):
        for theme in ("dark", "monochrome"):
            deck.app.wardrobe.wear(theme)
            await pilot.press("f", "ctrl+f", *"line 99", "enter")
            await settled(deck, pilot)
            strips = [strip for strip in deck.strips() if any(segment.text == "line 99" for segment in strip)]
            styles = {segment.text: segment.style for segment in strips[0]}
            match, beside = styles["line 99"], styles["."]
            assert match is not None
            assert beside is not None
            assert (match.bgcolor, match.reverse) != (beside.bgcolor, beside.reverse), theme
            await pilot.press("escape", "end")
