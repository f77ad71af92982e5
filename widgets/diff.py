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
    """One line of a comparison. mark: " " in both, "-" only in the base, "+" only in the other, "@" left out.

    part: where the line differs from the one that it stands for (start and end), (0, 0) where that is not known.
    """

    mark: str
    text: str
    part: tuple[int, int] = (0, 0)


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
            old = base[first : min(last, first + SHOWN_LINES)]
            new = other[other_first : min(other_last, other_first + SHOWN_LINES)]
            # Lines that took each other's place say where they differ.
            paired = len(old) == len(new)
            parts = [different(*pair) for pair in zip(old, new, strict=True)] if paired else []
            for mark, texts, side in (("-", old, 0), ("+", new, 1)):
                lines.extend(
                    DiffLine(mark, text, parts[number][side] if paired else (0, 0)) for number, text in enumerate(texts)
                )
    if len(lines) > SHOWN_LINES:
        lines = [*lines[:SHOWN_LINES], DiffLine("@", f"... {changed} lines differ in all")]
    return lines


def different(old: str, new: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """The part of each text that is left when their common beginning and end are taken away; (0, 0) for all of it."""
    start = next(
        (at for at, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), min(len(old), len(new))
    )
    most = min(len(old), len(new)) - start
    end = next((at for at in range(most) if old[-1 - at] != new[-1 - at]), most)
    if start + end == 0:
        return (0, 0), (0, 0)
    return (start, len(old) - end), (start, len(new) - end)
