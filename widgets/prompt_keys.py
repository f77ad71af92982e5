"""Keys on their way from Textual into prompt_toolkit: the translation, and the Input that carries them."""

from __future__ import annotations

import asyncio
import itertools
import threading
import unicodedata
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import lru_cache

from prompt_toolkit.input.base import Input
from prompt_toolkit.input.typeahead import clear_typeahead
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.keys import Keys
from textual.keys import KEY_TO_UNICODE_NAME, REPLACED_KEYS

_BY_VALUE = {key.value: key for key in Keys}
# Terminals without the extended keyboard protocol send these names for keys that prompt_toolkit knows as control keys.
_NAMED = {"enter": "c-m", "return": "c-m", "tab": "c-i", "backspace": "c-h", "escape": "escape"}
_NAMED_DATA = {"c-m": "\r", "c-i": "\t", "c-h": "\x7f", "escape": "\x1b"}
_CONTROL_SYMBOLS = {
    "@": "c-@",
    "at": "c-@",
    "space": "c-@",
    "backslash": "c-\\",
    "right_square_bracket": "c-]",
    "circumflex_accent": "c-^",
    "underscore": "c-_",
    "slash": "c-_",
    "minus": "c-_",
    "left_square_bracket": "escape",
    "question_mark": "c-h",
}
_ESCAPE = KeyPress(Keys.Escape, "\x1b")


def translate_key(key: str, character: str | None) -> list[KeyPress] | None:
    """The key presses prompt_toolkit would have read for a Textual key; None where it has no such key.

    key, character: as in `textual.events.Key`.
    """
    names = [key] if len(key) == 1 else key.split("+")
    base, modifiers = names[-1] or "+", set(names[:-1])
    if modifiers & {"super", "hyper"}:
        return None
    # Alt is ESC and the key, in every terminal and in every emacs and vi binding.
    presses = [_ESCAPE] if modifiers & {"alt", "meta"} else []
    shift, control = "shift" in modifiers, "ctrl" in modifiers
    rest: list[KeyPress] | None
    if base in _NAMED:
        if base in ("enter", "return") and (shift or control):
            # Only terminals with the extended protocol can tell; there it means "new line", as Alt-Enter does.
            presses = [_ESCAPE]
        rest = _named_press(base, shift=shift, control=control)
    elif control:
        rest = _control_press(base, shift=shift)
    else:
        rest = _plain_presses(base, character, shift=shift)
    return None if rest is None else presses + rest


def _named_press(base: str, *, shift: bool, control: bool) -> list[KeyPress]:
    name = _NAMED[base]
    if base == "tab" and shift:
        name = "s-tab"
    elif base == "escape" and shift:
        name = "s-escape"
    elif base == "backspace" and control:
        name = "c-w"
    return [KeyPress(_BY_VALUE[name], _NAMED_DATA.get(name, name))]


def _control_press(base: str, *, shift: bool) -> list[KeyPress] | None:
    if len(base) == 1 and base.isascii() and base.isalpha():
        return [KeyPress(_BY_VALUE["c-" + base.lower()], chr(ord(base.lower()) & 31))]
    name = _CONTROL_SYMBOLS.get(base) or ("c-s-" if shift else "c-") + base
    key = _BY_VALUE.get(name)
    return None if key is None else [KeyPress(key, name)]


def _plain_presses(base: str, character: str | None, *, shift: bool) -> list[KeyPress] | None:
    key = _BY_VALUE.get(("s-" if shift else "") + base)
    if key is not None and len(base) > 1:
        return [KeyPress(key, base)]
    if character is None or not character.isprintable():
        # Alt with a symbol arrives as a name only (`alt+full_stop`).
        character = _character_of(base)
    if not character:
        return None
    if shift and len(character) == 1:
        character = character.upper()
    return [KeyPress(char, char) for char in character]


@lru_cache(256)
def _character_of(name: str) -> str | None:
    """The printable character behind Textual's name of a key."""
    if len(name) == 1:
        return name if name.isprintable() else None
    original = REPLACED_KEYS.get(name, name)
    try:
        return unicodedata.lookup(KEY_TO_UNICODE_NAME.get(original, original.replace("_", " ")))
    except KeyError:
        return None


def paste_presses(text: str) -> list[KeyPress]:
    """A bracketed paste: the text arrives as one piece, and nothing in it acts as a key."""
    return [KeyPress(Keys.BracketedPaste, text)]


class KeyFeed(Input):
    """A prompt_toolkit Input that is fed with key presses instead of bytes.

    The UI's thread calls `send` and `drop`, any thread `close`; prompt_toolkit calls the rest in the prompt's thread.
    Keys sent while no prompt is active wait for the next one.
    """

    _numbers = itertools.count(1)

    def __init__(self) -> None:
        self._name = f"clusterdeck-keys-{next(self._numbers)}"
        self._keys: deque[KeyPress] = deque()
        # Callback and loop belong together: one tuple, so that another thread sees both or neither.
        self._attached: tuple[Callable[[], None], asyncio.AbstractEventLoop] | None = None
        self._closed = False
        self._reading = threading.Lock()  # `drop` and the prompt both read
        self.sent = 0
        """Key presses sent so far."""
        self.read = 0
        """Key presses that a prompt has read (or that were dropped)."""

    def send(self, presses: Sequence[KeyPress]) -> None:
        """Hand over key presses, in order. One thread only (the UI's)."""
        self.sent += len(presses)
        self._keys.extend(presses)
        self._wake()

    def drop(self) -> None:
        """Forget every key that no prompt has seen yet (before a dialog that must not be answered by them)."""
        self.read_keys()
        clear_typeahead(self)

    def close(self) -> None:
        """End of input: the active prompt, and every later one, ends with EOFError."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        attached = self._attached
        if attached is None:
            return
        # A closed loop means that this prompt has just ended: the keys wait for the next.
        with suppress(RuntimeError):
            attached[1].call_soon_threadsafe(self._ready)

    def _ready(self) -> None:
        attached = self._attached
        if attached is not None:
            attached[0]()

    # What prompt_toolkit calls

    def fileno(self) -> int:
        raise NotImplementedError("keys do not come from a descriptor")

    def typeahead_hash(self) -> str:
        return self._name

    def read_keys(self) -> list[KeyPress]:
        with self._reading:
            keys = [self._keys.popleft() for _ in range(len(self._keys))]
            self.read += len(keys)
        return keys

    @property
    def closed(self) -> bool:
        return self._closed

    def raw_mode(self) -> AbstractContextManager[None]:
        return nullcontext()

    def cooked_mode(self) -> AbstractContextManager[None]:
        return nullcontext()

    @contextmanager
    def attach(self, input_ready_callback: Callable[[], None]) -> Iterator[None]:
        before, self._attached = self._attached, (input_ready_callback, asyncio.get_running_loop())
        if self._keys or self._closed:
            self._wake()
        try:
            yield
        finally:
            self._attached = before

    @contextmanager
    def detach(self) -> Iterator[None]:
        before, self._attached = self._attached, None
        try:
            yield
        finally:
            self._attached = before
