"""The whole corpus in every view and line of the full-screen console: what is painted holds no foreign control."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document as PromptDocument
from prompt_toolkit.input.base import Input
from prompt_toolkit.output.base import Output
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.pilot import Pilot
from textual.screen import Screen
from textual.strip import Strip

from clusterdeck.console.commands.catalogue import default_registry
from clusterdeck.console.completion.candidate import Candidate
from clusterdeck.console.frontend import Confirmation, Document, Question
from clusterdeck.console.repl.completer import DeckCompleter
from clusterdeck.console.repl.history import DeckHistory
from clusterdeck.console.repl.prompt import PromptParts, build_prompt
from clusterdeck.console.runs.events import RunStarted
from clusterdeck.console.runs.run_store import RunStore
from clusterdeck.console.runs.runs import Run
from clusterdeck.console.tui.screens.dialogs import ConfirmDialog, question_dialog
from clusterdeck.engine.states import NodeState
from clusterdeck.tests.hostile.corpus import corpus
from clusterdeck.tests.hostile.judge import foreign, foreign_in_strips
from clusterdeck.tests.support.fake_run import FakeSession, finish, out, states
from clusterdeck.tests.support.fake_session import FakeSession as CommandSession
from clusterdeck.tests.support.tui import Deck, settled, until
from clusterdeck.widgets.diff_view import COMPARED_ANSWERS, DiffView
from clusterdeck.widgets.document_view import DocumentView
from clusterdeck.widgets.failures import FailuresView
from clusterdeck.widgets.hint_line import HintLine
from clusterdeck.widgets.line_view import LineView
from clusterdeck.widgets.plot_view import PlotView
from clusterdeck.widgets.prompt import PromptHost
from clusterdeck.widgets.queue_snapshot import QueueProcess, QueueSnapshot, QueueTask, QueueWorker
from clusterdeck.widgets.status_bar import ProgressLine, StatusBar
from clusterdeck.widgets.tab_line import Tab, TabLine
from clusterdeck.widgets.title_line import PaintedLine, TitleLine

COUNT = len(corpus())
#: Attacks in one line, so that a view of some hundred rows shows all of them at once.
TOGETHER = 4
LINES = -(-COUNT // TOGETHER)
SIZE = (400, 3 * LINES + 40)
#: Characters by which rows are shifted to see what is cut: fewer than fit, were all of them twice as wide.
STEP = 60
LONGEST = TOGETHER * 620
_MARK = re.compile(r"<(\d{4})>")


def hostile_lines() -> list[bytes]:
    """The corpus, some attacks in each line, each behind its mark; of the long ones the beginning."""
    parts = [b"<%04d>%s</%04d>" % (n, attack.data[:600], n) for n, attack in enumerate(corpus())]
    return [b" ".join(parts[start : start + TOGETHER]).replace(b"\n", b" ") for start in range(0, COUNT, TOGETHER)]


def hostile_texts() -> list[str]:
    """The same in names, messages and titles: what is not UTF-8 as surrogates."""
    return [line.decode("utf-8", "surrogateescape") for line in hostile_lines()]


def hostile_run(session: FakeSession, line: str) -> Run:
    """A run with a node per line: each said it, on either stream, and failed for it."""
    run = session.make_run(line, nodes=f"n[1-{LINES}]")
    session.push(states(run, range(LINES), NodeState.RUNNING))
    for number, (said, reason) in enumerate(zip(hostile_lines(), hostile_texts(), strict=True)):
        session.push(out(run, number, said, stream=number % 2))
        session.push(states(run, [number], NodeState.UNREACHABLE if number % 2 else NodeState.FAILED, 255, reason))
    session.push(finish(run))
    return run


def hostile_names() -> list[str]:
    """Names that even a careless border would let through, as ClusterShell's parser takes them for one node."""
    names = []
    for number, attack in enumerate(corpus()):
        name = f"n{number}{attack.data[:80].decode('utf-8', 'surrogateescape')}"
        with contextlib.suppress(Exception):
            if len(NodeSet(name, resolver=RESOLVER_NOGROUP)) == 1:
                names.append(name)
    assert len(names) > 200
    return names


def play(scenario: Callable[[Deck, Pilot[int]], Awaitable[None]], session: FakeSession, size: tuple[int, int]) -> None:
    async def main() -> None:
        deck = Deck(session)
        async with deck.app.run_test(size=size, notifications=True) as pilot:
            await settled(deck, pilot)
            await scenario(deck, pilot)
        deck.session.close()

    asyncio.run(main())


def judge(deck: Deck, wanted: int, where: str) -> None:
    """Nothing foreign on the whole screen, and at least so many different attacks were there to be seen."""
    strips = deck.strips()
    assert foreign_in_strips(strips)[:5] == [], where
    seen = set(_MARK.findall("".join(strip.text for strip in strips)))
    assert len(seen) >= wanted, f"{where}: only {len(seen)} attacks are on the screen: {deck.screen_text()[:3000]}"


