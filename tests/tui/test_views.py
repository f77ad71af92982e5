"""Every key of every view, on a run that ended in every way, through Pilot."""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.pilot import Pilot

from clusterdeck.console.runs.events import CopyProgressed, RunStarted
from clusterdeck.console.tui import ticks
from clusterdeck.engine.states import NodeState
from clusterdeck.tests.support.fake_run import FakeSession, finish, mixed, out, states
from clusterdeck.tests.support.tui import Deck, settled, until
from clusterdeck.widgets.cells import BAR, safe
from clusterdeck.widgets.diff_view import DiffView
from clusterdeck.widgets.document_view import DocumentView
from clusterdeck.widgets.failures import FailuresView
from clusterdeck.widgets.gather_view import GatherView
from clusterdeck.widgets.log_view import LogView
from clusterdeck.widgets.plot_view import PlotView
from clusterdeck.widgets.queue_snapshot import QueueProcess, QueueSnapshot, QueueTask, QueueWorker
from clusterdeck.widgets.queue_view import QueueView
from clusterdeck.widgets.runs_view import READING, RunsView
from clusterdeck.widgets.title_line import TitleLine

WIDE = (140, 40)
SMALL = (80, 24)


@asynccontextmanager
async def opened(
    size: tuple[int, int] = WIDE, *, session: FakeSession | None = None, run: bool = True
) -> AsyncIterator[tuple[Deck, Pilot[int]]]:
    deck = Deck(session)
    if run:
        mixed(deck.session)
    async with deck.app.run_test(size=size) as pilot:
        await settled(deck, pilot)
        deck.app.main.nodes.set_order("given")  # rows by number, whatever became of the nodes
        deck.app.main.nodes.move_cursor(0)
        yield deck, pilot
    deck.session.close()


async def test_prompt_has_the_focus_and_lines_reach_the_language() -> None:
    async with opened() as (deck, pilot):
        assert deck.app.focused is deck.app.main.prompt
        await pilot.press(*"uptime", "enter")
        await deck.wait_line(pilot, "uptime")


async def test_one_key_moves_between_prompt_and_view() -> None:
    async with opened() as (deck, pilot):
        main = deck.app.main
        await pilot.press("ctrl+o")
        assert main.focused is main.panes.panes[0]
        await pilot.press("ctrl+o")
        assert main.focused is main.prompt
        await pilot.press("f6")
        assert main.focused is not main.prompt


async def test_a_letter_without_a_use_goes_to_the_prompt() -> None:
    async with opened() as (deck, pilot):
        await pilot.press("ctrl+o", "l", "s", "enter")
        await deck.wait_line(pilot, "ls")
        assert deck.app.focused is deck.app.main.prompt


@pytest.mark.parametrize(
    ("key", "view"),
    [("1", "panes"), ("2", "gathered"), ("g", "gathered"), ("3", "failures"), ("4", "queue"), ("5", "runs"),
     ("6", "log"), ("d", "diff"), ("p", "plot")],
)  # fmt: skip
async def test_views_by_key(key: str, view: str) -> None:
    async with opened() as (deck, pilot):
        await pilot.press("ctrl+o", key)
        main = deck.app.main
        assert main.view == view
        assert main.focused is main.focus_target()
        assert main.query_one(f"#{view}").display


async def test_escape_goes_back_step_by_step() -> None:
    async with opened() as (deck, pilot):
        main = deck.app.main
        await pilot.press("ctrl+o", "3", "question_mark")
        assert main.view == "document"
        await pilot.press("escape")
        assert main.view == "failures"
        await pilot.press("escape")
        assert main.focused is main.prompt


# -- node list


async def test_node_list_orders_and_keeps_the_cursor_on_its_node() -> None:
    async with opened() as (deck, pilot):
        nodes = deck.app.main.nodes
        await pilot.press("ctrl+o", "0")
        assert nodes.has_focus
        await pilot.press("down", "down")
        name = nodes.cursor_name
        assert name == "node3"
        await pilot.press("o", "o")
        assert nodes.order == "state"
        assert nodes.cursor_name == name
        listed = [nodes.board.state(node) for node in nodes.listed]
        assert listed[0] == NodeState.FAILED
        assert listed[-1] == NodeState.OK
        await pilot.press("o")
        assert nodes.order == "name"
        assert [nodes.board.names[node] for node in nodes.listed][:3] == ["node1", "node2", "node3"]
        await pilot.press("o", "o")
        assert nodes.order == "given"


