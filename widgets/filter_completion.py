"""What may stand at the end of the filter line: groups, node names, states, return codes, the filter's own words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from .board import Board
from .filter_terms import OPENERS, STATE_WORDS

#: Candidates offered at once; among ten thousand names more cannot be looked through.
MOST = 50
#: The word that is being typed: behind a space, with or without its `!`; no part of a /regex/ with a space in it.
_WORD = re.compile(r"(?:^|\s)(!?)(\S*)$")
#: The operators of node sets, behind which another name begins.
_OPERATOR = re.compile(r"[,!&^]")


def completions(text: str, board: Board, groups: Iterable[str]) -> list[str]:
    """Whole lines that `text` may become, best first; at most MOST. groups: names without the `@`."""
    found = _WORD.search(text)
    if found is None or "/" in found[2]:
        return []
    word = found[2]
    lines: dict[str, None] = {}
    for piece, candidate in _candidates(word, board, groups):
        if candidate != piece:
            lines.setdefault(text[: len(text) - len(piece)] + candidate)
        if len(lines) >= MOST:
            break
    return list(lines)


def _candidates(word: str, board: Board, groups: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(what of the word is replaced, what by)."""
    head, colon, rest = word.partition(":")
    if colon and head == "state":
        last = rest.rpartition(",")[2]
        yield from ((last, state) for state in STATE_WORDS if state.startswith(last))
    elif colon and head == "rc":
        yield from ((rest, str(code)) for code in _codes(board) if str(code).startswith(rest))
    elif not (colon and head == "out"):
        piece = _OPERATOR.split(word)[-1]
        if piece.startswith("@"):
            yield from ((piece, f"@{name}") for name in groups if name.startswith(piece[1:]))
        elif piece:
            yield from ((piece, opener) for opener in OPENERS if piece == word and opener.startswith(piece))
            start = piece.lower()
            yield from ((piece, board.names[node]) for node, name in enumerate(board.lower) if name.startswith(start))


def _codes(board: Board) -> list[int]:
    """Return codes of the shown run, those of most nodes first."""
    counted: dict[int, int] = {}
    for node in range(board.size):
        if (code := board.rc(node)) is not None:
            counted[code] = counted.get(code, 0) + 1
    return sorted(counted, key=lambda code: (-counted[code], code))