def painted_marks(view: LineView) -> set[str]:
    """The attacks in all rows of a view, scrolled down and to the right until nothing is cut; nothing foreign there."""
    seen: set[str] = set()
    everything = Region(0, 0, view.size.width, view.size.height)
    while view._shift <= LONGEST:
        for top in range(0, max(1, view.row_count()), view.size.height):
            view.scroll_to(y=top, animate=False, immediate=True)
            strips = view.render_lines(everything)
            assert foreign_in_strips(strips)[:5] == [], view
            for strip in strips:
                seen.update(_MARK.findall(strip.text))
        shift = view._shift
        view.action_shift(STEP)
        if view._shift == shift:
            break
    view.action_shift(-view._shift)
    return seen


def judge_all(deck: Deck, view: LineView) -> None:
    """Nothing foreign on the screen, and every attack was painted in the view."""
    judge(deck, 1, view.TITLE_WORD)
    assert missing(painted_marks(view)) == [], view


def missing(seen: set[str]) -> list[str]:
    return [mark for number in range(COUNT) if (mark := f"{number:04}") not in seen]


async def unfold(deck: Deck, pilot: Pilot[int], view: FailuresView) -> None:
    """All nodes of every reason, by Enter on the rows that tell of more."""
    for row in reversed(range(view.row_count())):
        if view.row_text(row).endswith("more nodes"):
            view.move_cursor(row)
            await pilot.press("enter")
    await settled(deck, pilot)


def filtered(deck: Deck, count: int) -> bool:
    return len(deck.app.deck.filtered or ()) == count


async def compare_all(deck: Deck, pilot: Pilot[int], view: DiffView) -> None:
    """A view compares the first of many answers, and says how the others are come by: with a filter."""
    seen: set[str] = set()
    for first in range(1, LINES + 1, COMPARED_ANSWERS):
        nodes = f"n[{first}-{min(LINES, first + COMPARED_ANSWERS - 1)}]"
        deck.app.main.set_filter(nodes)
        await until(pilot, partial(filtered, deck, len(NodeSet(nodes))))
        await settled(deck, pilot)
        judge(deck, 1, "diff")
        seen |= painted_marks(view)
    deck.app.main.set_filter("")
    assert missing(seen) == []


def on_screen(deck: Deck, text: str) -> bool:
    return text in deck.screen_text()


def mounted(deck: Deck, screen: Screen[Any]) -> bool:
    return deck.app.screen is screen and screen.is_mounted


def test_every_view_of_the_console() -> None:
    """Node list, title and progress are beside and above each of them."""
    session = FakeSession()
    session.runs = RunStore(1000)
    for text in hostile_texts():
        session.push(finish(session.make_run(text, nodes="n1")))
    hostile_run(session, hostile_texts()[0])
    tasks = tuple(
        QueueTask(f"t{n}", text, "failed", text, 1.0, 1, text, (text,)) for n, text in enumerate(hostile_texts())
    )
    text = "".join(hostile_texts()[1:3])
    queue = QueueSnapshot(
        1,
        tasks,
        (QueueProcess(text, text, 1.0, text),),
        {text: {"waiting": 1}},
        (QueueWorker(text, "down", 1, 1, 1, 1, text, text),),
        (text,),
    )

    async def scenario(deck: Deck, pilot: Pilot[int]) -> None:
        main = deck.app.main
        main.painter.queue = queue
        for said in hostile_texts():
            deck.app.book.write(said)
        for name in ("gathered", "diff", "failures", "plot", "runs", "log", "queue"):
            main.open_view(name, focus=True)
            await settled(deck, pilot)
            view = main.query_one(f"#{name}", LineView)
            if isinstance(view, DiffView):
                await compare_all(deck, pilot, view)
                continue
            if isinstance(view, FailuresView):
                await unfold(deck, pilot, view)
            if isinstance(view, PlotView):
                judge(deck, 0, name)  # it shows numbers, and names
            else:
                judge_all(deck, view)
        deck.app._shelf.show_document(Document(hostile_texts()[0], tuple(hostile_texts())))
        await settled(deck, pilot)
        judge_all(deck, main.query_one(DocumentView))
        main.open_view("panes", focus=True)
        for number in (0, 1):
            main.panes.set_run(deck.session.runs.get(LINES + 1))
            main.panes.choose([number], zoom=True)
            await settled(deck, pilot)
            judge(deck, 8, "pane")

    play(scenario, session, SIZE)


def test_panes_with_the_lines_of_one_node_and_of_all() -> None:
    session = FakeSession("n1")
    run = session.make_run("cat corpus")
    session.push(out(run, 0, *hostile_lines()), states(run, [0], NodeState.OK, 0))

    async def scenario(deck: Deck, pilot: Pilot[int]) -> None:
        main = deck.app.main
        main.open_view("panes", focus=True)
        await settled(deck, pilot)
        judge_all(deck, main.panes.panes[0])
        await pilot.press("m")
        await settled(deck, pilot)
        judge_all(deck, main.panes.panes[0])

    play(scenario, session, (400, LINES + 20))


