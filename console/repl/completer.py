"""Completion for prompt_toolkit: a thin adapter over console/completion.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from ...engine.text import clean_text_line

#: Widest description, so that one long help line does not push the menu off the screen.
_DESCRIPTION = 60


class Suggested(Protocol):
    """A candidate as console/completion.py makes them."""

    @property
    def text(self) -> str: ...

    @property
    def start(self) -> int: ...

    @property
    def display(self) -> str: ...

    @property
    def description(self) -> str: ...


class DeckCompleter(Completer):
    """Offers what `complete(text, cursor)` gives. A completion that fails offers nothing and is told to `failed`."""

    def __init__(
        self,
        complete: Callable[[str, int], Sequence[Suggested]],
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        self._complete = complete
        self._failed = failed

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        # A menu must not open under an empty prompt, unless Tab asks for it.
        if not document.text.strip() and not complete_event.completion_requested:
            return
        cursor = document.cursor_position
        try:
            candidates = self._complete(document.text, cursor)
        except Exception as error:  # a broken completion must not take the prompt away
            if self._failed is not None:
                self._failed(error)
            return
        for candidate in candidates:
            # Names of nodes, groups and files are other people's text.
            if not candidate.text.isprintable():
                continue
            yield Completion(
                candidate.text,
                candidate.start - cursor,
                display=clean_text_line(candidate.display or candidate.text),
                display_meta=clean_text_line(candidate.description)[:_DESCRIPTION],
            )
