"""The task manager's queue: tasks by state and tag, the processes that work, one task's way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from textual.binding import BindingType

from .actions import bindings
from .cells import Row, clock, safe, width_of
from .line_view import LineView
from .look import Look
from .messages import CommandRequested
from .queue_snapshot import QueueProcess, QueueSnapshot, QueueTask, QueueWorker

_ROLES = {"waiting": "pending", "running": "running", "finished": "ok", "failed": "failed", "lost": "lost",
          "cancelled": "aborted"}  # fmt: skip
#: What stands first: what an operator has to look at.
_ORDER = {"failed": 0, "lost": 1, "running": 2, "waiting": 3, "cancelled": 4, "finished": 5}
#: More tasks of these states are folded: the nodes and processes stand below them.
_UNFOLDED = 20
_FOLDING = ("waiting", "cancelled", "finished")
#: Cells of a column at most, and of a tag beside its counts.
_COLUMN, _TAG = 16, 12
_SYMBOLS = {"waiting": ".", "running": ">", "finished": "+", "failed": "x", "lost": "?", "cancelled": "-"}


@dataclass(frozen=True, slots=True)
class Heading:
    """The beginning of a part of the view."""

    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """What holds the queue up."""

    text: str


@dataclass(frozen=True, slots=True)
class Summary:
    """How far one map is."""

    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an opened task's way."""

    text: str


@dataclass(frozen=True, slots=True)
class Counts:
    """Tasks of one tag by state."""

    tag: str
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class More:
    """Tasks of one state that are folded."""

    state: str
    count: int


Item = Note | Heading | Summary | Step | Counts | More | QueueTask | QueueProcess | QueueWorker


def _width(texts: Iterable[str]) -> int:
    """Cells for a column of these texts."""
    return min(_COLUMN, max(map(width_of, texts), default=0))


def _rank(task: QueueTask) -> int:
    return _ORDER.get(task.state, len(_ORDER))


def _told(task: QueueTask) -> str:
    return f"{task.id} {task.tag} {task.where} {task.text}"


