"""What is different from the round before, for timers: the point of looking every 30 seconds."""

from __future__ import annotations

from collections.abc import Iterable

from ...engine.text import sanitize_text
from .events import Notice
from .runs import Run

#: Lines of a node that are compared with those of the round before.
COMPARED_LINES = 1000
#: Lines of all nodes that are remembered at once.
_REMEMBERED_LINES = 200_000


def changed_nodes(before: Run, run: Run) -> list[int]:
    """Numbers of the nodes of `run` that ended or answered otherwise than in `before`; new nodes count too."""
    places = {name: number for number, name in enumerate(before.names)}
    changed: list[int] = []
    for number, name in enumerate(run.names):
        old = places.get(name)
        if old is None or (
            before.states[old],
            before.rc(old),
            before.output.digest(old),
        ) != (run.states[number], run.rc(number), run.output.digest(number)):
            changed.append(number)
    return changed


def round_before(runs: Iterable[Run], run: Run) -> Run | None:
    """The last ended round of the same timer; None for the first one and for runs that no timer made."""
    if run.timer is None:
        return None
    earlier = [one for one in runs if one.timer == run.timer and one.id < run.id and one.ended is not None]
    return earlier[-1] if earlier else None


class Before:
    """What the nodes wrote in the round before, to find the lines that are new. Hold the run store's lock."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._places = {name: number for number, name in enumerate(run.names)}
        self._lines: dict[str, frozenset[str] | None] = {}
        self._remembered = 0

    def is_new(self, name: str, line: str) -> bool:
        """Whether the node did not write this line in the round before; False where it wrote too much to tell."""
        if name not in self._lines:
            if self._remembered > _REMEMBERED_LINES:
                self._lines.clear()
                self._remembered = 0
            self._lines[name] = read = self._read(name)
            self._remembered += len(read or ())
        known = self._lines[name]
        return known is not None and line not in known

    def _read(self, name: str) -> frozenset[str] | None:
        number = self._places.get(name)
        if number is None:
            return frozenset()
        if self._run.line_count(number) > COMPARED_LINES:
            return None
        return frozenset(line.text for line in self._run.lines(number, 0, COMPARED_LINES))


def timer_notice(runs: Iterable[Run], run: Run) -> Notice | None:
    """What to tell when a timer's round ended: the nodes that changed since the last one, None where none did."""
    before = round_before(runs, run)
    if before is None:
        return None
    changed = changed_nodes(before, run)
    if not changed:
        return None
    worse = run.bad_nodes() - before.bad_nodes()
    better = (before.bad_nodes() & run.nodes) - run.bad_nodes()
    text = f"timer {run.timer}: {run.fold(changed)} ({len(changed)}) changed since #{before.id}"
    if worse:
        text += f", bad now: {worse}"
    if better:
        text += f", ok again: {better}"
    text += f"; :diff {before.id} {run.id} shows it"
    return Notice("warning" if worse else "info", sanitize_text(text), run.id)
