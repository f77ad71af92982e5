"""What the plain prompt shows of runs: live lines, gathered answers at the end, or both. Only text is made here.

All of it passed the gate (the run model's text, `shown`, `clean_text_line`); the colours are our own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ...engine.states import NodeState
from ...engine.text import clean_text_line
from ..commands import documents
from ..frontend import Document
from ..runs.changes import Before, round_before
from ..runs.events import (
    STDERR,
    NodesRestarted,
    Notice,
    OutputArrived,
    RunFinished,
    SessionEvent,
    TimerEnded,
    TimerFired,
)
from ..runs.excerpt import shown
from ..runs.run_store import RunStore
from ..runs.runs import Run

#: Lines of a stopped run that are still shown.
STOPPED_LINES = 100
_RULE = "-" * 15


@dataclass(frozen=True)
class Paint:
    """Colours of the terminal's own sixteen; without colours the text alone."""

    color: bool

    def _sgr(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.color and text else text

    def node(self, text: str) -> str:
        return self._sgr("36", text)

    def bold(self, text: str) -> str:
        return self._sgr("1", text)

    def faint(self, text: str) -> str:
        return self._sgr("90", text)

    def good(self, text: str) -> str:
        return self._sgr("32", text)

    def bad(self, text: str) -> str:
        return self._sgr("31", text)

    def warn(self, text: str) -> str:
        return self._sgr("33", text)

    def changed(self, text: str) -> str:
        """A line that a timer's round before did not have."""
        return self._sgr("1;33", text)

    def level(self, level: str, text: str) -> str:
        """A line of a document or a notice."""
        return {"error": self.bad, "warning": self.warn}.get(level, lambda line: line)(text)


@dataclass
class Shown:
    """Text to write: `data` are answers of nodes (stdout), `notes` are about them (stderr where that differs)."""

    data: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    #: Both in the order they came in, for a terminal that shows both.
    both: list[str] = field(default_factory=list)

    def add_data(self, line: str) -> None:
        self.data.append(line)
        self.both.append(line)

    def add_note(self, line: str) -> None:
        self.notes.append(line)
        self.both.append(line)


class Printer:
    """Makes text of what a session gave. The pump's thread only, under the run store's lock.

    stopped: whether the operator has stopped a run. What still arrives of it is kept and counted, but after
    STOPPED_LINES lines not shown: a Ctrl-C has to end a flood on the screen, too.
    """

    def __init__(self, runs: RunStore, paint: Paint, stopped: Callable[[int], bool] = lambda run: False) -> None:
        self._runs = runs
        self._paint = paint
        self._stopped = stopped
        self._names: dict[int, list[str]] = {}
        self._late: dict[int, int] = {}
        self._before: dict[int, Before | None] = {}
        #: Rounds of each timer that were missed by the time of its last round.
        self._missed: dict[int, int] = {}

    def take(self, events: Sequence[SessionEvent], mode: str) -> Shown:
        """The text for these events. mode: the setting `screen.output`, which may change at any time."""
        into = Shown()
        # Where runs overlap, their lines are told apart by number; one that just ended still counts.
        together = {run.id for run in self._runs.running}
        together |= {event.run for event in events if isinstance(event, OutputArrived)}
        for event in events:
            match event:
                case OutputArrived():
                    if mode in ("live", "both"):
                        self._lines(event, into, numbered=len(together) > 1)
                case RunFinished(run=number):
                    run = self._runs.get(number)
                    if run is not None:
                        self._end(run, mode, into)
                        self._names.pop(number, None)
                case NodesRestarted(run=number, nodes=nodes, attempt=attempt):
                    run = self._runs.get(number)
                    if run is not None:
                        into.add_note(self._paint.warn(f"#{number} attempt {attempt} on {run.fold(nodes)}"))
                case TimerFired(timer=number, round=rounds, run=run_id, missed=missed):
                    self._timer(number, rounds, run_id, missed, into)
                case TimerEnded(timer=number, reason=reason):
                    into.add_note(self._paint.faint(clean_text_line(f"timer {number} ended: {reason}")))
                case Notice(level=level, text=text):
                    into.add_note(self._paint.level(level, clean_text_line(text)))
                case _:
                    pass
        return into

    def _timer(self, number: int, rounds: int, run: int | None, missed: int, into: Shown) -> None:
        """The first missed round is told at once, the others with the round that came at last: no flood."""
        told = self._missed.get(number, 0)
        if run is None:
            if missed == told + 1:
                text = f"timer {number}: a round is missed, the one before still runs"
                into.add_note(self._paint.warn(text))
            return
        self._missed[number] = missed
        into.add_note(self._paint.faint(f"timer {number}: round {rounds} is #{run}"))
        if missed > told:
            into.add_note(self._paint.warn(f"timer {number}: {missed - told} missed before it, {missed} in all"))

    def _round_before(self, run: Run) -> Before | None:
        """The answers that a timer's run is compared with."""
        if run.timer is None or not self._paint.color:
            return None
        if run.id not in self._before:
            before = round_before(self._runs, run)
            self._before[run.id] = None if before is None else Before(before)
        return self._before[run.id]

    def _lines(self, event: OutputArrived, into: Shown, *, numbered: bool) -> None:
        """One line of text per line of output: the prefix cannot be forged, because a line never holds another."""
        run = self._runs.get(event.run)
        if run is None:
            return
        prefixes = self._names.get(run.id)
        if prefixes is None:
            prefixes = self._names[run.id] = [clean_text_line(name) for name in run.names]
        number = f"#{run.id} " if numbered else ""
        before = self._round_before(run)
        for chunk in event.chunks:
            local = run.kind == "local"
            prefix = number if local else self._paint.node(f"{number}{prefixes[chunk.node]}:") + " "
            lines = chunk.data.split(b"\n")
            if not lines[-1]:
                lines.pop()
            if self._stopped(run.id):
                lines = self._few(run.id, lines)
            for line in lines:
                text = shown(line)
                if before is not None and before.is_new(run.names[chunk.node], text):
                    text = self._paint.changed(text)
                elif chunk.stream == STDERR:
                    text = self._paint.bad(text)
                into.add_data(prefix + text)

    def _few(self, run: int, lines: list[bytes]) -> list[bytes]:
        """Those of a stopped run's late lines that are shown."""
        late = self._late.get(run, 0)
        self._late[run] = late + len(lines)
        return lines[: max(0, STOPPED_LINES - late)]

    def _end(self, run: Run, mode: str, into: Shown) -> None:
        hidden = self._late.pop(run.id, 0) - STOPPED_LINES
        if hidden > 0:
            into.add_note(self._paint.warn(f"#{run.id}: {hidden} late lines are not shown; :gather {run.id} has them"))
        several = len(run.names) > 1 or mode == "gathered"
        if mode in ("gathered", "both") and run.kind != "local" and several:
            for line in documents.bounded(self._gathered(run)):
                into.add_data(line)
        elif mode == "gathered":
            for row in run.lines(0, 0, min(run.line_count(0), documents.MAX_LINES)):
                into.add_data(row.text)
        self._before.pop(run.id, None)
        if run.kind == "local" and run.count(NodeState.OK):
            return
        for line in self._summary(run):
            into.add_note(line)

    def _gathered(self, run: Run) -> Iterator[str]:
        before = self._round_before(run)
        for group in run.groups():
            if group.line_count:
                yield self._paint.faint(_RULE)
                yield f"{self._paint.node(group.folded)} ({len(group.members)})"
                yield self._paint.faint(_RULE)
                for start in range(0, group.line_count, 500):
                    for line in group.lines(start, min(start + 500, group.line_count)):
                        new = before is not None and before.is_new(run.names[group.members[0]], line.text)
                        yield self._paint.changed(line.text) if new else line.text

    def _summary(self, run: Run) -> Iterator[str]:
        well = run.count(NodeState.OK) == len(run.names)
        line = documents.headline(run)
        yield self._paint.good(line) if well else self._paint.bad(line)
        for problem in documents.problems(run):
            yield self._paint.bad(f"  {problem}")
        if run.stopped:
            yield self._paint.warn("  stopped early: the nodes that are left were not begun")


def document_lines(document: Document, paint: Paint) -> list[str]:
    """A document as lines to print: its title above, where the lines do not say the same."""
    lines = [paint.level(document.level, clean_text_line(line)) for line in document.lines]
    title = clean_text_line(document.title)
    if not lines:
        return [paint.level(document.level, title)]
    if document.level == "error" or len(lines) == 1 or (document.lines[0].strip() == document.title.strip()):
        return lines
    return [paint.bold(title), *lines]
