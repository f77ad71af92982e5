"""The screen's loop never waits: slow group programs, stores, disks and tools are waited for elsewhere."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ClusterShell.NodeSet import NodeSet
from textual.pilot import Pilot

from clusterdeck.console.frontend import Confirmation
from clusterdeck.console.runs.events import QuestionAsked
from clusterdeck.console.tui import errands
from clusterdeck.console.tui.screens import dialogs
from clusterdeck.console.tui.screens.dialogs import QuestionDialog
from clusterdeck.tests.support.fake_run import FakeSession, finish, out
from clusterdeck.tests.support.tui import Deck, settled, until

#: Seconds that everything slow here takes at most, and that the loop may be held up: the machine may be busy.
SLOW = 20.0
HELD_UP = 8.0


class Slow:
    """Something that takes SLOW seconds and notes in which threads it was called."""

    def __init__(self, answer: Callable[..., Any] = lambda *_: None) -> None:
        self._answer = answer
        self._end = threading.Event()
        self.threads: list[threading.Thread] = []

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.threads.append(threading.current_thread())
        self._end.wait(SLOW)
        return self._answer(*arguments, **named)

    @property
    def called(self) -> bool:
        """Whether it was, and never in the screen's thread."""
        assert threading.main_thread() not in self.threads
        return bool(self.threads)

    def release(self) -> None:
        self._end.set()


@asynccontextmanager
async def watched() -> AsyncIterator[None]:
    """A watchdog: fails if the loop was held up for longer than HELD_UP."""
    worst = 0.0

    async def watch() -> None:
        nonlocal worst
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            worst = max(worst, time.monotonic() - before)

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
    assert worst < HELD_UP, f"the loop was held up for {worst:.2f} s"


async def press_about(deck: Deck, pilot: Pilot[int]) -> None:
    """A key of every kind."""
    await pilot.press("ctrl+o", *"01234567dpg", "escape", "ctrl+o", "slash", *"node1", "escape")
    await pilot.press("ctrl+o", "question_mark", "escape")


async def test_slow_groups_filters_and_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    session = FakeSession()
    groups = Slow(lambda: {"low": ["node1"]})
    resolve = Slow(lambda _expression: NodeSet("node[1-5]"))
    look = Slow(lambda *_: None)
    monkeypatch.setattr("clusterdeck.console.tui.ticks.look_at_queue", look)
    session.resolve = resolve  # type: ignore[method-assign]
    deck = Deck(session)
    deck.app.queue = SimpleNamespace(used=True, version=0)
    deck.app._groups_errand = errands.Errand(groups, deck.app._groups_seen, deck.app.call_soon)
    async with deck.app.run_test(size=(120, 30)) as pilot:
        await settled(deck, pilot)
        async with watched():
            await pilot.press("ctrl+o", "4")
            await until(pilot, lambda: look.called and groups.called)
            await pilot.press("slash", *"@low")
            await until(pilot, lambda: resolve.called)
            await press_about(deck, pilot)
        for slow in (groups, resolve, look):
            slow.release()


async def test_a_line_that_hangs_and_a_question_it_asks() -> None:
    """What commands do, group programs and audit logs included, they do in the prompt's thread."""
    deck = Deck()
    line = Slow(lambda _line: deck.front_end.confirm(Confirmation("Go on?")))
    deck.on_line = line
    async with deck.app.run_test(size=(120, 30)) as pilot:
        await settled(deck, pilot)
        async with watched():
            await pilot.press(*"hang", "enter")
            await until(pilot, lambda: line.called)
            await press_about(deck, pilot)
            await pilot.press("ctrl+o", "ctrl+c")
            line.release()
            await until(pilot, lambda: isinstance(deck.app.screen, dialogs.ConfirmDialog))


async def test_an_answer_that_is_written_to_a_slow_disk() -> None:
    session = FakeSession()
    answer = Slow(lambda *_: True)
    session.answer = answer  # type: ignore[method-assign]
    deck = Deck(session)
    async with deck.app.run_test(size=(120, 30)) as pilot:
        await settled(deck, pilot)
        session.push(QuestionAsked(1, "secret", "passphrase", (), ()))
        await until(pilot, lambda: isinstance(deck.app.screen, QuestionDialog))
        dialog: Any = deck.app.screen
        await until(pilot, lambda: not dialog.deaf)
        async with watched():
            await pilot.press("x", "enter")
            await until(pilot, lambda: answer.called)
            await press_about(deck, pilot)
        answer.release()


