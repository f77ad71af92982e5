"""One order over everything and one per tag, kept in step; every step costs the same at any length."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Generic, Protocol, TypeVar


class Placed(Protocol):
    """An item that knows its place among all waiting ones: smaller is nearer to the front."""

    place: int


T = TypeVar("T", bound=Placed)


class Lanes(Generic[T]):
    """Items by key in one line, and by tag in a lane each. A lane of one tag is in the order of the whole line.

    OrderedDict because it takes from the middle and puts in front in constant time (a plain dict does not).
    """

    __slots__ = ("_all", "_lanes")

    def __init__(self) -> None:
        self._all: OrderedDict[str, tuple[str, T]] = OrderedDict()
        self._lanes: dict[str, OrderedDict[str, T]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def append(self, tag: str, key: str, item: T) -> None:
        """Put at the end of both."""
        self._all[key] = (tag, item)
        lane = self._lanes.get(tag)
        if lane is None:
            lane = self._lanes[tag] = OrderedDict()
        lane[key] = item

    def prepend(self, tag: str, key: str, item: T) -> None:
        """Put in front of both."""
        self.append(tag, key, item)
        self._all.move_to_end(key, last=False)
        self._lanes[tag].move_to_end(key, last=False)

    def remove(self, tag: str, key: str) -> None:
        """Take out of both; KeyError."""
        del self._all[key]
        lane = self._lanes[tag]
        del lane[key]
        if not lane:
            del self._lanes[tag]

    def first(self, tags: Sequence[str] | None) -> T | None:
        """The foremost item (of `tags`, the one with the smallest place); None when there is none."""
        if tags is None:
            return next(iter(self._all.values()))[1] if self._all else None
        if len(tags) == 1:
            lane = self._lanes.get(tags[0])
            return None if lane is None else next(iter(lane.values()))
        return next(self.iterate(tags), None)

    def iterate(self, tags: Sequence[str] | None) -> Iterator[T]:
        """All of them (of `tags`) from the front."""
        if tags is None:
            for _, item in self._all.values():
                yield item
            return
        lanes = [self._lanes[tag].values() for tag in tags if tag in self._lanes]
        yield from heapq.merge(*lanes, key=attrgetter("place"))

    def counts(self) -> dict[str, int]:
        """Items per tag."""
        return {tag: len(lane) for tag, lane in self._lanes.items()}