async def test_trouble_comes_to_the_top_and_nothing_else_moves() -> None:
    async with opened() as (deck, pilot):
        nodes = deck.app.main.nodes
        await pilot.press("ctrl+o", "0", "o")
        assert nodes.order == "trouble"
        names = [nodes.board.names[node] for node in nodes.listed]
        assert names[:5] == ["node2", "node11", "node19", "node23", "node18"]
        assert names[5:] == [name for name in nodes.board.names if name not in names[:5]]
        assert nodes.cursor_name == "node1"


async def test_node_list_movement() -> None:
    async with opened(SMALL, session=FakeSession("node[1-200]")) as (deck, pilot):
        nodes = deck.app.main.nodes
        await pilot.press("ctrl+o", "0", "end")
        assert nodes.cursor_name == "node200"
        assert nodes.scroll_offset.y == 200 - nodes.size.height
        await pilot.press("home", "pagedown")
        assert nodes.cursor_row == nodes.size.height - 1
        await pilot.press("pageup", "down", "up")
        assert nodes.cursor_row == 0


async def test_marked_nodes_become_the_selection() -> None:
    async with opened() as (deck, pilot):
        nodes = deck.app.main.nodes
        await pilot.press("ctrl+o", "0", "space", "space", "down", "space")
        assert nodes.marks == {"node1", "node2", "node4"}
        await pilot.press("s")
        await deck.wait_line(pilot, ":nodes node[1-2,4]")
        assert not nodes.marks


async def test_ctrl_click_marks_and_double_click_opens() -> None:
    async with opened() as (deck, pilot):
        nodes = deck.app.main.nodes
        await pilot.click("#nodes", offset=(5, 2), control=True)
        assert nodes.marks == {"node3"}
        await pilot.click("#nodes", offset=(5, 4), times=2)
        await pilot.pause()
        assert deck.app.main.panes.zoomed
        assert deck.app.main.panes.panes[0].source.title == "node5"  # type: ignore[union-attr]


async def test_enter_on_a_node_opens_its_pane_and_escape_leaves_it() -> None:
    async with opened() as (deck, pilot):
        main = deck.app.main
        await pilot.press("ctrl+o", "0", "down", "enter")
        await pilot.pause()
        assert main.view == "panes"
        assert [pane.source.title for pane in main.panes.panes if pane.source] == ["node2"]
        await pilot.press("escape")
        assert not main.panes.zoomed


async def test_copy_row_and_node_set() -> None:
    async with opened() as (deck, pilot):
        await pilot.press("ctrl+o", "0", "y")
        await pilot.pause()
        assert deck.app.clipboard.startswith("node1  ok")
        await pilot.press("Y")
        await pilot.pause()
        assert deck.app.clipboard == "node[1-24]"


async def test_abort_one_node_only_while_it_runs() -> None:
    session = FakeSession()
    run = session.make_run("sleep 100")
    session.push(states(run, range(24), NodeState.RUNNING))
    async with opened(session=session, run=False) as (deck, pilot):
        await pilot.press("ctrl+o", "0", "k")
        await deck.wait_line(pilot, ":abort 1 -w node1")
        session.push(finish(run))
        await settled(deck, pilot)
        await pilot.press("k")
        await pilot.pause()
        assert deck.lines == [":abort 1 -w node1"]


async def test_tree_by_group() -> None:
    async with opened() as (deck, pilot):
        nodes = deck.app.main.nodes
        errand: Any = deck.app._groups_errand
        errand._look = lambda: {"web": ["node1", "node3"], "db": ["node2"]}  # read when the tree is opened
        await pilot.press("ctrl+o", "0", "t")
        await until(pilot, lambda: nodes.row_text(0).startswith("web"))
        assert [nodes.row_text(row).split("  ")[0] for row in range(6)] == [
            "web (2)", "node1", "node3", "db (1)", "node2", "in no group (21)",
        ]  # fmt: skip
        await pilot.press("home", "enter")  # a heading is folded, and opens nothing
        assert not deck.app.main.panes.zoomed
        assert [nodes.row_text(row).split("  ")[0] for row in range(2)] == ["web (2)", "db (1)"]
        await settled(deck, pilot)
        assert "+ web (2)" in deck.screen_text()
        title = deck.app.main.query_one("#side-title", TitleLine)
        assert title.text == "nodes 24"  # folded or in two groups, every node counts once
        await pilot.press("space", "space")  # the group, then the next one
        assert nodes.marks == {"node1", "node2", "node3"}
        await pilot.press("s")
        await deck.wait_line(pilot, ":nodes node[1-3]")
        await pilot.press("t")
        assert nodes.row_text(0).startswith("node1")


