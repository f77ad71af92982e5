"""TaskSubmission: giving a Task commands, copies, timers and ports."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ClusterShell.NodeSet import NodeSet

from .loop import Engine
from .ports import EnginePort
from .timers import EngineTimer
from .topology import TopologyUser
from .workers.base import Worker
from .workers.popen import WorkerPopen
from .workers.stream import write_or_leave


class TaskSubmission(TopologyUser):
    """What a Task can be asked to do; every method may be called from any thread."""

    engine: Engine

    def _call(self, call: Callable[[], None]) -> None:
        raise NotImplementedError

    def default(self, default_key: str, def_val: Any = None) -> Any:
        """See TaskSettings."""
        raise NotImplementedError

    def schedule(self, worker: Worker) -> None:
        """See Task."""
        raise NotImplementedError

    def shell(self, command: str, **kwargs: Any) -> Any:
        """Schedule `command`, a line for the shell; returns its worker at once, from any thread.

        nodes (text or NodeSet): run it there with the default distant worker (remote=False: locally, once per node);
        without nodes it is one local shell command, whose results go by `key` (default: the worker). handler: see
        EventHandler. timeout: seconds per command from its start, None or negative = none. stderr: keep the error
        output apart (default: default `stderr`). stdin: False = empty input (default: default `stdin`). autoclose:
        does not keep the Task running. tree: see `load_topology`. Other keywords are ignored.

        Raises ValueError for an empty local command or a timeout that is no number, NodeSetParseError for nodes that
        cannot be read, AssertionError for nodes with a key, and TaskError on a terminated Task.
        """
        handler = kwargs.get("handler")
        timeout = kwargs.get("timeout")
        autoclose = kwargs.get("autoclose", False)
        stderr = kwargs.get("stderr", self.default("stderr"))
        nodes = kwargs.get("nodes")
        worker: Any
        if nodes:
            assert kwargs.get("key") is None, f"key {kwargs.get('key')!r} cannot be used together with nodes"
            worker = self._worker_class(kwargs.get("remote", True), kwargs.get("tree"))(
                NodeSet(nodes), handler=handler, timeout=timeout, command=command, stderr=stderr, autoclose=autoclose
            )
        else:
            worker = WorkerPopen(
                command, key=kwargs.get("key"), handler=handler, stderr=stderr, timeout=timeout, autoclose=autoclose
            )
        self.schedule(worker)
        if not kwargs.get("stdin", self.default("stdin")):
            write_or_leave(worker)
        return worker

    def copy(self, source: str, dest: str, nodes: Any, **kwargs: Any) -> Any:
        """Schedule a copy of the local file or folder `source` to `dest` on nodes; returns its worker, any thread.

        nodes: text or NodeSet. handler, timeout (seconds per node), stderr, tree: as `shell`. preserve: keep times and
        modes. reverse: from the nodes to the existing local folder `dest`, as `<dest>/<name>.<node>`.

        Raises AssertionError without nodes, ValueError where `dest` of a reverse copy is no folder, and as `shell`.
        """
        assert nodes is not None, "a copy needs nodes"
        worker = self._worker_class(kwargs.get("remote", True), kwargs.get("tree"))(
            NodeSet(nodes),
            handler=kwargs.get("handler"),
            timeout=kwargs.get("timeout"),
            source=source,
            dest=dest,
            stderr=kwargs.get("stderr", self.default("stderr")),
            preserve=kwargs.get("preserve"),
            reverse=kwargs.get("reverse", False),
        )
        self.schedule(worker)
        return worker

    def rcopy(self, source: str, dest: str, nodes: Any, **kwargs: Any) -> Any:
        """Schedule a copy of the file or folder `source` of the nodes to the local folder `dest`; see `copy`."""
        kwargs["reverse"] = True
        return self.copy(source, dest, nodes, **kwargs)

    def _worker_class(self, remote: bool, tree: bool | None) -> Any:
        self.check_topology(tree, self.default("auto_tree"))
        return self.default("distant_worker" if remote else "local_worker")

    def timer(self, fire: float, handler: Any, interval: float = -1.0, autoclose: bool = False) -> EngineTimer:
        """Make a timer that calls `handler.ev_timer(timer)`: `fire` seconds from now, then every `interval` seconds.

        fire: >= 0, 0 = at the first turn of the loop; it counts from now, also before the run. interval: 0 or less =
        once. autoclose: does not keep the Task running. Any thread. Raises AssertionError for a negative `fire` and
        without a handler, ValueError for what is no number of seconds, and TaskError on a terminated Task.
        """
        assert fire >= 0.0, f"a timer's delay must be 0 or more seconds, not {fire!r}"
        timer = EngineTimer(fire, interval, autoclose, handler)
        due = time.monotonic() + fire
        self._call(lambda: self.engine.add_timer(timer, due))
        return timer

    def port(self, handler: Any | None = None, autoclose: bool = False) -> EnginePort:
        """Open a port: other threads' messages arrive at `handler.ev_msg(port, msg)`. Any thread.

        autoclose: it does not keep the Task running; else the Task runs until `remove_port` or `abort`. Of messages
        that are not taken yet, default `port_qlimit` may wait. Raises TaskError on a terminated Task.
        """
        port = self.engine.make_port(handler, autoclose, self.default("port_qlimit"))
        self._call(lambda: self.engine.add_port(port))
        return port

    def remove_port(self, port: EnginePort) -> None:
        """Close a port; who waits in its `msg` gets False. Any thread; a closed one is left alone."""
        self._call(port.close)
