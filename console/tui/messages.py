"""Messages of the full-screen console itself; those of its widgets are in widgets/messages.py."""

from __future__ import annotations

from textual.message import Message


class LineAsked(Message):
    """A command line to be run by the prompt's thread, from the palette, a key or a click."""

    def __init__(self, line: str) -> None:
        super().__init__()
        self.line = line


class LineOffered(Message):
    """A line to be completed by the operator: it is put into the prompt."""

    def __init__(self, line: str) -> None:
        super().__init__()
        self.line = line
