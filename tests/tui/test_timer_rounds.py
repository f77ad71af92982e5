"""Rounds of timers on the screen: the first shows itself, later ones disturb nobody, numbers stand meanwhile."""

from __future__ import annotations

from typing import Any

from clusterdeck.console.runs.events import Notice
from clusterdeck.console.runs.runs import Run
from clusterdeck.console.session.timers import TimerInfo
from clusterdeck.engine.states import NodeState
from clusterdeck.tests.support.fake_run import FakeSession, finish, out, states
from clusterdeck.tests.support.tui import Deck, settled
from clusterdeck.widgets.plot_view import PlotView


def timed(session: FakeSession, number: int, delay: float = 2.0) -> None:
    """A timer that the session knows of."""
    made = TimerInfo(number, "cat /proc/loadavg", session.selection.current, None, delay, 2.0)  # type: ignore[arg-type]
    known = session.timers()
    session.timers = lambda: [*known, made]  # type: ignore[method-assign]


def begin(session: FakeSession, timer: int) -> Run:
    run = session.make_run("cat /proc/loadavg")
    run.timer = timer
    return run


def answer(session: FakeSession, run: Run, *numbers: float) -> None:
    for node, number in enumerate(numbers):
        session.push(out(run, node, f"{number}"), states(run, [node], NodeState.OK, 0))


def toasts(deck: Deck) -> list[str]:
    return [notification.message for notification in deck.app._notifications]


async def test_only_the_first_round_of_a_timer_just_made_takes_the_place_of_another_run() -> None:
    session = FakeSession("node[1-3]")
    shown = session.make_run("uptime")
    session.push(finish(shown))
    timed(session, 1)
    timed(session, 2, delay=300.0)
    deck = Deck(session)
    async with deck.app.run_test(size=(140, 40)) as pilot:
        await settled(deck, pilot)
        later = begin(session, 2)  # five minutes after it was typed: something else is read now
        await settled(deck, pilot)
        assert deck.app.deck.run is shown
        first = begin(session, 1)
        await settled(deck, pilot)
        assert deck.app.deck.run is first
        deck.app.deck.show_run(shown)
        begin(session, 1)
        await settled(deck, pilot)
        assert deck.app.deck.run is shown
        assert later.timer == 2
    session.close()


async def test_changes_of_a_timer_make_few_toasts_and_none_where_they_are_shown() -> None:
    session = FakeSession("node[1-3]")
    deck = Deck(session)
    async with deck.app.run_test(size=(140, 40), notifications=True) as pilot:
        await settled(deck, pilot)
        shown = begin(session, 1)
        await settled(deck, pilot)
        session.push(Notice("info", "timer 1: changed", shown.id))
        await settled(deck, pilot)
        assert toasts(deck) == []
        other = begin(session, 2)
        for number in range(3):
            session.push(Notice("info", f"timer 2: changed {number}", other.id))
        session.push(Notice("warning", "timer 2: bad now: node1", other.id))
        await settled(deck, pilot)
        assert toasts(deck) == ["timer 2: changed 0", "timer 2: bad now: node1"]
        log: Any = deck.app.book.entries
        assert [entry.text for entry in log if "changed" in entry.text] == [
            "timer 1: changed", "timer 2: changed 0", "timer 2: changed 1", "timer 2: changed 2",
        ]  # fmt: skip
    session.close()


async def test_numbers_of_the_round_before_stand_until_the_nodes_have_answered() -> None:
    session = FakeSession("node[1-3]")
    deck = Deck(session)
    async with deck.app.run_test(size=(140, 40)) as pilot:
        first = begin(session, 1)
        answer(session, first, 1.0, 2.0, 3.0)
        session.push(finish(first))
        await settled(deck, pilot)
        deck.app.main.open_view("plot", focus=True)
        await settled(deck, pilot)
        view = deck.app.main.query_one("#plot", PlotView)
        assert view._values == {0: 1.0, 1: 2.0, 2: 3.0}
        second = begin(session, 1)
        await settled(deck, pilot)
        assert view.run is second
        assert view._values == {0: 1.0, 1: 2.0, 2: 3.0}
        answer(session, second, 7.0)
        await settled(deck, pilot)
        assert view._values == {0: 7.0, 1: 2.0, 2: 3.0}
        session.push(finish(second))
        await settled(deck, pilot)
        assert view._values == {0: 7.0}  # who did not answer in this round has no number in it
    session.close()