async def test_selected_nodes_outside_the_run_are_listed() -> None:
    async with opened() as (deck, pilot):
        deck.session.selection.replace(deck.session.resolve("node1,other[1-2]"))
        await settled(deck, pilot)
        board = deck.app.main.nodes.board
        assert board.names[-2:] == ["other1", "other2"]
        assert board.selected[0]
        assert not board.selected[1]


# -- gathered


async def test_gathered_folds_and_unfolds() -> None:
    session = FakeSession("node[1-4]")
    run = session.make_run("seq 30")
    session.push(*(out(run, node, *(str(number) for number in range(30))) for node in range(3)))
    session.push(out(run, 3, "different"), states(run, range(4), NodeState.OK, 0), finish(run))
    async with opened(session=session, run=False) as (deck, pilot):
        await pilot.press("ctrl+o", "2")
        view = deck.app.main.query_one("#gathered", GatherView)
        await settled(deck, pilot)
        assert view.row_text(0) == "node[1-3] (3)"
        folded = view.row_count()
        await pilot.press("enter")
        assert view.row_count() == folded + 30 - 10 - 1
        await pilot.press("enter")
        assert view.row_count() == folded
        await pilot.press("m")
        assert [view.row_text(row) for row in (1, 2, 3)] == ["node1", "node2", "node3"]
        await pilot.press("down", "enter")
        await pilot.pause()
        assert deck.app.main.panes.panes[0].source.title == "node1"  # type: ignore[union-attr]


async def test_views_without_rows_say_why() -> None:
    session = FakeSession("node[1-4]")
    run = session.make_run("true")
    session.push(states(run, [0, 1, 2], NodeState.OK, 0), states(run, [3], NodeState.FAILED, 1), finish(run))
    async with opened(session=session, run=False) as (deck, pilot):

        async def says(key: str, *texts: str) -> None:
            await pilot.press(key)
            await until(pilot, lambda: all(text in deck.screen_text() for text in texts), deck.screen_text)

        await pilot.press("ctrl+o")
        await says("2", "No node wrote anything.", "1 did not end well: 3 shows them.")
        await says("d", "No node wrote anything.")
        deck.app.main.set_filter("node1")
        await says("3", "No failure passes the filter.")
        session.push(out(run, 3, "late"))
        await settled(deck, pilot)
        await says("2", "No answer passes the filter.")
        await says("d", "No answer passes the filter.")
        deck.app.main.set_filter("")
        again = session.make_run("true")
        session.push(states(again, range(4), NodeState.OK, 0), finish(again))
        await settled(deck, pilot)
        await says("2", "No node wrote anything.", "All ended well.")
        await says("3", "Nothing failed.")


async def test_outliers_first_and_select() -> None:
    async with opened() as (deck, pilot):
        await pilot.press("ctrl+o", "2", "o")
        view = deck.app.main.query_one("#gathered", GatherView)
        assert view.row_text(0) == "node[2,11] (2)"
        await pilot.press("s")
        await deck.wait_line(pilot, ":nodes node[2,11]")


# -- failures


async def test_failures_by_reason() -> None:
    async with opened() as (deck, pilot):
        await pilot.press("ctrl+o", "3")
        view = deck.app.main.query_one("#failures", FailuresView)
        assert view.row_text(0) == "failed rc 2 (2): node[2,11]"
        assert view.row_text(1) == "node2: uname: cannot open /proc/version"
        await pilot.press("r")
        await deck.wait_line(pilot, ":retry --run 1")
        await pilot.press("x")
        await deck.wait_line(pilot, ":nodes remove node[2,11]")
        await pilot.press("down", "s")
        await deck.wait_line(pilot, ":nodes node2")
        await pilot.press("enter")
        await pilot.pause()
        assert deck.app.main.panes.panes[0].source.title == "node2"  # type: ignore[union-attr]


