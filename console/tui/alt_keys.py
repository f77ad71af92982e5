"""Alt with Enter or a sign, as a terminal sends it: Escape and the key in one piece.

Textual gives these keys without their Alt, so that Alt-Enter, which goes on in a new line, would run the line that is
half typed. Letters it tells apart by itself, and so does every terminal with the extended keyboard protocol.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, cast

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS


class AltKey(Enum):
    """What is missing among Textual's keys. Signs that begin other sequences (`[`, `]`, `P`, `\\`) stay out."""

    ENTER = "alt+enter"
    FULL_STOP = "alt+full_stop"
    UNDERSCORE = "alt+underscore"
    LESS = "alt+less_than_sign"
    GREATER = "alt+greater_than_sign"
    HASH = "alt+number_sign"
    STAR = "alt+asterisk"
    QUESTION = "alt+question_mark"


_SENT = dict(zip(("\r", ".", "_", "<", ">", "#", "*", "?"), AltKey, strict=True))


def tell_alt_apart() -> None:
    """Let Textual's parser know them, in this process; what it knows already stays."""
    table = cast("dict[str, Any]", ANSI_SEQUENCES_KEYS)
    for sent, key in _SENT.items():
        table.setdefault(f"\x1b{sent}", (key,))
