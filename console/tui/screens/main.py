"""The screen: composes the views, routes what widgets say, and decides which keys belong to whom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import ContentSwitcher, Input

from ....widgets.actions import bindings
from ....widgets.board import fold_names
from ....widgets.diff_view import DiffView
from ....widgets.document_view import DocumentView
from ....widgets.failures import FailuresView
from ....widgets.filter_completion import completions
from ....widgets.gather_view import GatherView
from ....widgets.hint_line import HintLine
from ....widgets.line_entry import FilterBar, SearchBar
from ....widgets.line_view import LineView
from ....widgets.log_view import LogBook, LogView
from ....widgets.messages import (
    CommandOffered,
    CommandRequested,
    FilterChanged,
    FilterClosed,
    Held,
    NodeChosen,
    NodesSelected,
    RunChosen,
    SearchChanged,
    SearchClosed,
    Told,
    ViewChosen,
)
from ....widgets.node_list import NodeList
from ....widgets.pane_grid import PaneGrid
from ....widgets.plot_view import PlotView
from ....widgets.queue_view import QueueView
from ....widgets.runs_view import RunsView
from ....widgets.status_bar import ProgressLine, StatusBar
from ....widgets.tab_line import TabLine
from ....widgets.title_line import TitleLine
from ...session.node_expressions import STATE_WORDS
from ..deck import Deck
from ..messages import LineAsked, LineOffered
from ..painter import Painter
from ..searching import Searching

#: Views in the order of their keys; the list of nodes is one of its own where there is no room beside it.
VIEWS = ("panes", "gathered", "failures", "queue", "runs", "log", "diff", "plot", "document")


class MainScreen(Screen[None]):
    """One console. Views are told by the Painter; this class only moves between them."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide"), (150, "-huge")]  # noqa: RUF012 - as Textual has them
    VERTICAL_BREAKPOINTS = [(0, "-short"), (18, "-tall")]  # noqa: RUF012
    AUTO_FOCUS = "PromptHost"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("view.help", "view.quit", "view.prompt", "view.escape", "view.filter", "view.list"),
        *bindings("app.interrupt"),
        *bindings("view.panes", "view.gathered", "view.failures", "view.queue", "view.runs", "view.log"),
        *bindings("view.diff", "view.plot", "view.gathered-too", "view.next", "view.previous"),
    ]

    def __init__(self, deck: Deck, book: LogBook, prompt: Callable[[], Widget]) -> None:
        super().__init__()
        self.deck = deck
        self.view = "panes"
        self._view_before = "panes"
        self._make_prompt = prompt
        self._filter_entered = False
        self.log_view = LogView(book, id="log")
        self.painter = Painter(self)
        self.searching = Searching(self)

    def compose(self) -> ComposeResult:
        yield StatusBar(id="status")
        yield ProgressLine(id="progress")
        yield TabLine(id="tabs")
        with Horizontal(id="body"):
            with Vertical(id="side"):
                yield TitleLine(id="side-title")
                yield NodeList(id="nodes")
            with ContentSwitcher(id="views", initial=self.view):
                yield PaneGrid(id="panes")
                yield GatherView(id="gathered")
                yield FailuresView(id="failures")
                yield QueueView(id="queue")
                yield RunsView(id="runs")
                yield self.log_view
                yield DiffView(id="diff")
                yield PlotView(id="plot")
                yield DocumentView(id="document")
        yield SearchBar(id="search")
        yield FilterBar(id="filter")
        prompt = self._make_prompt()
        prompt.id = "prompt"
        yield prompt
        yield HintLine(id="hints")

    def on_mount(self) -> None:
        self.query_one("#filter", FilterBar).complete = self._filter_completions

    # -- parts

    @property
    def prompt(self) -> Any:
        """The prompt at the bottom (PromptHost, or a stand-in with its methods)."""
        return self.query_one("#prompt")

    @property
    def nodes(self) -> NodeList:
        """The list of nodes."""
        return self.query_one("#nodes", NodeList)

    @property
    def panes(self) -> PaneGrid:
        """The panes."""
        return self.query_one("#panes", PaneGrid)

    def view_widget(self) -> Widget:
        """The widget of the view on show."""
        return self.query_one(f"#{self.view}")

    def focus_target(self) -> Widget:
        """What has the keys when the view has them."""
        if self.view == "panes":
            return self.panes.panes[0]
        return self.view_widget()

    @property
    def narrow(self) -> bool:
        """Whether there is room for one view only."""
        return self.has_class("-narrow")

    # -- views

    def action_view(self, view: str) -> None:
        self.open_view(view, focus=True)

    def open_view(self, view: str, *, focus: bool = False) -> None:
        """Put a view on show; focus: and give it the keys."""
        if view != self.view:
            self._view_before = self.view if self.view != "document" else self._view_before
        self.view = view
        self.remove_class("-list")
        views = self.query_one("#views", ContentSwitcher)
        views.current = view
        self.painter.touch()
        self.painter.tell_now()
        # Whoever types at the prompt or in the filter line stays there; a view that is gone cannot keep the keys.
        if focus or (self.focused is not None and views in self.focused.ancestors):
            self.set_focus(self.focus_target())

    def show_document(self, title: str, lines: Sequence[str], level: str) -> None:
        """A text in the place of a view."""
        self.query_one("#document", DocumentView).show(title, lines, level)
        self.open_view("document", focus=False)

    def action_focus_list(self) -> None:
        self.add_class("-list")
        self.set_focus(self.nodes)

    def action_focus_swap(self) -> None:
        if self.focused is self.prompt:
            self.set_focus(self.nodes if self.narrow and self.has_class("-list") else self.focus_target())
        else:
            self.set_focus(self.prompt)

    def action_prompt(self, text: str = "") -> None:
        self.set_focus(self.prompt)
        if text:
            self.prompt.insert(text)

    def action_back(self) -> None:
        """Close the innermost thing that is open; the prompt last."""
        bar = self.query_one("#filter", FilterBar)
        if self.query_one("#search", SearchBar).display:
            self.close_search()
        elif self.view == "document":
            self.open_view(self._view_before)
        elif self.view == "panes" and self.panes.unzoom():
            self._leave_to_view()
        elif self.narrow and self.has_class("-list"):
            self.remove_class("-list")
            self._leave_to_view()
        elif bar.display:
            bar.close()
            self.deck.set_filter("")
        else:
            self.set_focus(self.prompt)

    def _leave_to_view(self) -> None:
        # Whoever types at the prompt stays there: the next letters are a command line, not keys of a view.
        if self.focused is not self.prompt:
            self.set_focus(self.focus_target())

    @on(ViewChosen)
    def _view_chosen(self, message: ViewChosen) -> None:
        message.stop()
        if message.view == "nodes":
            self.action_focus_list()
        else:
            self.open_view(message.view, focus=True)

    # -- what views say

    @on(CommandRequested)
    def _command_requested(self, message: CommandRequested) -> None:
        message.stop()
        self.post_message(LineAsked(message.line))

    @on(CommandOffered)
    def _command_offered(self, message: CommandOffered) -> None:
        message.stop()
        self.post_message(LineOffered(message.line))

    @on(NodesSelected)
    def _nodes_selected(self, message: NodesSelected) -> None:
        message.stop()
        self.post_message(LineAsked(f":nodes {fold_names(message.names)}"))

    @on(NodeChosen)
    def _node_chosen(self, message: NodeChosen) -> None:
        message.stop()
        marked = [self.deck.board.index[name] for name in self.nodes.marks if name in self.deck.board.index]
        chosen = sorted(node for node in marked if node < self.deck.board.size)
        self.open_view("panes", focus=True)
        self.panes.set_run(self.deck.run)
        if chosen and message.node in chosen:
            self.panes.choose(chosen)
        else:
            self.panes.choose([message.node], zoom=True)
        self.call_after_refresh(lambda: self.set_focus(self.focus_target()))

    @on(RunChosen)
    def _run_chosen(self, message: RunChosen) -> None:
        message.stop()
        self.painter.show_run(message.run)
        if message.view:
            self.open_view(message.view, focus=True)

    # -- filter and search

    def action_filter(self) -> None:
        self.query_one("#filter", FilterBar).open()

    def set_filter(self, text: str) -> None:
        """Filter by a line that a command gave; the line stays visible while it is in force."""
        bar = self.query_one("#filter", FilterBar)
        bar.display = bool(text)
        with self.prevent(Input.Changed):
            bar.input.value = text
        self.deck.set_filter(text)
        self.painter.filter_typed(text)

    @on(FilterChanged)
    def _filter_changed(self, message: FilterChanged) -> None:
        message.stop()
        self._filter_entered = False  # of the line before
        self.deck.set_filter(message.text)
        self.painter.filter_typed(message.text)
        self._filter_entered = message.final
        self.filter_known()

    def filter_known(self) -> None:
        """After Enter: what passes becomes the selection, as soon as all of the line is understood and answered."""
        result = self.deck.filter.result
        if not self._filter_entered or result.pending or result.error:
            return  # what is wrong stands behind the line, and the line stays open
        self._filter_entered = False
        text = self.deck.filter.text
        if text and not result.nodes:
            # The line stays open: a command typed behind it must not go to the nodes that were selected before.
            self.post_message(Told("No node passes the filter; the selection stays.", "warning"))
            return
        self.set_focus(self.prompt)
        self.query_one("#filter", FilterBar).close(keep=bool(text))
        if result.nodes:
            names = self.deck.board.names
            self.post_message(NodesSelected([names[node] for node in result.nodes]))

    @property
    def filter_awaited(self) -> bool:
        """Whether Enter was pressed in the filter line and its nodes are still being looked up."""
        return self._filter_entered and self.deck.filter.result.pending

    def _filter_completions(self, line: str) -> list[str]:
        session: Any = self.app.session  # type: ignore[attr-defined]
        names = dict.fromkeys([*session.selection.saved, *self.nodes.groups, *STATE_WORDS])
        return completions(line, self.deck.board, names)

    @on(FilterClosed)
    def _filter_closed(self, message: FilterClosed) -> None:
        message.stop()
        self.set_focus(self.focus_target())
        self.query_one("#filter", FilterBar).close()
        self.deck.set_filter("")
        self.painter.filter_typed("")

    def action_search(self) -> None:
        """Open the line at once: what is typed next must not reach the view as keys."""
        if isinstance(self.focused, LineView):
            self.searching.open(self.focused)

    @on(SearchChanged)
    def _search_changed(self, message: SearchChanged) -> None:
        message.stop()
        self.searching.change(message.text, final=message.final)

    @on(SearchClosed)
    def _search_closed(self, message: SearchClosed) -> None:
        message.stop()
        self.close_search()

    def close_search(self) -> None:
        """No search any more."""
        self.searching.close()

    def on_unmount(self) -> None:
        self.searching.end()

    # -- keys that no view has a use for

    async def _on_key(self, event: events.Key) -> None:
        self.painter.touch()
        if self.focused is self.prompt and event.key in ("pageup", "pagedown"):
            event.stop()
            view = self.focus_target()
            if isinstance(view, LineView):
                view.action_page(1 if event.key == "pagedown" else -1)
        elif self._for_prompt(event):
            event.stop()
            event.prevent_default()
            self.set_focus(self.prompt)
            self.prompt.feed_key(event)

    def _for_prompt(self, event: events.Key) -> bool:
        focused = self.focused
        if not event.is_printable or focused is self.prompt or not isinstance(focused, LineView | type(None)):
            return False
        return event.key not in self.active_bindings

    async def action_copy_or_interrupt(self) -> None:
        """What is marked with the mouse is copied; otherwise the run is stopped."""
        marked = list(self.selections)
        if text := self.get_selected_text():
            self.app.copy_to_clipboard(text)
        elif any(isinstance(widget, LineView) and widget.copying for widget in marked):
            self.clear_selection()  # it is copied when the disk has given it; the next one stops the run
        else:
            await self.app.run_action("interrupt")

    def on_click(self) -> None:
        self.painter.touch()

    @on(Held)
    def _held(self, message: Held) -> None:
        message.stop()
        self.painter.touch()

    def on_descendant_focus(self, _event: events.DescendantFocus) -> None:
        self.painter.focus_changed()

    def on_resize(self, _event: events.Resize) -> None:
        self.painter.touch()
