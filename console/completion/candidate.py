"""One thing that may be typed next, and what all kinds of candidates are made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ...engine.text import clean_text_line
from ..language.registry import Registry
from ..language.tokens import Token, quote
from ..queue.queue import QueueService
from ..session.service import Service
from .names import Names


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to go on: `text` replaces what stands from column `start` to the cursor."""

    text: str
    start: int
    display: str = ""
    description: str = ""


@dataclass
class Sources:
    """Where candidates come from."""

    session: Service
    registry: Registry
    names: Names
    queue: QueueService | None = None


def plain(rows: Iterable[tuple[str, str]], token: Token) -> Iterator[Candidate]:
    """A candidate for each (word, description) whose word goes on from what is typed."""
    for text, description in rows:
        if text.startswith(token.text):
            yield Candidate(quote(text), token.start, clean_text_line(text), clean_text_line(description))