class QueueView(LineView):
    """Counts per tag, tasks (failed and running first), nodes, processes. Enter shows a task's way."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("row.open", "queue.cancel", "queue.retry")
    TITLE_WORD = "queue"
    HELP_TEXT = "Tasks that wait for a node, run or are done. Enter shows a task's way, x cancels, r tries again."

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter name
        super().__init__(id=id)
        self.snapshot = QueueSnapshot()
        self._items: list[Item] = []
        #: Cells of the columns: a task's id, tag and place, a node's name, a process's place.
        self._widths = (0, 0, 0, 0, 0)
        self._opened: set[str] = set()
        #: States of which all tasks are listed.
        self._unfolded: set[str] = set()
        self._matches: Callable[[str], bool] | None = None

    def set_snapshot(self, snapshot: QueueSnapshot) -> None:
        """Show the queue as it is now; nothing happens if it is the one on show."""
        if snapshot.version != self.snapshot.version or snapshot is not self.snapshot:
            self.snapshot = snapshot
            self._arrange()

    def set_text_filter(self, matches: Callable[[str], bool] | None) -> None:
        """Show only tasks that match (None: all)."""
        self._matches = matches
        self._arrange()

    def search_changed(self) -> None:
        self._arrange()  # what is folded is searched, too

    def _arrange(self) -> None:
        snapshot, at = self.snapshot, self._current()
        items: list[Item] = [Note(text) for text in snapshot.notes]
        items += [Summary(text) for text in snapshot.maps]
        items += [Counts(tag, counts) for tag, counts in sorted(snapshot.counts.items())]
        tasks = [task for task in snapshot.tasks if self._matches is None or self._matches(_told(task))]
        if len(tasks) < len(snapshot.tasks):
            items.append(Heading(f"tasks {len(tasks)} of {len(snapshot.tasks)} pass the filter"))
        elif tasks:
            items.append(Heading(f"tasks {len(tasks)}"))
        for state, group in groupby(sorted(tasks, key=_rank), key=lambda task: task.state):
            items += self._listed(state, list(group))
        if snapshot.workers:
            items += [Heading(f"nodes {len(snapshot.workers)}"), *snapshot.workers]
        if snapshot.processes:
            items += [Heading(f"processes {len(snapshot.processes)}"), *snapshot.processes]
        self._items = items
        self._widths = (
            _width(task.id for task in tasks),
            _width(task.tag for task in tasks if not task.id.startswith(f"{task.tag}_")),
            _width(task.where for task in tasks),
            _width(worker.name for worker in snapshot.workers),
            max(_width(process.where for process in snapshot.processes), 4),
        )
        self.update_rows()
        # x and r are about the task that the cursor was on, however the others moved.
        rows = (row for row, item in enumerate(items) if at and isinstance(item, QueueTask) and item.id == at.id)
        if (row := next(rows, self.cursor_row)) != self.cursor_row:
            self.move_cursor(row)

    def _listed(self, state: str, tasks: Sequence[QueueTask]) -> Iterator[Item]:
        """The rows of the tasks of one state, the first ones only where many wait or are over."""
        fold = state in _FOLDING and len(tasks) > _UNFOLDED and state not in self._unfolded and not self.search
        for task in tasks[: _UNFOLDED // 2] if fold else tasks:
            yield task
            if task.id in self._opened:
                yield from (Step(step) for step in task.way)
        if fold:
            yield More(state, len(tasks) - _UNFOLDED // 2)

    def row_count(self) -> int:
        return len(self._items)

    def empty_text(self) -> list[str]:
        return [
            "The queue is empty.",
            "Type  :queue map  to spread commands over the nodes' free slots, or  :queue add  for one task.",
        ]

    def paint(self, row: int, line: Row, look: Look) -> None:
        match self._items[row]:
            case Heading(text=text):
                line.add(f"{text} ", look["title"])
                line.add("\N{BOX DRAWINGS LIGHT HORIZONTAL}" * line.left, look["rule"])
            case Note(text=text):
                line.add(f" ! {self.shifted(text)}", look["warn"])
            case Summary(text=text):
                line.add(f" {self.shifted(text)}", look["title"])
            case Step(text=text):
                line.add(f"      {self.shifted(text)}", look.quiet)
            case More(state=state, count=count):
                line.add(f"   \N{HORIZONTAL ELLIPSIS} {count} more {state}, Enter lists them", look.quiet)
            case Counts() as counts:
                self._paint_counts(counts, line, look)
            case QueueTask() as task:
                self._paint_task(task, line, look)
            case QueueWorker() as worker:
                self._paint_worker(worker, line, look)
            case QueueProcess() as process:
                late = process.late
                line.add(" ! " if late else "   ", look["warn"]).column(process.id, 6, look["accent"], right=True)
                line.add("  ").column(process.where, self._widths[4], look.text)
                line.add(f"  heard of {clock(process.ping):>6} ago", look["warn" if late else "quiet"])
                line.add(f"  {process.slots}", look.quiet)

    @staticmethod
    def _paint_counts(counts: Counts, line: Row, look: Look) -> None:
        line.add(" ").column(counts.tag or "no tag", _TAG, look["accent"] if counts.tag else look.quiet)
        for state in sorted(counts.counts, key=lambda state: _ORDER.get(state, len(_ORDER))):
            if count := counts.counts[state]:
                line.add(f"  {_SYMBOLS.get(state, ' ')} {state} {count}", look[_ROLES.get(state, "text")])

    def _paint_task(self, task: QueueTask, line: Row, look: Look) -> None:
        ids, tags, places, _, _ = self._widths
        style = look[_ROLES.get(task.state, "text")]
        line.add(f" {_SYMBOLS.get(task.state, '?')} ", style).column(task.state, 10, style)
        line.name(task.id, ids, look["title"]).column(clock(task.age), 8, look.quiet, right=True)
        line.add(f" x{task.attempts} " if task.attempts > 1 else "    ", look["warn"])
        if tags:
            line.column(task.tag, tags, look["accent"]).add(" ")
        if places:
            line.name(task.where, places, look.text).add(" ")
        line.add(self.shifted(task.text), look.text)

    def _paint_worker(self, worker: QueueWorker, line: Row, look: Look) -> None:
        style = look["ok" if worker.state == "up" else "warn"]
        line.add(" + " if worker.state == "up" else " ! ", style).column(worker.state, 10, style)
        line.name(worker.name, self._widths[3], look["title"])
        line.add(f"  {f'{worker.running}/{worker.slots}':>5} busy  {worker.done:>5} done", look.text)
        line.add(f"  {worker.failed} failed" if worker.failed else "", look["failed"])
        line.add(f"  {worker.trouble}" if worker.trouble else "", look["warn"]).add(f"  {worker.pool}", look.quiet)

    def row_text(self, row: int) -> str:
        match self._items[row]:
            case Note(text=text) | Heading(text=text) | Summary(text=text) | Step(text=text):
                return safe(text)
            case More(state=state, count=count):
                return f"{count} more {state}"
            case Counts() as counts:
                return f"{counts.tag or 'no tag'}: " + ", ".join(f"{word} {n}" for word, n in counts.counts.items())
            case QueueProcess() as process:
                return f"{process.id} {process.where}"
            case QueueWorker() as worker:
                return f"{worker.name} {worker.state} {worker.running}/{worker.slots} {safe(worker.trouble)}"
            case QueueTask() as task:
                return safe(f"{task.id} {task.state} {task.tag} {task.where} {task.text}")

    def _current(self) -> QueueTask | None:
        item = self._items[self.cursor_row] if self.cursor_row < len(self._items) else None
        return item if isinstance(item, QueueTask) else None

    def activate(self, row: int) -> None:
        item = self._items[row]
        if isinstance(item, More):
            self._unfolded.add(item.state)
            self._arrange()
        elif isinstance(item, QueueTask):
            self._opened ^= {item.id}
            self._arrange()

    def action_cancel(self) -> None:
        if (task := self._current()) is not None:
            self.post_message(CommandRequested(f":queue cancel {task.id}"))

    def action_retry(self) -> None:
        if (task := self._current()) is not None:
            self.post_message(CommandRequested(f":queue retry {task.id}"))
