"""Tells the widgets, at every tick, what changed; only those on show, and only what they show."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from textual.widget import Widget

from ...engine.states import NodeState
from ...widgets.board import Board
from ...widgets.diff_view import DiffView
from ...widgets.hint_line import HintLine
from ...widgets.line_entry import FilterBar
from ...widgets.line_view import LineView
from ...widgets.plot_view import PlotView
from ...widgets.queue_snapshot import QueueSnapshot
from ...widgets.queue_view import QueueView
from ...widgets.run_filter import RunFilter, text_filter
from ...widgets.runs_view import RunsView
from ...widgets.status_bar import ProgressLine, StatusBar
from ...widgets.tab_line import Tab, TabLine
from ...widgets.title_line import TitleLine
from .rounds import Rounds

if TYPE_CHECKING:
    from .screens.main import MainScreen

#: Seconds between two looks at what changes by itself: times while a run goes on, and everything else.
CLOCK_INTERVAL = 0.1
REST_INTERVAL = 1.0
_BAD = tuple(state for state in NodeState if state.bad)


class Painter:
    """Keeps the widgets of one MainScreen up to date. UI thread only."""

    def __init__(self, screen: MainScreen) -> None:
        self._screen = screen
        self._board: Board | None = None
        self._generation = -1
        self._text_filtered: tuple[object, ...] = ()
        self._stale = True
        self._painted: tuple[object, ...] = ()
        self._due = 0.0
        self._changed_at = 0.0
        self._log = screen.log_view.book
        self._rounds = Rounds()
        self._pages = 0
        self.queue = QueueSnapshot()

    def touch(self) -> None:
        """Something moved on the screen: tell the visible view at the next tick whatever it was told before."""
        self._stale = True

    @property
    def stale(self) -> bool:
        """Whether somebody typed or clicked since the last tick."""
        return self._stale

    def show_run(self, number: int) -> None:
        """Show another run in all views."""
        runs: Any = self._screen.app.session.runs  # type: ignore[attr-defined]
        run = runs.get(number)
        if run is not None:
            self._screen.deck.show_run(run)

    # -- every tick

    def tick(self, now: float) -> None:
        """Bring everything on show up to date; next to nothing when nothing changed."""
        screen = self._screen
        deck = screen.deck
        deck.update()
        self._read_back()
        signature = self._signature()
        if signature == self._painted and not self._stale and now < self._due:
            return
        if signature != self._painted:
            self._painted, self._changed_at = signature, now
        # Views that take in changes at a rate of their own may still have something to do shortly after the last one.
        lively = (deck.run is not None and deck.run.ended is None) or now - self._changed_at < REST_INTERVAL
        self._due = now + (CLOCK_INTERVAL if lively else REST_INTERVAL)
        self._nodes(now)
        self._view(now)
        self._top(now)
        screen.searching.tick()
        self._stale = False

    def _read_back(self) -> None:
        """Output came from the disk: paint again, and ask again for what is on show and still missing."""
        pages = self._screen.app.session.runs.pages  # type: ignore[attr-defined]
        if pages.version != self._pages:
            self._pages = pages.version
            pages.drop_wanted()
            for view in self._screen.query(LineView):
                view.refresh()

    def _signature(self) -> tuple[object, ...]:
        """Everything that the widgets show depends on."""
        screen, deck = self._screen, self._screen.deck
        run = deck.run
        versions = (run, run.version, run.output_version) if run is not None else ()
        looked = (screen.view, screen.focused, *screen.searching.place)
        runs: Any = screen.app.session.runs  # type: ignore[attr-defined]
        return (*versions, len(runs), runs.reading, deck.generation, *looked, self._log.version, self.queue.version)

    def _nodes(self, now: float) -> None:
        screen, deck = self._screen, self._screen.deck
        nodes = screen.nodes
        if deck.board is not self._board:
            self._board = deck.board
            nodes.set_board(deck.board)
            self._generation = -1
        if deck.generation != self._generation:
            self._generation = deck.generation
            nodes.set_filter(deck.filter.result.nodes)
            self._filter_told()
        if nodes.display and screen.query_one("#side").display:
            nodes.tick(now)
        shown = len(nodes.listed)
        total = len(deck.board.names)
        marked = f"{len(nodes.marks)} marked" if nodes.marks else ""
        count = f"{shown} of {total}" if shown != total else str(total)
        told = ", ".join(filter(None, (f"nodes {count}", nodes.told_order)))
        screen.query_one("#side-title", TitleLine).show(told, marked, active=screen.focused is nodes)

    def _view(self, now: float) -> None:
        screen, deck = self._screen, self._screen.deck
        widget: Any = screen.view_widget()
        runs: Any = screen.app.session.runs  # type: ignore[attr-defined]
        if isinstance(widget, DiffView):
            widget.before = self._run_before(list(runs))
        if isinstance(widget, PlotView) and deck.run is not None and deck.run.timer is not None:
            widget.set_rounds([run for run in runs if run.timer == deck.run.timer])
        if hasattr(widget, "set_run"):
            deck.tell(widget)
        since = self._rounds.since(deck.run, runs, now)
        screen.nodes.set_since(since)
        if hasattr(widget, "set_since"):
            widget.set_since(since)
        if isinstance(widget, RunsView):
            widget.shown = deck.run
            widget.set_runs(runs, reading=runs.reading)
        if isinstance(widget, QueueView):
            widget.set_snapshot(self.queue)
        self._filter_texts(widget)
        if hasattr(widget, "tick"):
            widget.tick(now)

    def _filter_texts(self, widget: Any) -> None:
        """Views of something else than nodes; node sets may have been looked up meanwhile."""
        deck = self._screen.deck
        now = (widget, deck.filter.text, deck.generation)
        if now == self._text_filtered:
            return
        self._text_filtered = now
        terms, names_of = deck.filter.terms, deck.filter.names_of
        if isinstance(widget, RunsView):
            widget.set_run_filter(RunFilter(terms, names_of))
        elif hasattr(widget, "set_text_filter"):
            widget.set_text_filter(text_filter(terms, names_of))

    def _run_before(self, runs: Sequence[Any]) -> Any:
        """The newest run before the one on show that did the same; else the one before it."""
        shown = self._screen.deck.run
        if shown is None:
            return None
        earlier = [run for run in runs if run.id < shown.id]
        same = [run for run in earlier if run.line == shown.line]
        return (same or earlier or [None])[-1]

    def _top(self, now: float) -> None:
        screen, deck = self._screen, self._screen.deck
        session: Any = screen.app.session  # type: ignore[attr-defined]
        selection = session.selection
        flags, connected = self._flags(session), session.connections
        screen.query_one("#status", StatusBar).show(selection.label, len(selection), deck.run, flags, connected)
        screen.query_one("#progress", ProgressLine).show(deck.run, now)
        screen.query_one("#tabs", TabLine).show(self._tabs(session), self._tab())

    @staticmethod
    def _flags(session: Any) -> str:
        settings = session.settings
        flags = []
        if settings.safety.read_only:
            flags.append("read-only")
        if settings.ssh.host_keys == "accept-new":
            flags.append("new host keys accepted")
        return ", ".join(flags)

    def _tab(self) -> str:
        screen = self._screen
        return "nodes" if screen.narrow and screen.has_class("-list") else screen.view

    def _tabs(self, session: Any) -> tuple[Tab, ...]:
        screen, run = self._screen, self._screen.deck.run
        failed = sum(run.count(state) for state in _BAD) if run is not None else 0
        alive = len(session.runs.running)
        waiting = sum(1 for task in self.queue.tasks if task.state in ("waiting", "running"))
        tabs = [Tab("nodes", "0", "Nodes")] if screen.narrow else []
        tabs += [
            Tab("panes", "1", "Panes", shorter=("Live",)),
            Tab("gathered", "2", "Gathered", shorter=("Gather", "Same")),
            Tab("failures", "3", "Failures", f"x{failed}" if failed else "", hot=True, shorter=("Failed", "Fail")),
            Tab("queue", "4", "Queue", f">{waiting}" if waiting else "", shorter=("Jobs",)),
            Tab("runs", "5", "Runs", f">{alive}" if alive else ""),
            Tab("log", "6", "Log"),
        ]
        if screen.view in ("diff", "plot"):
            tabs.append(Tab(screen.view, screen.view[0], screen.view.capitalize()))
        if screen.view == "document":
            tabs.append(Tab("document", "esc", "closes"))
        return tuple(tabs)

    # -- filter line and footer

    def filter_typed(self, _text: str) -> None:
        """A key in the filter line: tell the visible views now, not at the next tick."""
        self.tell_now()

    def tell_now(self) -> None:
        """Tell what is on show now: the next key of a fast typist is about what is there, not what was there before."""
        now = time.monotonic()
        self._nodes(now)
        self._view(now)

    def _filter_told(self) -> None:
        result = self._screen.deck.filter.result
        bar = self._screen.query_one("#filter", FilterBar)
        if result.error:
            bar.note.show(f"{result.error}  {result.told}", "warn")
        else:
            bar.note.show(result.told, "accent" if result.nodes else "warn")
        self._screen.filter_known()

    def focus_changed(self) -> None:
        """Offer the keys of what has the focus now."""
        screen = self._screen
        if not screen.query("#hints"):
            return
        screen.query_one("#hints", HintLine).show(self._hints(screen.focused))

    def _hints(self, focused: Widget | None) -> list[tuple[str, str, str]]:
        screen = self._screen
        if focused is screen.prompt:
            return [
                (self._key("app.focus-swap"), "view", "ctrl+o"),
                ("^C", "stop", "ctrl+c"),
                ("Tab", "complete", "tab"),
                ("^R", "history", "ctrl+r"),
                (self._key("app.palette"), "palette", "ctrl+p"),
                ("F1", "help", "f1"),
                ("Enter", "run", "enter"),
            ]
        if focused is not None and focused.parent is screen.query_one("#filter"):
            return [
                ("Enter", "select these", "enter"),
                ("Esc", "no filter", "escape"),
                ("Tab", "complete", "tab"),
                ("Up", "earlier", "up"),
            ]
        if focused is not None and focused.parent is screen.query_one("#search"):
            return [("Enter", "to the match", "enter"), ("Up", "earlier", "up"), ("Esc", "no search", "escape")]
        hints: list[tuple[str, str, str]] = []
        own = [
            b
            for b in screen.active_bindings.values()
            if b.binding.show and b.node is not screen and b.node is not screen.app
        ]
        common = [b for b in screen.active_bindings.values() if b.binding.show and b.node in (screen, screen.app)]
        own.sort(key=lambda active: _place(active.binding.id or ""))
        keep = max(0, 7 - min(3, len(common)))
        for active in [*own[:keep], *common]:
            key = active.binding.key
            hints.append((screen.app.get_key_display(active.binding), active.binding.description, key))
        return hints

    def _key(self, identifier: str) -> str:
        for active in self._screen.active_bindings.values():
            if active.binding.id == identifier:
                return self._screen.app.get_key_display(active.binding)
        return ""


def _place(identifier: str) -> int:
    """What is particular to a view is offered before what every view has."""
    if identifier == "row.open":
        return 0
    return 2 if identifier.startswith("row.") else 1
