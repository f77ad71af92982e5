"""What a run left behind: messages per stream, return codes, timeouts, each per source = (worker, key).

Written by workers in the Task's thread; read from any thread (the lock makes a reader see whole chunks, and gives it
lists of its own).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from .errors import TaskMsgTreeError
from .gather import MsgTree, MsgTreeElem, group_places

#: (worker, key): the key is a node name, or what the user gave a local worker (by default the worker itself).
Source = tuple[Any, Any]


class Results:
    """Results of one run of a Task.

    records(sname): whether a stream is to be kept, asked for each chunk. limit(): bytes of each message that are kept
    at most, None = all.
    """

    def __init__(self, records: Callable[[str], bool], limit: Callable[[], int | None] = lambda: None) -> None:
        self._records = records
        self._limit = limit
        self._lock = threading.RLock()
        self._trees: dict[str, MsgTree] = {}
        self._retcodes: dict[Source, int] = {}
        self._timeouts: dict[Source, None] = {}
        #: Under a limit: bytes that are kept, by source and stream, and bytes that were not.
        self._kept: dict[tuple[Source, str], int] = {}
        self._cut: dict[Source, int] = {}
        #: Sources by key: one source, or a list where several workers share the key.
        self._by_key: dict[Any, Source | list[Source]] = {}

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            for tree in self._trees.values():
                tree.clear()
            self._trees.clear()
            self._retcodes.clear()
            self._timeouts.clear()
            self._kept.clear()
            self._cut.clear()
            self._by_key.clear()

    # -- writing

    def add_lines(self, worker: Any, key: Any, sname: str, lines: list[bytes]) -> None:
        """Keep lines of a source, if its stream is recorded."""
        if not self._records(sname):
            return
        with self._lock:
            tree = self._trees.get(sname)
            if tree is None:
                tree = self._trees[sname] = MsgTree()
            source = (worker, key)
            if source not in tree:
                source = self._known(source)
            limit = self._limit()
            tree.extend(source, lines if limit is None else self._within(limit, source, sname, lines))

    def _within(self, limit: int, source: Source, sname: str, lines: list[bytes]) -> list[bytes]:
        """The lines that a message may still have, the last one maybe cut; what is left out is counted."""
        kept = self._kept.get((source, sname), 0)
        for position, line in enumerate(lines):
            room = limit - kept
            if len(line) > room:
                # From here on nothing is kept: a short line must not close up to what stands before the gap.
                self._kept[source, sname] = limit + 1
                head = [line[:room]] if room > 0 else []
                left = sum(len(line) + 1 for line in lines[position:]) - sum(len(piece) + 1 for piece in head)
                self._cut[source] = self._cut.get(source, 0) + left
                return lines[:position] + head
            kept += len(line) + 1
        self._kept[source, sname] = kept
        return lines

    def set_retcode(self, worker: Any, key: Any, rc: int) -> None:
        """Keep a source's return code."""
        with self._lock:
            self._retcodes[self._known((worker, key))] = rc

    def add_timeout(self, worker: Any, key: Any) -> None:
        """Note that a source timed out."""
        with self._lock:
            self._timeouts[self._known((worker, key))] = None

    def _known(self, source: Source) -> Source:
        """The one tuple that stands for this source everywhere."""
        entry = self._by_key.get(source[1])
        if entry is None:
            self._by_key[source[1]] = source
            return source
        if isinstance(entry, tuple):
            if entry == source:
                return entry
            self._by_key[source[1]] = [entry, source]
            return source
        for known in entry:
            if known == source:
                return known
        entry.append(source)
        return source

    # -- messages

    def _tree(self, sname: str) -> MsgTree | None:
        """The tree of a stream, None if it has no message. Raises TaskMsgTreeError if it was not recorded."""
        tree = self._trees.get(sname)
        if tree is None and not self._records(sname):
            raise TaskMsgTreeError(f"{sname} is not recorded: the default '{sname}_msgtree' is not set")
        return tree

    def message(self, worker: Any, key: Any, sname: str) -> MsgTreeElem | None:
        """The message of one source."""
        with self._lock:
            tree = self._tree(sname)
            if tree is None:
                return None
            found: MsgTreeElem | None = tree.get((worker, key))
            return found

    def key_message(self, key: Any, sname: str) -> bytes:
        """The messages of all workers for a key, joined with nothing."""
        with self._lock:
            tree = self._tree(sname)
            if tree is None:
                return b""
            return b"".join(tree[source].message() for source in self._sources(key) if source in tree)

    def groups(self, sname: str) -> list[tuple[MsgTreeElem, list[Any]]]:
        """(message, keys) per distinct message of all workers."""
        with self._lock:
            tree = self._tree(sname)
            return [] if tree is None else list(tree.walk(mapper=_key_of))

    def worker_messages(self, worker: Any, keys: Iterable[Any], sname: str) -> list[tuple[Any, MsgTreeElem]]:
        """(key, message) of one worker, for those of `keys` that have one."""
        with self._lock:
            tree = self._tree(sname)
            if tree is None:
                return []
            pairs = ((key, tree.get((worker, key))) for key in keys)
            return [(key, elem) for key, elem in pairs if elem is not None]

    @staticmethod
    def group(pairs: Iterable[tuple[Any, MsgTreeElem]]) -> list[tuple[MsgTreeElem, list[Any]]]:
        """(key, message) pairs grouped by message."""
        return group_places(pairs)

    def flush(self, sname: str) -> None:
        """Forget the messages of a stream."""
        with self._lock:
            tree = self._trees.pop(sname, None)
            if tree is not None:
                tree.clear()
            for entry in [entry for entry in self._kept if entry[1] == sname]:
                del self._kept[entry]

    def flush_worker(self, worker: Any, keys: Iterable[Any], sname: str) -> None:
        """Forget one worker's messages of a stream."""
        with self._lock:
            tree = self._trees.get(sname)
            if tree is not None:
                for key in keys:
                    tree.discard((worker, key))
                    self._kept.pop(((worker, key), sname), None)

    def cut(self) -> list[tuple[Any, int]]:
        """(key, bytes) of output that the limit kept out, per worker."""
        with self._lock:
            return [(source[1], size) for source, size in self._cut.items()]

    # -- return codes

    def retcode(self, worker: Any, key: Any) -> int:
        """Return code of one source; KeyError if it has none."""
        with self._lock:
            try:
                return self._retcodes[(worker, key)]
            except KeyError:
                raise KeyError(key) from None

    def key_retcode(self, key: Any) -> int:
        """The highest return code of a key; KeyError if it has none."""
        with self._lock:
            codes = [self._retcodes[source] for source in self._sources(key) if source in self._retcodes]
        if not codes:
            raise KeyError(key)
        return max(codes)

    def max_retcode(self) -> int | None:
        """The highest return code, None if there is none."""
        with self._lock:
            return max(self._retcodes.values(), default=None)

    def retcodes(self) -> dict[int, list[Any]]:
        """Keys by return code."""
        with self._lock:
            found: dict[int, list[Any]] = {}
            for source, rc in self._retcodes.items():
                found.setdefault(rc, []).append(source[1])
            return found

    def worker_retcodes(self, worker: Any, keys: Iterable[Any]) -> list[tuple[Any, int]]:
        """(key, return code) of one worker, for those of `keys` that have one."""
        with self._lock:
            codes = self._retcodes
            return [(key, codes[source]) for key in keys if (source := (worker, key)) in codes]

    # -- timeouts

    def timeouts(self) -> list[Any]:
        """Keys that timed out, once per worker."""
        with self._lock:
            return [source[1] for source in self._timeouts]

    def worker_timeouts(self, worker: Any, keys: Iterable[Any]) -> list[Any]:
        """Keys of one worker that timed out."""
        with self._lock:
            return [key for key in keys if (worker, key) in self._timeouts]

    def _sources(self, key: Any) -> list[Source]:
        entry = self._by_key.get(key)
        if entry is None:
            return []
        return [entry] if isinstance(entry, tuple) else entry


def _key_of(source: Source) -> Any:
    return source[1]