async def test_a_clipboard_tool_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    tool = Slow(lambda _text: False)
    monkeypatch.setattr("clusterdeck.console.tui.app.copy_native", tool)
    deck = Deck()
    async with deck.app.run_test(size=(120, 30)) as pilot:
        await settled(deck, pilot)
        async with watched():
            await pilot.press("ctrl+o", "0", "y")
            await until(pilot, lambda: tool.called)
            await press_about(deck, pilot)
        tool.release()


async def test_a_hundred_thousand_lines_for_the_pager(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    session = FakeSession("node1")
    run = session.make_run("seq 100000")
    for start in range(0, 100_000, 10_000):
        session.push(out(run, 0, *(f"line {number}" for number in range(start, start + 10_000))))
    session.push(finish(run))
    deck = Deck(session)
    shown: list[str] = []

    async def run_on(_command: list[str], name: str) -> bool:
        with open(name) as file:
            shown.extend(file)
        return True

    monkeypatch.setattr(deck.app.programs, "run_on", run_on)
    async with deck.app.run_test(size=(120, 30)) as pilot:
        await settled(deck, pilot)
        await pilot.press("ctrl+o", "1")
        async with watched():
            await pilot.press("v")
            await until(pilot, lambda: len(shown) == 100_000)
    assert shown[-1] == "line 99999\n"
    session.close()


async def test_files_for_programs_are_made_and_removed_beside_the_screen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    disk = Slow(partial(tempfile.NamedTemporaryFile, dir=tmp_path))
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", disk)
    unlinked: list[threading.Thread] = []
    unlink = os.unlink

    def noted(name: str) -> None:
        unlinked.append(threading.current_thread())
        unlink(name)

    monkeypatch.setattr(os, "unlink", noted)
    deck = Deck()
    shown: list[str] = []
    what: Any = None

    async def run_on(_command: list[str], name: str) -> bool:
        file = Path(name)
        shown.append(file.read_text())
        if what is None:
            os.remove(name)  # nobody put another one in its place
        else:
            (tmp_path / "new").write_text(what)
            (tmp_path / "new").replace(file)
        return True

    monkeypatch.setattr(deck.app.programs, "run_on", run_on)
    async with deck.app.run_test(size=(120, 30)) as pilot:
        await settled(deck, pilot)
        async with watched():
            await pilot.press("ctrl+o", "0", "v")
            await until(pilot, lambda: disk.called)
            await press_about(deck, pilot)
            disk.release()
            await until(pilot, lambda: bool(shown))
            assert "node24" in shown[0]
            await until(pilot, lambda: not list(tmp_path.iterdir()))
            asked = asyncio.create_task(asyncio.to_thread(deck.front_end.edit, "no end", ".deck"))
            await until(pilot, asked.done)
            assert (await asked, shown[-1]) == (None, "no end")
            assert any("cannot be read" in str(one.message) for one in deck.app._notifications)
            what = "a\nb"
            asked = asyncio.create_task(asyncio.to_thread(deck.front_end.edit, "x", ".deck"))
            await until(pilot, asked.done)
            assert await asked == "a\nb"
            await until(pilot, lambda: not list(tmp_path.iterdir()))
    assert disk.called
    assert threading.main_thread() not in unlinked


async def test_another_program_gives_up_an_edit_that_waits_for_the_disk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    disk = Slow(partial(tempfile.NamedTemporaryFile, dir=tmp_path))
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", disk)
    deck = Deck()
    async with deck.app.run_test(size=(120, 30)) as pilot:
        await settled(deck, pilot)
        shown: list[str] = []

        async def run_on(_command: list[str], name: str) -> bool:
            shown.append(Path(name).suffix)
            return True

        monkeypatch.setattr(deck.app.programs, "run_on", run_on)
        asked = asyncio.create_task(asyncio.to_thread(deck.front_end.edit, "x", ".deck"))
        await until(pilot, lambda: disk.called)
        await pilot.press("ctrl+o", "0", "v")
        await until(pilot, asked.done)  # the prompt does not wait for ever
        assert await asked is None
        disk.release()
        await until(pilot, lambda: shown == [".txt"] and not list(tmp_path.iterdir()))
