"""MsgTree: the outputs of many keys (nodes), each line stored once for all keys whose outputs begin alike.

A tree of runs of lines. A key stands at the end of a run; when keys part, or one stands where another went on, the
run is split there. Keys that print the same text therefore share every byte of it, one long output is one list of
lines, and adding a line that another key had before costs one look-up.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

MODE_DEFER = 0
MODE_SHIFT = 1
MODE_TRACE = 2

Match = Callable[[Any], Any]
Mapper = Callable[[Any], Any]


class MsgTreeElem:
    """One message: the lines from the tree's root down to one place.

    Immutable as seen from outside: lines that a key gets later make another element. `bytes(elem)` is the lines
    joined by LF, without a last one; comparing is by content, also with bytes; there is no str().
    """

    __slots__ = ("_first", "_keys", "_line", "_others", "_parent", "_rest", "_shared")

    def __init__(self, msgline: bytes | None = None, parent: MsgTreeElem | None = None) -> None:
        self._line = msgline
        self._rest: list[bytes] | None = None
        self._parent = parent
        self._first: MsgTreeElem | None = None
        self._others: dict[bytes, MsgTreeElem] | None = None
        #: False while only the key that made this run stands at its end: then it may grow in place.
        self._shared = False
        self._keys: list[Any] | None = None

    # -- the message

    def _runs(self) -> list[MsgTreeElem]:
        runs: list[MsgTreeElem] = []
        elem: MsgTreeElem | None = self
        while elem is not None and elem._line is not None:
            runs.append(elem)
            elem = elem._parent
        runs.reverse()
        return runs

    def lines(self) -> Iterator[bytes]:
        """Iterate over the lines, first to last, without line ends."""
        return iter(self.splitlines())

    def splitlines(self) -> list[bytes]:
        """The lines, first to last, without line ends."""
        lines: list[bytes] = []
        for run in self._runs():
            assert run._line is not None
            lines.append(run._line)
            if run._rest is not None:
                lines.extend(run._rest)
        return lines

    def message(self) -> bytes:
        """The lines joined by LF."""
        return b"\n".join(self.splitlines())

    def __bytes__(self) -> bytes:
        return self.message()

    def __str__(self) -> str:
        raise TypeError("a message is bytes: use message() or bytes(), not str()")

    def __repr__(self) -> str:
        text = repr(self.message()[:60])
        return f"<{type(self).__name__} {text}>"

    def __iter__(self) -> Iterator[bytes]:
        return self.lines()

    def __getitem__(self, index: Any) -> Any:
        return self.splitlines()[index]

    def __len__(self) -> int:
        """Length of the message in bytes."""
        return len(self.message())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, MsgTreeElem):
            return self is other or self.message() == other.message()
        if isinstance(other, bytes | bytearray | memoryview):
            return self.message() == other
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    # -- the tree below

    @property
    def children(self) -> list[MsgTreeElem]:
        """The elements that go on from here, in the order of their making."""
        found = [] if self._first is None else [self._first]
        if self._others is not None:
            found.extend(self._others.values())
        return found

    def _child(self, line: bytes) -> MsgTreeElem | None:
        first = self._first
        if first is not None and first._line == line:
            return first
        return None if self._others is None else self._others.get(line)

    def _grow(self, line: bytes) -> MsgTreeElem:
        child = MsgTreeElem(line, self)
        self._link(child)
        return child

    def _link(self, child: MsgTreeElem) -> None:
        assert child._line is not None
        if self._first is None:
            self._first = child
        elif self._others is None:
            self._others = {child._line: child}
        else:
            self._others[child._line] = child

    def _split(self, count: int) -> MsgTreeElem:
        """Cut the run after `count` lines; the new upper part is returned, this one keeps what hangs below."""
        assert self._line is not None
        assert self._rest is not None
        assert self._parent is not None
        parent = self._parent
        upper = MsgTreeElem(self._line, parent)
        upper._shared = True
        upper._rest = self._rest[: count - 1] or None
        if parent._first is self:
            parent._first = upper
        else:
            assert parent._others is not None
            parent._others[self._line] = upper
        self._line = self._rest[count - 1]
        self._rest = self._rest[count:] or None
        self._parent = upper
        upper._first = self
        return upper


class MsgTree:
    """Messages by key, equal beginnings stored once.

    mode: MODE_DEFER (keys are attached to messages at the first walk, which makes it MODE_SHIFT), MODE_SHIFT, or
    MODE_TRACE (keys stay at every line they went through). Keys are hashable; lines are bytes without line end. For
    one thread, or for several under a lock of their own.
    """

    def __init__(self, mode: int = MODE_DEFER) -> None:
        if mode not in (MODE_DEFER, MODE_SHIFT, MODE_TRACE):
            raise ValueError(f"mode of a MsgTree must be MODE_DEFER, MODE_SHIFT or MODE_TRACE, not {mode!r}")
        self.mode = mode
        self._root = MsgTreeElem()
        self._root._shared = True
        self._places: dict[Any, MsgTreeElem] = {}

    # -- adding

    def add(self, key: Hashable, line: bytes) -> None:
        """Append one line to the key's message."""
        places = self._places
        place = places.get(key)
        if place is None:
            place = self._root
        child = place._first
        if child is not None and child._rest is None and child._line == line and self.mode != MODE_TRACE:
            child._shared = True
            places[key] = child
        elif self.mode == MODE_TRACE:
            self._trace(key, place, line)
        else:
            places[key] = self._advance(place, (line,))

    def extend(self, key: Hashable, lines: list[bytes]) -> None:
        """Append several lines to the key's message: as `add` for each, quicker."""
        if not lines:
            return
        place = self._places.get(key, self._root)
        if self.mode == MODE_TRACE:
            for line in lines:
                place = self._trace(key, place, line)
        else:
            self._places[key] = self._advance(place, lines)

    def _advance(self, place: MsgTreeElem, lines: list[bytes] | tuple[bytes, ...]) -> MsgTreeElem:
        """Where a key that stands at `place` stands after `lines`."""
        position, count = 0, len(lines)
        while position < count:
            child = place._child(lines[position])
            if child is None:
                return _append(place, lines[position:])
            rest = child._rest
            if rest is None:
                matched = 1
            else:
                matched = 1 + _common(rest, lines[position + 1 : position + 1 + len(rest)])
                if matched <= len(rest):
                    child = child._split(matched)
            child._shared = True
            place = child
            position += matched
        return place

    def _trace(self, key: Hashable, place: MsgTreeElem, line: bytes) -> MsgTreeElem:
        child = place._child(line)
        if child is None:
            child = place._grow(line)
            child._shared = True
        if child._keys is None:
            child._keys = []
        child._keys.append(key)
        self._places[key] = child
        return child

    # -- by key

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._places

    def __getitem__(self, key: Hashable) -> MsgTreeElem:
        elem = self._places[key]
        elem._shared = True
        return elem

    def get(self, key: Hashable, default: Any = None) -> Any:
        """The key's message, or `default`."""
        elem = self._places.get(key)
        if elem is None:
            return default
        elem._shared = True
        return elem

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._places))

    def keys(self) -> Iterator[Any]:
        """Iterate over the keys."""
        return iter(self)

    def items(self, match: Match | None = None, mapper: Mapper | None = None) -> Iterator[tuple[Any, MsgTreeElem]]:
        """Iterate over (key, message); match filters keys, mapper changes the keys that are shown."""
        for key, elem in list(self._places.items()):
            if match is None or match(key):
                elem._shared = True
                yield (key if mapper is None else mapper(key)), elem

    # -- by message

    def messages(self, match: Match | None = None) -> Iterator[MsgTreeElem]:
        """Iterate over the distinct messages."""
        return (elem for elem, _ in self.walk(match))

    def walk(self, match: Match | None = None, mapper: Mapper | None = None) -> Iterator[tuple[MsgTreeElem, list[Any]]]:
        """Iterate over (message, list of its keys), one per distinct message; match filters keys, mapper maps them.

        In MODE_TRACE the inner elements, through which keys only passed, come as well.
        """
        if self.mode == MODE_DEFER:
            self.mode = MODE_SHIFT
        if self.mode == MODE_TRACE:
            return self._walk_places(((elem, list(elem._keys or ())) for elem, _ in self._descend()), match, mapper)
        return self._walk_places(group_places(self._places.items()), match, mapper)

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
        """Iterate depth-first over (line, keys that went through it, depth from 1, number of children); MODE_TRACE."""
        assert self.mode == MODE_TRACE, f"walk_trace() is for MODE_TRACE, this tree's mode is {self.mode}"
        return self._walk_trace(match, mapper)

    def _walk_trace(self, match: Match | None, mapper: Mapper | None) -> Iterator[tuple[bytes, list[Any], int, int]]:
        for elem, depth in self._descend():
            keys = [key for key in elem._keys or () if match is None or match(key)]
            if keys and elem._line is not None:
                yield elem._line, (keys if mapper is None else [mapper(k) for k in keys]), depth, len(elem.children)

    def _descend(self) -> Iterator[tuple[MsgTreeElem, int]]:
        """Every element below the root, depth-first, with its depth; iterative, as outputs are long."""
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

    def remove(self, match: Match) -> None:
        """Forget the keys for which `match` is true."""
        gone = {key for key in self._places if match(key)}
        for key in gone:
            del self._places[key]
        if gone and self.mode == MODE_TRACE:
            for elem, _ in list(self._descend()):
                if elem._keys is not None:
                    elem._keys = [key for key in elem._keys if key not in gone]

    def discard(self, key: Hashable) -> None:
        """Forget one key, if it is known (not in MODE_TRACE, whose lines keep their keys)."""
        self._places.pop(key, None)

    def clear(self) -> None:
        """Forget everything. Elements that were handed out stay readable."""
        # Parents and children refer to each other: cut the way down, so that the memory goes now and not at some
        # later garbage collection.
        for elem, _ in list(self._descend()):
            elem._first = elem._others = None
        self._places = {}
        self._root = MsgTreeElem()
        self._root._shared = True


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


def _append(place: MsgTreeElem, lines: list[bytes] | tuple[bytes, ...]) -> MsgTreeElem:
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


def _common(rest: list[bytes], lines: list[bytes] | tuple[bytes, ...]) -> int:
    """How many lines both begin with."""
    if rest == lines:
        return len(rest)
    count = 0
    for one, other in zip(rest, lines, strict=False):
        if one != other:
            break
        count += 1
    return count
