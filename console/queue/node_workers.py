"""Python workers on nodes for the console's queue: `do_TAG` functions of modules that are there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...engine.states import NodeEnd, NodeState
from ...engine.taskmanager.jobs import NodeView
from ...engine.taskmanager.manager import TaskManager
from ...engine.taskmanager.stdio_peers import StdioPeers
from ...engine.text import sanitize_text
from ..runs.events import Notice
from ..session.service import Service

#: Different troubles that are told as they come; `:queue nodes` shows them all.
_TOLD = 10


class NodeWorkers:
    """Starts and ends them over the session's connections, and tells of trouble. Methods from any thread."""

    def __init__(self, session: Service, manager: TaskManager) -> None:
        self._session = session
        self._told: set[str] = set()
        self._peers = StdioPeers(manager, session.engine_task(), worker=session.settings.run.worker, on_end=self._ended)

    def start(self, nodes: Iterable[str], modules: Sequence[str], slots: int, program: str) -> None:
        """Workers on these nodes, unless they have one."""
        self._told.clear()
        self._peers.start(nodes, modules, slots=slots, program=program)

    def leave(self, nodes: Iterable[str]) -> list[str]:
        """Their workers end after the tasks at hand; those that had one."""
        return self._peers.leave(nodes)

    def nodes(self) -> list[NodeView]:
        """A look at them."""
        return self._peers.nodes()

    def close(self) -> None:
        """End them; what they have in hand goes back, or is lost if it may not run twice."""
        self._peers.close()

    def _ended(self, node: str, end: NodeEnd, _errors: bytes) -> None:
        """In the engine's thread. Many nodes fail for one reason: it is told once."""
        if end.state in (NodeState.OK, NodeState.ABORTED):
            return
        reason = next((view.reason for view in self._peers.nodes() if view.name == node), "")
        if reason in self._told or len(self._told) >= _TOLD:
            return
        self._told.add(reason)
        text = sanitize_text(f"{node}: its worker ended: {reason}").replace("\n", " ")
        self._session.tell(Notice("warning", f"{text}; :queue nodes lists them"))
