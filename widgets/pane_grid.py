"""Up to twelve panes beside each other, or one for all nodes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical

from ..engine.states import NodeState
from .actions import bindings
from .cells import clock
from .output_pane import OutputPane
from .since import Since
from .sources import LineSource, MergedSource, NodeSource
from .title_line import TitleLine
from .views import RunView

MAX_PANES = 12
#: A pane smaller than this shows nothing that can be read.
MIN_WIDTH = 34
MIN_HEIGHT = 5
#: Cells from which a caption has room for whole sentences beside the node's name.
ROOMY = 48
#: Seconds without a key in the filter line after which panes are laid out anew.
PAUSE = 0.15


class PaneFrame(Vertical):
    """A pane and its caption."""

    def __init__(self) -> None:
        super().__init__()
        self.caption = TitleLine()
        self.pane = OutputPane()

    def compose(self) -> ComposeResult:
        yield self.caption
        yield self.pane

    def tick(self, now: float, since: Since | None, place: str = "") -> None:
        """Bring pane and caption up to date. place: what else there is beside this pane, in a few words."""
        self.pane.set_since(since)
        self.pane.tick()
        source = self.pane.source
        active = self.screen.focused is self.pane
        if source is None:
            self.caption.show("output", active=active)
            return
        roomy = self.size.width >= ROOMY
        notes = [place, source.older if roomy or not source.older else "older lines left out"]
        state = None
        title = source.title
        if source.node is not None:
            state = source.run.states[source.node]
            rc = source.run.rc(source.node)
            word = f"rc {rc}" if rc and state == NodeState.FAILED else NodeState(state).word
            title = f"{title}  {word} {clock(source.run.elapsed(source.node, now))}"
            if since is not None and source.node in since.nodes:
                notes.append(f"changed since #{since.before.id}")
        elif since is not None and since.nodes:
            notes.append(f"{len(since.nodes)} changed since #{since.before.id}")
        if not self.pane.following:
            notes.append(_held(self.pane.waiting, roomy=roomy))
        self.caption.show(title, ", ".join(filter(None, notes)), state=state, active=active)


def _held(waiting: int, *, roomy: bool) -> str:
    if not waiting:
        return "held"
    lines = "line" if waiting == 1 else "lines"
    return f"held, {waiting:,} {lines} waiting" if roomy else f"{waiting:,} waiting"


class PaneGrid(Container):
    """Panes for the nodes on show. Many nodes share one merged pane until some are chosen."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("pane.zoom", "pane.next", "pane.previous", "pane.merged")

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter name
        super().__init__(id=id)
        self.run: RunView | None = None
        #: What is different from the round before, where the run is a timer's.
        self.since: Since | None = None
        self._filter: Sequence[int] | None = None
        self._chosen: list[int] | None = None
        self._merged: bool | None = None
        self._zoomed: int | None = None
        self._frames: list[PaneFrame] = []
        self._stale_since = 0.0
        self._settled = False
        #: Panes that are laid out, the one behind the others in a zoom included; nodes that had no room for one.
        self._laid = 1
        self._left_out = 0

    def compose(self) -> ComposeResult:
        frame = PaneFrame()
        self._frames.append(frame)
        yield frame

    # -- what is shown

    def set_run(self, run: RunView | None) -> None:
        """Show another run."""
        if run is not self.run:
            self.run = run
            self.since = None
            self._chosen = None
            self._zoomed = None
            self.rearrange()

    def set_since(self, since: Since | None) -> None:
        """Mark what is different from the round before (None: nothing to compare with)."""
        self.since = since

    def set_filter(self, nodes: Sequence[int] | None) -> None:
        """Show only these node numbers (None: all); panes follow when the typing pauses."""
        self._filter = nodes
        self._stale_since = time.monotonic() if self._settled else 0.0
        if not self._settled:
            self.rearrange()

    def choose(self, nodes: Sequence[int], *, zoom: bool = False) -> None:
        """Show panes for exactly these nodes; zoom: the first one alone."""
        self._chosen = list(nodes)
        self._merged = False
        self._zoomed = 0 if zoom else None
        self.rearrange()

    @property
    def panes(self) -> list[OutputPane]:
        """The panes that are shown, in order."""
        return [frame.pane for frame in self._frames if frame.display]

    @property
    def zoomed(self) -> bool:
        """Whether one pane has the view to itself."""
        return self._zoomed is not None

    def capacity(self) -> int:
        """How many panes can be read at this size."""
        columns = max(1, self.size.width // MIN_WIDTH)
        rows = max(1, self.size.height // MIN_HEIGHT)
        return min(MAX_PANES, columns * rows)

    def _asked(self) -> list[int]:
        """The nodes that are asked for, in order; there may be no room for all of them."""
        if self.run is None:
            return []
        if self._chosen is not None:
            return self._chosen
        size = len(self.run.names)
        return list(range(size)) if self._filter is None else [node for node in self._filter if node < size]

    def _sources(self) -> list[LineSource]:
        run = self.run
        if run is None:
            return []
        nodes = self._asked()
        many = len(nodes) > self.capacity()
        if self._merged or (self._merged is None and many):
            everything = self._filter is None and self._chosen is None
            return [MergedSource(run, None if everything else nodes)]
        return [NodeSource(run, node) for node in nodes[: max(1, self.capacity())]]

    def _place(self, number: int) -> str:
        """What there is beside a pane that does not show: the others in a zoom, nodes without a pane."""
        if self._zoomed is not None:
            return f"{number + 1} of {self._laid}" if self._laid > 1 else ""
        return f"{self._left_out} more nodes" if self._left_out and number == self._laid - 1 else ""

    def rearrange(self) -> None:
        """Give every pane its source and lay the grid; panes are kept and used again."""
        self._stale_since = 0.0
        self._settled = self.run is not None
        sources = self._sources()
        if self._zoomed is not None and self._zoomed >= len(sources):
            self._zoomed = None
        self._laid = wanted = max(1, len(sources))
        merged = bool(sources) and isinstance(sources[0], MergedSource)
        self._left_out = 0 if merged else len(self._asked()) - len(sources)
        while len(self._frames) < wanted:
            frame = PaneFrame()
            self._frames.append(frame)
            self.mount(frame)
        for number, frame in enumerate(self._frames):
            source = sources[number] if number < len(sources) else None
            frame.display = number < wanted and self._zoomed in (None, number)
            if not _same(frame.pane.source, source):
                frame.pane.show(source)
        self._lay(1 if self._zoomed is not None else wanted)

    def _lay(self, count: int) -> None:
        columns = max(1, min(count, self.size.width // MIN_WIDTH))
        rows = -(-count // columns)
        columns = -(-count // rows)
        self.styles.grid_size_columns = columns
        self.styles.grid_size_rows = rows

    def on_resize(self) -> None:
        self.rearrange()

    def tick(self, now: float) -> None:
        """Bring the visible panes up to date."""
        if self._stale_since and now - self._stale_since >= PAUSE:
            self.rearrange()
        for number, frame in enumerate(self._frames):
            if frame.display:
                frame.tick(now, self.since, self._place(number))

    # -- keys

    def _focused(self) -> int:
        for number, frame in enumerate(self._frames):
            if frame.pane.has_focus:
                return number
        return 0

    def action_zoom(self) -> None:
        number = self._focused()
        self._zoomed = number if self._zoomed is None else None
        self.rearrange()
        self.screen.set_focus(self._frames[number].pane)

    def unzoom(self) -> bool:
        """Leave the zoom, then the chosen nodes; False if there was nothing to leave."""
        if self._zoomed is None and self._chosen is None:
            return False
        self._chosen = None if self._zoomed is None or self._chosen is None or len(self._chosen) == 1 else self._chosen
        self._zoomed = None
        self._merged = None if self._chosen is None else False
        self.rearrange()
        return True

    def action_pane(self, step: int) -> None:
        shown = len(self._sources()) or 1
        number = (self._focused() + step) % shown
        if self._zoomed is not None:
            self._zoomed = number
            self.rearrange()
        self.screen.set_focus(self._frames[number].pane)

    def action_merged(self) -> None:
        many = len(self._sources()) == 1 and isinstance(self._sources()[0], MergedSource)
        self._merged = not many
        self._zoomed = None
        self.rearrange()


def _same(old: LineSource | None, new: LineSource | None) -> bool:
    if old is None or new is None:
        return old is new
    if isinstance(old, MergedSource) and isinstance(new, MergedSource):
        # The same lines go on where they were: another size (the search line opened) must not let go of what is held.
        return old.run is new.run and old.nodes == new.nodes
    return type(old) is type(new) and old.run is new.run and old.node == new.node
