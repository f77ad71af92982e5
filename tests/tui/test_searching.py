"""Searching every kind of list: the line tells how many rows match, matches stand out, long rows are shifted."""

from __future__ import annotations

from typing import Any

from textual import events
from textual.pilot import Pilot

from clusterdeck.engine.states import NodeState
from clusterdeck.tests.support.fake_run import FakeSession, finish, out, states
from clusterdeck.tests.support.tui import Deck, settled, until, whole
from clusterdeck.widgets.line_entry import SearchBar
from clusterdeck.widgets.queue_snapshot import QueueSnapshot, QueueTask

#: Longer than any view here is wide, with a word in reach of a few presses of Right.
LONG = "a needle first, then " + "much that is in between " * 5 + "and the end"


def _session() -> FakeSession:
    session = FakeSession("node[1-30]")
    session.push(finish(session.make_run(LONG, nodes="node1")))
    run = session.make_run("check")
    for node in range(30):
        session.push(out(run, node, LONG if node % 3 == 0 else f"nothing {node}"))
    session.push(states(run, range(30), NodeState.FAILED, 2), finish(run))
    return session


def _fill(deck: Deck) -> None:
    deck.app.book.write(LONG)
    tasks = [QueueTask(f"t{number}", "", "waiting", text=LONG) for number in range(30)]  # 20 of them are folded
    deck.app.main.painter.queue = QueueSnapshot(1, tasks)


async def _shown(deck: Deck, pilot: Pilot[int], view: str) -> Any:
    main = deck.app.main
    if view == "nodes":
        main.action_focus_list()
    else:
        if view == "panes":
            main.panes.choose([0], zoom=True)
        main.open_view(view, focus=True)
    await settled(deck, pilot)
    return main.nodes if view == "nodes" else main.focus_target()


#: View -> what is looked for, and how many rows have it.
MATCHES = {
    "nodes": ("/node1\\d/", 10),
    "panes": ("needle", 1),
    "gathered": ("needle", 1),
    "failures": ("needle", 10),  # folded or not
    "queue": ("needle", 30),
    "runs": ("needle", 1),
    "log": ("needle", 1),
    "diff": ("needle", 20),
}


async def test_lists_tell_how_many_rows_match() -> None:
    deck = Deck(_session())
    async with deck.app.run_test(size=(150, 40)) as pilot:
        await settled(deck, pilot)
        _fill(deck)
        bar = deck.app.main.query_one("#search", SearchBar)
        for view, (word, matches) in MATCHES.items():
            widget = await _shown(deck, pilot, view)
            for key in ("ctrl+f", *"adxk"):  # as fast as a paste
                event = events.Key(key, key if len(key) == 1 else None)
                event.set_sender(deck.app)
                deck.app._driver.send_message(event)  # type: ignore[union-attr]
            await until(pilot, lambda: bar.input.value == "adxk", lambda: bar.input.value)
            assert (deck.app.main.view, deck.lines) == ("panes" if view == "nodes" else view, [])
            bar.input.value = word
            await until(pilot, lambda told=f"1 of {matches} ": told in bar.note.text, lambda: bar.note.text)  # type: ignore[misc]
            await pilot.press("enter")
            found = widget.finder(0, widget.row_count())()
            assert len(found) == matches, view
            assert widget.cursor_row == found[0]
            await pilot.press("N")
            await until(pilot, lambda told=f"{matches} of {matches} ": told in bar.note.text, lambda: bar.note.text)  # type: ignore[misc]
            assert widget.cursor_row == found[-1]
            await pilot.press("escape")
            assert not bar.display
            assert view not in ("failures", "queue") or widget.row_count() < 20  # folded again
        await pilot.press("ctrl+f")
        bar.input.value = "nowhere to be found"
        await until(pilot, lambda: "no match" in bar.note.text, lambda: bar.note.text)
        bar.input.value = "/(/"
        await until(pilot, lambda: "n next" not in bar.note.text, lambda: bar.note.text)
        assert bar.note.text == widget.search.error
    deck.session.close()


