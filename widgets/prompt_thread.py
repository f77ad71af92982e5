"""The prompt's thread: asks for a line, hands it to the console, asks again.

It is the only thread that runs command lines: those typed here and those that a key or the palette submits.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from prompt_toolkit import PromptSession
from prompt_toolkit.document import Document
from prompt_toolkit.styles import BaseStyle

from .prompt_bridge import ScreenReader, Snapshot
from .prompt_keys import KeyFeed

_TAKEN_BACK = "\0"  # the result of a prompt that was ended for a submitted line; nobody can type it
_FAILURES_IN_A_ROW = 3


class PromptListener(Protocol):
    """Who is told what happens; every method is called in the prompt's thread."""

    def run_line(self, line: str) -> None:
        """Run the line; the prompt comes back when this returns."""

    def drawn(self, snapshot: Snapshot) -> None: ...

    def interrupted(self) -> None:
        """Ctrl-C where the session itself has no use for it."""

    def end_requested(self) -> None:
        """Ctrl-D on an empty line."""

    def failed(self, error: BaseException) -> None: ...

    def stopped(self) -> None:
        """The thread ends; nothing is called after this."""


class PromptThread:
    """Runs one PromptSession in a thread of its own. `start` and the calls below it may come from any thread."""

    def __init__(self, session: PromptSession[str], keys: KeyFeed, listener: PromptListener) -> None:
        self.session = session
        self._keys = keys
        self._listener = listener
        self._submitted: deque[str] = deque()
        self._default = Document()
        self._stopping = False
        self._busy = threading.Event()
        self._reader = ScreenReader()
        self._thread = threading.Thread(target=self._main, name="clusterdeck-prompt", daemon=True)
        app = session.app
        # The size comes from the widget; without this prompt_toolkit would ask its output for it twice a second.
        app.terminal_size_polling_interval = None
        app.after_render += self._rendered

    def start(self) -> None:
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether a line is being run (and the prompt waits for it)."""
        return self._busy.is_set()

    def submit(self, line: str) -> None:
        """Run a line as if it had been typed; what stands in the prompt stays there."""
        self._submitted.append(line)
        self._call(self._yield_to_submitted)

    def replace(self, text: str) -> None:
        """Put `text` into the prompt, the cursor behind it."""
        self._call(lambda: self._set_document(Document(text)), otherwise=lambda: self._set_default(Document(text)))

    def restyle(self, style: BaseStyle) -> None:
        """Use another style from the next drawing on."""
        self.session.style = style
        self.redraw()

    def redraw(self, *, clear: bool = False) -> None:
        """Draw again: the prompt's counts changed, or (`clear`) its size."""
        self._call(self._clear if clear else self.session.app.invalidate)

    def stop(self) -> None:
        """End the thread as soon as the line it runs, if any, is done. Does not wait."""
        self._stopping = True
        self._keys.close()

    def join(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for the end; False if the thread still runs a line."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _call(self, callback: Callable[[], None], otherwise: Callable[[], None] | None = None) -> None:
        """Run `callback` where prompt_toolkit runs; if no prompt is active, `otherwise` here and now."""
        loop = self.session.app.loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop has been closed since
                loop.call_soon_threadsafe(callback)
                return
        if otherwise is not None:
            otherwise()

    # In the prompt's thread

    def _main(self) -> None:
        failures = 0
        try:
            while not self._stopping and failures < _FAILURES_IN_A_ROW:
                if self._submitted:
                    self._run(self._submitted.popleft())
                    continue
                try:
                    self._ask()
                    failures = 0
                except KeyboardInterrupt:
                    self._listener.interrupted()
                except EOFError:
                    if not self._stopping:
                        self._listener.end_requested()
                except Exception as error:
                    failures += 1
                    self._listener.failed(error)
        finally:
            self._listener.stopped()

    def _ask(self) -> None:
        default, self._default = self._default, Document()
        line = self.session.prompt(
            default=default, handle_sigint=False, set_exception_handler=False, pre_run=self._before_prompt
        )
        if line != _TAKEN_BACK:
            self._run(line)

    def _before_prompt(self) -> None:
        loop = asyncio.get_running_loop()
        # Otherwise asyncio writes the traceback of a failing key binding or completer over the screen.
        loop.set_exception_handler(self._loop_failed)
        if self._submitted:  # it came after the last look at the queue and before the loop was there
            loop.call_soon(self._yield_to_submitted)

    def _loop_failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        error = context.get("exception")
        self._listener.failed(error if isinstance(error, BaseException) else RuntimeError(str(context.get("message"))))

    def _yield_to_submitted(self) -> None:
        app = self.session.app
        if self._submitted and app.is_running and not app.is_done:
            self._default = self.session.default_buffer.document
            app.exit(result=_TAKEN_BACK)

    def _set_document(self, document: Document) -> None:
        self.session.default_buffer.document = document

    def _set_default(self, document: Document) -> None:
        self._default = document

    def _clear(self) -> None:
        app = self.session.app
        if app.is_running:
            app.renderer.clear()
            app.invalidate()

    def _run(self, line: str) -> None:
        self._busy.set()
        try:
            self._listener.run_line(line)
        except Exception as error:  # a failing command must not take the prompt away
            self._listener.failed(error)
        finally:
            self._busy.clear()

    def _rendered(self, _: object) -> None:
        if self._stopping:
            return
        snapshot = self._reader.read(self.session.app, self.session.default_buffer.text, self._keys.read)
        if snapshot is not None:
            self._listener.drawn(snapshot)
