"""The footer: at most seven keys, chosen by what has the focus; what does not fit goes, the key for help last."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events

from .cells import Row, width_of
from .look import Look
from .title_line import PaintedLine

#: More than this cannot be seen in 80 columns.
MAX_HINTS = 7


def _width(hint: tuple[str, str, str]) -> int:
    return width_of(hint[0]) + width_of(hint[1]) + 3


class HintLine(PaintedLine):
    """`/ Filter  z Zoom  f Follow ...`; a click presses the key."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter name
        super().__init__(id=id)
        self._hints: tuple[tuple[str, str, str], ...] = ()
        self._places: list[tuple[int, str]] = []

    def show(self, hints: Sequence[tuple[str, str, str]]) -> None:
        """Hints as (key as shown, word, key for Textual); those beyond the seventh are left out."""
        new = tuple(hints[:MAX_HINTS])
        if new != self._hints:
            self._hints = new
            self.refresh()

    @property
    def hints(self) -> tuple[tuple[str, str, str], ...]:
        """What is offered."""
        return self._hints

    def _fitting(self, width: int) -> list[tuple[str, str, str]]:
        """Those that fit, from the left; the way to all the others, the help, always."""
        fitting = [hint for hint in self._hints if hint[1].lower() == "help"]
        left = width - sum(_width(hint) for hint in fitting)
        for hint in self._hints:
            if hint not in fitting:
                left -= _width(hint)
                if left < 0:
                    break
                fitting.append(hint)
        return [hint for hint in self._hints if hint in fitting]

    def paint(self, line: Row, look: Look, row: int) -> None:
        self._places = []
        width = line.left
        for shown, word, key in self._fitting(width):
            self._places.append((width - line.left, key))
            line.add(f" {shown}", look["key"]).add(f" {word} ", look.quiet)

    def on_click(self, event: events.Click) -> None:
        for start, key in reversed(self._places):
            if event.x >= start:
                self.app.simulate_key(key)
                return
