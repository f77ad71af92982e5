"""The full-screen console as commands see it: they run in the prompt's thread, this hands them over to the screen."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from typing import TYPE_CHECKING, Protocol, TypeVar

from textual.screen import ModalScreen

from ..frontend import Answer, Confirmation, Document, Question
from .screens.dialogs import ConfirmDialog, question_dialog

if TYPE_CHECKING:
    from prompt_toolkit.history import History

T = TypeVar("T")
#: Seconds between two looks whether the screen still lives, while an answer is waited for.
LOOK = 0.2


class ScreenSide(Protocol):
    """What the screen does for commands; every method is called in the UI thread."""

    def show_document(self, document: Document) -> None: ...

    def open_view(self, view: str, run: int | None, node: str | None, other: int | None) -> None: ...

    def knows_view(self, view: str) -> bool: ...

    def act(self, command: str, arguments: tuple[str, ...]) -> bool: ...

    def open_dialog(self, dialog: ModalScreen[T], answered: Callable[[T | None], None]) -> None: ...

    def edit_text(self, text: str, suffix: str, edited: Callable[[str | None], None]) -> None: ...

    def end(self, code: int) -> None: ...


class TuiFrontEnd:
    """Satisfies console.frontend.FrontEnd. Made before the screen runs, `attach`ed when it does.

    Never blocks for ever: when the screen ends, every waiting question is answered with no.
    """

    def __init__(self) -> None:
        self._side: ScreenSide | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self.history: History | None = None
        """Where `remember` puts lines: the prompt's own; both are used in the prompt's thread only."""
        self._call: Callable[[Callable[[], None]], None] = lambda _callback: None

    def attach(self, side: ScreenSide, call: Callable[[Callable[[], None]], None]) -> None:
        """The screen is there. call: runs something in the UI thread, from any thread, without waiting."""
        self._side = side
        self._call = call
        self._thread = threading.get_ident()

    def detach(self) -> None:
        """The screen ends; questions that wait are given up."""
        self._side = None

    @property
    def interactive(self) -> bool:
        return self._side is not None

    def show(self, document: Document) -> None:
        side = self._side
        if side is not None:
            self._call(lambda: side.show_document(document))

    def open_view(self, view: str, run: int | None = None, node: str | None = None, other: int | None = None) -> bool:
        side = self._side
        if side is None or not side.knows_view(view):
            return False
        self._call(lambda: side.open_view(view, run, node, other))
        return True

    def confirm(self, confirmation: Confirmation) -> bool:
        agreed = self._answered(lambda: ConfirmDialog(confirmation))
        return agreed is True

    def ask(self, question: Question) -> Answer | None:
        return self._answered(lambda: question_dialog(question))

    def act(self, command: str, arguments: tuple[str, ...]) -> bool:
        """Do one of the screen's own actions, named by its command's id."""
        side = self._side
        if side is None or threading.get_ident() == self._thread:
            return side is not None and side.act(command, arguments)
        done: Future[bool | None] = Future()
        self._call(lambda: done.set_result(side.act(command, arguments)))
        told = self._wait(done)
        return told is True

    def edit(self, text: str, suffix: str) -> str | None:
        """The text after editing in $EDITOR, with the screen handed over; None when it was given up."""
        side = self._side
        if side is None or threading.get_ident() == self._thread:
            return None
        edited: Future[str | None] = Future()
        self._call(lambda: side.edit_text(text, suffix, edited.set_result))
        return self._wait(edited)

    def remember(self, line: str) -> None:
        if self.history is not None:
            self.history.append_string(line)

    def leave(self, code: int) -> None:
        side = self._side
        if side is not None:
            self._call(lambda: side.end(code))

    def _answered(self, make: Callable[[], ModalScreen[T]]) -> T | None:
        side = self._side
        if side is None or threading.get_ident() == self._thread:
            return None  # the UI thread cannot wait for itself
        answer: Future[T | None] = Future()

        def open_it() -> None:
            side.open_dialog(make(), lambda value: None if answer.done() else answer.set_result(value))

        self._call(open_it)
        return self._wait(answer)

    def _wait(self, answer: Future[T | None]) -> T | None:
        while self._side is not None:
            try:
                return answer.result(LOOK)
            except NotYet:
                continue
        return None
