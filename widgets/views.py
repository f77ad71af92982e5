"""What the widgets need to know of a run: structural types, so that widgets never import the console.

The console's Run satisfies RunView. All text here has passed the gate (engine/text.py). All methods are called in
the UI thread only and must be quick: nothing here may wait for a node, a file or a program.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..engine.states import NodeState


@dataclass(frozen=True, slots=True)
class OutputLine:
    """One line as shown: clean text without a line end, and the stream it came from ("stdout" or "stderr").

    coloured: the bytes as the node sent them where they have colours, b"" otherwise; only for
    `engine.sgr.styled_line`, which is a gate of its own. here: False for a line that is still being read from the
    disk; its text says so.
    """

    text: str
    stream: str
    coloured: bytes = b""
    here: bool = True


class Excerpt(Protocol):
    """Some lines of an answer. A call gives them and may wait for the disk: in any thread but the screen's."""

    @property
    def at_hand(self) -> bool:
        """Whether a call would not wait."""

    def __call__(self) -> list[OutputLine]: ...


class GroupView(Protocol):
    """Nodes that gave the same answer."""

    @property
    def members(self) -> Sequence[int]:
        """Node numbers of the run, ascending."""

    @property
    def folded(self) -> str:
        """The node set, folded: `node[1-30,32]`."""

    @property
    def line_count(self) -> int:
        """Lines of the answer."""

    def lines(self, start: int, stop: int) -> list[OutputLine]:
        """The answer's lines `start` to `stop` (half open), clean; those not `here` yet that are being read."""

    def excerpt(self, start: int, stop: int) -> Excerpt:
        """The same lines, for whoever needs all of them."""


class RunView(Protocol):
    """One run, as far as a widget draws it. Node numbers index `names`."""

    @property
    def id(self) -> int: ...

    @property
    def line(self) -> str:
        """What was typed, clean."""

    @property
    def kind(self) -> str:
        """`shell`, `copy`, `rcopy`, `local`, `timer` or `queue`."""

    @property
    def names(self) -> Sequence[str]: ...

    @property
    def states(self) -> Sequence[int]:
        """NodeState per node (a bytearray)."""

    @property
    def version(self) -> int:
        """Grows with every change of a state."""

    @property
    def output_version(self) -> int:
        """Grows with every change of an output."""

    @property
    def created(self) -> float:
        """Wall clock of the start, seconds since the epoch."""

    @property
    def started(self) -> float:
        """Monotonic clock of the start, seconds."""

    @property
    def ended(self) -> float | None:
        """Monotonic clock of the end, None while it runs."""

    @property
    def lines_total(self) -> int:
        """Lines received so far from all nodes."""

    def count(self, state: NodeState) -> int: ...

    def rc(self, node: int) -> int | None: ...

    def reason(self, node: int) -> str:
        """Why the node failed, one clean line; empty where the return code says it all."""

    def failure_kind(self, node: int) -> str:
        """What kind of failure that was, in words (`refused`, `no route`); empty where it is not known."""

    def elapsed(self, node: int, now: float) -> float | None:
        """Seconds the node has run (or ran); of one that was never reached, the attempt; None before it started."""

    def last_line(self, node: int) -> str: ...

    def restarts(self, node: int) -> int:
        """How often the node was tried again in this run: its output began anew each time."""

    def line_count(self, node: int) -> int: ...

    def lines(self, node: int, start: int, stop: int) -> list[OutputLine]:
        """A node's lines. What is still on disk is read, and not `here` yet."""

    def excerpt(self, node: int, start: int, stop: int) -> Excerpt:
        """The same lines, for whoever needs all of them."""

    def merged_count(self) -> int:
        """Lines in the merged view of all nodes that are still at hand (older ones only per node)."""

    @property
    def merged_forgotten(self) -> int:
        """Lines that came before the first one of the merged view."""

    def merged(self, start: int, stop: int) -> list[tuple[int, OutputLine]]:
        """Lines of all nodes in the order of arrival, as (node number, line)."""

    def groups(self) -> Sequence[GroupView]:
        """Identical answers together, largest group first; live while the run goes on."""

    def fold(self, nodes: Sequence[int]) -> str:
        """Node numbers as a folded node set."""

    def transferred(self) -> tuple[int, int]:
        """Bytes done and bytes in all, for copies; (0, 0) otherwise."""

    def moved_for(self, now: float) -> float:
        """Seconds in which these bytes moved, without those in which dead nodes were waited for."""

    def progress(self, node: int) -> tuple[int, int]:
        """The same of one node."""
