"""The full-screen console on a FakeSession, for Pilot tests and pictures."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.input.base import Input
from prompt_toolkit.output.base import Output
from textual.pilot import Pilot
from textual.strip import Strip

from clusterdeck.console.language.registry import Registry
from clusterdeck.console.language.spec import CommandSpec
from clusterdeck.console.runs.runs import Run
from clusterdeck.console.tui.app import ClusterdeckApp
from clusterdeck.console.tui.frontend import TuiFrontEnd
from clusterdeck.engine.states import NodeState
from clusterdeck.widgets.diff_view import DiffView
from clusterdeck.widgets.line_view import LineView
from clusterdeck.widgets.output_pane import OutputPane

from .fake_run import FakeSession, finish, out, states


def plain_prompt(input: Input, output: Output) -> PromptSession[str]:  # noqa: A002 - prompt_toolkit's own names
    """A prompt without history, completion or colours."""
    return PromptSession("deck> ", input=input, output=output, reserve_space_for_menu=0)


class Deck:
    """An app, its fake session, and the lines that reached the command language."""

    def __init__(self, session: FakeSession | None = None, specs: tuple[CommandSpec, ...] | None = None) -> None:
        self.session = session or FakeSession()
        self.lines: list[str] = []
        self.on_line: Callable[[str], Any] = lambda _line: None
        self.front_end = TuiFrontEnd()
        self.registry = Registry(specs) if specs is not None else _registry()
        self.app = ClusterdeckApp(self.session, self.front_end, self.registry, self._execute, plain_prompt)

    async def wait_line(self, pilot: Pilot[int], line: str) -> None:
        """Wait until a line reached the command language."""
        await until(pilot, lambda: line in self.lines, lambda: f"{line!r} not in {self.lines!r}")

    async def wait_prompt(self, pilot: Pilot[int], text: str) -> None:
        """Wait until this stands in the prompt."""
        prompt = self.app.main.prompt
        await until(pilot, lambda: prompt.text == text, lambda: f"{prompt.text!r} is not {text!r}")

    def strips(self) -> list[Strip]:
        """What is on the screen, as painted."""
        return self.app.screen._compositor.render_strips(self.app.screen.size)

    def screen_text(self) -> str:
        """What is on the screen, row by row."""
        strips = self.strips()
        return "\n".join(strip.text for strip in strips)

    def _execute(self, line: str) -> None:
        self.lines.append(line)
        self.on_line(line)


async def until(
    pilot: Pilot[int], true: Callable[[], bool], told: Callable[[], str] = str, limit: float = 30.0
) -> None:
    """Let the app go on until something is true."""
    end = time.monotonic() + limit
    while not true():
        if time.monotonic() > end:
            raise AssertionError(told())
        await pilot.pause(0.01)


async def settled(deck: Deck, pilot: Pilot[int]) -> None:
    """Everything that was pushed is applied and told to the widgets on show."""
    await until(pilot, lambda: bool(deck.app.main.query("#hints")))
    await until(pilot, lambda: not deck.session.waiting)
    deck.app.main.painter.touch()
    deck.app.main.painter.tick(time.monotonic() + 10)
    await until(pilot, lambda: not deck.app.main.query_one("#diff", DiffView).comparing)
    await pilot.pause()
    # Once more after the layout that the first telling may have brought about.
    deck.app.main.painter.touch()
    deck.app.main.painter.tick(time.monotonic() + 20)
    await pilot.pause()


def _registry() -> Registry:
    from clusterdeck.console.commands.catalogue import default_registry

    return default_registry()


def whole(widget: LineView) -> list[str]:
    """Everything that a view hands to a pager."""
    return [text for texts in widget.all_texts() for text in texts()]


@asynccontextmanager
async def long_pane(
    lines: int, text: Callable[[int], str], *, ended: bool
) -> AsyncIterator[tuple[Deck, Pilot[int], OutputPane, Run]]:
    """A focused pane that follows one node with so many lines, `text(number)` each. ended: so has its run."""
    session = FakeSession("node1")
    run = session.make_run("seq")
    session.push(states(run, [0], NodeState.RUNNING))
    for start in range(0, lines, 2_000):
        session.push(out(run, 0, *map(text, range(start, min(lines, start + 2_000)))))
    if ended:
        session.push(finish(run))
    deck = Deck(session)
    async with deck.app.run_test(size=(120, 30)) as pilot:
        await settled(deck, pilot)
        await pilot.press("ctrl+o", "1")
        pane = deck.app.main.panes.panes[0]
        pane.focus()
        await pilot.pause()
        yield deck, pilot, pane, run
    session.close()
