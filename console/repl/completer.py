"""Completion for prompt_toolkit: a thin adapter over console/completion/completion.py.

Each request runs in a short-lived thread of its own and not in prompt_toolkit's (asyncio's) pool: that pool is waited
for whenever a prompt ends, so that a directory on a dead file server would hold up the Enter key.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Protocol

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from ...engine.text import clean_text_line

#: Widest description, so that one long help line does not push the menu off the screen.
_DESCRIPTION = 60
#: Requests that may hang at a time; with so many, nothing is offered until one comes back.
_MOST_THREADS = 4


class Suggested(Protocol):
    """A candidate as console/completion/completion.py makes them."""

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
        self._slots = threading.BoundedSemaphore(_MOST_THREADS)

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

    async def get_completions_async(
        self, document: Document, complete_event: CompleteEvent
    ) -> AsyncGenerator[Completion, None]:
        if not self._slots.acquire(blocking=False):
            return
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Completion]] = loop.create_future()

        def give(found: list[Completion]) -> None:
            if not answer.done():  # the line may have changed since
                answer.set_result(found)

        def work() -> None:
            try:
                found = list(self.get_completions(document, complete_event))
            finally:
                self._slots.release()
            with suppress(RuntimeError):  # the prompt has ended since
                loop.call_soon_threadsafe(give, found)

        threading.Thread(target=work, name="clusterdeck-completion", daemon=True).start()
        for completion in await answer:
            yield completion
