"""MsgTreeElem: one message of a MsgTree, and the run of lines that it stands for in the tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class MsgTreeElem:
    """One message: the lines from the tree's root down to one place.

    Immutable as seen from outside: lines that a key gets later make another element. `bytes(elem)` is the lines
    joined by LF, without a last one; comparing is by content, also with bytes; len() counts bytes; iterating, and [i],
    give lines; there is no str() (TypeError), as it is in ClusterShell. msgline, parent: for MsgTree, which makes them.
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

    def _shatter(self) -> MsgTreeElem:
        """Cut the run into its lines; the first is returned, this element becomes the last."""
        assert self._line is not None
        assert self._rest is not None
        upper = first = self._split(1)
        first._shared = True
        rest, self._rest = self._rest, None
        if rest is not None:
            line = self._line
            for following in rest:
                middle = MsgTreeElem(line, upper)
                middle._shared = True
                upper._first = middle
                upper, line = middle, following
            self._line = line
            self._parent = upper
            upper._first = self
        return first

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
