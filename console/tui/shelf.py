"""What commands ask of the screen (frontend.ScreenSide): documents, views, actions, questions, an editor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from textual.screen import ModalScreen

from ...widgets.diff_view import DiffView
from ...widgets.log_view import LogBook
from ...widgets.node_list import NodeList
from ...widgets.plot_view import PlotView
from ..frontend import Document
from ..language.registry import Registry
from .deck import Deck
from .help import help_lines
from .programs import Programs
from .screens.main import VIEWS, MainScreen
from .wardrobe import Wardrobe

T = TypeVar("T")
#: A document of at most this many lines is a toast; a longer one takes the place of a view.
TOAST_LINES = 2
TOAST_WIDTH = 100
_LEVELS = {"info": "information"}
#: Views by the names of commands, where those are not our own.
_NAMES = {"timeouts": "failures", "run": "panes", "output": "panes"}


class Host(Protocol):
    """What is needed of the app."""

    session: Any
    book: LogBook
    main: MainScreen
    deck: Deck
    wardrobe: Wardrobe
    programs: Programs
    registry: Registry

    def tell(self, text: str, level: str = "information") -> None: ...

    def open_dialog(self, dialog: ModalScreen[T], answered: Callable[[T | None], None]) -> None: ...

    def end(self, code: int) -> None: ...

    def run_worker(self, work: Any, *, group: str, exclusive: bool) -> Any: ...


class Shelf:
    """Of one app; UI thread only."""

    def __init__(self, host: Host) -> None:
        self._app = host

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

    def knows_view(self, view: str) -> bool:
        """Whether `open_view` can open it."""
        return _NAMES.get(view, view) in VIEWS

    def open_view(self, view: str, run: int | None, node: str | None, other: int | None) -> None:
        """Open a view, of a run, of a node of it, or of two runs: what the other one has against the first."""
        main, deck = self._app.main, self._app.deck
        if other is not None:
            run, other = other, run
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

    def show_help(self) -> None:
        """What the keys do here, then what can be typed."""
        main = self._app.main
        focused = main.focused
        if isinstance(focused, NodeList) and main.narrow:
            main.remove_class("-list")
        lines = help_lines(main, focused, self._app.registry)
        main.show_document("help", lines, "info")
        main.set_focus(main.query_one("#document"))

    def open_dialog(self, dialog: ModalScreen[T], answered: Callable[[T | None], None]) -> None:
        """Ask."""
        self._app.open_dialog(dialog, answered)

    def edit_text(self, text: str, suffix: str, edited: Callable[[str | None], None]) -> None:
        """Have a text edited; None comes back when it failed, or when another program took its place."""

        async def edit() -> None:
            answer = None
            try:
                answer = await self._app.programs.edit(text, suffix)
            finally:
                edited(answer)

        self._app.run_worker(edit(), exclusive=True, group="program")

    def end(self, code: int) -> None:
        """Leave with this exit code."""
        self._app.end(code)
