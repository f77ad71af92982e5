"""What is on show: the run, the nodes, the filter. Widgets are told only when it changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from ...widgets.board import Board
from ...widgets.filter_model import FilterModel, Resolve
from ..runs.events import NodesRestarted, RunFinished, SessionEvent
from ..runs.run_store import RunStore
from ..runs.runs import Run
from ..session.selection import Selection
from ..session.timers import TimerInfo

#: Seconds from the making of a timer within which its first round is waited for.
SOON = 10.0


class DeckSession(Protocol):
    """What of a session is needed here."""

    @property
    def runs(self) -> RunStore: ...

    @property
    def selection(self) -> Selection: ...

    def timers(self) -> Sequence[TimerInfo]: ...


class RunShower(Protocol):
    """A view of one run."""

    def set_run(self, run: Any) -> None: ...

    def set_filter(self, nodes: Sequence[int] | None) -> None: ...


class Deck:
    """The model behind all views; UI thread only.

    `generation` grows whenever the views have to be told: another run, other nodes, another result of the filter.
    """

    def __init__(self, session: DeckSession, resolve: Resolve, forget: Callable[[], None] = lambda: None) -> None:
        self._session = session
        self._forget = forget
        self.run: Run | None = None
        self.board = Board(None, ())
        self.filter = FilterModel(resolve)
        self.generation = 0
        self._selection_version = -1
        self._newest = 0
        self._told: dict[RunShower, tuple[object, int]] = {}
        self._refresh_board()

    # -- the run on show

    def show_run(self, run: Run | None) -> None:
        """Show a run in all views."""
        if run is not self.run:
            self.run = run
            self._refresh_board()

    def follow_newest(self) -> bool:
        """Show a run that began since the last call; True if so.

        A timer's round takes the place of that timer's rounds only, but for the first one of a new timer.
        """
        newest = self._session.runs.last
        if newest is None or newest.id <= self._newest:
            return False
        self._newest = newest.id
        shown = self.run
        if shown is not None and newest.timer not in (None, shown.timer) and not self._just_made(newest):
            return False
        self.show_run(newest)
        return True

    def _just_made(self, run: Run) -> bool:
        """Whether this is the first round of a timer that was just typed: whoever typed it waits to see it."""
        timer = next((timer for timer in self._session.timers() if timer.id == run.timer), None)
        return (
            timer is not None
            and timer.delay <= SOON
            and not any(earlier.timer == run.timer for earlier in self._session.runs if earlier.id < run.id)
        )

    # -- keeping up

    def take(self, events: Iterable[SessionEvent]) -> None:
        """Note what the events mean for the filter: names such as @failed may stand for other nodes now."""
        if any(isinstance(event, RunFinished | NodesRestarted) for event in events):
            self._forget()
            self.filter.evaluate()
            self.generation += 1

    def update(self) -> bool:
        """Keep up with the selection and with the filter's slow parts; True if the node list has to be told."""
        changed = False
        if self._session.selection.version != self._selection_version:
            self._forget()
            self._refresh_board()
            changed = True
        if self.filter.update():
            self.generation += 1
            changed = True
        return changed

    def set_filter(self, text: str) -> None:
        """Filter by another line."""
        self.filter.set_text(text)
        self.generation += 1

    def _refresh_board(self) -> None:
        selection = self._session.selection
        self._selection_version = selection.version
        self.board = Board(self.run, [str(name) for name in selection.current])
        self.filter.set_board(self.board)
        self.generation += 1

    @property
    def filtered(self) -> Sequence[int] | None:
        """Node numbers of the shown run that pass the filter; None: no filter."""
        nodes = self.filter.result.nodes
        if nodes is None:
            return None
        return [node for node in nodes if node < self.board.size]

    def tell(self, view: RunShower) -> None:
        """Bring one view up to date, if anything changed since it was told last."""
        now = (self.run, self.generation)
        before = self._told.get(view)
        if before == now:
            return
        self._told[view] = now
        if before is None or before[0] is not self.run:
            view.set_run(self.run)
        view.set_filter(self.filtered)
