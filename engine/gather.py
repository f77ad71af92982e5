"""MsgTree: the outputs of many keys (nodes), each line stored once for all keys whose outputs begin alike.

A tree of runs of lines. A key stands at the end of a run; when keys part, or one stands where another went on, the
run is split there. Keys that print the same text therefore share every byte of it, one long output is one list of
lines, and adding a line that another key had before costs one look-up.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any

from .message import MsgTreeElem

__all__ = ["MODE_DEFER", "MODE_SHIFT", "MODE_TRACE", "MsgTree", "MsgTreeElem", "group_places"]

MODE_DEFER = 0
MODE_SHIFT = 1
MODE_TRACE = 2

Match = Callable[[Any], Any]
Mapper = Callable[[Any], Any]


_NOBODY = object()


class MsgTree:
    """Messages by key, equal beginnings stored once.

    mode: MODE_DEFER (keys are attached to messages at the first walk, which makes it MODE_SHIFT), MODE_SHIFT, or
    MODE_TRACE (keys stay at every line they went through). Keys are hashable; lines are bytes without line end. For
    one thread, or for several under a lock of their own. Raises ValueError for another mode. The semantic is that of
    ClusterShell's MsgTree, the order of keys and messages that in which they came.
    """

    def __init__(self, mode: int = MODE_DEFER) -> None:
        if mode not in (MODE_DEFER, MODE_SHIFT, MODE_TRACE):
            raise ValueError(f"mode of a MsgTree must be MODE_DEFER, MODE_SHIFT or MODE_TRACE, not {mode!r}")
        self.mode = mode
        #: Where each key stands; a key that is not in it stands at the root.
        self._places: dict[Any, MsgTreeElem] = {}
        self._root = _new_root()
        #: The key of the last `add`, and its lines that are not in the tree yet.
        self._last: Any = _NOBODY
        self._waiting: list[bytes] = []

    def _settle(self) -> dict[Any, MsgTreeElem]:
        """The places of all keys, with nothing waiting."""
        if self._last is not _NOBODY:
            key, self._last = self._last, _NOBODY
            self._places[key] = self._follow(key, self._waiting)
        return self._places

    # -- adding

    def add(self, key: Hashable, line: bytes) -> None:
        """Append one line (bytes without line end) to the key's message; TypeError for a key that has no hash."""
        # Called once per line, and the next line mostly is the same key's: such lines wait and go in together.
        last = self._last
        if key is last:
            self._waiting.append(line)
        else:
            if last is not _NOBODY:
                self._places[last] = self._follow(last, self._waiting)
            hash(key)  # raises TypeError now, as such a key could not be put away later
            self._last = key
            self._waiting = [line]

    def extend(self, key: Hashable, lines: Sequence[bytes]) -> None:
        """Append several lines to the key's message: as `add` for each, quicker."""
        if lines:
            places = self._settle()
            places[key] = self._follow(key, lines)

    def _follow(self, key: Hashable, lines: Sequence[bytes]) -> MsgTreeElem:
        """Where the key stands after these lines."""
        place = self._places.get(key, self._root)
        if self.mode == MODE_TRACE:
            for line in lines:
                place = self._trace(key, place, line)
            return place
        position, count = 0, len(lines)
        while position < count:
            # As `_child`, without the call: this is where the time goes.
            line, child = lines[position], place._first
            if child is None or child._line != line:
                others = place._others
                child = None if others is None else others.get(line)
                if child is None:
                    return _append(place, lines[position:])
            position += 1
            rest = child._rest
            if rest is not None:
                following = lines[position : position + len(rest)]
                if rest == following:
                    position += len(rest)
                else:
                    matched = _common(rest, following)
                    # A key that comes line by line would split at each of them: better once and for all.
                    child = child._shatter() if count == 1 else child._split(1 + matched)
                    position += matched
            child._shared = True
            place = child
        return place

    def _trace(self, key: Hashable, place: MsgTreeElem, line: bytes) -> MsgTreeElem:
        child = place._child(line)
        if child is None:
            child = place._grow(line)
            child._shared = True
        if child._keys is None:
            child._keys = []
        child._keys.append(key)
        return child

    # -- by key

    def __len__(self) -> int:
        return len(self._settle())

    def __contains__(self, key: Hashable) -> bool:
        return key in self._settle()

    def __getitem__(self, key: Hashable) -> MsgTreeElem:
        elem = self._settle().get(key)
        if elem is None:
            raise KeyError(key)
        elem._shared = True
        return elem

    def get(self, key: Hashable, default: Any = None) -> Any:
        """The key's message, or `default`."""
        elem = self._settle().get(key)
        if elem is None:
            return default
        elem._shared = True
        return elem

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._settle()))

    def keys(self) -> Iterator[Any]:
        """Iterate over the keys."""
        return iter(self)

    def items(self, match: Match | None = None, mapper: Mapper | None = None) -> Iterator[tuple[Any, MsgTreeElem]]:
        """Iterate over (key, message); match filters keys, mapper changes the keys that are shown."""
        for key, elem in list(self._settle().items()):
            if match is None or match(key):
                elem._shared = True
                yield (key if mapper is None else mapper(key)), elem

    # -- by message

    def messages(self, match: Match | None = None) -> Iterator[MsgTreeElem]:
        """Iterate over the distinct messages of the keys for which `match` is true, by default of all."""
        return (elem for elem, _ in self.walk(match))

    def walk(self, match: Match | None = None, mapper: Mapper | None = None) -> Iterator[tuple[MsgTreeElem, list[Any]]]:
        """Iterate over (message, list of its keys), one per distinct message; match filters keys, mapper maps them.

        In MODE_TRACE the inner elements, through which keys only passed, come as well.
        """
        if self.mode == MODE_DEFER:
            self.mode = MODE_SHIFT
        if self.mode == MODE_TRACE:
            return self._walk_places(((elem, list(elem._keys or ())) for elem, _ in self._descend()), match, mapper)
        return self._walk_places(group_places(self._settle().items()), match, mapper)

    @staticmethod
    def _walk_places(
        pairs: Iterable[tuple[MsgTreeElem, list[Any]]], match: Match | None, mapper: Mapper | None
    ) -> Iterator[tuple[MsgTreeElem, list[Any]]]:
        for elem, members in pairs:
            keys = members if match is None else [key for key in members if match(key)]
            if keys:
                elem._shared = True
                yield elem, (keys if mapper is None else [mapper(key) for key in keys])

    def walk_trace(
        self, match: Match | None = None, mapper: Mapper | None = None
    ) -> Iterator[tuple[bytes, list[Any], int, int]]:
        """Iterate depth-first over (line, keys that went through it, depth from 1, number of children).

        match filters keys, mapper maps them. Raises AssertionError in another mode than MODE_TRACE.
        """
        assert self.mode == MODE_TRACE, f"walk_trace() is for MODE_TRACE, this tree's mode is {self.mode}"
        return self._walk_trace(match, mapper)

    def _walk_trace(self, match: Match | None, mapper: Mapper | None) -> Iterator[tuple[bytes, list[Any], int, int]]:
        for elem, depth in self._descend():
            keys = [key for key in elem._keys or () if match is None or match(key)]
            if keys and elem._line is not None:
                yield elem._line, (keys if mapper is None else [mapper(k) for k in keys]), depth, len(elem.children)

    def _descend(self) -> Iterator[tuple[MsgTreeElem, int]]:
        """Every element below the root, depth-first, with its depth; iterative, as outputs are long."""
        self._settle()
        stack = [(child, 1) for child in reversed(self._root.children)]
        while stack:
            elem, depth = stack.pop()
            depth += len(elem._rest or ())
            yield elem, depth
            stack.extend((child, depth + 1) for child in reversed(elem.children))

    def _depth(self) -> int:
        """Lines of the longest message."""
        return max((depth for _, depth in self._descend()), default=0)

    # -- forgetting

    def remove(self, match: Match | None = None) -> None:
        """Forget the keys for which `match` is true, by default all."""
        gone = {key for key in self._settle() if match is None or match(key)}
        for key in gone:
            del self._places[key]
        if gone and self.mode == MODE_TRACE:
            for elem, _ in list(self._descend()):
                if elem._keys is not None:
                    elem._keys = [key for key in elem._keys if key not in gone]

    def discard(self, key: Hashable) -> None:
        """Forget one key, if it is known (not in MODE_TRACE, whose lines keep their keys)."""
        self._settle().pop(key, None)

    def clear(self) -> None:
        """Forget everything. Elements that were handed out stay readable."""
        # Parents and children refer to each other: cut the way down, so that the memory goes now and not at some
        # later garbage collection.
        for elem, _ in list(self._descend()):
            elem._first = elem._others = None
        self._places = {}
        self._root = _new_root()
        self._last = _NOBODY
        self._waiting = []


def _new_root() -> MsgTreeElem:
    root = MsgTreeElem()
    root._shared = True
    return root


def group_places(items: Iterable[tuple[Any, MsgTreeElem]]) -> list[tuple[MsgTreeElem, list[Any]]]:
    """(key, message) pairs grouped by message: one (message, keys) per distinct message."""
    groups: dict[int, tuple[MsgTreeElem, list[Any]]] = {}
    for key, elem in list(items):
        group = groups.get(id(elem))
        if group is None:
            groups[id(elem)] = (elem, [key])
        else:
            group[1].append(key)
    return list(groups.values())


def _append(place: MsgTreeElem, lines: Sequence[bytes]) -> MsgTreeElem:
    if not place._shared and place._first is None:
        if place._rest is None:
            place._rest = list(lines)
        else:
            place._rest.extend(lines)
        return place
    child = place._grow(lines[0])
    if len(lines) > 1:
        child._rest = list(lines[1:])
    return child


def _common(rest: list[bytes], lines: Sequence[bytes]) -> int:
    """How many lines both begin with."""
    count = 0
    for one, other in zip(rest, lines, strict=False):
        if one != other:
            break
        count += 1
    return count
