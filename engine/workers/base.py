"""Worker: one piece of work of a Task on one or several targets, and what its clients tell it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from ..client import EngineClient
from ..errors import WorkerBadArgumentError, WorkerError, WorkerException
from ..events import NO_HOOKS, Hooks, hooks_of, warn_timeout
from ..loop import FANOUT_DEFAULT, FANOUT_UNLIMITED, Engine
from ..results import Results
from ..states import NodeEnd, NodeState

__all__ = [
    "FANOUT_DEFAULT",
    "FANOUT_UNLIMITED",
    "Worker",
    "WorkerBadArgumentError",
    "WorkerError",
    "WorkerException",
    "WorkerTask",
]


class WorkerTask(Protocol):
    """The Task, as its workers see it."""

    @property
    def engine(self) -> Engine: ...

    @property
    def results(self) -> Results: ...

    def info(self, info_key: str, def_val: Any = None) -> Any: ...

    def default(self, default_key: str, def_val: Any = None) -> Any: ...

    def in_own_thread(self) -> bool: ...


class Worker:
    """Base of all workers. The semantic is that of ClusterShell's Worker; `infos`, `fanout`, `clients`, `set_ranks` and
    `abort_nodes` are ours.

    handler: its methods are called with the worker (see events.EventHandler); None for none. Attributes: `eh` the
    handler, `task` the Task once scheduled, `started`, and `current_node current_msg current_errmsg current_rc
    current_sname`, which mirror the last event (deprecated). Methods that act (`abort`, `write`, ...) may be called
    from any thread; events come in the Task's.
    """

    #: Names of the streams; an instance may rename them before it starts.
    SNAME_STDIN = "stdin"
    SNAME_STDOUT = "stdout"
    SNAME_STDERR = "stderr"

    #: Whether the keyword `sudo` is understood: the worker then answers sudo's question for a password itself.
    answers_sudo = False
    #: Whether the keyword `pty` is understood: the command then gets a terminal.
    gives_terminal = False
    #: Whether it reads ssh_config itself, so that a limit for connecting may be left to that.
    reads_ssh_config = False

    #: Whether a handler's ev_timeout is called with a DeprecationWarning.
    _warns_timeout = False

    def __init__(self, handler: Any | None) -> None:
        self.eh = handler
        self.task: WorkerTask | None = None
        self.started = False
        self.current_node: Any | None = None
        self.current_msg: bytes | None = None
        self.current_errmsg: bytes | None = None
        self.current_rc: int | None = None
        self.current_sname: str | None = None
        self._fanout: int | None = FANOUT_DEFAULT
        #: Info values of this worker's own (`connect_timeout`, `ssh_user`, ...), over the Task's; set before the start.
        self.infos: Mapping[str, Any] = {}
        self._hooks: Hooks = NO_HOOKS
        self._hooked: Any | None = None
        self._clients: dict[EngineClient, None] = {}
        self._timed_out = False
        self._aborted = False

    @property
    def fanout(self) -> int | None:
        """How many of this worker's clients run at once: FANOUT_DEFAULT (None): within the Task's fanout, a positive
        number: a limit of its own, apart from the Task's, FANOUT_UNLIMITED (-1): no limit. Set before scheduling.

        Setting raises WorkerError once scheduled, and ValueError for anything else.
        """
        return self._fanout

    @fanout.setter
    def fanout(self, limit: int | None) -> None:
        wrong = isinstance(limit, bool) or not isinstance(limit, int) or (limit < 1 and limit != FANOUT_UNLIMITED)
        if limit is not FANOUT_DEFAULT and wrong:
            raise WorkerBadArgumentError(f"fanout must be a positive number of commands, -1 or None, not {limit!r}")
        if self.task is not None:
            raise WorkerError(f"fanout={limit!r}: {self!r} is scheduled already")
        self._fanout = limit

    @property
    def clients(self) -> Sequence[EngineClient]:
        """What is scheduled and not over: a client per command, copy or set of streams. The Task's thread only."""
        return tuple(self._clients)

    def set_ranks(self, ranks: Mapping[str, int]) -> None:
        """ranks: node name -> what `%n` stands for there, in place of its rank among this worker's nodes.

        To be called before scheduling. Workers that know no `%n` have nothing to do, nor is anything done about nodes
        that are not theirs.
        """

    # -- scheduling (called by the Task)

    def make_clients(self) -> Iterable[EngineClient]:
        """The clients that do the work; called once, when the worker is scheduled."""
        raise NotImplementedError

    def _set_task(self, task: WorkerTask) -> None:
        if self.task is not None:
            raise WorkerError(f"{self!r} is scheduled already")
        self.task = task

    def _schedule(self) -> None:
        """Give the clients to the loop; in the Task's thread."""
        engine = self._scheduled().engine
        clients = list(self.make_clients())
        self._clients.update(dict.fromkeys(clients))
        for client in clients:
            engine.add(client)

    def _scheduled(self) -> WorkerTask:
        if self.task is None:
            raise WorkerError(f"{self!r} is not scheduled")
        return self.task

    def _in_task(self, call: Callable[[], None]) -> None:
        """Call in the Task's thread: now if this is it."""
        task = self.task
        if task is None or task.in_own_thread():
            call()
        else:
            task.engine.submit(call)

    # -- acting

    def abort(self) -> None:
        """Stop what is not done yet; safe at any time, in any thread and handler, and a second time.

        No ev_hup and no return code for what it stops, but ev_close(False); what was read stays. Nothing happens to an
        unscheduled worker.
        """
        if self.task is not None:
            self._in_task(self._abort)

    def abort_nodes(self, nodes: Collection[str]) -> set[str]:
        """Stop the commands of these nodes only; the Task's thread only. Results as after `abort`.

        Returns those that could not be stopped, as their command is also that of others (`%hosts`, pdsh).
        """
        engine = self._scheduled().engine
        shared: set[str] = set()
        for client in self.clients:
            served = client.nodes
            wanted = [node for node in served if node in nodes]
            if len(wanted) == len(served):
                engine.kill(client)
            else:
                shared.update(wanted)
        return shared

    def _abort(self) -> None:
        self._aborted = True
        engine = self._scheduled().engine
        for client in list(self._clients):
            engine.kill(client)

    # -- what clients tell

    def _handler(self) -> Hooks:
        handler = self.eh
        if handler is not self._hooked:
            self._hooked = handler
            self._hooks = hooks_of(handler)
        return self._hooks

    def _set_current(self, node: Any) -> None:
        self.current_node = node

    def _on_start(self) -> None:
        """The first client is about to start (or to connect)."""
        if self.started:
            return
        self.started = True
        hook = self._handler().start
        if hook is not None:
            hook(self)

    def _on_connect(self, node: Any) -> None:
        """Connecting to a node has begun."""
        hook = self._handler().connect
        if hook is not None:
            self._set_current(node)
            hook(self, node)

    def _on_pickup(self, node: Any) -> None:
        """A node's command has started."""
        hook = self._handler().pickup
        if hook is not None:
            self._set_current(node)
            hook(self, node)

    def _debug_label(self, node: Any) -> str:
        """What stands before a line of output in the lines for `print_debug`."""
        return f"{node}:"

    def _on_lines(self, node: Any, sname: str, lines: list[bytes]) -> None:
        """A chunk of output: whole lines without line ends."""
        task = self._scheduled()
        if task.info("debug"):
            for line in lines:
                task.engine.debug(f"{self._debug_label(node)} {line!r}")
        hooks = self._handler()
        if hooks.lines is None and (hooks.read is not None or (hooks.error is not None and sname == self.SNAME_STDERR)):
            self._read_each(task, node, sname, lines)
            return
        task.results.add_lines(self, node, sname, lines)
        if hooks.lines is not None:
            self._set_current(node)
            self.current_sname = sname
            hooks.lines(self, node, sname, lines)

    def _read_each(self, task: WorkerTask, node: Any, sname: str, lines: list[bytes]) -> None:
        """One event per line: results then hold, at each event, what was read up to that line."""
        hooks = self._handler()
        is_error = sname == self.SNAME_STDERR
        error = hooks.error if is_error else None
        read = None if is_error and hooks.legacy_read else hooks.read
        for line in lines:
            if is_error:
                self.current_errmsg = line
            else:
                self.current_msg = line
            self._set_current(node)
            self.current_sname = sname
            task.results.add_lines(self, node, sname, [line])
            if error is not None:
                error(self)
            if read is not None and not self._aborted:
                read(self, node, sname, line)
            if self._aborted:
                return

    def _on_written(self, node: Any, sname: str, size: int) -> None:
        """Bytes went into a stream."""
        hook = self._handler().written
        if hook is not None:
            self._set_current(node)
            self.current_sname = sname
            hook(self, node, sname, size)

    def _on_deaf(self, node: Any, sname: str) -> None:
        """Nobody reads a stream any more that is written to."""
        hook = self._handler().deaf
        if hook is not None:
            self._set_current(node)
            self.current_sname = sname
            hook(self, node, sname)

    def _on_progress(self, node: Any, done: int, total: int) -> None:
        """Bytes of a copy are done; at most ten times a second and node."""
        hook = self._handler().progress
        if hook is not None:
            self._set_current(node)
            hook(self, node, done, total)

    def _on_end(self, node: Any, end: NodeEnd) -> None:
        """A node is over: records the return code or the timeout, then tells ev_hup and ev_end. Once per node."""
        task = self._scheduled()
        hooks = self._handler()
        if end.state is NodeState.TIMEOUT:
            self._timed_out = True
            task.results.add_timeout(self, node)
        elif end.rc is not None:
            task.results.set_retcode(self, node, end.rc)
        self.current_rc = end.rc
        if hooks.hup is not None and end.rc is not None:
            self._set_current(node)
            hooks.hup(self, node, end.rc)
        if hooks.end is not None:
            self._set_current(node)
            hooks.end(self, node, end)

    def _on_client_closed(self, client: EngineClient) -> None:
        """One of the clients is over; with the last one the worker closes."""
        self._clients.pop(client, None)
        if not self._clients:
            self._clients = {}  # an emptied dict keeps its size
            if self.started:
                self._on_close()

    def _on_close(self) -> None:
        hooks = self._handler()
        if self._timed_out and hooks.timeout is not None:
            if self._warns_timeout:
                warn_timeout()
            hooks.timeout(self)
        if hooks.close is not None:
            hooks.close(self, self._timed_out)

    # -- results

    def result_keys(self) -> Iterable[Any]:
        """The keys under which this worker's results are kept."""
        raise NotImplementedError

    def _check_key(self, node: Any | None) -> Any:
        """The key that `read(node)` means."""
        return node

    def read(self, node: Any | None = None, sname: str = "stdout") -> bytes | None:
        """The message of the stream `sname`, lines joined by LF, None if there is none.

        node: whose; local workers have one key only and need none. Any thread. Raises WorkerError for an unscheduled
        worker and TaskMsgTreeError for a stream that is not recorded.
        """
        results = self._scheduled().results
        elem = results.message(self, self._check_key(node), sname)
        return None if elem is None else elem.message()

    def flush_buffers(self) -> None:
        """Forget this worker's messages."""
        self._scheduled().results.flush_worker(self, self.result_keys(), self.SNAME_STDOUT)

    def flush_errors(self) -> None:
        """Forget this worker's messages on stderr."""
        self._scheduled().results.flush_worker(self, self.result_keys(), self.SNAME_STDERR)

    def did_timeout(self) -> bool:
        """Whether any of it timed out."""
        return bool(self._scheduled().results.worker_timeouts(self, self.result_keys()))

    def num_timeout(self) -> int:
        """How many keys timed out."""
        return len(self._scheduled().results.worker_timeouts(self, self.result_keys()))

    def iter_keys_timeout(self) -> Iterator[Any]:
        """Iterate over the keys that timed out."""
        return iter(self._scheduled().results.worker_timeouts(self, self.result_keys()))

    # -- the first generation's names

    def last_read(self) -> Any:
        """The last message, in an event handler (deprecated: current_msg)."""
        deprecated("last_read()", "current_msg")
        return self.current_msg

    def last_error(self) -> Any:
        """The last message on stderr, in an event handler (deprecated: current_errmsg)."""
        deprecated("last_error()", "current_errmsg")
        return self.current_errmsg


def deprecated(old: str, new: str) -> None:
    """The warning of a name of the first generation."""
    warnings.warn(f"{old} is deprecated, use {new}", DeprecationWarning, stacklevel=3)
