"""Names of nodes and groups that completion may offer, gathered in the background and kept for a while.

Group programs may take seconds or hang; completion must answer at once. So it only ever sees a snapshot, and asking
for one starts a new gathering when the last is old.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

#: Seconds until names are gathered anew.
MAX_AGE = 60.0
#: Groups whose nodes are counted for their descriptions; a program per group would be too much.
_MAX_GROUPS = 2000


@dataclass(frozen=True, slots=True)
class Names:
    """What was known at one moment. groups: (name without @, description)."""

    nodes: tuple[str, ...] = ()
    groups: tuple[tuple[str, str], ...] = ()


class NameCache:
    """The names of one session; any thread may call it."""

    def __init__(self, session: Any) -> None:
        self._session = weakref.ref(session)
        self._lock = threading.Lock()
        self._names = Names()
        self._gathered = float("-inf")
        self._thread: threading.Thread | None = None

    @classmethod
    def of(cls, session: Any) -> NameCache:
        """The cache of a session; made when first asked for."""
        with _LOCK:
            cache = _CACHES.get(session)
            if cache is None:
                cache = _CACHES[session] = cls(session)
            return cache

    def snapshot(self) -> Names:
        """What is known now; never waits. Begins to gather in the background where that is due."""
        with self._lock:
            due = time.monotonic() - self._gathered > MAX_AGE
            if due and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._gather, name="deck-names", daemon=True)
                self._thread.start()
            return self._names

    def forget(self) -> None:
        """Gather anew when names are asked for the next time; until then the old ones are offered."""
        with self._lock:
            self._gathered = float("-inf")

    def put(self, nodes: Sequence[str], groups: Sequence[tuple[str, str]]) -> None:
        """Take names as gathered."""
        with self._lock:
            self._names = Names(tuple(nodes), tuple(groups))
            self._gathered = time.monotonic()

    def wait(self, timeout: float) -> bool:
        """Wait until what is being gathered is there; False after `timeout` seconds."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
        return thread is None or not thread.is_alive()

    def _gather(self) -> None:
        session = self._session()
        if session is None:
            return
        nodes: list[str] = []
        groups: list[tuple[str, str]] = []
        try:
            resolver = session.resolver
            groups = [(str(name), "") for name in resolver.grouplist()][:_MAX_GROUPS]
            groups += [(name, text) for name, text in session.settings.group_sets.items()]
            nodes = list(session.resolve("@*"))
        except Exception:
            # No groups, a source that cannot list, a program that fails: then there is nothing to offer, and the
            # operator hears of it when the group is used.
            nodes = nodes or []
        self.put(nodes, sorted(set(groups)))


_LOCK = threading.Lock()
_CACHES: weakref.WeakKeyDictionary[Any, NameCache] = weakref.WeakKeyDictionary()