async def test_filtered_failures_retry_exactly_those() -> None:
    async with opened() as (deck, pilot):
        await pilot.press("ctrl+o", "3", "slash", *"rc:2")
        deck.app.main.set_focus(deck.app.main.query_one("#failures"))
        await pilot.press("r")
        await deck.wait_line(pilot, ":again 1 -w node[2,11]")


async def test_failures_abort_while_running() -> None:
    session = FakeSession("node[1-4]")
    run = session.make_run("x")
    session.push(states(run, [0, 1], NodeState.FAILED, 1))
    async with opened(session=session, run=False) as (deck, pilot):
        await pilot.press("ctrl+o", "3", "k")
        await deck.wait_line(pilot, ":abort 1 -w node[1-2]")


# -- runs, log, queue, documents


async def test_runs_view_keys() -> None:
    session = FakeSession()
    mixed(session, "first")
    mixed(session, "second", seed=2)
    async with opened(session=session, run=False) as (deck, pilot):
        await pilot.press("ctrl+o", "5")
        view = deck.app.main.query_one("#runs", RunsView)
        assert [run.id for run in view.listed] == [2, 1]
        await pilot.press("c")
        await until(pilot, lambda: "Enter shows a run; c on another one" in deck.app.book.entries[-1].text)
        await pilot.press("down", "r")
        await deck.wait_line(pilot, ":again 1")
        await pilot.press("c")
        await deck.wait_line(pilot, ":diff 1 2")
        await pilot.press("enter")
        await settled(deck, pilot)
        assert deck.app.deck.run is session.runs.get(1)
        assert deck.app.main.view == "gathered"
        await pilot.press("5", "e")
        assert deck.app.focused is deck.app.main.prompt
        await deck.wait_prompt(pilot, ":save --run 1 ")


async def test_the_filter_picks_runs_by_their_commands_and_nodes() -> None:
    session = FakeSession()
    mixed(session, "uname")
    other = session.make_run("uptime", "web[1-2]")
    session.push(states(other, [0, 1], NodeState.OK, 0), finish(other))
    async with opened(session=session, run=False) as (deck, pilot):
        view = deck.app.main.query_one("#runs", RunsView)
        session.groups["web"] = "web[1-2]"
        await pilot.press("ctrl+o", "5")
        for line, passing in (("node*", [1]), ("upt", [2]), ("@web", [2]), ("state:failed", [1]), ("none*", [])):
            deck.app.main.set_filter(line)
            await until(pilot, lambda passing=passing: [run.id for run in view.listed] == passing)  # type: ignore[misc]
        await until(pilot, lambda: "No run passes the filter." in deck.screen_text())


@pytest.mark.parametrize("size", [WIDE, SMALL])
async def test_what_a_copy_took_stays_on_show(size: tuple[int, int]) -> None:
    session = FakeSession("node[1-3]")  # the last one is never reached, and waited for longer than bytes move
    run = session.make_run(":copy a /tmp", kind="copy")
    begun = time.monotonic() - 10.0
    session.push(
        RunStarted(run.id, begun),
        states(run, [2], NodeState.CONNECTING, at=begun),
        states(run, [0, 1], NodeState.RUNNING, at=begun),
    )
    session.push(*(CopyProgressed(run.id, node, 25_000_000, 25_000_000) for node in range(2)))
    session.push(states(run, [0], NodeState.OK, 0, at=begun + 5), states(run, [1], NodeState.OK, 0, at=begun + 2))
    session.push(states(run, [2], NodeState.UNREACHABLE, at=begun + 8), finish(run, begun + 8))
    async with opened(size, session=session, run=False) as (deck, pilot):
        await until(pilot, lambda: "3/3  8.0s ended  50.0 MB of 50.0 MB 10.0 MB/s" in deck.screen_text())
        if size == WIDE:
            assert re.search(r"node1 +ok +5.0s 25.0 MB 5.0 MB/s", deck.screen_text())
            assert re.search(r"node2 +ok +2.0s 25.0 MB 12.5 MB/s", deck.screen_text())


