"""The views by number, the one on show marked; a click opens one."""

from __future__ import annotations

from dataclasses import dataclass

from textual import events

from .cells import Row
from .look import Look
from .messages import ViewChosen
from .title_line import PaintedLine


@dataclass(frozen=True, slots=True)
class Tab:
    """One view in the line. badge: a count behind its name; hot: the count wants to be seen.

    shorter: what stands for the name where there is no room for it, longest first.
    """

    view: str
    key: str
    name: str
    badge: str = ""
    hot: bool = False
    shorter: tuple[str, ...] = ()

    def within(self, letters: int) -> str:
        """The name in at most so many letters."""
        return next((name for name in (self.name, *self.shorter) if len(name) <= letters), self.name[:letters])


class TabLine(PaintedLine):
    """`0 Nodes  1 Panes  2 Gathered 3  3 Failures 5 ...`."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter name
        super().__init__(id=id)
        self._tabs: tuple[Tab, ...] = ()
        self._current = ""
        self._places: list[tuple[int, str]] = []

    def show(self, tabs: tuple[Tab, ...], current: str) -> None:
        """Show these tabs; repaints only at a change."""
        if (tabs, current) != (self._tabs, self._current):
            self._tabs, self._current = tabs, current
            self.refresh()

    @property
    def current(self) -> str:
        """The view marked as on show."""
        return self._current

    @property
    def tabs(self) -> tuple[Tab, ...]:
        """What is shown."""
        return self._tabs

    def paint(self, line: Row, look: Look, row: int) -> None:
        gap, letters = self._fitting(line.left)
        self._places = []
        width = line.left
        for tab in self._tabs:
            here = tab.view == self._current
            self._places.append((width - line.left, tab.view))
            plain = look["cursor"] if here else look.text
            line.add(" " * gap, look.text)
            line.add(tab.key, plain if here else look["key"])
            line.add(f" {tab.name if here else tab.within(letters)}", plain)
            if tab.badge:
                line.add(f" {tab.badge}", look["failed"] if tab.hot else look.quiet)

    def _fitting(self, width: int) -> tuple[int, int]:
        """The gap between tabs, and how many letters of the names of those not on show fit."""
        fixed = sum(len(tab.key) + 1 + (len(tab.badge) + 1 if tab.badge else 0) for tab in self._tabs)
        for gap, letters in ((2, 99), (1, 99), (1, 6), (1, 5), (1, 4)):
            names = sum(len(tab.name if tab.view == self._current else tab.within(letters)) for tab in self._tabs)
            if fixed + names + gap * len(self._tabs) <= width:
                return gap, letters
        return 1, 3

    def on_click(self, event: events.Click) -> None:
        for start, view in reversed(self._places):
            if event.x >= start:
                self.post_message(ViewChosen(view))
                return
