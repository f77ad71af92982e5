"""The plain terminal: text appears above the prompt while one is shown, at the cursor otherwise.

prompt_toolkit's own way to print above a prompt gives the terminal back to its line discipline for each print: keys
that arrive meanwhile are echoed, and a Ctrl-C becomes a signal. Here the terminal stays as it is; the prompt is
erased, the text written and the prompt drawn again, all in the prompt's own loop.
"""

from __future__ import annotations

import asyncio
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.application import Application
from prompt_toolkit.document import Document
from prompt_toolkit.input.base import Input
from prompt_toolkit.input.typeahead import clear_typeahead, get_typeahead, store_typeahead
from prompt_toolkit.keys import Keys
from prompt_toolkit.output.base import Output

#: Characters written in one go: between two pieces the prompt takes keys.
PIECE = 16 * 1024
_LOOK = 0.05


def _pieces(text: str) -> Iterator[str]:
    """Whole lines of about PIECE characters: the prompt is drawn between two pieces, so none may end inside a line."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + PIECE) + 1 or len(text)
        yield text[start:end]
        start = end


class Ended(Exception):  # noqa: N818 (not an error)
    """The prompt was ended from outside by `end_prompt`; what was typed is the argument."""

    def __init__(self, typed: Document) -> None:
        super().__init__()
        self.typed = typed


class Terminal:
    """Where an interactive REPL reads and writes. All text given must be clean but for our own colours.

    `write` may be called from any thread but a running prompt's own. One thread at a time may read: `keyboard` is
    the lock for that. failed: hears of what goes wrong inside a prompt, in its thread; the prompt goes on.
    """

    def __init__(
        self,
        input: Input | None,  # noqa: A002
        output: Output | None,
        *,
        out: Callable[[str], None] | None = None,
        failed: Callable[[BaseException], None] | None = None,
    ) -> None:
        self.input = input
        self.output = output
        self.keyboard = threading.RLock()
        self._plain = out or _to_stdout
        self._failed = failed
        self._writing = threading.RLock()
        self._shown: PromptSession[str] | None = None
        self._ending = False

    # -- reading

    def ask(
        self, session: PromptSession[str], default: Document | None = None, on_ready: Callable[[], None] | None = None
    ) -> str:
        """Show a prompt and return its line. Raises EOFError, KeyboardInterrupt and Ended.

        on_ready: called when keys are read one by one, so that Ctrl-C is no signal any more; not called where a line
        that had been typed before answered the prompt at once.
        """
        waiting = on_ready is not None

        def drawn(app: Application[str]) -> None:
            nonlocal waiting
            if waiting and not app.is_done and on_ready is not None:
                waiting = False
                on_ready()

        with self.keyboard:
            self._ending = False
            session.app.after_render += drawn
            try:
                line = session.prompt(
                    default=default or Document(),
                    pre_run=lambda: self._begin(session),
                    set_exception_handler=False,
                    # A signal that reaches asyncio while a prompt ends is lost; the caller has a handler of its own.
                    handle_sigint=False,
                )
            finally:
                self._shown = None
                session.app.after_render -= drawn
            if self._ending:
                raise Ended(session.default_buffer.document)
            return line

    def _begin(self, session: PromptSession[str]) -> None:
        asyncio.get_running_loop().set_exception_handler(self._met)
        # Waits until what is being written at the cursor is complete; from now on text goes above the prompt.
        with self._writing:
            self._shown = session

    def _met(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Something failed in a key or a task of the prompt: asyncio would write a traceback over the screen."""
        if self._failed is not None:
            self._failed(context.get("exception") or RuntimeError(str(context.get("message"))))

    def end_prompt(self) -> None:
        """End the prompt that is shown, if there is one: `ask` raises Ended. Any thread."""
        session = self._shown
        loop = None if session is None else session.app.loop
        if session is None or loop is None:
            return
        app = session.app

        def end() -> None:
            if app.is_running and not app.is_done:
                self._ending = True
                app.exit(result="")

        with suppress(RuntimeError):  # the loop has been closed since
            loop.call_soon_threadsafe(end)

    def drop_typeahead(self) -> None:
        """Forget what was typed before a question was to be seen."""
        if self.input is None:
            return
        self.drop_read_ahead()
        with suppress(OSError, termios.error, NotImplementedError):
            termios.tcflush(self.input.fileno(), termios.TCIFLUSH)

    def drop_read_ahead(self) -> None:
        """Forget keys that were read and not used yet; a Ctrl-C that is a signal drops only what was not read."""
        if self.input is not None:
            clear_typeahead(self.input)

    def interrupted_early(self) -> bool:
        """Whether Ctrl-C was pressed after Enter and before the terminal made signals of it again.

        Such a key is in no signal: it was read by the prompt that had ended, or is still in the terminal's queue. What
        was typed before it is dropped, as a terminal does; everything else stays for the next prompt.
        """
        if self.input is None:
            return False
        try:
            keys = [*get_typeahead(self.input), *self.input.read_keys()]
        except OSError:  # the terminal has gone
            return False
        places = [number for number, press in enumerate(keys) if press.key == Keys.ControlC]
        store_typeahead(self.input, keys[places[-1] + 1 :] if places else keys)
        return bool(places)

    # -- writing

    def write(self, text: str) -> None:
        """Write whole lines; returns when the terminal has taken them."""
        with self._writing:
            for piece in _pieces(text):
                while self._shown is not None and self.output is not None:
                    if self._write_above(self._shown, piece):
                        break
                else:
                    self._plain(piece)

    def refresh(self) -> None:
        """Draw the prompt again, because its counts changed. Any thread."""
        session = self._shown
        if session is not None:
            session.app.invalidate()

    def restore(self) -> None:
        """Put back what a prompt had changed when a signal ended it at some moment; harmless where it did itself."""
        output = self.output
        if output is not None:
            with suppress(OSError):  # the terminal may have gone
                output.disable_bracketed_paste()
                output.reset_attributes()
                output.enable_autowrap()
                output.reset_cursor_key_mode()
                output.show_cursor()
                output.flush()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing is written meanwhile (an editor has the terminal); writers wait."""
        with self.keyboard, self._writing:
            yield

    def _write_above(self, session: PromptSession[str], text: str) -> bool:
        """Write in the prompt's loop; False if that prompt ended before it was written."""
        loop = session.app.loop
        if loop is None:
            threading.Event().wait(0.001)  # the prompt is just ending, `ask` is about to say so
            return False
        piece = _Piece(session, text)
        try:
            loop.call_soon_threadsafe(piece.start)
        except RuntimeError:
            return False
        while not piece.over.wait(_LOOK):
            if loop.is_closed():
                break
        return piece.claim("lost") != "lost"


class _Piece:
    """A piece of text on its way above a prompt: written exactly once, or not at all."""

    def __init__(self, session: PromptSession[str], text: str) -> None:
        self._session = session
        self._text = text
        self._lock = threading.Lock()
        self._claimed = ""
        self.over = threading.Event()

    def claim(self, who: str) -> str:
        """The first to claim it decides; returns who that was."""
        with self._lock:
            self._claimed = self._claimed or who
            return self._claimed

    def start(self) -> None:
        app = self._session.app
        if app.is_running and not app.is_done:
            # Ends with the prompt, so that nothing is written into the next one.
            app.create_background_task(self._write())
        else:
            self.over.set()

    async def _write(self) -> None:
        app = self._session.app
        try:
            # A late answer about the cursor's row would be taken for the row after this text. Waits for a second at
            # most, and not at all once it is known that the terminal does not answer.
            await app.renderer.wait_for_cpr_responses()
            if app.is_running and not app.is_done and self.claim("written") == "written":
                output = app.output
                app.renderer.erase()
                output.write_raw(self._text.replace("\n", "\r\n"))
                output.flush()
                app.renderer.request_absolute_cursor_position()
                app.invalidate()
        finally:
            self.over.set()


def _to_stdout(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
