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


class DeckSession(Protocol):
    """What of a session is needed here."""

    @property
    def runs(self) -> RunStore: ...

    @property
    def selection(self) -> Selection: ...


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
        """Show a run that began since the last call; True if so. A timer's round takes only that timer's place."""
        newest = self._session.runs.last
        if newest is None or newest.id <= self._newest:
            return False
        self._newest = newest.id
        shown = self.run
        if newest.timer is not None and shown is not None and newest.timer != shown.timer:
            return False
        self.show_run(newest)
        return True

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
