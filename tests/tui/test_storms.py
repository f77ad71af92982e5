"""Much at once: output of any bytes, long lines, sizes that change all the time, a terminal that is far too small."""

from __future__ import annotations

import random
import threading
import time

import pytest
from ClusterShell.NodeSet import NodeSet

from clusterdeck.console.runs.events import RunStarted
from clusterdeck.engine.states import NodeState
from clusterdeck.tests.support.fake_run import FakeSession, finish, mixed, out, states
from clusterdeck.tests.support.tui import Deck, settled, until
from clusterdeck.widgets.line_entry import FilterBar

VIEWS = ("panes", "gathered", "failures", "queue", "runs", "log", "diff", "plot", "document")
SIZES = [(80, 24), (200, 50), (60, 15), (20, 5), (1, 1), (99, 18), (100, 17), (3, 40)]


def obeyed(text: str) -> list[str]:
    """Characters that a terminal would obey."""
    return [c for c in text if c != "\n" and (ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u200b\u2066")]


async def test_output_of_any_bytes_in_every_view() -> None:
    chance = random.Random(7)
    session = FakeSession("node[1-6]")
    run = session.make_run("cat /dev/urandom \x1b]0;title\x07 \u202e")
    session.push(states(run, range(6), NodeState.RUNNING))
    for node in range(6):
        lines = [chance.randbytes(chance.randrange(200)).replace(b"\n", b"") for _ in range(40)]
        session.push(out(run, node, *lines), out(run, node, b"\x1b[2J\x9b31m\x1b]52;c;AAAA\x07", stream=1))
    session.push(states(run, [5], NodeState.FAILED, 1, "bad \x1b[31m reason [red]x[/]"), finish(run))
    deck = Deck(session)
    async with deck.app.run_test(size=(100, 30)) as pilot:
        await settled(deck, pilot)
        for view in VIEWS:
            deck.app.main.open_view(view, focus=True)
            await settled(deck, pilot)
            assert obeyed(deck.screen_text()) == [], view
            await pilot.press("down", "down", "right", "y", "Y")
            assert obeyed(deck.app.clipboard) == []
    session.close()


async def test_a_line_of_ten_megabytes() -> None:
    session = FakeSession("node[1-2]")
    run = session.make_run("yes | tr -d '\\n'")
    session.push(out(run, 0, b"x" * 10_000_000), out(run, 1, "\u65e5\u672c\u8a9e" * 1000), finish(run))
    deck = Deck(session)
    async with deck.app.run_test(size=(100, 30)) as pilot:
        await settled(deck, pilot)
        for view in ("panes", "gathered", "diff", "plot"):
            begun = time.process_time()
            deck.app.main.open_view(view, focus=True)
            await settled(deck, pilot)
            await pilot.press("right", "left", "down", "up")
            assert time.process_time() - begun < 5, view
        assert "xxxxxxxx" in deck.screen_text() or deck.app.main.view == "plot"
    session.close()


async def test_a_storm_of_sizes() -> None:
    chance = random.Random(3)
    deck = Deck()
    run = mixed(deck.session)
    async with deck.app.run_test(size=(120, 40)) as pilot:
        await settled(deck, pilot)
        for step in range(40):
            width, height = chance.choice(
                [(80, 24), (200, 50), (60, 15), (20, 5), (1, 1), (99, 18), (100, 17), (3, 40)]
            )
            await pilot.resize_terminal(width, height)
            if step % 4 == 0:
                deck.app.main.open_view(chance.choice(VIEWS), focus=True)
            deck.session.push(out(run, step % 24, f"line {step}"))
        await pilot.resize_terminal(80, 24)
        deck.app.main.open_view("gathered", focus=True)
        await settled(deck, pilot)
        assert len(deck.screen_text().splitlines()) == 24
        await pilot.press("ctrl+o", *"ok", "enter")
        await deck.wait_line(pilot, "ok")
    deck.session.close()


@pytest.mark.parametrize("nodes", [1_000, 10_000])
async def test_a_flood_loses_nothing_and_keys_get_through(nodes: int) -> None:
    session = FakeSession(f"node[{1:05}-{nodes:05}]")
    run = session.make_run("flood")
    deck = Deck(session)
    total = 60_000
    text = [b"the quick brown fox %06d" % number for number in range(16)]
    async with deck.app.run_test(size=(120, 40)) as pilot:
        await settled(deck, pilot)
        session.push(RunStarted(run.id, time.monotonic()), states(run, range(nodes), NodeState.RUNNING))
        await pilot.press("ctrl+o", "0")
        for start in range(0, total, 16):
            session.push(out(run, (start // 16) % nodes, *text))
            if start % 4_000 == 0:
                await pilot.press("down")
        await until(pilot, lambda: run.lines_total == total, lambda: f"{run.lines_total} of {total}", 30)
        session.push(states(run, range(nodes), NodeState.OK, 0), finish(run))
        await settled(deck, pilot)
        assert deck.app.main.nodes.cursor_row == 15
        assert sum(run.line_count(node) for node in range(nodes)) == total
        assert run.count(NodeState.OK) == nodes
        deck.app.main.open_view("panes", focus=True)
        await settled(deck, pilot)
        pane = deck.app.main.panes.panes[0]
        assert pane.following
        assert "fox 000015" in deck.screen_text()
    session.close()


async def test_looking_back_holds_the_pane_and_counts_what_waits() -> None:
    session = FakeSession("node[1-2]")
    run = session.make_run("seq")
    session.push(*(out(run, 0, *map(str, range(start, start + 50))) for start in range(0, 200, 50)))
    deck = Deck(session)
    async with deck.app.run_test(size=(100, 30)) as pilot:
        await settled(deck, pilot)
        await pilot.press("ctrl+o")
        pane = deck.app.main.panes.panes[0]
        frame = pane.parent
        await pilot.press("pageup")
        assert not pane.following
        session.push(out(run, 0, *map(str, range(37))))
        await settled(deck, pilot)
        assert pane.waiting == 37
        assert frame.caption.note == "held, 37 lines waiting"  # type: ignore[union-attr]
        top = pane.scroll_offset.y
        session.push(out(run, 0, "more"))
        await settled(deck, pilot)
        assert pane.scroll_offset.y == top
        await pilot.press("end")
        assert pane.following
        await pilot.press("f")
        assert not pane.following
        await pilot.press("f", "z")
        assert deck.app.main.panes.zoomed
        await pilot.press("z", "right_square_bracket")
        assert deck.app.main.panes.panes[1].has_focus
        await pilot.press("left_square_bracket", "m")
        assert len(deck.app.main.panes.panes) == 1
        assert deck.app.main.panes.panes[0].source.title == "all 2 nodes"
    session.close()


async def test_searching_a_pane() -> None:
    session = FakeSession("node1")
    run = session.make_run("seq 3000")
    session.push(*(out(run, 0, *(f"line {n}" for n in range(start, start + 500))) for start in range(0, 3000, 500)))
    deck = Deck(session)
    async with deck.app.run_test(size=(100, 30)) as pilot:
        await settled(deck, pilot)
        await pilot.press("ctrl+o")
        pane = deck.app.main.panes.panes[0]
        await pilot.press("ctrl+f", *"/1[0-9]7$/", "enter")
        assert pane.has_focus
        assert pane.row_text(pane.cursor_row).endswith("7")
        first = pane.cursor_row
        await pilot.press("n")
        assert pane.cursor_row > first
        await pilot.press("N")
        assert pane.cursor_row == first
        await pilot.press("ctrl+f", "escape")
        assert not pane.search
    session.close()


async def test_filter_line() -> None:
    session = FakeSession()
    session.groups["low"] = "node[1-5]"
    mixed(session)
    deck = Deck(session)
    async with deck.app.run_test(size=(140, 40)) as pilot:
        await settled(deck, pilot)
        main = deck.app.main
        bar = main.query_one("#filter")
        await pilot.press("ctrl+o", "slash", *"state:failed")
        assert bar.note.text == "2 of 24"  # type: ignore[attr-defined]
        assert [main.nodes.board.names[node] for node in main.nodes.listed] == ["node2", "node11"]
        await pilot.press("enter")
        await deck.wait_line(pilot, ":nodes node[2,11]")
        assert main.focused is main.prompt
        await pilot.press("ctrl+o", "slash", "ctrl+u", *"@low")
        await until(pilot, lambda: bar.note.text == "5 of 24", lambda: bar.note.text)  # type: ignore[attr-defined]
        await pilot.press("ctrl+u", "up")
        assert bar.input.value == "state:failed"  # type: ignore[attr-defined]
        await pilot.press("escape")
        assert not bar.display
        assert len(main.nodes.listed) == 24
        await pilot.press("slash", *"rc:x")
        assert "wants a number" in bar.note.text  # type: ignore[attr-defined]
    session.close()


async def test_a_filter_is_completed_and_becomes_the_selection_only_when_it_is_known() -> None:
    """Enter right behind a group that a slow program has to name must not select what the rest of the line passes."""
    session = FakeSession()
    session.groups["low"] = "node[1-5]"
    answered = threading.Event()
    resolve = session.resolve

    def slowly(expression: str) -> NodeSet:
        answered.wait(20)
        return resolve(expression)

    session.resolve = slowly  # type: ignore[method-assign]
    mixed(session)
    deck = Deck(session)
    async with deck.app.run_test(size=(140, 40)) as pilot:
        await settled(deck, pilot)
        main = deck.app.main
        main.nodes.groups = {"low": ["node1"]}
        bar = main.query_one("#filter", FilterBar)
        await pilot.press("ctrl+o", "slash", *"@lo", "tab")
        assert bar.input.value == "@low"
        await pilot.press("tab")
        assert bar.input.value == "@lost"
        await pilot.press("tab", "enter")
        assert bar.input.value == "@low"
        await pilot.pause(0.1)
        assert deck.lines == []
        assert bar.input.has_focus
        answered.set()
        await deck.wait_line(pilot, ":nodes node[1-5]")
        assert main.focused is main.prompt
        deck.lines.clear()
        await pilot.press("ctrl+o", "slash", *" rc:x", "enter")
        assert "wants a number" in bar.note.text
        assert bar.input.has_focus
        assert len(main.nodes.listed) == 5
        await pilot.press("ctrl+u", *"nothing", "enter")
        await until(pilot, lambda: "No node passes" in deck.app.book.entries[-1].text)
        assert bar.input.has_focus  # a command typed behind it goes nowhere
        assert deck.lines == []
    session.close()


async def test_the_best_completion_stands_behind_the_cursor() -> None:
    deck = Deck()
    async with deck.app.run_test(size=(140, 40)) as pilot:
        await settled(deck, pilot)
        bar = deck.app.main.query_one("#filter", FilterBar)
        await pilot.press("ctrl+o", "slash", *"state:f")
        await until(pilot, lambda: "state:failed" in deck.screen_text())
        assert bar.input.value == "state:f"
        await pilot.press("right")
        assert bar.input.value == "state:failed"


async def test_the_filter_reaches_every_view() -> None:
    session = FakeSession()
    mixed(session)
    deck = Deck(session)
    async with deck.app.run_test(size=(140, 40)) as pilot:
        await settled(deck, pilot)
        main = deck.app.main
        main.set_filter("node[1-3]")
        for view, there, gone in (
            ("gathered", "5.10.0-8-amd64", "node[1,4"),
            ("failures", "node2", "node11"),
            ("panes", "node3", "node24"),
            ("diff", "node", "nothing"),
        ):
            main.open_view(view)
            await settled(deck, pilot)
            await settled(deck, pilot)
            assert there in deck.screen_text(), view
            assert gone not in deck.screen_text(), view
        main.open_view("runs")
        main.set_filter("nomatch")
        await settled(deck, pilot)
        assert "No run passes the filter." in deck.screen_text()
    session.close()
