"""Numbers out of answers, found a slice at a time. No screen."""

from __future__ import annotations

import math
import re
import time
from array import array
from collections.abc import Sequence

from ..engine.patterns import BoundedPattern
from .background import Background
from .views import Excerpt, OutputLine, RunView

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:[.,]\d+)?(?:[eE][-+]?\d+)?")
#: Lines of an answer that are looked at for the number.
LINES_LOOKED_AT = 50
#: Nodes whose answers are read from disk at once.
_NODES_ASIDE = 64
#: Seconds of looking on when they have been.
_SLICE = 0.005
#: A number beyond this is nobody's measurement, and sums of such overflow.
LARGEST = 1e200


def number_in(text: str, pattern: BoundedPattern | None = None) -> float | None:
    """The first number of a text, or that of the pattern's group (of its whole match without one)."""
    if pattern is not None:
        found = pattern.search(text)
        if found is None:
            return None
        text = found[1] if pattern.groups and found[1] is not None else found[0]
    number = _NUMBER.search(text, 0, 4096)
    if number is None:
        return None
    try:
        value = float(number[0].replace(",", "."))
    except ValueError:
        return None
    return value if abs(value) <= LARGEST else None


class Numbers:
    """The first number of every node's answer, found a slice at a time: what was looked at is not looked at again."""

    def __init__(self, run: RunView, pattern: BoundedPattern | None = None) -> None:
        self.run = run
        self.values: dict[int, float] = {}
        self._pattern = pattern
        self._looked = [0] * len(run.names)
        #: How often nodes had been tried again when their answers were looked at.
        self._restarts: dict[int, int] = {}
        self._at = 0
        self._version = -1
        self._aside = Background("numbers")
        self._reading = False
        #: Nobody wants to know any more.
        self.dropped = False

    @property
    def pending(self) -> bool:
        """Whether there is output that was not looked at."""
        return self._at < len(self._looked) or self._version != self.run.output_version

    def step(self, until: float) -> None:
        """Look on until the moment `until` of `time.perf_counter()`."""
        run = self.run
        if self._reading:
            return
        if self._at >= len(self._looked):
            self._at = 0
        if self._at == 0:
            self._version = run.output_version
        while self._at < len(self._looked):
            if not self._look(self._at):
                self._look_aside()
                return
            self._at += 1
            if time.perf_counter() >= until:
                return

    def _unseen(self, node: int) -> tuple[int, int]:
        """First and last line (half open) of a node that are still to be looked at."""
        count = min(LINES_LOOKED_AT, self.run.line_count(node))
        if (restarts := self.run.restarts(node)) != self._restarts.get(node, 0):  # its answer begins anew
            self._restarts[node] = restarts
            self.values.pop(node, None)
            self._looked[node] = 0
        return (count, count) if node in self.values else (self._looked[node], count)

    def _look(self, node: int) -> bool:
        """Look at a node's answer; False if it has to be read from a disk."""
        looked, count = self._unseen(node)
        first = min(count, looked + 1)  # mostly the first line has it
        for start, stop in ((looked, first), (first, count)):
            if start < stop and node not in self.values:
                excerpt = self.run.excerpt(node, start, stop)
                if not excerpt.at_hand:
                    return False
                self._take(node, stop, self._number(excerpt()))
        self._looked[node] = count
        return True

    def _look_aside(self) -> None:
        """Look at the next answers, which are on disk, in a thread that may wait for it."""
        wanted: dict[int, tuple[int, Excerpt]] = {}
        for node in range(self._at, len(self._looked)):
            start, stop = self._unseen(node)
            if start < stop:
                wanted[node] = (stop, self.run.excerpt(node, start, stop))
                if len(wanted) == _NODES_ASIDE:
                    break

        def look() -> dict[int, float | None]:
            return {node: self._number(excerpt()) for node, (_, excerpt) in wanted.items()}

        def looked(values: dict[int, float | None]) -> None:
            self._reading = False
            for node, value in values.items():
                if self.run.restarts(node) == self._restarts.get(node, 0):
                    self._take(node, wanted[node][0], value)
            if not self.dropped:
                self.step(time.perf_counter() + _SLICE)

        self._reading = True
        self._aside.submit(look, looked)

    def _number(self, lines: Sequence[OutputLine]) -> float | None:
        return next((value for line in lines if (value := number_in(line.text, self._pattern)) is not None), None)

    def _take(self, node: int, stop: int, value: float | None) -> None:
        self._looked[node] = stop
        if value is not None:
            self.values[node] = value


class Series:
    """The numbers of a timer's rounds, per node of the shown round; found a slice at a time."""

    def __init__(self, pattern: BoundedPattern | None = None) -> None:
        self._pattern = pattern
        self._rounds: Sequence[RunView] = ()
        self._places: dict[str, int] = {}
        self._done: dict[int, array[float]] = {}
        self._alive: dict[int, Numbers] = {}

    def set_rounds(self, rounds: Sequence[RunView], names: Sequence[str]) -> None:
        """Rounds, oldest first, and the names of the nodes that are asked for by number."""
        if len(names) != len(self._places) or any(name not in self._places for name in names):
            self._places = {name: number for number, name in enumerate(names)}
            self._done.clear()
        self._rounds = rounds
        wanted = {run.id for run in rounds}
        for table in (self._done, self._alive):
            for number in [number for number in table if number not in wanted]:
                if isinstance(gone := table.pop(number), Numbers):
                    gone.dropped = True

    def step(self, until: float) -> bool:
        """Look on until the moment `until` of `time.perf_counter()`; False when nothing is left to look at."""
        for run in self._rounds:
            if run.id in self._done:
                continue
            numbers = self._alive.get(run.id)
            if numbers is None:
                numbers = self._alive[run.id] = Numbers(run, self._pattern)
            if numbers.pending:
                numbers.step(until)
            if not numbers.pending and run.ended is not None:
                self._done[run.id] = self._packed(numbers)
                del self._alive[run.id]
            if time.perf_counter() >= until:
                return True
        return any(numbers.pending for numbers in self._alive.values())

    def _packed(self, numbers: Numbers) -> array[float]:
        packed = array("d", [math.nan]) * len(self._places)
        for node, value in numbers.values.items():
            place = self._places.get(numbers.run.names[node])
            if place is not None:
                packed[place] = value
        return packed

    def of(self, node: int) -> list[float | None]:
        """A node's number in every round that was looked at, None where it gave none."""
        values: list[float | None] = []
        for run in self._rounds:
            packed = self._done.get(run.id)
            if packed is not None:
                values.append(None if math.isnan(packed[node]) else packed[node])
            elif run.id in self._alive:
                values.append(self._alive[run.id].values.get(node))
        return values
