"""Two answers to be compared, and what came of it. No screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .cells import safe
from .diff import COMPARED_LINES, DiffLine, compare, normalise
from .views import GroupView, RunView


@dataclass(frozen=True, slots=True)
class Part:
    """One answer beside the base. nodes: its node numbers in the shown run. note: behind its title."""

    title: str
    nodes: tuple[int, ...]
    lines: tuple[DiffLine, ...]
    note: str = ""

    def count(self, mark: str) -> int:
        """How many lines have a mark."""
        return sum(1 for line in self.lines if line.mark == mark)


@dataclass(slots=True)
class Comparison:
    """Two answers to be compared. place: of the block that shows the result."""

    base_run: RunView
    base: GroupView | None
    run: RunView
    group: GroupView
    nodes: tuple[int, ...]
    title: str
    hide_equal: bool = False
    place: int = 0

    def prepare(self, normalising: bool) -> Callable[[], list[DiffLine]]:
        """Chooses what is compared; what is returned reads and compares it, in a thread that may wait for a disk."""
        base = self.base.excerpt(0, COMPARED_LINES) if self.base is not None else None
        other = self.group.excerpt(0, COMPARED_LINES)
        old_name = self.base_run.names[self.base.members[0]] if self.base is not None else ""
        new_name = self.run.names[self.group.members[0]]

        def work() -> list[DiffLine]:
            old = [safe(line.text) for line in base()] if base is not None else []
            new = [safe(line.text) for line in other()]
            if not normalising:
                return compare(old, new)
            keys = ([normalise(text, (old_name,)) for text in old], [normalise(text, (new_name,)) for text in new])
            return compare(old, new, keys)

        return work
