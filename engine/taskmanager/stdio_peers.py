"""Python workers on nodes: `clusterdeck worker --stdio MODULE...` started over the connections that a Task keeps.

No port is opened and nothing is installed by us; SSH authenticates both ends. What the node says is frames, checked
like those of any stranger; it may work and read shared items, nothing else.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ClusterShell.NodeSet import NodeSet

from ..defaults import load_worker_class
from ..loop import FANOUT_UNLIMITED
from ..states import NodeEnd
from ..task import Task
from .manager import TaskManager
from .service import Peer, Service
from .stores.base import Change, Event

#: Seconds between looks at the clock (silent processes).
TICK = 1.0
#: Seconds that a worker gets to end by itself after the last word.
PATIENCE = 5.0


class StdioPeers:
    """Starts workers on nodes and serves them in the Task's thread. Methods from any thread.

    on_end: told node, end and the last of its error output, in the Task's thread. worker: the engine worker's name.
    """

    def __init__(
        self,
        manager: TaskManager,
        task: Task,
        *,
        worker: str | None = None,
        on_end: Callable[[str, NodeEnd, bytes], None] | None = None,
    ) -> None:
        self._service = Service(manager)
        self._task = task
        self._worker = worker
        self._on_end = on_end
        self._news = False
        self._stopping = False
        self._unsubscribe = manager.subscribe(self._changed)
        self._timer = task.timer(TICK, self, interval=TICK, autoclose=True)

    @property
    def peers(self) -> int:
        """How many are connected."""
        return self._service.peers

    def start(
        self, nodes: Iterable[str], modules: Sequence[str], *, slots: int = 1, program: str = "clusterdeck"
    ) -> None:
        """Start a worker on each node; `program` as it is called there, `modules` as they are named there."""
        command = f"exec {program} worker --stdio --slots {int(slots)} {shlex.join(modules)}"
        worker_class = self._task.default("distant_worker") if self._worker is None else load_worker_class(self._worker)
        for node in nodes:
            handler = _NodeHandler(self, node)
            # One engine worker each: what is written to one goes to all of its nodes.
            worker = worker_class(NodeSet(node), handler=handler, timeout=None, command=command, stderr=True)
            worker._fanout = FANOUT_UNLIMITED
            self._task.schedule(worker)

    def stop(self) -> None:
        """Ask all workers to leave after the task at hand, also those that are just starting."""

        def stop() -> None:
            self._stopping = True
            self._service.stop()

        self._task.engine.submit(stop)

    def close(self) -> None:
        """Serve no more; workers that are left lose their tasks to others."""
        self._unsubscribe()

        def end() -> None:
            self._timer.invalidate()
            for peer in self._service.all_peers():
                peer.lost()

        self._task.engine.submit(end)

    # -- in the Task's thread

    def connected(self, worker: Any, node: str) -> Peer:
        """A node's worker began to run."""

        def close() -> None:
            worker.set_write_eof()  # a worker that means well ends by itself
            self._task.timer(PATIENCE, _Abort(worker), autoclose=True)

        peer = self._service.peer(worker.write, close, node)
        if self._stopping:
            peer.stop()
        return peer

    def ended(self, node: str, end: NodeEnd, errors: bytes) -> None:
        """A node's worker is over."""
        if self._on_end is not None:
            self._on_end(node, end, errors)

    def ev_timer(self, _timer: Any) -> None:
        """Look at the clock."""
        self._service.tick()

    def _changed(self, event: Event) -> None:
        if event.change is Change.RESULT and event.task_id in self._service.holders:
            self._task.engine.submit(lambda: self._service.ended_elsewhere(event.task_id))
        if not self._news:
            self._news = True
            self._task.engine.submit(self._serve)

    def _serve(self) -> None:
        self._news = False
        self._service.serve()


class _Abort:
    """A timer's handler that ends an engine worker."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker

    def ev_timer(self, _timer: Any) -> None:
        self._worker.abort()


class _NodeHandler:
    """Events of one node's worker."""

    def __init__(self, owner: StdioPeers, node: str) -> None:
        self._owner = owner
        self._node = node
        self._peer: Peer | None = None
        self._errors = b""

    def ev_pickup(self, worker: Any, node: str) -> None:
        self._peer = self._owner.connected(worker, node)

    def ev_lines(self, _worker: Any, _node: str, sname: str, lines: list[bytes]) -> None:
        # A frame is two whole lines, so cutting at line ends and joining again gives the same bytes.
        data = b"\n".join(lines) + b"\n"
        if sname == "stdout" and self._peer is not None:
            self._peer.feed(data)
        elif sname != "stdout":
            self._errors = (self._errors + data)[-4000:]

    def ev_end(self, _worker: Any, node: str, end: NodeEnd) -> None:
        if self._peer is not None:
            self._peer.lost()
        self._owner.ended(node, end, self._errors)
