"""The prompt at the bottom of the screen: prompt_toolkit's own PromptSession, shown in a widget.

Keys go to prompt_toolkit, what it draws comes back, and lines are run in the prompt's thread; nothing here knows what
a line means.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from contextvars import copy_context
from dataclasses import replace
from functools import partial

from prompt_toolkit import PromptSession
from prompt_toolkit.input.base import Input
from prompt_toolkit.output.base import Output
from prompt_toolkit.styles import BaseStyle
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Offset
from textual.message import Message
from textual.strip import Strip
from textual.theme import Theme
from textual.widget import Widget

from ..engine.text import sanitize_text
from .look import make_look
from .prompt_bridge import EMPTY, SizedOutput, Snapshot
from .prompt_keys import KeyFeed, paste_presses, translate_key
from .prompt_style import themed
from .prompt_thread import PromptThread

MAX_ROWS = 12
MIN_ROWS = 4
BUSY_SHOWN_AFTER = 0.15
"""Seconds a line may run before the widget says that it runs."""
_CURSOR = Style(reverse=True)


class PromptHost(Widget, can_focus=True):
    """Hosts a PromptSession.

    factory: makes the session on the input and output it is given; called once, in the UI thread.
    on_line: runs a line; called in the prompt's thread, the prompt comes back when it returns.
    on_interrupt: Ctrl-C while a line is being run; called in the UI thread and must not block.
    leave_keys: keys (Textual's names) that the prompt never takes. empty_leave_keys: keys it does not take while
    nothing is typed. Both then bubble to the app as from any other widget.
    """

    DEFAULT_CSS = "PromptHost { height: 1; max-height: 12; }"
    ALLOW_SELECT = False

    class Interrupted(Message):
        """Ctrl-C that the session had no use for."""

    class EndRequested(Message):
        """Ctrl-D on an empty line."""

    class Failed(Message):
        """The session, or the line it ran, raised `error`; the prompt goes on."""

        def __init__(self, error: BaseException) -> None:
            super().__init__()
            self.error = error

    class Stopped(Message):
        """The prompt's thread has ended."""

    def __init__(
        self,
        factory: Callable[[Input, Output], PromptSession[str]],
        on_line: Callable[[str], None],
        *,
        on_interrupt: Callable[[], None] | None = None,
        leave_keys: Iterable[str] = (),
        empty_leave_keys: Iterable[str] = (),
        id: str | None = None,  # noqa: A002 (Textual's name)
    ) -> None:
        super().__init__(id=id)
        self._factory = factory
        self._on_line = on_line
        self._on_interrupt = on_interrupt
        self.leave_keys = frozenset(leave_keys)
        self.empty_leave_keys = frozenset(empty_leave_keys)
        self._keys = KeyFeed()
        self._output = SizedOutput(80, MAX_ROWS)
        self._thread: PromptThread | None = None
        self._own_style: BaseStyle | None = None
        self._menu_rows = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ui_context = copy_context()
        self._snapshot = EMPTY
        self._newest = EMPTY
        self._runs = 0
        self._show_scheduled = False

    # What the app may call, in the UI thread

    @property
    def busy(self) -> bool:
        """Whether a line is being run, so that no prompt is active."""
        return self._thread is not None and self._thread.busy

    @property
    def text(self) -> str:
        """What is typed, as of the last drawing."""
        return self._newest.text

    def submit(self, line: str) -> None:
        """Run a line in the prompt's thread as if it had been typed; a half-typed line stays in the prompt."""
        if self._thread is not None:
            self._thread.submit(line)

    def replace(self, text: str) -> None:
        """Put `text` into the prompt for editing."""
        if self._thread is not None:
            self._thread.replace(text)

    def insert(self, text: str) -> None:
        """Type `text` at the cursor; nothing in it acts as a key."""
        self._keys.send(paste_presses(text))

    def feed_key(self, event: events.Key) -> bool:
        """Take a key that another view had no use for; False if prompt_toolkit has no such key."""
        presses = translate_key(event.key, event.character)
        if presses is not None:
            self._keys.send(presses)
        return presses is not None

    def drop_typeahead(self) -> None:
        """Forget keys typed ahead: call it before a dialog, so that they cannot answer it or run after it."""
        self._keys.drop()

    def redraw(self) -> None:
        """Draw the prompt again, because what its message shows has changed. Any thread."""
        if self._thread is not None:
            self._thread.redraw()

    def stop(self) -> None:
        """Let the prompt's thread end; `wait_stopped` waits for it."""
        if self._thread is not None:
            self._thread.stop()

    async def wait_stopped(self, timeout: float = 3.0) -> bool:
        """Whether the thread ended within `timeout` seconds; it does not while it runs a line."""
        thread = self._thread
        return thread is None or await asyncio.to_thread(thread.join, timeout)

    # Textual's side

    def on_mount(self) -> None:
        self._loop = asyncio.get_running_loop()
        # What the prompt's thread asks for must find Textual's own context variables, which that thread has not.
        self._ui_context = copy_context()
        self.app.theme_changed_signal.subscribe(self, self._theme_changed)

    def _theme_changed(self, _theme: Theme) -> None:
        if self._thread is not None:
            self._thread.restyle(themed(self._own_style, make_look(self.app.theme_variables)))

    async def on_unmount(self) -> None:
        self.stop()
        await self.wait_stopped()

    def on_resize(self, event: events.Resize) -> None:
        columns = event.size.width
        # The budget follows the screen, never the widget's own height: that follows what prompt_toolkit draws.
        rows = max(MIN_ROWS, min(MAX_ROWS, self.app.size.height // 2))
        if not columns:
            return
        size = self._output.size
        if self._thread is None:
            self._output.size = size._replace(columns=columns, rows=rows)
            session = self._factory(self._keys, self._output)
            self._menu_rows = session.reserve_space_for_menu
            session.reserve_space_for_menu = min(self._menu_rows, rows - 1)
            self._own_style = session.style
            session.style = themed(self._own_style, make_look(self.app.theme_variables))
            self._thread = PromptThread(session, self._keys, self)
            self._thread.start()
        elif (size.columns, size.rows) != (columns, rows):
            self._output.size = size._replace(columns=columns, rows=rows)
            # With more for the menu than there are rows, prompt_toolkit draws nothing but that it has no room.
            self._thread.session.reserve_space_for_menu = min(self._menu_rows, rows - 1)
            self._thread.redraw(clear=True)

    async def _on_key(self, event: events.Key) -> None:
        if event.key in self.leave_keys or (event.key in self.empty_leave_keys and self._untouched):
            return
        if event.key == "ctrl+c" and self.busy:
            self._keys.drop()
            if self._on_interrupt is not None:
                self._on_interrupt()
        elif not self.feed_key(event):
            return
        event.stop()
        event.prevent_default()

    async def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self.insert(event.text)

    async def _on_click(self, event: events.Click) -> None:
        event.stop()
        self.focus()

    @property
    def _untouched(self) -> bool:
        """Nothing is typed, and nothing typed is still on its way."""
        return not self.busy and not self._newest.text and self._newest.keys_read == self._keys.sent

    # PromptListener, in the prompt's thread

    def run_line(self, line: str) -> None:
        self._runs += 1
        self._in_ui(partial(self.set_timer, BUSY_SHOWN_AFTER, partial(self._show_busy, self._runs, line)))
        self._on_line(line)

    def drawn(self, snapshot: Snapshot) -> None:
        self._newest = snapshot
        # One hop to the UI per frame at most, however many renders there are.
        if not self._show_scheduled:
            self._show_scheduled = True
            self._in_ui(self._show)

    def _in_ui(self, callback: Callable[[], object]) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the app has just ended
                self._loop.call_soon_threadsafe(callback, context=self._ui_context)

    def interrupted(self) -> None:
        self.post_message(self.Interrupted())

    def end_requested(self) -> None:
        self.post_message(self.EndRequested())

    def failed(self, error: BaseException) -> None:
        self.post_message(self.Failed(error))

    def stopped(self) -> None:
        self.post_message(self.Stopped())

    # Painting, in the UI thread

    def _show(self) -> None:
        self._show_scheduled = False
        self._snapshot = snapshot = self._newest
        height = max(1, snapshot.height)
        if self.styles.height is None or self.styles.height.value != height:
            self.styles.height = height
        self.refresh()
        self._place_terminal_cursor()

    def _show_busy(self, run: int, line: str) -> None:
        """The line that is being run, where the prompt was; quick lines never show it."""
        if self.busy and run == self._runs:
            text = sanitize_text(line).replace("\n", " ") + "  (running, Ctrl-C stops it)"
            self._newest = replace(EMPTY, rows=(Strip([Segment(text, Style(dim=True))]),), keys_read=self._keys.read)
            self._show()

    def _place_terminal_cursor(self) -> None:
        """Where an input method shows what it composes."""
        if self.has_focus:
            corner = self.content_region.offset
            self.app.cursor_position = corner + Offset(self._snapshot.cursor_x, self._snapshot.cursor_y)

    def on_focus(self) -> None:
        self._place_terminal_cursor()

    def render_line(self, y: int) -> Strip:
        width, base, snapshot = self.size.width, self.rich_style, self._snapshot
        if y >= snapshot.height:  # Textual lays out once before anything has been drawn
            return Strip.blank(width, base)
        strip = snapshot.rows[y].adjust_cell_length(width).apply_style(base)
        if y == snapshot.cursor_y and self.has_focus and not self.busy and snapshot.cursor_x < width:
            start, stop = snapshot.cursor_x, snapshot.cursor_x + snapshot.cursor_width
            cursor = Strip([Segment(cell.text, (cell.style or base) + _CURSOR) for cell in strip.crop(start, stop)])
            strip = Strip.join([strip.crop(0, start), cursor, strip.crop(stop)])
        return strip