async def test_runs_of_earlier_sessions_come_while_the_view_is_there() -> None:
    before = FakeSession()
    old = mixed(before, "of yesterday")
    before.drain(30)
    session = FakeSession()
    session.runs.expect_earlier()
    session._next = 2
    mixed(session, "today")
    async with opened(session=session, run=False) as (deck, pilot):
        await pilot.press("ctrl+o", "5", "down", "enter", "r")  # nothing happens where nothing is yet
        view = deck.app.main.query_one("#runs", RunsView)
        await until(pilot, lambda: READING in deck.screen_text())
        assert (view.row_text(1), deck.app.main.view, deck.lines) == (READING, "runs", [])
        session.runs.add_earlier(old)
        session.runs.earlier_read()
        await until(pilot, lambda: READING not in deck.screen_text())
        assert [run.line for run in view.listed] == ["today", "of yesterday"]
        await pilot.press("end", "r")
        await deck.wait_line(pilot, ":again 1")
    before.close()


async def test_log_has_starts_and_ends() -> None:
    async with opened() as (deck, pilot):
        await pilot.press("ctrl+o", "6")
        await settled(deck, pilot)
        view = deck.app.main.query_one("#log", LogView)
        texts = [view.row_text(row) for row in range(view.row_count())]
        assert any("#1 uname -r  on 24 nodes" in text for text in texts)
        assert any("#1 ended" in text and "failed 2" in text for text in texts)


async def test_queue_view_keys() -> None:
    async with opened() as (deck, pilot):
        task = QueueTask("t1", "job", "failed", "node1", 3.0, 2, "make -j4", ("leased by 3", "lost"))
        waiting = QueueTask("t2", "job", "waiting")
        deck.app.main.painter.queue = QueueSnapshot(
            1,
            (waiting, task),
            (QueueProcess("p1", "node1", 45.0, "2/4"),),
            {"job": {"waiting": 1, "failed": 1}},
            (QueueWorker("node1", "up", 4, 2, 10, 1, pool="queue"),),
        )
        await pilot.press("ctrl+o", "4")
        await settled(deck, pilot)
        view = deck.app.main.query_one("#queue", QueueView)
        assert view.row_text(0) == "job: waiting 1, failed 1"
        await pilot.press("down", "down", "r")
        await deck.wait_line(pilot, ":queue retry t1")
        await pilot.press("enter")
        assert "leased by 3" in view.row_text(3)
        rows = [view.row_text(row) for row in range(view.row_count())]
        assert any(row.startswith("node1") and "2/4" in row for row in rows), rows
        assert any(row.startswith("p1") for row in rows), rows
        await pilot.press("x")
        await deck.wait_line(pilot, ":queue cancel t1")


async def test_what_holds_the_queue_up_stands_first() -> None:
    async with opened() as (deck, pilot):
        deck.app.main.painter.queue = QueueSnapshot(0, notes=["nobody takes the waiting tasks: :queue join NODES"])
        await pilot.press("ctrl+o", "4")
        await until(pilot, lambda: " ! nobody takes the waiting tasks: :queue join NODES" in deck.screen_text())
        await pilot.press("x", "r", "enter")
        assert deck.lines == []


async def test_a_text_asked_for_at_the_prompt_closes_to_the_prompt() -> None:
    async with opened() as (deck, pilot):
        main = deck.app.main
        main.show_document("a text", [f"line {number}" for number in range(100)], "info")
        await pilot.press("escape")
        assert main.view == "panes"
        assert main.focused is main.prompt
        await pilot.press(*"sleep 300", "enter")
        await deck.wait_line(pilot, "sleep 300")


async def test_document_scrolls_and_searches() -> None:
    async with opened() as (deck, pilot):
        deck.app.main.show_document("a text", [f"line {number}" for number in range(100)], "info")
        view = deck.app.main.query_one("#document", DocumentView)
        deck.app.main.set_focus(view)
        await pilot.press("down", "down")
        assert view.scroll_offset.y == 2
        await pilot.press("ctrl+f", *"line 77", "enter")
        await pilot.pause()
        assert view.cursor_row == 77
        assert view.has_focus
        await pilot.press("n")
        assert view.cursor_row == 77


# -- diff and plot


