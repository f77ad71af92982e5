"""Syntax colours while a line is typed."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.lexers import Lexer

from ..language.registry import Registry
from .highlight import spans

#: Beyond this many characters (a pasted script) colours are not worth the time of every key.
COLOURED = 20_000


class DeckLexer(Lexer):
    """Colours a line of the command language; a line that is not complete is coloured as far as it goes."""

    def __init__(self, registry: Registry) -> None:
        self._fragments = lru_cache(8)(lambda text: _fragments(text, registry))

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        if len(document.text) > COLOURED:
            return lambda number: [("", document.lines[number])]
        rows = self._fragments(document.text)
        return lambda number: rows[number] if number < len(rows) else []


def _fragments(text: str, registry: Registry) -> list[StyleAndTextTuples]:
    """The text's rows as styled pieces."""
    pieces: list[tuple[str, str]] = []
    done = 0
    for span in spans(text, registry):
        if span.start > done:
            pieces.append(("", text[done : span.start]))
        pieces.append((f"class:{span.kind}", text[max(done, span.start) : span.end]))
        done = max(done, span.end)
    pieces.append(("", text[done:]))
    rows: list[StyleAndTextTuples] = [[]]
    for style, piece in pieces:
        first, *others = piece.split("\n")
        rows[-1].append((style, first))
        rows.extend([(style, other)] for other in others)
    return rows
