"""Equal answers as rows: which row of the gathered view is which line of which group. Pure; no screen."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .views import GroupView

#: A folded answer shows this many of its first lines.
FOLDED_LINES = 12


@dataclass(frozen=True, slots=True)
class Block:
    """One answer with its heading, as far as it is opened. members: node numbers after the filter."""

    group: GroupView
    members: Sequence[int]
    fold: Callable[[Sequence[int]], str]
    shown: int
    opened_members: bool

    @property
    def folded(self) -> str:
        """The node set of the members. Folding costs, so only headings that are painted ask for it."""
        return self.group.folded if len(self.members) == len(self.group.members) else self.fold(self.members)

    @property
    def hidden(self) -> int:
        """Lines that are folded away."""
        return self.group.line_count - self.shown

    @property
    def compact(self) -> bool:
        """One node and one line: both stand in one row, so that many different answers make a table."""
        return len(self.members) == 1 and self.group.line_count == 1 and not self.opened_members

    @property
    def rows(self) -> int:
        """Heading, members, lines, the mark of folded lines, and a blank."""
        if self.compact:
            return 1
        return 2 + (len(self.members) if self.opened_members else 0) + self.shown + (1 if self.hidden else 0)


@dataclass(frozen=True, slots=True)
class Place:
    """What a row is. kind: "heading", "compact", "member", "line", "more" or "blank"; number: of the member or line."""

    block: Block
    kind: str
    number: int = 0


class AnswerRows:
    """The rows of some groups, found by number in logarithmic time."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.blocks = blocks
        self._starts: list[int] = []
        at = 0
        for block in blocks:
            self._starts.append(at)
            at += block.rows
        self.total = at

    def start_of(self, number: int) -> int:
        """The row of a block's heading."""
        return self._starts[number]

    def block_at(self, row: int) -> int:
        """The number of the block that a row belongs to."""
        return bisect_right(self._starts, row) - 1

    def place(self, row: int) -> Place:
        """What a row is."""
        number = self.block_at(row)
        block = self.blocks[number]
        rest = row - self._starts[number]
        if rest == 0:
            return Place(block, "compact" if block.compact else "heading")
        rest -= 1
        if block.opened_members:
            if rest < len(block.members):
                return Place(block, "member", rest)
            rest -= len(block.members)
        if rest < block.shown:
            return Place(block, "line", rest)
        if block.hidden and rest == block.shown:
            return Place(block, "more", block.hidden)
        return Place(block, "blank")


def blocks_of(
    groups: Sequence[GroupView],
    wanted: frozenset[int] | None,
    fold: Callable[[Sequence[int]], str],
    opened: set[int],
    with_members: set[int],
    *,
    outliers: bool = False,
) -> list[Block]:
    """Blocks for `groups`, narrowed to the node numbers `wanted` (None: all), rarest first if `outliers`.

    opened, with_members: the first member of the groups whose lines or members are unfolded.
    """
    blocks: list[Block] = []
    for group in groups:
        members: Sequence[int] = group.members
        if wanted is not None:
            members = [node for node in members if node in wanted]
            if not members:
                continue
        key = group.members[0]
        count = group.line_count
        shown = count if key in opened or count <= FOLDED_LINES else FOLDED_LINES - 2
        blocks.append(Block(group, members, fold, shown, key in with_members))
    if wanted is not None or outliers:
        blocks.sort(key=lambda block: len(block.members) if outliers else -len(block.members))
    return blocks
