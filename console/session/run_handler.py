"""One run in the engine's thread: its waves, its retries, its abort, and the engine's events made into ours.

Everything here is called in the engine's thread. An exception out of a handler would end every run of the session,
so the hooks only record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ClusterShell.NodeSet import NodeSet

from ...engine.states import Failure, FailureKind, NodeEnd, NodeState
from ...engine.text import clean_text_line
from ..runs.events import STDERR, STDOUT, CopyProgressed, NodeChange, NodesRestarted, Notice, RunFinished, RunStarted
from ..runs.options import RunOptions
from ..runs.spool import Spool
from .feeder import Feeder
from .outbox import EventBatcher, monotonic
from .waves import plan_waves, stop_threshold

#: Starts the run's command on some of its nodes, with the driver as handler.
Launch = Callable[["RunDriver", Sequence[str]], Sequence[Any]]

#: Ends after which `retries` tries a node again.
_RETRIED = frozenset({NodeState.FAILED, NodeState.TIMEOUT, NodeState.UNREACHABLE, NodeState.LOST})


class RunDriver:
    """The engine side of one run; the handler of its workers."""

    def __init__(
        self,
        number: int,
        names: Sequence[str],
        options: RunOptions,
        batcher: EventBatcher,
        launch: Launch,
        over: Callable[[RunDriver], None],
        ends_per_node: int = 1,
        spool: Callable[[], Spool] | None = None,
    ) -> None:
        self.number = number
        self._names = names
        #: The number of each node in the run: its rank, in every wave and at every attempt.
        self.ranks = {name: position for position, name in enumerate(names)}
        self._options = options
        self._batcher = batcher
        self._launch = launch
        self._over = over
        self._waves = plan_waves(len(names), options.batch)
        self._threshold = stop_threshold(len(names), options.stop_at)
        self._states = bytearray(len(names))
        self._workers: list[Any] = []
        self._wave: Sequence[int] = ()
        self._attempt = 1
        self._retries = options.retries
        #: A copy of several sources has a worker for each: a node is over when all have told its end.
        self._expected = ends_per_node
        self._ends: dict[int, list[NodeEnd]] = {}
        self._progress: dict[int, dict[int, tuple[int, int]]] = {}
        self._bad = 0
        self._aborted = False
        self._closed_early: list[Any] | None = None
        #: What the commands read, for runs that read anything; spool: where what is read later is kept.
        self._feeder = None if spool is None else Feeder(spool, self._not_fed, self._not_kept)
        self._clients: dict[Any, dict[str, tuple[str, Any]]] = {}
        self._unstarted = 0
        self.finished = False

    # -- orders

    def begin(self) -> None:
        """Start the first wave."""
        self._batcher.event(RunStarted(self.number, monotonic()))
        self._next_wave()

    def abort(self, nodes: Iterable[str] | None = None) -> None:
        """Stop the run, or only some of its nodes; what they said so far stays."""
        if self.finished:
            return
        if nodes is not None:
            self._abort_nodes([self.ranks[name] for name in nodes if name in self.ranks])
            return
        self._aborted = True
        self._waves.clear()
        wave = set(self._wave)
        self._end_rest([n for n in range(len(self._names)) if n not in wave], NodeState.ABORTED)
        for worker in list(self._workers):
            worker.abort()
            # What runs on nodes is ended first, which takes a moment; a worker that had not started tells nothing.
            if not worker.started and worker in self._workers:
                self._workers.remove(worker)
        if not self.finished and not self._workers:
            self._end_rest(range(len(self._names)), NodeState.ABORTED)
            self._finish(stopped=False)

    def _abort_nodes(self, numbers: Sequence[int]) -> None:
        wave = self._wave
        current = set(wave)
        # Nodes of waves to come must not start, and nothing else will tell their end.
        self._end_rest([number for number in numbers if number not in current], NodeState.ABORTED)
        names = {self._names[number] for number in numbers if number in current and not self._is_over(number)}
        if not names:
            return
        over = {self._names[number] for number in wave if self._is_over(number)}
        shared: set[str] = set()
        for worker in list(self._workers):
            shared |= worker.abort_nodes(names | over) & names
        if shared:
            text = f"{NodeSet.fromlist(shared)}: not stopped: one command serves these nodes and others; stop the run"
            self._batcher.event(Notice("warning", text, self.number))
        if self._wave is wave and not self.finished and all(map(self._is_over, wave)):
            # All of the wave went before it began: no worker will tell its end.
            self._workers = []
            self._wave_over()

    def lose(self, reason: str) -> None:
        """The engine died: end every node that has not ended, and the run."""
        if not self.finished:
            failure = Failure(FailureKind.INTERNAL, reason)
            self._end_rest(range(len(self._names)), NodeState.LOST, failure)
            self._finish(stopped=False)

    def feed(self, data: bytes | None, taken: Callable[[], None] | None = None) -> None:
        """Bytes for the command's standard input on every node; None ends it. taken: there is room for more."""
        if self._feeder is not None and not self.finished:
            self._feeder.feed(data, taken)
        elif taken is not None:
            taken()

    def _not_fed(self, reason: str) -> None:
        text = f"standard input does not reach the nodes: {clean_text_line(reason)}"
        self._batcher.event(Notice("warning", text, self.number))

    def _not_kept(self) -> None:
        """Who has not started would get only a part of the input."""
        self._retries = 0
        text = "standard input is too large to be kept (limits.run_spool): nodes that have not started are left out"
        self._batcher.event(Notice("error", text, self.number))
        self._abort_nodes([number for number, state in enumerate(self._states) if state < NodeState.RUNNING])

    def _keep_input(self) -> None:
        if self._feeder is not None:
            self._feeder.keep(bool(self._unstarted or self._waves or self._attempt <= self._retries))

    # -- waves

    def _next_wave(self) -> None:
        while self._waves and not self.finished:
            if self._threshold is not None and self._bad >= self._threshold:
                self._waves.clear()
                self._end_rest(range(len(self._names)), NodeState.ABORTED)
                self._finish(stopped=True)
                return
            self._wave = [number for number in self._waves.pop(0) if not self._is_over(number)]
            self._attempt = 1
            if self._wave and self._run_wave(self._wave):
                return
        if not self.finished:
            self._finish(stopped=False)

    def _run_wave(self, numbers: Sequence[int]) -> bool:
        """Launch on these nodes; True while something runs."""
        names = [self._names[number] for number in numbers]
        self._closed_early = []
        self._clients.clear()
        self._unstarted = len(numbers)
        try:
            launched = self._launch(self, names)
            self._workers = [worker for worker in launched if worker not in self._closed_early]
            self._ends.clear()
        except Exception as error:
            # Whatever a worker's constructor dislikes is this run's failure and nobody else's.
            reason = f"cannot run: {error}" if str(error) else f"cannot run: {type(error).__name__}"
            self._end_rest(numbers, NodeState.FAILED, Failure(FailureKind.CONFIGURATION, reason))
            self._workers = []
        finally:
            self._closed_early = None
        return bool(self._workers)

    def _wave_over(self) -> None:
        # A worker that died without telling every node's end must not leave nodes running for ever.
        self._end_rest(self._wave, NodeState.LOST, Failure(FailureKind.INTERNAL, "the worker ended without a result"))
        again = [number for number in self._wave if self._states[number] in _RETRIED]
        if again and not self._aborted and self._attempt <= self._retries:
            self._attempt += 1
            for number in again:
                self._states[number] = NodeState.PENDING
            self._batcher.event(NodesRestarted(self.number, tuple(again), self._attempt))
            if self._run_wave(again):
                return
        self._bad += sum(1 for number in self._wave if NodeState(self._states[number]).bad)
        self._next_wave()

    def _end_rest(self, numbers: Iterable[int], state: NodeState, failure: Failure | None = None) -> None:
        now = monotonic()
        for number in numbers:
            if not self._is_over(number):
                self._states[number] = state
                self._batcher.change(self.number, NodeChange(number, state, now, None, failure))

    def _finish(self, *, stopped: bool) -> None:
        self.finished = True
        self._workers = []
        if self._feeder is not None:
            self._feeder.close()
        self._batcher.event(RunFinished(self.number, monotonic(), stopped), now=True)
        self._over(self)

    def _is_over(self, number: int) -> bool:
        return self._states[number] > NodeState.RUNNING

    # -- the engine's hooks

    def ev_connect(self, _worker: Any, node: str) -> None:
        """Connecting has begun."""
        self._enter(node, NodeState.CONNECTING)

    def ev_pickup(self, worker: Any, node: str) -> None:
        """The command started."""
        self._enter(node, NodeState.RUNNING)
        if self._feeder is not None and not self.finished:
            self._unstarted -= 1
            key, client = self._reader(worker, node)
            self._feeder.started(key, client)
            self._keep_input()

    def _reader(self, worker: Any, node: str) -> tuple[str, Any]:
        """Which command of a worker is a node's, and what it is called: one command may serve several nodes."""
        if worker not in self._clients:
            found = self._clients[worker] = {}
            for client in worker.clients:
                found.update(dict.fromkeys(client.nodes, (str(client.key), client)))
        return self._clients[worker].get(node, (node, worker))

    def ev_written(self, _worker: Any, node: Any, _sname: str, size: int) -> None:
        """A command took some of its input; node: a set of them where the command is for several."""
        if self._feeder is not None:
            self._feeder.written(str(node), size)

    def ev_deaf(self, _worker: Any, node: Any, _sname: str) -> None:
        """A command has closed its input."""
        if self._feeder is not None:
            self._feeder.deaf(str(node))

    def ev_lines(self, _worker: Any, node: str, sname: str, lines: Sequence[bytes]) -> None:
        """Whole lines of output."""
        number = self.ranks.get(node)
        if number is not None and not self.finished and not self._is_over(number):
            self._batcher.output(self.number, number, STDERR if sname == "stderr" else STDOUT, lines)

    def ev_progress(self, worker: Any, node: str, done: int, total: int) -> None:
        """Bytes of a copy."""
        number = self.ranks.get(node)
        if number is not None and not self.finished:
            parts = self._progress.setdefault(number, {})
            parts[id(worker)] = (done, total)
            done, total = (sum(column) for column in zip(*parts.values(), strict=True))
            self._batcher.event(CopyProgressed(self.number, number, done, total))

    def ev_end(self, worker: Any, node: str, end: NodeEnd) -> None:
        """A node's command is over."""
        number = self.ranks.get(node)
        if number is None or self.finished or self._is_over(number):
            return
        if self._feeder is not None:
            self._unstarted -= self._states[number] < NodeState.RUNNING
            self._feeder.ended(self._reader(worker, node)[0])
            self._keep_input()
        ends = self._ends.setdefault(number, [])
        ends.append(end)
        if len(ends) < self._expected:
            return
        end = max(ends, key=lambda one: (one.state.bad, one.rc or 0))
        self._states[number] = end.state
        self._batcher.change(self.number, NodeChange(number, end.state, monotonic(), end.rc, end.failure))

    def ev_close(self, worker: Any, _timedout: bool) -> None:
        """A worker is over; the last one ends the wave."""
        if self._closed_early is not None:
            self._closed_early.append(worker)
        elif worker in self._workers:
            self._workers.remove(worker)
            if not self._workers and not self.finished:
                self._wave_over()

    def _enter(self, node: str, state: NodeState) -> None:
        number = self.ranks.get(node)
        if number is not None and not self.finished and self._states[number] < state:
            self._states[number] = state
            self._batcher.change(self.number, NodeChange(number, state, monotonic()))
