"""The task manager's queue: tasks by state and tag, the processes that work, one task's way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from textual.binding import BindingType

from .actions import bindings
from .cells import Row, clock, safe
from .line_view import LineView
from .look import Look
from .messages import CommandRequested

_ROLES = {"waiting": "pending", "running": "running", "finished": "ok", "failed": "failed", "cancelled": "aborted"}
_SYMBOLS = {"waiting": ".", "running": ">", "finished": "+", "failed": "x", "cancelled": "-"}


@dataclass(frozen=True, slots=True)
class QueueTask:
    """One task. state: waiting, running, finished, failed or cancelled; age: seconds in that state."""

    id: str
    tag: str
    state: str
    where: str = ""
    age: float = 0.0
    attempts: int = 1
    text: str = ""
    way: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QueueProcess:
    """A worker process. ping: seconds since it was last heard of."""

    id: str
    where: str
    ping: float
    slots: str = ""


@dataclass(frozen=True, slots=True)
class QueueWorker:
    """A node whose slots take tasks. state: up, resting, down, draining, gone; trouble: why it is not up."""

    name: str
    state: str
    slots: int
    running: int
    done: int
    failed: int
    trouble: str = ""
    pool: str = ""


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """The queue at one moment. version grows with every change."""

    version: int = 0
    tasks: Sequence[QueueTask] = ()
    processes: Sequence[QueueProcess] = ()
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    workers: Sequence[QueueWorker] = ()
    maps: Sequence[str] = ()


Item = str | QueueTask | QueueProcess | QueueWorker


class QueueView(LineView):
    """Rows: counts per tag, processes, tasks (failed and running first). Enter shows a task's way."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("row.open", "queue.cancel", "queue.retry")
    TITLE_WORD = "queue"
    HELP_TEXT = "Tasks that wait for a node, run or are done. Enter shows a task's way, x cancels, r tries again."

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter name
        super().__init__(id=id)
        self.snapshot = QueueSnapshot()
        self._items: list[Item] = []
        self._opened: set[str] = set()
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

    def _arrange(self) -> None:
        snapshot = self.snapshot
        items: list[Item] = list(snapshot.maps)
        for tag, counts in sorted(snapshot.counts.items()):
            told = "  ".join(f"{_SYMBOLS.get(state, ' ')} {state} {count}" for state, count in counts.items() if count)
            items.append(f"{tag or 'no tag'}: {told}")
        items.extend(snapshot.workers)
        order = {"failed": 0, "running": 1, "waiting": 2, "cancelled": 3, "finished": 4}
        for task in sorted(snapshot.tasks, key=lambda task: order.get(task.state, 5)):
            if self._matches is None or self._matches(f"{task.id} {task.tag} {task.where} {task.text}"):
                items.append(task)
                if task.id in self._opened:
                    items.extend(f"      {step}" for step in task.way)
        items.extend(snapshot.processes)
        self._items = items
        self.update_rows()

    def row_count(self) -> int:
        return len(self._items)

    def empty_text(self) -> list[str]:
        return [
            "The queue is empty.",
            "Type  :queue map  to spread commands over the nodes' free slots, or  :queue add  for one task.",
        ]

    def paint(self, row: int, line: Row, look: Look) -> None:
        item = self._items[row]
        if isinstance(item, str):
            line.add(f" {item}", look["title"] if not item.startswith(" ") else look.quiet)
        elif isinstance(item, QueueProcess):
            line.add("   @ ").column(item.id, 16, look["accent"]).add(" ").column(item.where, 20, look.text)
            line.add(f" last heard of {clock(item.ping)} ago", look["warn"] if item.ping > 30 else look.quiet)
            line.add(f"  {item.slots}", look.quiet)
        elif isinstance(item, QueueWorker):
            style = look["ok" if item.state == "up" else "warn"]
            line.add("   * ", style).column(item.name, 16, look["title"]).add(" ").column(item.state, 9, style)
            line.add(f" {item.running}/{item.slots} slots busy  {item.done} done", look.text)
            line.add(f"  {item.failed} failed" if item.failed else "", look["failed"])
            line.add(f"  {item.pool}", look.quiet).add(f"  {item.trouble}" if item.trouble else "", look["warn"])
        else:
            style = look[_ROLES.get(item.state, "text")]
            line.add(f"   {_SYMBOLS.get(item.state, '?')} ", style).column(item.id, 16, look["title"]).add(" ")
            line.column(item.state, 9, style).column(item.tag, 12, look["accent"]).add(" ")
            line.column(item.where, 14, look.text).column(clock(item.age), 7, look.quiet, right=True)
            line.add(f" x{item.attempts}" if item.attempts > 1 else "   ", look["warn"]).add(f" {item.text}", look.text)

    def row_text(self, row: int) -> str:
        item = self._items[row]
        if isinstance(item, str):
            return safe(item)
        if isinstance(item, QueueProcess):
            return f"{item.id} {item.where}"
        if isinstance(item, QueueWorker):
            return f"{item.name} {item.state} {item.running}/{item.slots} {safe(item.trouble)}"
        return f"{item.id} {item.state} {item.tag} {item.where} {safe(item.text)}"

    def _current(self) -> QueueTask | None:
        item = self._items[self.cursor_row] if self._items else None
        return item if isinstance(item, QueueTask) else None

    def activate(self, row: int) -> None:
        if (task := self._current()) is not None:
            self._opened ^= {task.id}
            self._arrange()

    def action_cancel(self) -> None:
        if (task := self._current()) is not None:
            self.post_message(CommandRequested(f":queue cancel {task.id}"))

    def action_retry(self) -> None:
        if (task := self._current()) is not None:
            self.post_message(CommandRequested(f":queue retry {task.id}"))
