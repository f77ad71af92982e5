"""Where a batch run writes: stdout is data, stderr is narration; node output passes the gate, colours are our own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import BinaryIO

from ...engine.text import sanitize, sanitize_text

_BLUE = "\x1b[94m"
_RED = "\x1b[91m"
_GREEN = "\x1b[92m"
_CYAN = "\x1b[96m"
_BOLD = "\x1b[1m"
_RESET = "\x1b[0m"

PROGRAM = "clusterdeck"


def use_color(flag: str | None, setting: str, stream: BinaryIO, environment: Mapping[str, str] | None = None) -> bool:
    """The ladder: flag > NO_COLOR > setting > CLICOLOR_FORCE > CLICOLOR > whether the stream is a terminal."""
    variables = os.environ if environment is None else environment
    if flag in ("always", "never"):
        return flag == "always"
    if flag != "auto" and variables.get("NO_COLOR"):
        return False
    if setting in ("always", "never"):
        return setting == "always"
    if flag != "auto" and variables.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    if flag != "auto" and variables.get("CLICOLOR") == "0":
        return False
    return stream.isatty()


class Writer:
    """Writes to both streams in order; the one place of the batch front end that does.

    raw: node output is written byte for byte, without the gate; refuses a terminal with ValueError.
    """

    def __init__(
        self,
        out: BinaryIO,
        err: BinaryIO,
        *,
        out_color: bool = False,
        err_color: bool = False,
        labels: bool = True,
        raw: bool = False,
    ) -> None:
        if raw and (out.isatty() or err.isatty()):
            raise ValueError("--raw does not write to a terminal: what nodes send could take it over")
        self._out = out
        self._err = err
        self._out_color = out_color
        self._err_color = err_color
        self._labels = labels
        self._raw = raw
        self._progress = ""

    def clean(self, data: bytes) -> bytes:
        """Node output as it may be shown; tabs and line ends stay."""
        return data if self._raw else sanitize(data).encode()

    def lines(self, name: str, data: bytes, *, stderr: bool = False) -> None:
        """Whole lines of one node, or of nodes that sent the same, each with its label."""
        text = self.clean(data)
        if self._labels:
            color = self._err_color if stderr else self._out_color
            label = f"{sanitize_text(name)}: "
            if color:
                label = f"{_RED if stderr else _BLUE}{label}{_RESET}"
            mark = label.encode()
            text = mark + text[:-1].replace(b"\n", b"\n" + mark) + b"\n"
        self._put(self._err if stderr else self._out, text)

    def header(self, name: str, count: int | None) -> None:
        """The block of lines over a gathered answer; count None: not shown."""
        if not self._labels:
            return
        rule = "-" * 15
        title = sanitize_text(name) + (f" ({count})" if count is not None and count > 1 else "")
        text = f"{rule}\n{title}\n{rule}"
        self._put(self._out, (f"{_BLUE}{text}{_RESET}\n" if self._out_color else f"{text}\n").encode())

    def data(self, data: bytes) -> None:
        """Node output without labels."""
        self._put(self._out, self.clean(data))

    def text(self, text: str) -> None:
        """Our own text for stdout (JSON and the like), with its line ends."""
        self._put(self._out, text.encode("utf-8", "replace"))

    def diff_line(self, line: str) -> None:
        """A line of a unified diff, coloured by its kind."""
        text = sanitize_text(line)
        if self._out_color:
            for mark, color in (("---", _BOLD), ("+++", _BOLD), ("@@", _CYAN), ("-", _RED), ("+", _GREEN)):
                if text.startswith(mark):
                    text = f"{color}{text}{_RESET}"
                    break
        self._put(self._out, f"{text}\n".encode())

    def narrate(self, text: str) -> None:
        """A line of narration on stderr, with the program's name before it."""
        self._put(self._err, f"{PROGRAM}: {sanitize_text(text)}\n".encode())

    def progress(self, text: str) -> None:
        """A line that the next one replaces; empty takes it away. Only for terminals."""
        if text == self._progress:
            return
        self._progress = ""
        self._out.flush()
        self._err.write(b"\r\x1b[K" + sanitize_text(text).encode())
        self._err.flush()
        self._progress = text

    def flush(self) -> None:
        """Hand over what is buffered."""
        self._out.flush()
        self._err.flush()

    def _put(self, stream: BinaryIO, data: bytes) -> None:
        if self._progress:
            # At once: both streams may be one terminal, and what is still buffered would come after the line below.
            self._err.write(b"\r\x1b[K")
            self._err.flush()
            self._progress = ""
        if stream is self._err:
            # Keeps the order of the two streams where both go to one place.
            self._out.flush()
        stream.write(data)
        if stream is self._err:
            stream.flush()
