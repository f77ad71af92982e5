"""Identical answers together, kept up to date while a run goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...widgets.views import OutputLine
    from .excerpt import Excerpt


class AnswerGroup:
    """Nodes whose answers have one digest; satisfies `widgets.views.GroupView`."""

    def __init__(
        self,
        key: bytes,
        fold: Callable[[Sequence[int]], str],
        line_count: Callable[[int], int],
        excerpt: Callable[[int, int, int], Excerpt],
    ) -> None:
        self.key = key
        self._fold = fold
        self._line_count = line_count
        self._excerpt = excerpt
        self._nodes: set[int] = set()
        self._members: list[int] | None = None
        self._folded: str | None = None

    def __len__(self) -> int:
        return len(self._nodes)

    def add(self, node: int) -> None:
        """Take a node in."""
        self._nodes.add(node)
        self._members = self._folded = None

    def remove(self, node: int) -> None:
        """Let a node go."""
        self._nodes.discard(node)
        self._members = self._folded = None

    @property
    def first(self) -> int:
        """The lowest node number, the one whose lines are shown."""
        return self.members[0]

    @property
    def members(self) -> Sequence[int]:
        """Node numbers, ascending."""
        if self._members is None:
            self._members = sorted(self._nodes)
        return self._members

    @property
    def folded(self) -> str:
        """The node set, folded and clean."""
        if self._folded is None:
            self._folded = self._fold(self.members)
        return self._folded

    @property
    def line_count(self) -> int:
        """Lines of the answer."""
        return self._line_count(self.first)

    def lines(self, start: int, stop: int) -> list[OutputLine]:
        """The answer's lines `start` to `stop`, clean, as Run.lines gives them."""
        return self._excerpt(self.first, start, stop).seen()

    def excerpt(self, start: int, stop: int) -> Excerpt:
        """The same lines, to be read by a call of the excerpt."""
        return self._excerpt(self.first, start, stop)


class Grouping:
    """Groups by digest. `touch` is cheap; digests are computed when somebody looks."""

    def __init__(self, digest: Callable[[int], bytes], make: Callable[[bytes], AnswerGroup]) -> None:
        self._digest = digest
        self._make = make
        self._dirty: set[int] = set()
        self._of: dict[int, AnswerGroup] = {}
        self._groups: dict[bytes, AnswerGroup] = {}
        self._ordered: list[AnswerGroup] | None = None

    def touch(self, node: int) -> None:
        """The node's answer changed."""
        self._dirty.add(node)

    def ordered(self) -> list[AnswerGroup]:
        """The groups, largest first, then by their first node; nodes without output are in none."""
        if self._dirty:
            for node in self._dirty:
                self._place(node)
            self._dirty.clear()
            self._ordered = None
        if self._ordered is None:
            self._ordered = sorted(self._groups.values(), key=lambda group: (-len(group), group.first))
        return self._ordered

    def _place(self, node: int) -> None:
        key = self._digest(node)
        old = self._of.get(node)
        if old is not None:
            if old.key == key:
                return
            old.remove(node)
            del self._of[node]
            if not len(old):
                del self._groups[old.key]
        if not key:
            return
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = self._make(key)
        group.add(node)
        self._of[node] = group