async def test_diff_against_the_majority_another_base_and_the_run_before() -> None:
    session = FakeSession()
    mixed(session)
    mixed(session, seed=3)
    async with opened(session=session, run=False) as (deck, pilot):
        await pilot.press("ctrl+o", "d")
        await settled(deck, pilot)
        view = deck.app.main.query_one("#diff", DiffView)
        text = [view.row_text(row) for row in range(view.row_count())]
        assert text[0].startswith("base: ")
        assert "- 6.1.0-18-amd64" in text
        assert "+ 5.10.0-8-amd64" in text
        row = next(row for row in range(view.row_count()) if "5.10" in view.row_text(row))
        view.move_cursor(row)
        await pilot.press("b")
        assert "- 5.10.0-8-amd64" in [view.row_text(row) for row in range(view.row_count())]
        await pilot.press("c")
        assert view.row_text(0) == "base: #1 uname -r"
        await pilot.press("c", "i")
        assert view.normalising
        rows = [view.row_text(row) for row in range(view.row_count())]
        assert "= no difference but names and numbers" in rows
        assert len([row for row in rows if row.startswith("=")]) == 1  # answers that are alike share a row
        view.move_cursor(0)
        await pilot.press("s")
        await pilot.pause()
        assert deck.lines[-1].startswith(":nodes node[")


async def test_two_runs_are_compared_from_the_first_to_the_second() -> None:
    session = FakeSession("node1")
    for text in ("before", "after", "last"):
        run = session.make_run(text)
        session.push(out(run, 0, text), states(run, [0], NodeState.OK, 0), finish(run))
    async with opened(session=session, run=False) as (deck, pilot):
        deck.app._shelf.open_view("diff", 1, None, 2)
        await until(pilot, lambda: " + after" in deck.screen_text())
        assert " - before" in deck.screen_text()
        assert "base: #1 before" in deck.screen_text()


async def test_plot_pictures() -> None:
    session = FakeSession("node[1-8]")
    run = session.make_run("cat /proc/loadavg")
    session.push(*(out(run, node, f"{node}.5 1 1") for node in range(8)), states(run, range(8), NodeState.OK, 0))
    session.push(finish(run))
    async with opened(session=session, run=False) as (deck, pilot):
        await pilot.press("ctrl+o", "p")
        await settled(deck, pilot)
        view = deck.app.main.query_one("#plot", PlotView)
        assert view.row_text(0).split() == [
            *("heat", "map", "8", "nodes", "min", "0.5", "node1", "max", "7.5", "node8", "median", "4", "mean", "4")
        ]
        assert "\u2588 node8" in deck.screen_text()
        await pilot.press("right", "right")
        assert "node3: 2.5" in deck.screen_text()
        await pilot.press("space")
        assert view.picture == "histogram"
        assert view.row_text(1).split() == ["0", "..", "1", "1", *[BAR * (len(view.row_text(1).split()[-1]))]]
        await pilot.press("space")
        assert "need a timer" in view.row_text(1)
        assert view.set_pattern("(") != ""
        await pilot.press("space", "right", "enter")
        await pilot.pause()
        assert deck.app.main.view == "panes"
        assert deck.app.main.panes.panes[0].source.title == "node2"  # type: ignore[union-attr]


async def test_a_heat_map_of_many_nodes_has_every_node_in_its_place() -> None:
    session = FakeSession("node[1-1000]")
    run = session.make_run("cat /proc/loadavg")
    session.push(*(out(run, node, str(node)) for node in range(1000) if node != 64), finish(run))
    async with opened(SMALL, session=session, run=False) as (deck, pilot):
        deck.app.main.open_view("plot", focus=True)
        view = deck.app.main.query_one("#plot", PlotView)
        await settled(deck, pilot)
        await pilot.press("down", *["right"] * 4)
        assert view.size.width == 80
        assert "node65: no number" in deck.screen_text()
        assert "node61" in deck.screen_text()
        assert "node64 63" in view.row_text(3)
        assert "node65" not in view.row_text(3)
        await pilot.click("#plot", offset=(8 + 1 + 1 + 11, 4))  # the eleventh cell of the third row
        assert "node131: 130" in deck.screen_text()


async def test_sparklines_over_the_rounds_of_a_timer() -> None:
    session = FakeSession("node[1-3]")
    for number in range(4):
        run = session.make_run("cat /proc/loadavg")
        run.timer = 1
        session.push(*(out(run, node, str(number * node)) for node in range(3)), finish(run))
    async with opened(session=session, run=False) as (deck, pilot):
        deck.app.main.open_view("plot", focus=True)
        await settled(deck, pilot)
        await pilot.press("space", "space")
        await until(pilot, lambda: "\u2581\u2583\u2586\u2588" in deck.screen_text(), deck.screen_text)
        assert "0 .. 6" in deck.screen_text()
        assert "\u2581\u2581\u2581\u2581" in deck.screen_text()  # all equal


