"""Standard output and error of a REPL that is not, or only half, on a terminal: stdout is data, stderr narration."""

from __future__ import annotations

import sys
import threading
from typing import TextIO

from .printer import Shown
from .terminal import Terminal


class TerminalSink:
    """Everything goes to the terminal, above the prompt; answers go to stdout where that is something else."""

    def __init__(self, terminal: Terminal, out: TextIO | None) -> None:
        self._terminal = terminal
        self._out = None if out is None else _Stream(out)

    def show(self, shown: Shown) -> None:
        if self._out is None:
            self._terminal.write(_text(shown.both))
            return
        self._out.write(_text(shown.data))
        if shown.notes:
            self._terminal.write(_text(shown.notes))


class StreamSink:
    """No terminal at all."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out, self._err = _Stream(out), _Stream(err)

    def show(self, shown: Shown) -> None:
        self._out.write(_text(shown.data))
        self._err.write(_text(shown.notes))


class _Stream:
    """A text stream that never fails on a character it cannot encode, and tells once that its reader has gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._gone = False
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> None:
        with self._lock:
            if not text or self._gone:
                return
            try:
                self._stream.write(text)
                self._stream.flush()
            except BrokenPipeError:
                self._gone = True
                if self._stream is not sys.stderr:
                    raise


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