def test_notifications_titles_and_dialogs() -> None:
    """What Textual's own widgets draw has passed the gate before."""
    said = hostile_texts()

    async def scenario(deck: Deck, pilot: Pilot[int]) -> None:
        for start in range(0, LINES, 40):
            deck.app.tell("\n".join(hostile_texts()[start : start + 40]), "error")
            await until(pilot, partial(on_screen, deck, f"<{start * TOGETHER:04}"))
            judge(deck, 100 if start + 40 <= LINES else 1, "notification")
            deck.app.clear_notifications()
        for dialog in (
            ConfirmDialog(Confirmation(said[0], tuple(said), 3, typed=said[1])),
            question_dialog(Question(said[2], "choice", tuple((text,) for text in said[:200]))),
            question_dialog(Question("choose", "choice", choices=tuple(said[:20]))),
        ):
            deck.app.push_screen(dialog)
            await until(pilot, partial(mounted, deck, dialog))
            await pilot.pause()
            judge(deck, TOGETHER, "dialog")
            await deck.app.pop_screen()

    play(scenario, FakeSession(), SIZE)


def test_lines_around_the_views() -> None:
    """Names that no border let through, as second lock: titles, status, progress, tabs, hints."""
    session = FakeSession()

    async def scenario(deck: Deck, pilot: Pilot[int]) -> None:
        main = deck.app.main

        def painted(line: PaintedLine) -> None:
            strips = line.render_lines(Region(0, 0, line.size.width, 1))
            assert foreign_in_strips(strips) == []
            assert any(mark in strip.text for strip in strips for mark in ("stolen", "66", "node", "<"))

        names = hostile_names()
        run = session.make_run("uptime", nodes=f"n[1-{len(names)}]")
        run.names = names
        session.push(
            RunStarted(run.id, time.monotonic() - 100), states(run, range(len(names)), NodeState.RUNNING, at=1.0)
        )
        await settled(deck, pilot)
        assert foreign_in_strips(deck.strips()) == []
        for text in hostile_texts():
            status, title = main.query_one(StatusBar), main.query(TitleLine).first()
            tabs, hints = main.query_one(TabLine), main.query_one(HintLine)
            status.show(text, 3, run, text)
            title.show(text, text, state=1, active=True)
            tabs.show((Tab("panes", "1", text, text),), "panes")
            hints.show([("a", text[:300], "a")])
            for line in (status, title, tabs):
                painted(line)
            assert foreign_in_strips(hints.render_lines(Region(0, 0, hints.size.width, 1))) == []
        progress = main.query_one(ProgressLine)
        for start in range(0, len(names) - 3, 3):
            progress._slowest = range(start, start + 3)
            assert foreign_in_strips(progress.render_lines(Region(0, 0, progress.size.width, 1))) == []

    play(scenario, session, (400, 60))


def test_the_prompt_and_its_menu() -> None:
    """What is pasted, and what candidates are called, in the prompt of the full-screen console."""
    typed = hostile_texts()
    session = CommandSession()

    class Prompt(App[None]):
        def compose(self) -> ComposeResult:
            yield PromptHost(self.make, lambda line: None)

        def make(self, input: Input, output: Output) -> PromptSession[str]:  # noqa: A002 - prompt_toolkit's names
            parts = PromptParts(
                session, default_registry(), DeckHistory(None, 0), lambda: False, lambda text: None, hosted=True
            )
            made = build_prompt(parts, input, output)
            made.completer = DeckCompleter(offered)
            return made

    def offered(text: str, cursor: int) -> list[Candidate]:
        return [
            *(Candidate(f"c{n}", 0, one, typed[n][:200]) for n, one in enumerate(typed)),
            *(Candidate(one, 0, one, one) for one in typed),
        ]

    async def main() -> None:
        app = Prompt()
        async with app.run_test(size=(200, 30)) as pilot:
            host = app.query_one(PromptHost)
            host.focus()

            def strips() -> list[Strip]:
                return [host.render_line(y) for y in range(host.size.height)]

            async def shows(mark: str) -> None:
                end = time.monotonic() + 20
                while mark not in "".join(strip.text for strip in strips()):
                    assert time.monotonic() < end, (mark, [strip.text for strip in strips()])
                    await asyncio.sleep(0.005)
                    await pilot.pause(0)

            await shows("deck")
            for start in range(0, LINES, 8):
                host.replace("".join(typed[start : start + 8])[:2000] + f" end{start}")
                await shows(f"end{start}")
                assert foreign_in_strips(strips()) == []
            host.replace("")
            await pilot.press("tab")
            await shows("<0000>")
            for _ in range(20):
                assert foreign_in_strips(strips()) == []
                await pilot.press("down")
        assert not host.busy

    asyncio.run(main())
    completions = list(DeckCompleter(offered).get_completions(PromptDocument("c"), CompleteEvent()))
    assert len(completions) >= LINES
    shown = "".join(one.text + one.display_text + one.display_meta_text for one in completions)
    assert foreign(shown) == []