# -- help, footer, hostile names


async def test_help_names_the_keys_of_the_focus() -> None:
    async with opened() as (deck, pilot):
        await pilot.press("ctrl+o", "3", "question_mark")
        view = deck.app.main.query_one("#document", DocumentView)
        text = "\n".join(view.lines)
        assert "Run again on exactly these nodes." in text
        assert ":shell" in text
        assert "state:failed" in text


@pytest.mark.parametrize("view", ["panes", "gathered", "failures", "queue", "runs", "log", "diff", "plot"])
async def test_footer_has_at_most_seven_keys(view: str) -> None:
    async with opened(SMALL) as (deck, pilot):
        main = deck.app.main
        main.open_view(view, focus=True)
        await settled(deck, pilot)
        hints = main.query_one("#hints").hints  # type: ignore[attr-defined]
        assert 3 <= len(hints) <= 7
        assert sum(len(shown) + len(word) + 3 for shown, word, _ in hints) <= 80


async def test_names_and_output_are_never_markup() -> None:
    session = FakeSession("rack[1-2]")
    run = session.make_run("echo '[red]x[/red]' [@click=app.quit]y[/]")
    session.push(
        out(run, 0, "[bold]not bold[/bold] [/] [@click=app.quit]z[/]"), out(run, 1, b"a\x1b]52;c;AA\x07b\x9b2Jc")
    )
    session.push(states(run, [0, 1], NodeState.OK, 0), finish(run))
    async with opened(session=session, run=False) as (deck, pilot):
        for view in ("panes", "gathered", "runs", "log"):
            deck.app.main.open_view(view, focus=True)
            await settled(deck, pilot)
            shown = deck.screen_text()
            assert "\x1b" not in shown
            assert "\x9b" not in shown
        deck.app.main.open_view("gathered")
        await settled(deck, pilot)
        assert "[bold]not bold[/bold] [/] [@click=app.quit]z[/]" in deck.screen_text()


