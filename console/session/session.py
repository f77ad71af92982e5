"""One operator's session: the engine in its thread, the way in and the way out, the runs and what they left.

Threads: `drain` and `wait_batch` belong to the pump, the one thread that applies events to the run models. All other
methods may be called from any other thread; they never wait for a node (`resolve` may wait for a group program).
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ClusterShell.NodeSet import NodeSet

from ...engine.task import Task
from ..runs.disk_writer import DiskWriter
from ..runs.events import (
    CopyProgressed,
    NodesChanged,
    NodesRestarted,
    Notice,
    OutputArrived,
    QuestionAsked,
    RunFinished,
    RunStarted,
    SessionEvent,
    TimerEnded,
    TimerFired,
)
from ..runs.options import RunOptions
from ..runs.output import OutputLimits
from ..runs.run_store import RunStore
from ..runs.runs import Run
from ..runs.spool import Spool, SpoolBudget
from ..settings import paths
from ..settings.settings import Settings
from .checks import RefusedError, advice, check_spec
from .engine_thread import EngineThread
from .launch import RunSpec
from .node_expressions import DeckResolver, NodeExpressionError, parse_nodes
from .outbox import Batch, Outbox

if TYPE_CHECKING:
    from .node_sections import NodeSections
    from .questions import QuestionDesk
    from .selection import Selection
    from .timer_desk import TimerDesk
    from .timers import TimerInfo

__all__ = ["NodeExpressionError", "RefusedError", "Session"]


class Session:
    """See the module's text for the thread rule. Use as a context manager, or call `start` and `close`.

    on_submit: called, in the caller's thread, before a run is handed to the engine; it may raise RefusedError.
    on_finish: called by the pump once a run's end is applied. on_trusted: hears of host keys that were accepted.
    asks: an operator is there; without one, unknown host keys and missing secrets end their nodes.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        selection: Selection | None = None,
        on_submit: Callable[[Run], None] | None = None,
        on_finish: Callable[[Run], None] | None = None,
        on_trusted: Callable[[Sequence[Any]], None] | None = None,
        on_note: Callable[[str, Mapping[str, Any]], None] | None = None,
        asks: bool = True,
    ) -> None:
        self.settings = settings
        self._selection = selection
        limits = settings.limits
        self.runs = RunStore(limits.runs, limits.total_memory)
        self._limits = OutputLimits(limits.node_memory, limits.run_memory)
        self._budget = SpoolBudget(limits.total_spool)
        self._outbox = Outbox(limits.pending_output)
        self._disk = DiskWriter("spool", self._outbox.handed_on, self._written)
        self.resolver = DeckResolver(
            self.runs, lambda name: self.selection.find_saved(name), self.settings.group_sets.get
        )
        self._on_submit = on_submit
        self._on_finish = on_finish
        self._on_note = on_note
        self._run_numbers = itertools.count(1)
        self._timer_desk: TimerDesk | None = None
        self._sections: NodeSections | None = None
        self._desk: QuestionDesk | None = None
        if asks:
            from .questions import QuestionDesk  # brings the SSH layer with it, which a local batch run never needs

            self._desk = QuestionDesk(self._send, on_trusted)
        self._engine: EngineThread | None = None
        self._engine_lock = threading.Lock()
        self._closed = False
        self._advised: set[str] = set()
        self._at_close: list[Callable[[], object]] = []

    # -- life

    def start(self) -> None:
        """Start the engine's thread; the first command would do it, too."""
        self._live_engine()

    def close(self, timeout: float = 5.0) -> bool:
        """End all runs and the engine's thread; False when the engine did not end within `timeout` seconds."""
        while self._at_close:
            self._at_close.pop()()
        with self._engine_lock:
            self._closed = True
            engine, self._engine = self._engine, None
        ended = True if engine is None else engine.stop(timeout)
        self.runs.close()
        self._disk.close(1.0)  # nothing that is read again: it only gives its files back
        return ended

    @property
    def asks(self) -> bool:
        """Whether an operator is there to be asked."""
        return self._desk is not None

    @property
    def selection(self) -> Selection:
        """What bare lines run on."""
        if self._selection is None:
            from .selection import Selection

            self._selection = Selection()
        return self._selection

    @selection.setter
    def selection(self, selection: Selection) -> None:
        self._selection = selection

    def restore(self, runs: Sequence[Run]) -> None:
        """Take in runs of earlier sessions; new ones are numbered after them. Before the first command."""
        for run in runs:
            self.runs.add(run)
        self._run_numbers = itertools.count(max((run.id for run in runs), default=0) + 1)

    def __enter__(self) -> Session:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _live_engine(self) -> EngineThread:
        """The engine; a new one when the last one died of an error."""
        with self._engine_lock:
            if self._closed:
                raise RefusedError("the session is closed")
            if self._engine is None or not self._engine.alive:
                ask = None if self._desk is None else self._desk.ask
                self._engine = EngineThread(self.settings, self._outbox, ask)
                self._engine.start()
            return self._engine

    def engine_task(self) -> Task:
        """The engine's Task, for what stands on it beside the runs (the queue's node slots); started if need be."""
        engine = self._live_engine()
        engine.prepare()
        return engine.task

    def note(self, what: str, content: Mapping[str, Any]) -> None:
        """Have something written down that is no run (a job of the queue). Raises what `on_submit` would."""
        if self._on_note is not None:
            self._on_note(what, content)

    def at_close(self, call: Callable[[], object]) -> None:
        """Call this when the session is closed, before the engine ends."""
        self._at_close.append(call)

    # -- commands

    def shell(self, command: str, nodes: NodeSet, options: RunOptions) -> Run:
        """Run a command on nodes. Raises RefusedError, or ValueError for options that cannot be read."""
        return self._submit(RunSpec("shell", command, options), command, nodes)

    def local(self, command: str, options: RunOptions | None = None) -> Run:
        """Run a command on this machine, through its shell. Raises RefusedError."""
        return self._submit(RunSpec("local", command, options or RunOptions()), f"!{command}", None)

    def copy(self, sources: list[str], dest: str, nodes: NodeSet, options: RunOptions) -> Run:
        """Copy files or directories out to nodes. Raises RefusedError."""
        line = f":copy {' '.join(sources)} {dest}".rstrip()
        return self._submit(RunSpec("copy", line, options, tuple(sources), dest), line, nodes)

    def rcopy(self, sources: list[str], dest: str, nodes: NodeSet, options: RunOptions) -> Run:
        """Copy files or directories of every node to below `dest`. Raises RefusedError."""
        line = f":rcopy {' '.join(sources)} {dest}".rstrip()
        return self._submit(RunSpec("rcopy", line, options, tuple(sources), dest), line, nodes)

    def repeat(self, old: Run, nodes: NodeSet, *, retry: bool = False) -> Run:
        """Do what a run did once more, on these nodes. retry: it counts as another attempt. Raises RefusedError."""
        if old.unrepeatable:
            raise RefusedError(f"run {old.id} cannot be repeated, {old.unrepeatable}: type the line again")
        if old.kind == "local":
            return self.local(old.command.removeprefix("!"), old.options)
        spec = RunSpec("shell" if old.kind == "timer" else old.kind, old.command, old.options)
        spec = replace(spec, sources=old.sources, destination=old.destination)
        return self._submit(spec, old.command, nodes, retry_of=old.id if retry else None)

    def abort(self, run: int | None = None, nodes: NodeSet | None = None) -> list[int]:
        """Stop a run (None: all), or only these of its nodes; returns the ids of the runs that were still running."""
        with self._engine_lock:
            numbers = [r.id for r in self.runs.running if run is None or r.id == run]
            names = None if nodes is None else list(nodes)
            if numbers and (engine := self._engine) is not None:
                engine.post(lambda: engine.abort(numbers, names))
        return numbers

    def feed(self, run: int, data: bytes | None, taken: Callable[[], None] | None = None) -> None:
        """Bytes for the standard input of a run's commands; None ends it.

        taken: called, in any thread, when there is room for more; who feeds much waits for it.
        """
        engine = self._engine
        if (engine is None or not engine.post(lambda: engine.feed(run, data, taken))) and taken is not None:
            taken()

    def _submit(self, spec: RunSpec, line: str, nodes: NodeSet | None, retry_of: int | None = None) -> Run:
        spec = self._checked(spec, nodes)
        run = self._make_run(spec, line, nodes)
        run.retry_of = retry_of
        if self._on_submit is not None:
            self._on_submit(run)
        engine = self._live_engine()
        with self._engine_lock:  # who sees the run and stops it must not be ahead of its beginning
            self.runs.add(run)
            if not engine.post(lambda: engine.begin(run, spec)):
                raise RefusedError("the engine ended; try again")
        return run

    def _checked(self, spec: RunSpec, nodes: NodeSet | None) -> RunSpec:
        """The specification with what the settings say about these nodes. Raises RefusedError and ValueError."""
        if self.settings.nodes and nodes is not None:
            from .node_sections import NodeSections

            if self._sections is None:
                self._sections = NodeSections(self.settings.nodes, self.resolve)
            config = self._sections.ssh_config(self.settings.ssh.config)
            spec = replace(spec, parts=self._sections.parts(list(nodes)), ssh_config=config)
        check_spec(spec, nodes, self.settings)
        for text in advice(spec, self.settings):
            if text not in self._advised:
                self._advised.add(text)
                self.tell(Notice("warning", text))
        return spec

    def _make_run(self, spec: RunSpec, line: str, nodes: NodeSet | None, kind: str | None = None) -> Run:
        spool = Spool(paths.spool_dir, self.settings.limits.run_spool, self._budget, self._spool_failed, self._disk)
        run = Run(next(self._run_numbers), line, kind or spec.kind, nodes, spec.options, self._limits, spool)
        run.sources, run.destination = spec.sources, spec.destination
        return run

    def _written(self, size: int) -> None:
        """The disk has caught up by so many bytes; in the writer's thread."""
        engine = self._engine
        if self._outbox.written(size) and engine is not None:
            engine.post(engine.release)

    def _spool_failed(self, error: OSError) -> None:
        reason = f"output that does not fit in memory is cut and counted from now on: {error.strerror or error}"
        self.tell(Notice("warning", reason))

    # -- timers

    def timer(
        self,
        delay: float,
        interval: float | None,
        command: str,
        nodes: NodeSet,
        options: RunOptions,
        count: int | None = None,
        until: str | None = None,
    ) -> TimerInfo:
        """Run a command after `delay` seconds, then every `interval` seconds. Raises RefusedError or ValueError."""
        spec = self._checked(RunSpec("shell", command, options), nodes)
        from .timer_desk import TimerDesk  # most batch runs have none
        from .timers import TimerInfo

        self._timer_desk = self._timer_desk or TimerDesk()
        info = TimerInfo(0, command, nodes.copy(), options, delay, interval, count, until)
        engine = self._live_engine()
        return self._timer_desk.add(engine, info, partial(self._timer_round, engine, spec))

    def timers(self) -> list[TimerInfo]:
        """All timers of the session, oldest first, ended ones included."""
        return [] if self._timer_desk is None else self._timer_desk.all()

    def cancel_timer(self, number: int) -> bool:
        """End a timer; False when it is not known or has ended."""
        engine, desk = self._engine, self._timer_desk
        return engine is not None and desk is not None and desk.cancel(engine, number)

    def _timer_round(self, engine: EngineThread, spec: RunSpec, info: TimerInfo) -> int:
        """A timer's next run; in the engine's thread."""
        check_spec(spec, info.nodes, self.settings)
        run = self._make_run(spec, info.command, info.nodes, "timer")
        run.timer = info.id
        if self._on_submit is not None:
            self._on_submit(run)
        self.runs.add(run)
        engine.begin(run, spec)
        return run.id

    # -- nodes and settings

    def resolve(self, expression: str) -> NodeSet:
        """The node set of an expression; see node_expressions.py. Raises NodeExpressionError.

        May wait for a group program: never call it in the UI thread.
        """
        return parse_nodes(expression, self.resolver)

    def set_option(self, key: str, value: Any) -> None:
        """Change a setting for this session. Raises SettingsError."""
        self.settings.set(key, value)
        engine = self._engine
        if key.rpartition(".")[2] == "fanout" and engine is not None:
            fanout = self.settings.run.fanout
            engine.post(lambda: engine.task.set_info("fanout", fanout))

    # -- questions

    def questions(self) -> list[QuestionAsked]:
        """Questions that wait for an answer, oldest first."""
        return [] if self._desk is None else self._desk.open()

    def answer(self, question_id: int, answer: Any) -> bool:
        """Answer a question: one of its choices (or `accept NODES` for some of the hosts), a text for a secret, None
        to give up. False when it is settled already.
        """
        return self._desk is not None and self._desk.answer(question_id, answer)

    # -- the pump

    def drain(self, budget: float = 0.012) -> list[SessionEvent]:
        """Apply what arrived to the models, for about `budget` seconds, and return it. The pump's thread only."""
        applied: list[SessionEvent] = []
        deadline = time.monotonic() + budget
        while True:
            batch, release = self._outbox.pop()
            engine = self._engine
            if release and engine is not None:
                engine.post(engine.release)
            if batch is None:
                break
            finished: list[Run] = []
            with self.runs.lock:
                for event in batch.events:
                    self._apply(event, finished)
                self.runs.relieve()
            for run in finished:
                if self._on_finish is not None:
                    self._on_finish(run)
                run.done.set()
                if run.timer is not None and self._timer_desk is not None and engine is not None:
                    self._timer_desk.run_over(engine, run)
            applied.extend(batch.events)
            if time.monotonic() >= deadline:
                break
        return applied

    def wait_batch(self, timeout: float | None) -> bool:
        """Block until something arrived; False after `timeout` seconds. The pump's thread only."""
        return self._outbox.wait(timeout)

    def wait_run(self, run_id: int, timeout: float | None = None) -> bool:
        """Block until the pump applied a run's end; False after `timeout` seconds. Never in the pump's thread."""
        run = self.runs.get(run_id)
        return True if run is None else run.done.wait(timeout)

    def tell(self, notice: Notice) -> None:
        """Put a notice on the way to the front end; from any thread."""
        self._send(notice)

    def _send(self, event: SessionEvent) -> None:
        self._outbox.put(Batch((event,), 0))

    def _apply(self, event: SessionEvent, finished: list[Run]) -> None:
        match event:
            case RunStarted() | NodesChanged() | NodesRestarted() | OutputArrived() | CopyProgressed() | RunFinished():
                run = self.runs.get(event.run)
                if run is not None:
                    run.apply(event)
                    if isinstance(event, RunFinished):
                        finished.append(run)
            case TimerFired() | TimerEnded():
                if self._timer_desk is not None:
                    self._timer_desk.applied(event)
            case _:
                pass
