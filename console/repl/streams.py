"""Standard output and error of a REPL that is not, or only half, on a terminal: stdout is data, stderr narration."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from io import TextIOWrapper
from typing import TYPE_CHECKING, TextIO

from .printer import Shown

if TYPE_CHECKING:
    from .terminal import Terminal

_OWN_COLOUR = re.compile("\x1b\\[[0-9;]*m")


def on_terminal(stream: TextIO | None) -> bool:
    """Whether a standard stream is there and a terminal."""
    return stream is not None and not stream.closed and stream.isatty()


class TerminalSink:
    """Everything goes to the terminal, above the prompt; answers go to stdout where that is something else.

    out: stdout, where it is not the terminal. color: whether colours belong into `out` too.
    """

    def __init__(self, terminal: Terminal, out: TextIO | None, *, color: bool = False) -> None:
        self._terminal = terminal
        self._out = None if out is None else _Stream(out)
        self._color = color

    def show(self, shown: Shown) -> None:
        if self._out is None:
            self._terminal.write(_text(shown.both))
            return
        text = _text(shown.data)
        # No other escape sequence can be in it: what nodes sent has passed the gate.
        self._out.write(text if self._color else _OWN_COLOUR.sub("", text))
        if shown.notes:
            self._terminal.write(_text(shown.notes))


class StreamSink:
    """No terminal at all. gone: called once, when nobody reads the answers any more."""

    def __init__(self, out: TextIO, err: TextIO, gone: Callable[[], None] = lambda: None) -> None:
        self._out, self._err = _Stream(out, gone), _Stream(err)

    def show(self, shown: Shown) -> None:
        self._out.write(_text(shown.data))
        self._err.write(_text(shown.notes))


class _Stream:
    """A text stream that never fails on a character it cannot encode, nor when its reader goes away."""

    def __init__(self, stream: TextIO, gone: Callable[[], None] = lambda: None) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._gone = gone
        self._closed = False
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> None:
        with self._lock:
            if not text or self._closed:
                return
            try:
                self._stream.write(text)
                self._stream.flush()
            except BrokenPipeError:
                self._closed = True
                # What is still buffered would fail once more at the interpreter's end, with a message.
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
                self._gone()


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
