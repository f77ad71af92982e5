"""The keys that are ours; everything else is prompt_toolkit's emacs or vi set."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from prompt_toolkit.application import get_app, run_in_terminal
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import (
    Condition,
    emacs_mode,
    has_completions,
    has_focus,
    has_selection,
    is_searching,
    vi_navigation_mode,
)
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.search import stop_search

from .suspend import NO_SHELL, stop, wrappers

#: Seconds between two looks whether candidates have come, and how many looks Tab takes: two seconds.
_LOOK = 0.02
_LOOKS = 100


@Condition
def line_goes_on() -> bool:
    """The cursor stands behind a backslash that quotes the line end, as in a shell."""
    document = get_app().current_buffer.document
    before = document.text_before_cursor
    backslashes = len(before) - len(before.rstrip("\\"))
    return document.is_cursor_at_the_end and backslashes % 2 == 1


@Condition
def suggestion_is_shown() -> bool:
    """Something from the history is suggested behind the cursor."""
    buffer = get_app().current_buffer
    return bool(buffer.suggestion and buffer.suggestion.text) and buffer.document.is_cursor_at_the_end


@Condition
def candidate_is_chosen() -> bool:
    """A row of the completion menu is selected."""
    state = get_app().current_buffer.complete_state
    return state is not None and state.current_completion is not None


def deck_keys(stop_run: Callable[[], bool], say: Callable[[str], None], *, own_terminal: bool = False) -> KeyBindings:
    """Our bindings.

    stop_run: stops the current run and returns True, or False where nothing runs; must not block. say: tells the
    operator one line. own_terminal: whether Ctrl-Z is the prompt's business.
    """
    keys = KeyBindings()
    typing = has_focus(DEFAULT_BUFFER)

    def interrupt(event: KeyPressEvent) -> None:
        """Stop the run first: what was typed meanwhile stays. Else clear the line. Never leave."""
        if stop_run():
            return
        if is_searching():
            stop_search()
        elif event.app.current_buffer.text:
            event.app.current_buffer.reset(Document())
        else:
            say("Ctrl-D or :quit leaves, :help lists the commands")

    # `eager`, so that it works in the middle of a search or of a vi command too.
    keys.add("c-c", eager=True)(interrupt)
    keys.add("<sigint>")(interrupt)

    def take_candidate(event: KeyPressEvent) -> None:
        """Enter on a row of the menu takes the row; only a second Enter runs the line."""
        event.app.current_buffer.complete_state = None

    keys.add("enter", filter=typing & candidate_is_chosen)(take_candidate)

    def new_line(event: KeyPressEvent) -> None:
        """Go on in a new line."""
        event.app.current_buffer.newline(copy_margin=False)

    keys.add("enter", filter=typing & ~candidate_is_chosen & line_goes_on)(new_line)
    keys.add("escape", "enter", filter=typing)(new_line)

    def take_suggestion(event: KeyPressEvent) -> None:
        """End, like Right, takes what is suggested."""
        buffer = event.app.current_buffer
        if buffer.suggestion is not None:
            buffer.insert_text(buffer.suggestion.text)

    keys.add("end", filter=typing & suggestion_is_shown)(take_suggestion)

    def close_menu(event: KeyPressEvent) -> None:
        """Close the menu and keep what was typed."""
        event.app.current_buffer.cancel_completion()

    keys.add("escape", filter=typing & has_completions & emacs_mode)(close_menu)
    keys.add("tab", filter=typing & ~vi_navigation_mode)(complete)
    if own_terminal:
        keys.add("c-z")(lambda _event: _suspend(say))
        edit = _Editor(say).edit
        keys.add("c-x", "c-e", filter=typing & emacs_mode & ~has_selection)(edit)
        keys.add("v", filter=typing & vi_navigation_mode)(edit)
    return keys


async def complete(event: KeyPressEvent) -> None:
    """Tab: the next candidate. A single one is taken even if it is still being looked up when Tab is pressed, and when
    it has been taken, what comes behind it is looked up.

    prompt_toolkit's own way forgets a Tab while a menu is on its way, and takes a single candidate back again.
    """
    buffer = event.app.current_buffer
    state, text = buffer.complete_state, buffer.text
    if state is not None and state.completions:
        if len(state.completions) == 1 and state.complete_index == 0:
            buffer.complete_state = None
            buffer.start_completion(insert_common_part=True)
        else:
            buffer.complete_next()
        return
    if state is None:
        buffer.start_completion(insert_common_part=True)
    for _ in range(_LOOKS):
        await asyncio.sleep(_LOOK)
        state = buffer.complete_state
        if state is None or buffer.text != text or event.app.is_done:
            return
        if state.completions:
            if len(state.completions) == 1 and state.complete_index is None:
                buffer.complete_next()
            return


class _Editor:
    """The line in $EDITOR, then run. prompt_toolkit's own way breaks the prompt when a key typed meanwhile ends it."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._is_open = False

    async def edit(self, event: KeyPressEvent) -> None:
        """Edit the line and run it; it is only left as it is where the prompt has ended since."""
        buffer = event.app.current_buffer
        if self._is_open:
            return
        if any("\ud800" <= character <= "\udfff" for character in buffer.text):
            self._say("no editor for this line: it holds bytes that are no text")
            return
        self._is_open = True
        try:
            await buffer.open_in_editor()
            if not event.app.is_done:
                buffer.validate_and_handle()
        finally:
            self._is_open = False


def _suspend(say: Callable[[str], None]) -> None:
    """Into the background, with the terminal as the shell left it."""
    above = wrappers()
    if above is None:
        say(NO_SHELL)
    else:
        run_in_terminal(lambda: stop(above))
