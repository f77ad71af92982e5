"""How a run's output is printed: one class per mode, all behind one protocol, none of them knows a terminal.

`shown` is called after the events were applied to the run; `finished` once, at the end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from ...engine.states import NodeState
from ..runs.events import STDERR, STDOUT, NodesChanged, NodesRestarted, OutputArrived, SessionEvent
from ..runs.runs import Run
from .writer import Writer


class OutputMode(Protocol):
    """A way to print a run."""

    def shown(self, event: SessionEvent) -> None:
        """An event of the run, after it was applied."""

    def finished(self) -> None:
        """The run ended (or was interrupted): print what is still to be printed."""


class Names:
    """How node sets are written: folded, by groups, along axes."""

    def __init__(self, run: Run, regroup: Callable[[Sequence[int]], str] | None = None, *, count: bool = True) -> None:
        self._run = run
        self._regroup = regroup
        self._count = count

    def fold(self, nodes: Sequence[int]) -> str:
        """The set, folded."""
        return self._run.fold(nodes) if self._regroup is None else self._regroup(nodes)

    def count(self, nodes: Sequence[int]) -> int | None:
        """The number to show beside a set; None for none."""
        return len(nodes) if self._count else None


class Live:
    """`node: line` as it arrives; both streams."""

    def __init__(self, run: Run, writer: Writer) -> None:
        self._run = run
        self._writer = writer

    def shown(self, event: SessionEvent) -> None:
        """Print output at once."""
        if isinstance(event, OutputArrived):
            for chunk in event.chunks:
                self._writer.lines(self._run.names[chunk.node], chunk.data, stderr=chunk.stream == STDERR)

    def finished(self) -> None:
        """Nothing is left."""


class LiveErrors:
    """stderr at once, as the gathering modes do; stdout is left to the mode."""

    def __init__(self, run: Run, writer: Writer) -> None:
        self._run = run
        self._writer = writer

    def shown(self, event: SessionEvent) -> None:
        """Print stderr only."""
        if isinstance(event, OutputArrived):
            for chunk in event.chunks:
                if chunk.stream == STDERR:
                    self._writer.lines(self._run.names[chunk.node], chunk.data, stderr=True)


def answers(run: Run, *, with_silent: bool = False) -> list[tuple[int, list[int]]]:
    """(return code, nodes) of identical answers on stdout: by return code, largest first, then by node.

    Nodes without a return code (timed out, unreachable) gave no answer. with_silent: nodes that said nothing count.
    """
    found: list[tuple[int, list[int]]] = []
    for rc, numbers in sorted(run.return_codes().items()):
        by_digest: dict[bytes, list[int]] = {}
        for number in numbers:
            digest = run.output.stream_digest(number, STDOUT)
            if digest or with_silent:
                by_digest.setdefault(digest, []).append(number)
        found.extend((rc, group) for group in sorted(by_digest.values(), key=lambda group: (-len(group), group[0])))
    return found


class Gathered(LiveErrors):
    """`-b`: identical answers once, under a header with their nodes."""

    def __init__(self, run: Run, writer: Writer, names: Names) -> None:
        super().__init__(run, writer)
        self._names = names

    def finished(self) -> None:
        """Print the answers."""
        for _rc, numbers in answers(self._run):
            self._writer.header(self._names.fold(numbers), self._names.count(numbers))
            for piece in self._run.output.pieces(numbers[0], STDOUT):
                self._writer.data(piece)


class ByNode(LiveErrors):
    """`-L`: `node: line`, node after node, once all have ended."""

    def finished(self) -> None:
        """Print the nodes by return code, then in their order."""
        for _rc, numbers in sorted(self._run.return_codes().items()):
            for number in numbers:
                for piece in self._run.output.pieces(number, STDOUT):
                    self._writer.lines(self._run.names[number], piece)


class LineGathered(LiveErrors):
    """`-bL`: each line as soon as every node that still runs has sent it; nodes with the same line together."""

    def __init__(self, run: Run, writer: Writer, names: Names) -> None:
        super().__init__(run, writer)
        self._names = names
        self._waiting: dict[int, deque[bytes]] = {}
        #: Running nodes that owe the next row.
        self._owing = set(range(len(run.names)))

    def shown(self, event: SessionEvent) -> None:
        """Print the rows that are complete."""
        super().shown(event)
        if isinstance(event, OutputArrived):
            for chunk in event.chunks:
                if chunk.stream == STDOUT:
                    self._waiting.setdefault(chunk.node, deque()).extend(chunk.data.split(b"\n")[:-1])
                    self._owing.discard(chunk.node)
        elif isinstance(event, NodesChanged):
            self._owing.difference_update(change.node for change in event.changes if change.state.finished)
        elif isinstance(event, NodesRestarted):
            for number in event.nodes:
                self._waiting.pop(number, None)
            self._owing.update(event.nodes)
        while self._waiting and not self._owing:
            self._print_row()

    def finished(self) -> None:
        """Print the rest."""
        while self._waiting:
            self._print_row()

    def _print_row(self) -> None:
        by_line: dict[bytes, list[int]] = {}
        states = self._run.states
        for number in sorted(self._waiting):
            lines = self._waiting[number]
            by_line.setdefault(lines.popleft(), []).append(number)
            if not lines:
                del self._waiting[number]
                if not NodeState(states[number]).finished:
                    self._owing.add(number)
        for line, numbers in sorted(by_line.items(), key=lambda item: (-len(item[1]), item[1][0])):
            self._writer.lines(self._names.fold(numbers), line + b"\n")


class Diff(LiveErrors):
    """`--diff`: what differs from the answer of most nodes."""

    def __init__(self, run: Run, writer: Writer, names: Names) -> None:
        super().__init__(run, writer)
        self._names = names

    def finished(self) -> None:
        """Print a unified diff for every other answer."""
        import difflib

        groups = answers(self._run, with_silent=True)
        if len(groups) < 2:
            return
        reference = min(range(len(groups)), key=lambda index: (-len(groups[index][1]), groups[index][0]))
        base, base_name = self._text(groups[reference][1]), self._title(groups[reference][1])
        for index, (_rc, numbers) in enumerate(groups):
            if index != reference:
                for line in difflib.unified_diff(
                    base, self._text(numbers), base_name, self._title(numbers), lineterm=""
                ):
                    self._writer.diff_line(line)

    def _title(self, numbers: Sequence[int]) -> str:
        count = self._names.count(numbers)
        return self._names.fold(numbers) + (f" ({count})" if count is not None and count > 1 else "")

    def _text(self, numbers: Sequence[int]) -> list[str]:
        return b"".join(self._run.output.pieces(numbers[0], STDOUT)).decode("utf-8", "replace").split("\n")[:-1]


class Both:
    """Two modes at once: `-b -v` prints lines as they arrive and gathers them at the end."""

    def __init__(self, modes: Iterable[OutputMode]) -> None:
        self._modes = tuple(modes)

    def shown(self, event: SessionEvent) -> None:
        """Tell all."""
        for mode in self._modes:
            mode.shown(event)

    def finished(self) -> None:
        """Tell all."""
        for mode in self._modes:
            mode.finished()
