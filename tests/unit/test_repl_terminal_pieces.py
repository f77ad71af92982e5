"""Long text goes above the prompt in pieces; the prompt is drawn between two of them."""

from __future__ import annotations

import pytest

from clusterdeck.console.repl.terminal import PIECE, _pieces


@pytest.mark.parametrize(
    "text",
    ["", "one\n", "no end", "x\n" * PIECE, "x" * (3 * PIECE) + "\nend\n", "line of text\n" * 5000 + "no end"],
)
def test_no_piece_ends_inside_a_line(text: str) -> None:
    pieces = list(_pieces(text))
    assert "".join(pieces) == text
    assert all(piece.endswith("\n") for piece in pieces[:-1])
    longest = max(map(len, text.split("\n")))
    assert all(len(piece) <= PIECE + longest + 1 for piece in pieces)
