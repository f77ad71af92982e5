"""What the full screen needs of a terminal; imports nothing of the screen, so that a refusal is quick."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TextIO

#: Kinds of terminal that cannot move the cursor.
_CANNOT_DRAW = frozenset({"", "dumb", "unknown"})


def unfit(
    environment: Mapping[str, str] | None = None,
    streams: tuple[TextIO | None, TextIO | None, TextIO | None] | None = None,
) -> str:
    """Why the full screen cannot be shown here, as one line that says what to do instead; empty if it can.

    streams: standard input, output and error; all three are needed: keys are read from the first, the size is that of
    the second, and the third is painted on.
    """
    environment = os.environ if environment is None else environment
    streams = (sys.__stdin__, sys.__stdout__, sys.__stderr__) if streams is None else streams
    names = ("standard input", "standard output", "standard error")
    missing = [name for name, stream in zip(names, streams, strict=True) if not _is_terminal(stream)]
    if missing:
        verb = "is none" if len(missing) == 1 else "are none"
        return (
            f"the console needs a terminal, and {_listed(missing)} {verb}; "
            "without one use: clusterdeck run -w NODES COMMAND, or clusterdeck play FILE"
        )
    kind = environment.get("TERM", "")
    if kind in _CANNOT_DRAW:
        return (
            f"this terminal cannot draw a screen ({f'TERM={kind}' if kind else 'TERM is not set'}); "
            "use: clusterdeck repl, or set TERM, for example to xterm-256color"
        )
    return ""


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
