"""DistantWorker: a worker whose keys are node names, and its results by node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ClusterShell.NodeSet import NodeSet

from ..message import MsgTreeElem
from ..results import Results
from .base import Worker, deprecated

__all__ = ["DistantWorker"]


class DistantWorker(Worker):
    """Base of workers whose keys are node names; `nodes` is the NodeSet. handler and thread rule: see Worker.

    Getters raise WorkerError for an unscheduled worker, and those of a stream TaskMsgTreeError where it is not
    recorded. `match_keys`: a sequence of nodes or a NodeSet, only these; None = all; a text is a TypeError at the first
    step, but for `iter_retcodes`, which reads it as a node set.
    """

    nodes: NodeSet

    def result_keys(self) -> Sequence[str]:
        """See Worker: the node names."""
        return list(self.nodes)

    def last_node(self) -> Any:
        """The last node, in an event handler (deprecated: current_node)."""
        deprecated("last_node()", "current_node")
        return self.current_node

    def last_read(self) -> tuple[Any, bytes | None]:
        """(node, message) of the last event (deprecated: current_node, current_msg)."""
        deprecated("last_read()", "current_node and current_msg")
        return self.current_node, self.current_msg

    def last_error(self) -> tuple[Any, bytes | None]:
        """(node, message on stderr) of the last event (deprecated: current_node, current_errmsg)."""
        deprecated("last_error()", "current_node and current_errmsg")
        return self.current_node, self.current_errmsg

    def last_retcode(self) -> tuple[Any, int | None]:
        """(node, return code) of the last event (deprecated: current_node, current_rc)."""
        deprecated("last_retcode()", "current_node and current_rc")
        return self.current_node, self.current_rc

    def node_buffer(self, node: str) -> bytes | None:
        """A node's message on stdout, None if there is none. Raises as `read`."""
        return self.read(node, self.SNAME_STDOUT)

    def node_error(self, node: str) -> bytes | None:
        """A node's message on stderr, None if there is none. Raises as `read`."""
        return self.read(node, self.SNAME_STDERR)

    node_error_buffer = node_error

    def node_retcode(self, node: str) -> int:
        """A node's return code. Raises KeyError if it has none (not ended, timed out, aborted, unknown)."""
        return self._scheduled().results.retcode(self, node)

    node_rc = node_retcode

    # -- iterating; nothing is looked at before the first step

    def _messages(self, sname: str, match_keys: Any) -> Iterator[tuple[str, MsgTreeElem]]:
        if isinstance(match_keys, str):
            raise TypeError(f"match_keys must be a sequence of node names or a NodeSet, not the string {match_keys!r}")
        keys: Iterable[str] = self.result_keys()
        if match_keys is not None:
            keys = [key for key in keys if key in match_keys]
        yield from self._scheduled().results.worker_messages(self, keys, sname)

    def _groups(self, sname: str, match_keys: Any) -> Iterator[tuple[MsgTreeElem, NodeSet]]:
        for elem, keys in Results.group(self._messages(sname, match_keys)):
            yield elem, NodeSet.fromlist(keys)

    def iter_buffers(self, match_keys: Any = None) -> Iterator[tuple[MsgTreeElem, NodeSet]]:
        """Iterate over (message, NodeSet of its nodes), one per distinct message; match_keys: see the class."""
        return self._groups(self.SNAME_STDOUT, match_keys)

    def iter_errors(self, match_keys: Any = None) -> Iterator[tuple[MsgTreeElem, NodeSet]]:
        """Iterate over (message on stderr, NodeSet of its nodes), one per distinct message; match_keys as there."""
        return self._groups(self.SNAME_STDERR, match_keys)

    def iter_node_buffers(self, match_keys: Any = None) -> Iterator[tuple[str, MsgTreeElem]]:
        """Iterate over (node, message); match_keys: see the class."""
        return self._messages(self.SNAME_STDOUT, match_keys)

    def iter_node_errors(self, match_keys: Any = None) -> Iterator[tuple[str, MsgTreeElem]]:
        """Iterate over (node, message on stderr); match_keys: see the class."""
        return self._messages(self.SNAME_STDERR, match_keys)

    def iter_retcodes(self, match_keys: Any = None) -> Iterator[tuple[int, NodeSet]]:
        """Iterate over (return code, NodeSet of its nodes), only codes that have any.

        match_keys: nodes, as a NodeSet, a sequence or a text; None or empty = all.
        """
        if isinstance(match_keys, str):
            match_keys = NodeSet(match_keys)
        groups: dict[int, list[str]] = {}
        for node, rc in self.iter_node_retcodes():
            if not match_keys or node in match_keys:
                groups.setdefault(rc, []).append(node)
        for rc, nodes in groups.items():
            yield rc, NodeSet.fromlist(nodes)

    def iter_node_retcodes(self) -> Iterator[tuple[str, int]]:
        """Iterate over (node, return code)."""
        yield from self._scheduled().results.worker_retcodes(self, self.result_keys())
