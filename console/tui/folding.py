"""What is on show when runs begin and end: panes while output comes, then its gathered answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .deck import Deck

if TYPE_CHECKING:
    from .screens.main import MainScreen


class Folding:
    """Moves the view for whoever is at the prompt, and for nobody else. UI thread only."""

    def __init__(self, main: MainScreen, deck: Deck) -> None:
        self._main = main
        self._deck = deck
        self._folded_run = 0

    def run_began(self) -> None:
        """A new run is on show: live output first, unless the operator looks at something else on purpose."""
        main, run = self._main, self._deck.run
        folded = main.view in ("gathered", "failures") and self._folded_run
        read = main.view == "document" and run is not None and run.timer is None  # a text was read, a command typed
        if (folded or read) and main.focused is main.prompt:
            main.open_view("panes")
        self._folded_run = 0

    def run_ended(self) -> None:
        """The run on show ended: live panes fold into the gathered answers, unless they are being read."""
        main, run = self._main, self._deck.run
        if run is None or main.view != "panes" or len(run.names) < 2 or main.focused is not main.prompt:
            return
        if main.panes.zoomed or not all(pane.following for pane in main.panes.panes):
            return
        self._folded_run = run.id
        main.open_view("gathered" if run.lines_total else "failures")