async def test_rows_that_are_cut_are_shifted_to_their_end_and_no_further() -> None:
    deck = Deck(_session())
    async with deck.app.run_test(size=(130, 40)) as pilot:
        await settled(deck, pilot)
        _fill(deck)
        for view in MATCHES:
            widget = await _shown(deck, pilot, view)
            seen = [deck.screen_text().count("the end")]
            for _ in range(20):
                widget.action_shift(8)
                await pilot.pause()
                seen.append(deck.screen_text().count("the end"))
            assert max(seen) > seen[0], view
            assert widget._shift < len(LONG), view
        run = deck.session.make_run("odd", ",".join(f"node{number}" for number in range(1, 400, 2)))
        deck.session.push(states(run, range(200), NodeState.FAILED, 2), finish(run))
        failures = await _shown(deck, pilot, "failures")
        assert "node[1,3,5" in deck.screen_text()  # the heading is cut, and stays where it is
        failures.action_shift(-999)
        failures.action_shift(8)
        assert failures._shift == 0
    deck.session.close()


async def test_the_count_follows_new_output_and_new_orders() -> None:
    session = FakeSession("node[1-3]")
    run = session.make_run("talk")
    session.push(states(run, range(3), NodeState.RUNNING), out(run, 0, *(f"needle {n}" for n in range(2500))))
    deck = Deck(session)
    async with deck.app.run_test(size=(110, 40)) as pilot:
        await settled(deck, pilot)
        await _shown(deck, pilot, "panes")
        bar = deck.app.main.query_one("#search", SearchBar)
        await pilot.press("ctrl+f")
        bar.input.value = "needle"
        await until(pilot, lambda: "of 2,500 " in bar.note.text, lambda: bar.note.text)
        session.push(out(run, 0, "needle again", "hay", "needle, too"))
        await until(pilot, lambda: "2,502 " in bar.note.text, lambda: bar.note.text)
        await pilot.press("escape")
        nodes = await _shown(deck, pilot, "nodes")
        await pilot.press("ctrl+f")
        bar.input.value = "running"
        await until(pilot, lambda: "1 of 3 " in bar.note.text, lambda: bar.note.text)
        session.push(states(run, [0], NodeState.FAILED, 1))
        await until(pilot, lambda: "2" in bar.note.text.split(), lambda: f"{bar.note.text} {nodes.row_text(0)}")
    session.close()


async def test_a_text_is_folded_and_found_across_its_folds() -> None:
    deck = Deck()
    async with deck.app.run_test(size=(60, 24)) as pilot:
        await settled(deck, pilot)
        text = "key     " + "one two three four five six seven eight nine ten eleven twelve " * 3 + "last words"
        deck.app.main.show_document("text", ("first", text, "x" * 200, *["after"] * 6), "info")
        widget = await _shown(deck, pilot, "document")
        shown = deck.screen_text()
        assert "words" in shown
        assert shown.count("x" * 50) >= 3
        assert any(line.startswith("         ") and "twelve" in line for line in shown.splitlines())
        assert whole(widget) == ["first", text, "x" * 200, *["after"] * 6]
        folds = [text[part[1] : part[2]] for part in widget._parts if part[0] == 1]
        across = f"{folds[0].split()[-1]} {folds[1].split()[0]}"
        await pilot.resize_terminal(60, 15)
        await settled(deck, pilot)
        await pilot.press("pagedown")
        assert widget.scroll_offset.y == widget.max_scroll_y > 0
        await pilot.press("pageup")
        assert widget.scroll_offset.y == 0
        widget.set_search(across)
        assert widget.cursor_row == 1
        await pilot.resize_terminal(120, 24)
        await settled(deck, pilot)
        assert widget.row_count() < len(widget.lines) + 5
