"""Files of the nodes for completion: what one node of the last run has, fetched in the background and kept a while.

Completion never waits for it: the first Tab begins to look, the next one offers. Only a node that just answered is
asked, over the connection that is kept anyway, and never in read-only mode.
"""

from __future__ import annotations

import shlex
import threading
import time
import weakref
from typing import Any

from ...engine.states import NodeState
from ..session.service import Service

#: Seconds for which a listing counts, and after which one that did not come is asked for again.
MAX_AGE = 30.0
#: Names of a folder that are kept, and folders.
_MAX_NAMES = 5000
_MAX_FOLDERS = 100


class RemoteFiles:
    """Listings of one session's nodes; any thread may call it."""

    def __init__(self, session: Service, runner: Any = None) -> None:
        self._session = weakref.ref(session)
        self._runner = runner
        self._lock = threading.Lock()
        #: (node, folder) -> when it was asked for, and the names (None: not there yet).
        self._listings: dict[tuple[str, str], tuple[float, list[str] | None]] = {}

    @classmethod
    def of(cls, session: Service) -> RemoteFiles:
        """The listings of a session; made when first asked for."""
        with _LOCK:
            found = _ALL.get(session)
            if found is None:
                found = _ALL[session] = cls(session)
            return found

    def entries(self, folder: str) -> list[str]:
        """Names in a folder as far as they are known (folders end with a slash); begins to look where they are not."""
        session = self._session()
        node = None if session is None else _willing_node(session)
        if session is None or node is None:
            return []
        key = (node, folder)
        with self._lock:
            asked, names = self._listings.get(key, (float("-inf"), None))
            if time.monotonic() - asked < MAX_AGE:
                return names or []
            self._listings[key] = (time.monotonic(), names)
            while len(self._listings) > _MAX_FOLDERS:
                self._listings.pop(next(iter(self._listings)))
        try:
            self._ask(session, node, folder)
        except Exception:  # a completion that cannot look offers nothing; the operator did not ask for an error
            return names or []
        return names or []

    def _ask(self, session: Service, node: str, folder: str) -> None:
        if self._runner is None:
            from ...engine.taskmanager.task_runner import TaskRunner  # only where somebody completes remote paths

            self._runner = TaskRunner(session.engine_task(), pool="complete", worker=session.settings.run.worker)
        # A folder such as ~/x is the remote shell's to expand; the rest is quoted.
        home, _, rest = folder.partition("/")
        path = f"~/{shlex.quote(rest)}" if home == "~" else shlex.quote(folder)
        self._runner.run(node, 0, f"ls -1Ap -- {path}/ 2>/dev/null", lambda end: self._came((node, folder), end))

    def _came(self, key: tuple[str, str], end: Any) -> None:
        if end.state not in (NodeState.OK, NodeState.FAILED):
            return
        names = end.output.decode("utf-8", "replace").split("\n")[:_MAX_NAMES]
        with self._lock:
            self._listings[key] = (time.monotonic(), sorted(name for name in names if name and name.isprintable()))


def _willing_node(session: Service) -> str | None:
    """A selected node that answered in the last run over the same worker; None: nobody is asked."""
    run = session.runs.last
    if run is None or session.settings.safety.read_only or run.kind == "local" or run.ended is None:
        return None
    if run.options.worker is not None or run.options.user is not None:
        return None
    selected = session.selection.current
    for number, name in enumerate(run.names):
        if run.states[number] in (NodeState.OK, NodeState.FAILED) and name in selected:
            return name
    return None


_LOCK = threading.Lock()
_ALL: weakref.WeakKeyDictionary[Any, RemoteFiles] = weakref.WeakKeyDictionary()
