"""What the app hands out on request: documents, views, help, the clipboard, a pager."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ...engine.text import sanitize_text
from ...widgets.background import Background
from ...widgets.diff_view import DiffView
from ...widgets.node_list import NodeList
from ...widgets.plot_view import PlotView
from ...widgets.text_rows import SLOW_DISK, TOLD_AFTER
from ...widgets.texts import Texts
from ..frontend import Document
from .clipboard import copy_native
from .help import help_lines
from .screens.main import VIEWS

if TYPE_CHECKING:
    from .app import ClusterdeckApp

#: A document of at most this many lines is a toast; a longer one takes the place of a view.
TOAST_LINES = 2
TOAST_WIDTH = 100
_LEVELS = {"info": "information"}
#: Views by the names of commands, where those are not our own.
_NAMES = {"timeouts": "failures", "run": "panes", "output": "panes"}


class Shelf:
    """Helpers of one app; UI thread only."""

    def __init__(self, app: ClusterdeckApp) -> None:
        self._app = app
        self._folded_run = 0
        self._reading = Background("program")

    # -- documents and views

    def show_document(self, document: Document) -> None:
        """A short text as a toast, a longer one in the place of a view; both are in the log."""
        level = _LEVELS.get(document.level, document.level)
        lines = document.lines or (document.title,)
        short = len(lines) <= TOAST_LINES and all(len(line) <= TOAST_WIDTH for line in lines)
        if short and not (document.data and len(lines) > 1):
            self._app.tell("\n".join(lines), level)
            return
        self._app.book.write(f"{document.title} ({len(lines)} lines)", document.level)
        if document.level == "error":
            self._app.tell("\n".join(lines[:8]), "error")
            return
        self._app.main.show_document(document.title, lines, document.level)

    @staticmethod
    def knows_view(view: str) -> bool:
        """Whether `open_view` can open it."""
        return _NAMES.get(view, view) in VIEWS

    def open_view(self, view: str, run: int | None, node: str | None, other: int | None) -> None:
        """Open a view, of a run, of a node of it, or of two runs."""
        main, deck = self._app.main, self._app.deck
        if run is not None:
            main.painter.show_run(run)
        name = _NAMES.get(view, view)
        main.open_view(name)
        if name == "diff":
            diff = main.query_one("#diff", DiffView)
            deck.tell(diff)
            diff.set_other(self._app.session.runs.get(other) if other is not None else None)
        if node is not None and deck.run is not None and node in deck.run.names:
            main.panes.set_run(deck.run)
            main.panes.choose([list(deck.run.names).index(node)], zoom=True)

    def act(self, command: str, arguments: tuple[str, ...]) -> bool:
        """An action of the screen, by the id of its command (`view.plot`, `view.filter`)."""
        name = command.partition(".")[2]
        main = self._app.main
        if name == "plot":
            problem = main.query_one("#plot", PlotView).set_pattern(" ".join(arguments))
            if problem:
                self._app.tell(f"the pattern cannot be used: {problem}", "error")
            main.open_view("plot")
            return True
        if name == "filter":
            main.set_filter(" ".join(arguments))
            return True
        if name == "theme":
            if arguments:
                self._app.wardrobe.wear(arguments[0])
            else:
                self._app.wardrobe.next()
            return True
        return False

    def run_began(self) -> None:
        """A new run is on show: live output first, unless the operator looks at something else on purpose."""
        main, run = self._app.main, self._app.deck.run
        folded = main.view in ("gathered", "failures") and self._folded_run
        read = main.view == "document" and run is not None and run.timer is None  # a text was read, a command typed
        if (folded or read) and main.focused is main.prompt:
            main.open_view("panes")
        self._folded_run = 0

    def run_ended(self) -> None:
        """The run on show ended: live panes fold into the gathered answers, unless they are being read."""
        main, run = self._app.main, self._app.deck.run
        if run is None or main.view != "panes" or len(run.names) < 2 or main.focused is not main.prompt:
            return
        if main.panes.zoomed or not all(pane.following for pane in main.panes.panes):
            return
        self._folded_run = run.id
        main.open_view("gathered" if run.lines_total else "failures")

    # -- help

    def show_help(self) -> None:
        """What the keys do here, then what can be typed."""
        main = self._app.main
        focused = main.focused
        if isinstance(focused, NodeList) and main.narrow:
            main.remove_class("-list")
        lines = help_lines(main, focused, self._app.registry)
        main.show_document("help", lines, "info")
        main.set_focus(main.query_one("#document"))

    # -- clipboard and programs

    async def edit(self, text: str, suffix: str) -> str | None:
        """The text after $EDITOR, with the screen handed over; None when it failed."""
        with tempfile.NamedTemporaryFile("w+", prefix="clusterdeck-", suffix=suffix, encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if not await self._run_on(_command("editor"), file.name):
                return None
            return Path(file.name).read_text("utf-8", "replace")

    def copy(self, text: str, what: str) -> None:
        """To the clipboard: through the terminal, and with a native tool beside it."""
        self._app.copy_to_clipboard(text)
        self._app.tell(f"Copied {what}.")
        self._app.run_worker(lambda: copy_native(text), thread=True, exit_on_error=False, group="clipboard")

    def open_program(self, read: Callable[[], Iterable[Texts]], program: str) -> None:
        """Show lines in $PAGER or $EDITOR, with the screen handed over."""
        self._app.run_worker(self._run_program(_command(program), read), exclusive=True, group="program")

    async def _run_program(self, command: list[str], read: Callable[[], Iterable[Texts]]) -> None:
        with tempfile.NamedTemporaryFile("w", prefix="clusterdeck-", suffix=".txt", encoding="utf-8") as file:
            late = asyncio.get_running_loop().call_later(TOLD_AFTER, self._app.tell, f"{SLOW_DISK} it is shown then.")
            try:
                # Models may be looked at in this thread only, disks in another one only: a piece at a time.
                for texts in read():
                    if problem := await self._reading.result(partial(_write, file, texts)):
                        self._app.tell(f"nothing to show: {sanitize_text(problem)}", "error")
                        return
            finally:
                late.cancel()
            await self._run_on(command, file.name)

    async def _run_on(self, command: list[str], name: str) -> bool:
        """Run a program on a file, with the terminal to itself; False when it failed, which is told."""
        app = self._app
        problem = ""
        try:
            # The loop goes on meanwhile, so that the session is drained; batch_update keeps it from painting.
            with app.suspend(), app.batch_update():
                problem = await asyncio.to_thread(_run, [*command, name])
        except Exception as error:
            problem = str(error) or type(error).__name__
        if problem:
            app.tell(f"{sanitize_text(command[0])}: {sanitize_text(problem)}", "error")
        return not problem


def _write(file: IO[str], texts: Texts) -> str:
    """Write some lines; what went wrong, or ""."""
    try:
        file.writelines(f"{text}\n" for text in texts())
        file.flush()
    except (OSError, ValueError) as error:  # a full disk; or the next program was asked for, and this file is closed
        return getattr(error, "strerror", None) or str(error)
    return ""


def _run(command: list[str]) -> str:
    try:
        code = subprocess.run(command, check=False).returncode
    except OSError as error:
        return error.strerror or str(error)
    return f"ended with {code}" if code else ""


def _command(program: str) -> list[str]:
    """$PAGER, or $VISUAL or $EDITOR, as words of a command line."""
    if program == "editor":
        return shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "") or ["vi"]
    return shlex.split(os.environ.get("PAGER") or "") or ["less"]
