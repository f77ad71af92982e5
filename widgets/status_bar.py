"""The two lines at the top: where a command would go and what is shown; and how far it is."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from ..engine.states import NodeState
from .cells import BAR, Row, clock, fit, quantity, safe, width_of
from .look import Look
from .runs_view import COUNTED
from .title_line import PaintedLine
from .views import RunView

#: An ETA is told only after this share is done and this many nodes ended: before, it would be a guess.
ETA_SHARE = 0.05
ETA_NODES = 5


class StatusBar(PaintedLine):
    """`clusterdeck  @web (128, 64 connected)    #12 uname -r    read-only`: where a command would go, what is shown."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter name
        super().__init__(id=id)
        self._facts: tuple[str, int, str, str, str] = ("", 0, "", "", "")

    def show(self, selection: str, count: int, run: RunView | None, flags: str = "", connected: int = 0) -> None:
        """Set all; repaints only what changed. flags: short words of modes that must be seen.

        connected: connections that are kept, to whichever nodes.
        """
        told = f"#{run.id} {safe(run.line)}" if run is not None else ""
        facts = (safe(selection), count, told, safe(flags), f"{connected} connected" if connected else "")
        if facts != self._facts:
            self._facts = facts
            self.refresh()

    @property
    def text(self) -> str:
        """What is told, for tests."""
        return "  ".join(str(fact) for fact in self._facts if fact)

    def paint(self, line: Row, look: Look, row: int) -> None:
        selection, count, run, flags, connected = self._facts
        narrow = line.left < 70
        line.add(" clusterdeck ", look["title"]) if not narrow else line.add(" ")
        line.add(" ")
        number = f" ({count}, {connected})" if connected and not narrow else f" ({count})"
        room = max(6, line.left // (2 if run else 1) - len(number) - len(flags) - 4)
        line.add(fit(selection, min(room, max(1, width_of(selection)))) if selection else "no nodes", look["accent"])
        line.add(number if count else "", look.text)
        if run:
            room = line.left - 3 - (width_of(flags) + 2 if flags else 0)
            line.add("   ").add(fit(run, min(room, width_of(run))), look.text)
        if flags:
            line.add(" " * max(1, line.left - width_of(flags) - 1)).add(flags, look["warn"])


class ProgressLine(PaintedLine):
    """`[#####>....] 120/128  0:42  eta 0:03  + ok 115  x failed 5  slowest node7 40s`: what is cut comes last."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter name
        super().__init__(id=id)
        self.run: RunView | None = None
        self.now = 0.0
        self._seen: tuple[object, ...] = ()
        self._slowest: Sequence[int] = ()
        self._slow_at = 0.0
        #: When the bytes of a copy were counted last, and how many there were.
        self._bytes: tuple[float, int] | None = None
        #: Bytes per second, evened out; 0 while it is not known.
        self.rate = 0.0

    def show(self, run: RunView | None, now: float) -> None:
        """Bring the line up to date; repaints at a change and once a second while the run goes on."""
        seen = (run, run.version if run else 0, int(now) if run is not None and run.ended is None else 0)
        if seen == self._seen:
            return
        self._seen = seen
        if run is not self.run:
            self._slowest, self._bytes, self.rate = (), None, 0.0
        self.run = run
        self.now = now
        if run is not None and run.ended is None and now - self._slow_at >= 1.0:
            self._slow_at = now
            self._slowest = slowest(run, now)
            done = run.transferred()[0]
            if self._bytes is not None:
                rate = max(0.0, (done - self._bytes[1]) / max(0.1, now - self._bytes[0]))
                self.rate = (self.rate + rate) / 2 if self.rate else rate
            self._bytes = (now, done)
        self.refresh()

    def paint(self, line: Row, look: Look, row: int) -> None:
        run = self.run
        if run is None:
            line.add(" Ready. Type a command. F1 tells keys, :help commands.", look.quiet)
            return
        total = max(1, len(run.names))
        done = sum(run.count(state) for state in NodeState if state.finished)
        alive = run.ended is None
        if alive and line.left > 60:
            self._bar(run, line, look, 12 if line.left < 100 else 24)
        line.add(f" {done}/{total} ", look.text)
        elapsed = (run.ended if run.ended is not None else self.now) - run.started
        line.add(f" {clock(elapsed)} ", look.text).add("" if alive else "ended ", look.quiet)
        copied, size = run.transferred()
        if size:
            moving = alive and self.rate and copied < size  # where nodes are still waited for, nothing moves
            took = 0.0 if alive else run.moved_for(self.now)
            speed = self.rate if moving else copied / took if took else 0.0
            rate = f" {quantity(speed)}/s" if speed else ""
            line.add(f" {quantity(copied)} of {quantity(size)}{rate} ", look["accent"])
        left = eta(run, self.now) if not size else (size - copied) / self.rate if moving else None
        if left is not None:
            line.add(f" eta {clock(left) if left >= 10 else f'{left:.0f}s'} ", look["accent"])
        self._counts(run, line, look)
        still = [node for node in self._slowest if run.states[node] == NodeState.RUNNING]
        if alive and still and line.left > 20:
            slow = ", ".join(f"{run.names[node]} {clock(run.elapsed(node, self.now))}" for node in still)
            line.add(f" slowest {slow}", look.quiet)

    @staticmethod
    def _counts(run: RunView, line: Row, look: Look) -> None:
        """Nodes per state: in words where there is room for all of them, else by symbol."""
        counts = [(state, run.count(state)) for state in COUNTED if run.count(state)]
        wordy = [(state, f" {state.symbol} {state.word} {count} ") for state, count in counts]
        short = [(state, f" {state.symbol}{count}") for state, count in counts]
        for state, text in wordy if sum(len(text) for _, text in wordy) <= line.left else short:
            line.add(text, look.state(state))

    def _bar(self, run: RunView, line: Row, look: Look, width: int) -> None:
        total = max(1, len(run.names))
        good = run.count(NodeState.OK) * width // total
        bad = sum(run.count(state) for state in NodeState if state.bad)
        bad_cells = min(width - good, max(1 if bad else 0, bad * width // total))
        alive = min(width - good - bad_cells, -(-run.count(NodeState.RUNNING) * width // total))
        line.add(" [").add(BAR * good, look["bar"]).add("x" * bad_cells, look.state(NodeState.FAILED))
        line.add(">" * alive, look.state(NodeState.RUNNING))
        line.add("." * (width - good - bad_cells - alive), look.quiet).add("]")


def eta(run: RunView, now: float) -> float | None:
    """Seconds that the rest will take if it goes on like this; None where that would be a guess.

    Meaningful only while nodes still wait for their turn: once all run, or connect, the slowest decides, and nobody
    knows it.
    """
    if run.ended is not None:
        return None
    waiting = run.count(NodeState.PENDING)
    done = sum(run.count(state) for state in NodeState if state.finished)
    total = len(run.names)
    if not waiting or done < max(ETA_NODES, total * ETA_SHARE):
        return None
    return (now - run.started) / done * (total - done)


def slowest(run: RunView, now: float, count: int = 3) -> list[int]:
    """The nodes that have been running longest."""
    running = [node for node, state in enumerate(run.states) if state == NodeState.RUNNING]
    return heapq.nlargest(count, running, key=lambda node: run.elapsed(node, now) or 0.0)
