"""Finished tasks of a store in this process, by end, by tag and by requester."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from .base import Claim
from .lanes import Lanes
from .records import Task


class Outcomes:
    """Tasks whose outcome nobody fetched, oldest end first. The caller holds its own lock."""

    __slots__ = ("_finished", "_requested")

    def __init__(self) -> None:
        self._finished = Lanes[Task]()
        self._requested: dict[str, OrderedDict[str, Task]] = {}

    def add(self, task: Task) -> None:
        """One more ended."""
        self._finished.append(task.tag, task.id, task)
        if task.requester is not None:
            self._requested.setdefault(task.requester, OrderedDict())[task.id] = task

    def remove(self, task: Task) -> None:
        """It was fetched, or is no outcome any more."""
        self._finished.remove(task.tag, task.id)
        if task.requester is not None:
            mine = self._requested[task.requester]
            del mine[task.id]
            if not mine:
                del self._requested[task.requester]

    def first(self, claim: Claim) -> Task | None:
        """The oldest one for a claim that names no task; None when there is none."""
        if claim.requester is not None:
            return next(iter(self._requested.get(claim.requester, {}).values()), None)
        return self._finished.first(None if claim.tag is None else (claim.tag,))

    def of(self, requester: str) -> list[str]:
        """The tasks of one requester."""
        return list(self._requested.get(requester, ()))

    def counts(self) -> dict[str, int]:
        """Tasks per tag."""
        return self._finished.counts()

    def __iter__(self) -> Iterator[Task]:
        return self._finished.iterate(None)
