"""What single views show and do, through Pilot: panes side by side, folded reasons, missing answers, marks, colours."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.color import Color
from textual.pilot import Pilot

from clusterdeck.console.tui.theming import load_themes
from clusterdeck.engine.sgr import TextStyle
from clusterdeck.engine.states import NodeState
from clusterdeck.tests.support.fake_run import FakeSession, finish, out, states
from clusterdeck.tests.support.tui import Deck, settled, until
from clusterdeck.widgets.failures import FailuresView
from clusterdeck.widgets.gather_view import GatherView
from clusterdeck.widgets.look import make_look
from clusterdeck.widgets.node_colours import READABLE, contrast, style_of
from clusterdeck.widgets.queue_snapshot import QueueSnapshot, QueueTask, QueueWorker
from clusterdeck.widgets.queue_view import QueueView


@asynccontextmanager
async def opened(
    session: FakeSession, view: str, size: tuple[int, int] = (100, 30)
) -> AsyncIterator[tuple[Deck, Pilot[int]]]:
    deck = Deck(session)
    async with deck.app.run_test(size=size) as pilot:
        await settled(deck, pilot)
        deck.app.main.open_view(view, focus=True)
        await settled(deck, pilot)
        yield deck, pilot
    deck.session.close()


# -- panes


async def test_twelve_panes_stand_side_by_side_and_one_can_be_zoomed() -> None:
    session = FakeSession("node[1-12]")
    run = session.make_run("hostname")
    session.push(*(out(run, node, f"I am node{node + 1}.") for node in range(12)), finish(run))
    async with opened(session, "panes", (200, 50)) as (deck, pilot):
        panes = deck.app.main.panes
        assert [pane.source.title for pane in panes.panes if pane.source] == [f"node{n}" for n in range(1, 13)]
        shown = deck.screen_text()
        assert all(f"I am node{number}." in shown for number in range(1, 13))
        await pilot.press("right_square_bracket", "z")
        await settled(deck, pilot)
        assert [pane.source.title for pane in panes.panes if pane.source] == ["node2"]
        assert panes.panes[0].size.width > 140
        await pilot.press("z")
        await settled(deck, pilot)
        assert len(panes.panes) == 12
        await pilot.press("m")
        await settled(deck, pilot)
        assert [pane.source.title for pane in panes.panes if pane.source] == ["all 12 nodes"]


async def test_too_many_nodes_share_a_pane_and_marked_ones_get_their_own() -> None:
    session = FakeSession("node[1-40]")
    run = session.make_run("hostname")
    session.push(*(out(run, node, f"I am node{node + 1}.") for node in range(40)), finish(run))
    async with opened(session, "panes", (200, 50)) as (deck, pilot):
        panes = deck.app.main.panes
        assert [pane.source.title for pane in panes.panes if pane.source] == ["all 40 nodes"]
        await pilot.press("0", "space", "space", "up", "enter")
        await settled(deck, pilot)
        assert [pane.source.title for pane in panes.panes if pane.source] == ["node1", "node2"]


async def test_what_left_memory_can_be_scrolled_back_to_and_copied() -> None:
    session = FakeSession("node1")
    run = session.make_run("seq")
    lines = [f"line {number} " + "." * 90 for number in range(30_000)]
    for start in range(0, len(lines), 500):
        session.push(out(run, 0, *lines[start : start + 500]))
    session.push(finish(run))
    async with opened(session, "panes") as (deck, pilot):
        pane = deck.app.main.panes.panes[0]
        await until(pilot, lambda: pane.row_count() == len(lines))
        assert run.output.memory < 2_000_000
        await settled(deck, pilot)
        assert "line 29999 " in deck.screen_text()
        await pilot.press("home")
        await settled(deck, pilot)
        assert "line 0 " in deck.screen_text()
        await pilot.press("y")
        await pilot.pause()
        assert deck.app.clipboard == lines[0]
        await pilot.press("end")
        await settled(deck, pilot)
        assert "line 29999 " in deck.screen_text()
        assert pane.following


# -- failures and missing answers


async def test_many_nodes_of_one_reason_are_folded_so_that_the_next_is_in_sight() -> None:
    session = FakeSession("node[1-40]")
    run = session.make_run("false")
    session.push(states(run, range(30), NodeState.FAILED, 3), states(run, range(30, 33), NodeState.FAILED, 4))
    session.push(states(run, range(33, 40), NodeState.OK, 0), finish(run))
    async with opened(session, "failures") as (deck, pilot):
        view = deck.app.main.query_one("#failures", FailuresView)
        rows = [view.row_text(row) for row in range(view.row_count())]
        assert rows[0] == "failed rc 3 (30): node[1-30]"
        assert rows[6:8] == ["25 more nodes", "failed rc 4 (3): node[31-33]"]
        await pilot.press("x")
        await deck.wait_line(pilot, ":nodes remove node[1-30]")
        await pilot.press("Y")
        await pilot.pause()
        assert len(deck.app.clipboard.splitlines()) == 2 + 33
        await pilot.press(*["down"] * 6, "enter")
        assert view.row_count() == 2 + 33
        assert view.cursor_row == 0
        await pilot.press("enter")
        assert view.row_count() == 2 + 5 + 1 + 3


async def test_gathered_answers_say_who_is_missing() -> None:
    session = FakeSession("node[1-10]")
    run = session.make_run("uptime")
    session.push(*(out(run, node, "up") for node in range(6)), states(run, range(5), NodeState.OK, 0))
    session.push(states(run, [5], NodeState.TIMEOUT), states(run, [6, 7], NodeState.UNREACHABLE, reason="no route"))
    session.push(states(run, [8, 9], NodeState.LOST), finish(run))
    async with opened(session, "gathered") as (deck, pilot):
        view = deck.app.main.query_one("#gathered", GatherView)
        assert "node[1-6] (6) T1 " in deck.screen_text()
        assert "no output (4)  ? lost 2  ! unreachable 2" in deck.screen_text()
        await pilot.press("end", "s")
        await deck.wait_line(pilot, ":nodes node[7-10]")
        assert view.row_text(view.cursor_row) == "no output (4): node[7-10]"
        await pilot.press("m", "enter")
        await settled(deck, pilot)
        assert deck.app.main.view == "failures"


async def test_many_different_answers_of_a_line_make_a_table() -> None:
    session = FakeSession("node[1-12]")
    run = session.make_run("hostname")
    session.push(*(out(run, node, f"I am {node + 1}") for node in range(12)), finish(run))
    async with opened(session, "gathered", (80, 24)) as (deck, pilot):
        view = deck.app.main.query_one("#gathered", GatherView)
        assert [view.row_text(row) for row in range(2)] == ["node1: I am 1", "node2: I am 2"]
        assert view.row_count() == 12
        assert ". node12 \N{BOX DRAWINGS LIGHT VERTICAL} I am 12" in deck.screen_text()
        await pilot.press("down", "s")
        await deck.wait_line(pilot, ":nodes node2")
        await pilot.press("enter")
        await settled(deck, pilot)
        assert [pane.source.title for pane in deck.app.main.panes.panes if pane.source] == ["node2"]


# -- node list


async def test_shift_click_marks_a_range() -> None:
    session = FakeSession("node[1-9]")
    async with opened(session, "panes") as (deck, pilot):
        nodes = deck.app.main.nodes
        await pilot.click("#nodes", offset=(5, 1))
        await pilot.click("#nodes", offset=(5, 4), shift=True)
        assert nodes.marks == {"node2", "node3", "node4", "node5"}
        await pilot.click("#nodes", offset=(5, 2), control=True)
        assert nodes.marks == {"node2", "node4", "node5"}
        await pilot.press("s")
        await deck.wait_line(pilot, ":nodes node[2,4-5]")


async def test_a_copy_shows_how_far_every_node_is() -> None:
    from clusterdeck.console.runs.events import CopyProgressed

    session = FakeSession("node[1-2]")
    run = session.make_run(":copy a b", kind="copy")
    session.push(states(run, [0, 1], NodeState.RUNNING), CopyProgressed(run.id, 0, 250_000_000, 1_000_000_000))
    async with opened(session, "panes", (160, 30)) as (deck, _pilot):
        assert " 25% 250 MB" in deck.screen_text()
        assert "250 MB of 1.0 GB" in deck.screen_text()


@pytest.mark.parametrize("width", [60, 80, 100, 160])
async def test_no_row_is_cut_without_a_mark(width: int) -> None:
    """What does not fit ends with an ellipsis, beside a scrollbar too."""
    session = FakeSession("node[1-60]")
    run = session.make_run("x")
    session.push(
        *(out(run, node, "a" * 300) for node in range(60)), states(run, range(60), NodeState.OK, 0), finish(run)
    )
    async with opened(session, "panes", (width, 20)) as (deck, _pilot):
        rows = [line for line in deck.screen_text().splitlines() if "aaaa" in line]
        assert rows
        assert all("aaa\N{HORIZONTAL ELLIPSIS}" in row for row in rows)


# -- nodes' own colours


@pytest.mark.parametrize("name", ["dark", "light", "high-contrast"])
def test_no_node_can_hide_text_by_its_colour(name: str) -> None:
    theme = load_themes().themes[name]
    look = make_look(theme.to_color_system().generate() | theme.variables)
    tones = [None, *range(256), (0, 0, 0), (255, 255, 255), (15, 19, 24), (252, 252, 250)]
    for tone in tones:
        for wanted in (
            TextStyle(foreground=tone),
            TextStyle(background=tone),
            TextStyle(foreground=tone, background=tone),
        ):
            style = style_of(wanted, look, look.text)
            assert style.color is not None
            assert style.bgcolor is not None
            told = Color.from_rich_color(style.color), Color.from_rich_color(style.bgcolor)
            assert contrast(*told) >= READABLE, (wanted, told)


def test_themes_of_the_terminal_get_its_own_colours_and_colourless_ones_none() -> None:
    looks = {}
    for name in ("sixteen", "monochrome"):
        theme = load_themes().themes[name]
        looks[name] = make_look(theme.to_color_system().generate() | theme.variables)
    wanted = TextStyle(foreground=(250, 10, 10), background=235, bold=True, underline=True)
    sixteen = style_of(wanted, looks["sixteen"], looks["sixteen"].text)
    assert sixteen.color is not None
    assert (sixteen.color.number or 99) < 16
    plain = style_of(wanted, looks["monochrome"], looks["monochrome"].text)
    assert plain.color is not None
    assert plain.color.is_default
    assert plain.bold
    assert plain.underline


# -- the queue


async def test_many_waiting_tasks_are_folded_so_that_the_nodes_are_in_sight() -> None:
    async with opened(FakeSession(), "queue", (120, 40)) as (deck, pilot):
        tasks = [QueueTask(f"a.map1_{number}", "a.map1", "waiting", text="gzip") for number in range(500)]
        tasks += [QueueTask("a.map1_900", "a.map1", "lost", "node1", text="gzip", way=("began on node1 slot 1",))]
        nodes = [QueueWorker("node1", "up", 2, 1, 5, 0)]
        deck.app.main.painter.queue = QueueSnapshot(1, tasks, (), {"a.map1": {"waiting": 500, "lost": 1}}, nodes)
        await settled(deck, pilot)
        view = deck.app.main.query_one("#queue", QueueView)
        rows = [view.row_text(row) for row in range(view.row_count())]
        assert rows[2].startswith("a.map1_900 lost ")
        assert rows[13:] == ["490 more waiting", "nodes 1", "node1 up 1/2 "]
        assert "? lost      a.map1_900" in deck.screen_text()
        assert re.search(r"a\.map1_900 +0\w+ +node1 gzip", deck.screen_text())  # the tag stands in the id already
        await pilot.press("down", "down", "r")
        await deck.wait_line(pilot, ":queue retry a.map1_900")
        view.move_cursor(13)
        await pilot.press("enter")
        assert view.row_count() == 2 + 501 + 2


async def test_the_cursor_stays_on_what_it_was_on_when_rows_move() -> None:
    session = FakeSession("node[1-6]")
    run = session.make_run("first")
    session.push(states(run, range(6), NodeState.RUNNING), states(run, [4, 5], NodeState.TIMEOUT, reason="60 s"))
    async with opened(session, "failures", (120, 40)) as (deck, pilot):
        failures = deck.app.main.query_one("#failures", FailuresView)
        await pilot.press("down", "down")
        assert failures.row_text(failures.cursor_row).startswith("node6")
        session.push(states(run, [0, 1], NodeState.FAILED, 1))
        await settled(deck, pilot)
        assert failures.row_text(0).startswith("failed")
        await pilot.press("x")
        await deck.wait_line(pilot, ":nodes remove node6")
        await pilot.press("5")
        await settled(deck, pilot)
        session.push(finish(session.make_run("second")), finish(run))
        await settled(deck, pilot)
        await pilot.press("r")
        await until(pilot, lambda: deck.lines[-1].endswith(" 1") or deck.lines[-1].endswith(" 2"))
        assert deck.lines[-1].endswith(" 1")
        await pilot.press("4")
        tasks = [QueueTask(f"a_{number}", "a", "running", "node1") for number in range(9)]
        deck.app.main.painter.queue = QueueSnapshot(1, tasks)
        await settled(deck, pilot)
        await pilot.press("down", "down", "down")
        tasks[7:] = [QueueTask(f"a_{number}", "a", "failed", "node1") for number in (7, 8)]
        deck.app.main.painter.queue = QueueSnapshot(2, tasks)
        await settled(deck, pilot)
        await pilot.press("x")
        await deck.wait_line(pilot, ":queue cancel a_2")
