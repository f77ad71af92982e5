"""Every run of the session, newest first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from textual.binding import BindingType

from ..engine.states import NodeState
from .actions import bindings
from .cells import Row, clock, quantity, safe
from .line_view import LineView
from .look import Look
from .messages import CommandOffered, CommandRequested, RunChosen, Told
from .views import RunView

#: States in the order their counts are shown.
COUNTED = (
    NodeState.OK,
    NodeState.FAILED,
    NodeState.TIMEOUT,
    NodeState.UNREACHABLE,
    NodeState.LOST,
    NodeState.ABORTED,
    NodeState.RUNNING,
    NodeState.CONNECTING,
    NodeState.PENDING,
)


#: Cells that a run's line keeps however many counts stand behind it.
_LEAST = 16
#: The last row while runs of earlier sessions come from the disk.
READING = "reading runs of earlier sessions \N{HORIZONTAL ELLIPSIS}"


def moment(at: float) -> str:
    """The time of the day, or the day for what is older. at: seconds since the epoch."""
    when, today = time.localtime(at), time.localtime()
    return time.strftime("%H:%M:%S" if when[:3] == today[:3] else "%m-%d %H:%M", when)


class RunsView(LineView):
    """Runs with their counts. Enter shows a run, r runs it again, c compares it with the one on show."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(
        "row.open", "runs.again", "runs.compare", "runs.export", "nodes.abort"
    )
    TITLE_WORD = "runs"
    HELP_TEXT = "Runs of this and earlier sessions. Enter shows one, r runs it again, c compares, e exports."

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter name
        super().__init__(id=id)
        self._runs: list[RunView] = []
        self._reading = False
        self._listed: list[RunView] = []
        self._filter: Callable[[RunView], bool] | None = None
        self.shown: RunView | None = None
        self._seen: tuple[object, ...] = ()
        self._id_width = self._nodes_width = 2

    def set_runs(self, runs: Iterable[RunView], *, reading: bool = False) -> None:
        """Show these runs (oldest first); repaints only if one of them changed. reading: older ones are to come."""
        self._runs = list(runs)
        last = self._runs[-1] if self._runs else None
        alive = tuple((run.id, run.version) for run in self._runs if run.ended is None)
        second = int(time.monotonic()) if alive else 0
        seen = (len(self._runs), last.version if last else 0, alive, second, self.shown, reading)
        if seen != self._seen:
            self._seen = seen
            self._reading = reading
            self._arrange()

    def set_run_filter(self, passes: Callable[[RunView], bool] | None) -> None:
        """Show only runs that pass (None: all)."""
        self._filter = passes or None
        self._arrange()

    def _arrange(self) -> None:
        at = self._current()
        newest_first = reversed(self._runs)
        self._listed = [run for run in newest_first if self._filter is None or self._filter(run)]
        self._id_width = 1 + len(str(max((run.id for run in self._runs), default=0)))
        self._nodes_width = 1 + max((len(str(len(run.names))) for run in self._runs), default=0)
        self.update_rows()
        if at is not None and self._current() is not at and at in self._listed:
            self.move_cursor(self._listed.index(at))  # r must not run what came into its place

    def row_count(self) -> int:
        return len(self._listed) + self._reading

    def empty_text(self) -> list[str]:
        if self._filter is not None and self._runs:
            return ["No run passes the filter."]
        return ["No runs yet.", "A line typed below runs on the selected nodes; every run stays here with its results."]

    def paint(self, row: int, line: Row, look: Look) -> None:
        if row == len(self._listed):
            line.add(f"  {READING}", look.quiet)
            return
        run = self._listed[row]
        line.add(">" if run is self.shown else " ", look["accent"])
        line.column(f"#{run.id}", self._id_width, look["title"], right=True).add(" ")
        line.column(moment(run.created), 12, look.quiet)
        took = (run.ended if run.ended is not None else time.monotonic()) - run.started
        line.column(clock(took), 6, look.quiet, right=True)
        line.column(str(len(run.names)), self._nodes_width, look.quiet, right=True).add("  ")
        counts = [(state, f" {state.symbol}{run.count(state)}") for state in COUNTED if run.count(state)]
        done, total = run.transferred()
        copied = f" {quantity(done)}" if total else ""
        kind = "" if run.kind == "shell" or run.line.startswith(":") else f"{run.kind}: "
        room = line.left - len(copied) - sum(len(text) for _, text in counts)
        line.column(self.shifted(kind + run.line), max(min(_LEAST, line.left), room), look.text)
        line.add(copied, look.quiet)
        for state, text in counts:
            line.add(text, look.state(state))

    def row_text(self, row: int) -> str:
        if row == len(self._listed):
            return READING
        run = self._listed[row]
        counts = ", ".join(f"{state.word} {run.count(state)}" for state in COUNTED if run.count(state))
        return f"#{run.id} {safe(run.line)}  {counts}"

    # -- keys

    def _current(self) -> RunView | None:
        return self._listed[self.cursor_row] if self.cursor_row < len(self._listed) else None

    def activate(self, row: int) -> None:
        if row < len(self._listed):
            self.post_message(RunChosen(self._listed[row].id, "gathered"))

    def action_again(self) -> None:
        if (run := self._current()) is not None:
            self.post_message(CommandRequested(f":again {run.id}"))

    def action_compare(self) -> None:
        run = self._current()
        if run is not None and self.shown is not None and self.shown is not run:
            self.post_message(CommandRequested(f":diff {run.id} {self.shown.id}"))
        elif run is not None:
            self.post_message(Told("Enter shows a run; c on another one compares them."))

    def action_export(self) -> None:
        if (run := self._current()) is not None:
            self.post_message(CommandOffered(f":save --run {run.id} "))

    def action_abort_node(self) -> None:
        run = self._current()
        if run is not None and run.ended is None:
            self.post_message(CommandRequested(f":abort {run.id}"))

    @property
    def listed(self) -> Sequence[RunView]:
        """The runs as shown."""
        return self._listed