def test_safe_leaves_nothing_that_a_terminal_obeys() -> None:
    text = safe("".join(map(chr, range(0x250))) + "\u202e\u200b")
    assert not [character for character in text if unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs")]


# -- commands that only the screen can do, and keys that the registry gives


async def test_commands_of_the_screen() -> None:
    async with opened() as (deck, pilot):
        main = deck.app.main
        assert deck.app._shelf.act("view.plot", (r"amd(\d+)",))
        await settled(deck, pilot)
        assert main.view == "plot"
        assert "19 of 24 nodes" in deck.screen_text()
        assert deck.app._shelf.act("view.filter", ("rc:2",))
        await settled(deck, pilot)
        assert [main.nodes.board.names[node] for node in main.nodes.listed] == ["node2", "node11"]
        assert main.query_one("#filter").display
        assert deck.app._shelf.act("view.filter", ("",))
        assert not main.query_one("#filter").display
        assert deck.app._shelf.act("view.theme", ("light",))
        assert deck.app.theme == "light"
        assert deck.app._shelf.act("view.theme", ("no-such",))
        assert deck.app.theme == "light"
        assert not deck.app._shelf.act("view.unknown", ())


async def test_keys_of_commands_that_reach_nodes_only_fill_the_prompt() -> None:
    async with opened() as (deck, pilot):
        await pilot.press("ctrl+o", "R")
        await deck.wait_prompt(pilot, ":again")
        assert deck.lines == []
        await pilot.press("ctrl+u", "ctrl+o", "u")
        await deck.wait_line(pilot, ":nodes undo")


async def test_palette_has_commands_and_keys() -> None:
    async with opened() as (deck, pilot):
        await pilot.press("ctrl+p")
        await until(pilot, lambda: deck.app.screen is not deck.app.main)
        await pilot.press(*"failures")
        await until(pilot, lambda: "screen: Failures" in deck.screen_text(), deck.screen_text)
        await pilot.press("escape")
        await until(pilot, lambda: deck.app.screen is deck.app.main)


async def test_the_view_scrolls_from_an_empty_prompt() -> None:
    session = FakeSession("node1")
    run = session.make_run("seq")
    session.push(out(run, 0, *map(str, range(300))), finish(run))
    async with opened(session=session, run=False) as (deck, pilot):
        main = deck.app.main
        main.open_view("panes")
        await settled(deck, pilot)
        pane = main.panes.panes[0]
        assert main.focused is main.prompt
        top = pane.scroll_offset.y
        await pilot.press("pageup", "pageup")
        assert pane.scroll_offset.y < top
        assert main.focused is main.prompt
        await pilot.press("pagedown", "pagedown", "pagedown")
        assert pane.scroll_offset.y == top


async def test_q_closes_a_text_and_not_the_console() -> None:
    async with opened() as (deck, pilot):
        await pilot.press("ctrl+o", "2", "question_mark", "q")
        assert deck.app.main.view == "gathered"
        assert deck.app.is_running


# -- timers


async def test_what_changed_since_the_round_before_is_marked() -> None:
    session = FakeSession("node[1-4]")
    for number, answer in enumerate(("active", "failed")):
        run = session.make_run("systemctl is-active nginx")
        run.timer = 1
        session.push(*(out(run, node, "unit nginx", answer if node == 2 else "active") for node in range(4)))
        session.push(states(run, range(4), NodeState.OK, 0), finish(run))
        assert run.id == number + 1
    async with opened(session=session, run=False) as (deck, pilot):
        main = deck.app.main
        assert main.nodes.changed == {2}
        assert "changed" in main.nodes.row_text(2)
        main.open_view("panes")
        await settled(deck, pilot)
        assert "changed since #1" in deck.screen_text()
        changed = main.nodes.look["changed"]
        marked = {
            piece.text
            for strip in deck.strips()
            for piece in strip
            if piece.style and piece.style.color == changed.color
        }
        assert {"node3", "failed"} <= {text.strip() for text in marked}
        assert not any("unit nginx" in text or "node2" in text for text in marked)
        main.open_view("gathered")
        await settled(deck, pilot)
        assert "node3: failed" not in deck.screen_text()  # two lines, so no table
        assert "node3 (1) 1 changed" in deck.screen_text()
        main.open_view("diff")
        await settled(deck, pilot)
        assert "node3 (1) +1 -1 1 changed" in deck.screen_text()
        deck.app.deck.show_run(session.runs.get(1))
        await settled(deck, pilot)
        assert main.nodes.changed == set()


# -- colours of nodes


async def test_the_prompt_is_drawn_at_once_when_a_run_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticks, "PROMPT_INTERVAL", 3600.0)
    session = FakeSession("node[1-2]")
    run = session.make_run("uptime")
    async with opened(session=session, run=False) as (deck, pilot):
        session.push(out(run, 0, "up"))
        await settled(deck, pilot)
        drawn: list[int] = []
        monkeypatch.setattr(deck.app.main.prompt, "redraw", lambda: drawn.append(len(session.runs.running)))
        session.push(out(run, 1, "up"))
        await settled(deck, pilot)
        assert drawn == []
        session.push(states(run, (0, 1), NodeState.OK, 0), finish(run))
        await until(pilot, lambda: bool(drawn))
        assert drawn == [0]


async def test_colours_of_nodes_are_shown_and_can_be_left_out() -> None:
    session = FakeSession("node[1-2]")
    run = session.make_run("ls --color")
    session.push(out(run, 0, b"\x1b[31mred\x1b[0m plain", b"next"), finish(run))
    async with opened(session=session, run=False) as (deck, pilot):
        main = deck.app.main
        main.open_view("panes", focus=True)
        await settled(deck, pilot)

        def style_of(text: str) -> set[str]:
            pieces = [piece for strip in deck.strips() for piece in strip if piece.text.strip() == text]
            return {str(piece.style.color) for piece in pieces if piece.style}

        failed, plain = str(main.nodes.look["failed"].color), str(main.nodes.look.text.color)
        assert style_of("red") == {failed}
        assert plain in style_of("next")
        await pilot.press("a")
        await settled(deck, pilot)
        assert style_of("red plain") == {plain}
        await pilot.press("a")
        await settled(deck, pilot)
        assert style_of("red") == {failed}
