"""Comparing answers line by line. Pure; no screen."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

#: Answers longer than this are compared up to here: the time of a comparison grows with the square.
COMPARED_LINES = 2_000
#: A comparison shows this many lines at most; beyond, two answers have little in common to look at.
SHOWN_LINES = 300
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_HEX = re.compile(r"\b0x[0-9a-fA-F]+\b|\b[0-9a-fA-F]{12,}\b")


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a comparison. mark: " " in both, "-" only in the base, "+" only in the other, "@" left out."""

    mark: str
    text: str


def normalise(text: str, names: Sequence[str] = ()) -> str:
    """`text` with what differs from node to node anyway made equal: node names, hexadecimals, numbers."""
    for name in names:
        if name:
            text = text.replace(name, "NODE")
            short = name.partition(".")[0]
            if short != name:
                text = text.replace(short, "NODE")
    return _NUMBER.sub("N", _HEX.sub("HEX", text))


def compare(base: Sequence[str], other: Sequence[str], keys: tuple[Sequence[str], Sequence[str]] | None = None,
            context: int = 2) -> list[DiffLine]:  # fmt: skip
    """What changed from `base` to `other`, with `context` equal lines around; empty if nothing did.

    keys: what is compared in place of the lines themselves (normalised lines), while the lines are shown.
    """
    base, other = base[:COMPARED_LINES], other[:COMPARED_LINES]
    base_keys, other_keys = keys if keys is not None else (base, other)
    matcher = difflib.SequenceMatcher(None, base_keys[:COMPARED_LINES], other_keys[:COMPARED_LINES], autojunk=False)
    lines: list[DiffLine] = []
    changed = 0
    for number, group in enumerate(matcher.get_grouped_opcodes(context)):
        if number:
            lines.append(DiffLine("@", "..."))
        for tag, first, last, other_first, other_last in group:
            if tag == "equal":
                lines.extend(DiffLine(" ", text) for text in other[other_first:other_last])
                continue
            changed += last - first + other_last - other_first
            lines.extend(DiffLine("-", text) for text in base[first : min(last, first + SHOWN_LINES)])
            lines.extend(
                DiffLine("+", text) for text in other[other_first : min(other_last, other_first + SHOWN_LINES)]
            )
    if len(lines) > SHOWN_LINES:
        lines = [*lines[:SHOWN_LINES], DiffLine("@", f"... {changed} lines differ in all")]
    return lines
