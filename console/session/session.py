"""One operator's session: the engine in its thread, the way in and the way out, the runs and what they left.

Threads: `drain` and `wait_batch` belong to the pump, the one thread that applies events to the run models. All other
methods may be called from any other thread; they never wait for a node (`resolve` may wait for a group program).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ClusterShell.NodeSet import NodeSet

from ...engine.task import Task
from ..runs.disk_writer import DiskWriter
from ..runs.events import Notice, QuestionAsked, SessionEvent, TimerEnded, TimerFired
from ..runs.options import RunOptions
from ..runs.run_store import RunStore
from ..runs.runs import Run
from ..settings.settings import Settings
from .checks import RefusedError
from .event_pump import EventPump
from .launch import RunSpec
from .live_engine import LiveEngine
from .node_expressions import DeckResolver, NodeExpressionError, parse_nodes
from .outbox import Batch, Outbox
from .run_maker import RunMaker
from .submission import Agree, Submission

if TYPE_CHECKING:
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
        self.resolver = DeckResolver(
            self.runs, lambda name: self.selection.find_saved(name), self.settings.group_sets.get
        )
        self._on_note = on_note
        self._at_close: list[Callable[[], object]] = []
        self._outbox = Outbox(limits.pending_output)
        self._disk = DiskWriter("spool", self._outbox.handed_on, self._written)
        self._desk: QuestionDesk | None = None
        if asks:
            from .questions import QuestionDesk  # brings the SSH layer with it, which a local batch run never needs

            self._desk = QuestionDesk(self._send, on_trusted)
        self._engine = LiveEngine(settings, self._outbox, None if self._desk is None else self._desk.ask)
        self.maker = RunMaker(limits, self._disk, self._warn)
        self._submission = Submission(
            settings, self.runs, self.maker, self._engine, lambda text: self.resolve(text), on_submit, self._warn
        )
        self._timer_desk: TimerDesk | None = None
        self._pump = EventPump(
            self.runs, self._outbox, self._engine, on_finish, self._timer_applied, self._timer_round_over
        )

    # -- life

    def start(self) -> None:
        """Start the engine's thread; the first command would do it, too."""
        self._engine.get()

    def close(self, timeout: float = 5.0) -> bool:
        """End all runs and the engine's thread; False when the engine did not end within `timeout` seconds."""
        while self._at_close:
            self._at_close.pop()()
        ended = self._engine.close(timeout)
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

    def __enter__(self) -> Session:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def engine_task(self) -> Task:
        """The engine's Task, for what stands on it beside the runs (the queue's node slots); started if need be."""
        engine = self._engine.get()
        engine.prepare()
        return engine.task

    @property
    def connections(self) -> int:
        """SSH connections that stand; from any thread."""
        return self._engine.connections

    def trace(self) -> None:
        """From now on tell every step towards a connection, as notices of the level "debug"."""
        self._engine.get().trace()

    def note(self, what: str, content: Mapping[str, Any]) -> None:
        """Have something written down that is no run (a job of the queue). Raises what `on_submit` would."""
        if self._on_note is not None:
            self._on_note(what, content)

    def at_close(self, call: Callable[[], object]) -> None:
        """Call this when the session is closed, before the engine ends."""
        self._at_close.append(call)

    # -- commands; agree: called when the run is found sound, before it begins, and what it raises stops it

    def shell(self, command: str, nodes: NodeSet, options: RunOptions, agree: Agree | None = None) -> Run:
        """Run a command on nodes. Raises RefusedError, or ValueError for options that cannot be read."""
        return self._submission.submit(RunSpec("shell", command, options), command, nodes, agree=agree)

    def local(self, command: str, options: RunOptions | None = None) -> Run:
        """Run a command on this machine, through its shell. Raises RefusedError."""
        return self._submission.submit(RunSpec("local", command, options or RunOptions()), f"!{command}", None)

    def copy(
        self, sources: list[str], dest: str, nodes: NodeSet, options: RunOptions, agree: Agree | None = None
    ) -> Run:
        """Copy files or directories out to nodes. Raises RefusedError."""
        line = f":copy {' '.join(sources)} {dest}".rstrip()
        return self._submission.submit(RunSpec("copy", line, options, tuple(sources), dest), line, nodes, agree=agree)

    def rcopy(
        self, sources: list[str], dest: str, nodes: NodeSet, options: RunOptions, agree: Agree | None = None
    ) -> Run:
        """Copy files or directories of every node to below `dest`. Raises RefusedError."""
        line = f":rcopy {' '.join(sources)} {dest}".rstrip()
        return self._submission.submit(RunSpec("rcopy", line, options, tuple(sources), dest), line, nodes, agree=agree)

    def repeat(self, old: Run, nodes: NodeSet, *, retry: bool = False, agree: Agree | None = None) -> Run:
        """Do what a run did once more, on these nodes. retry: it counts as another attempt. Raises RefusedError."""
        if old.unrepeatable:
            raise RefusedError(f"run {old.id} cannot be repeated, {old.unrepeatable}: type the line again")
        if old.kind == "local":
            return self.local(old.command.removeprefix("!"), old.options)
        spec = RunSpec("shell" if old.kind == "timer" else old.kind, old.command, old.options)
        spec = replace(spec, sources=old.sources, destination=old.destination)
        return self._submission.submit(spec, old.command, nodes, old.id if retry else None, agree)

    def abort(self, run: int | None = None, nodes: NodeSet | None = None) -> list[int]:
        """Stop a run (None: all), or only these of its nodes; returns the ids of the runs that were still running."""
        return self._engine.abort(
            lambda: [one.id for one in self.runs.running if run is None or one.id == run],
            None if nodes is None else list(nodes),
        )

    def feed(self, run: int, data: bytes | None, taken: Callable[[], None] | None = None) -> None:
        """Bytes for the standard input of a run's commands; None ends it.

        taken: called, in any thread, when there is room for more; who feeds much waits for it.
        """
        if not self._engine.post(lambda engine: engine.feed(run, data, taken)) and taken is not None:
            taken()

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
        agree: Agree | None = None,
    ) -> TimerInfo:
        """Run a command after `delay` seconds, then every `interval` seconds. Raises RefusedError or ValueError."""
        spec = self._submission.checked(RunSpec("shell", command, options), nodes, agree)
        from .timer_desk import TimerDesk  # most batch runs have none
        from .timers import TimerInfo

        if self._timer_desk is None:
            self._timer_desk = TimerDesk(self._engine)
        info = TimerInfo(0, command, nodes.copy(), options, delay, interval, count, until)
        return self._timer_desk.add(info, lambda engine, now: self._submission.round(engine, spec, now))

    def timers(self) -> list[TimerInfo]:
        """All timers of the session, oldest first, ended ones included."""
        return [] if self._timer_desk is None else self._timer_desk.all()

    def cancel_timer(self, number: int) -> bool:
        """End a timer; False when it is not known or has ended."""
        return self._timer_desk is not None and self._timer_desk.cancel(number)

    def _timer_applied(self, event: TimerFired | TimerEnded) -> None:
        if self._timer_desk is not None:
            self._timer_desk.applied(event)

    def _timer_round_over(self, run: Run) -> None:
        if self._timer_desk is not None:
            self._timer_desk.run_over(run)

    # -- nodes and settings

    def resolve(self, expression: str) -> NodeSet:
        """The node set of an expression; see node_expressions.py. Raises NodeExpressionError.

        May wait for a group program: never call it in the UI thread.
        """
        return parse_nodes(expression, self.resolver)

    def set_option(self, key: str, value: Any) -> None:
        """Change a setting for this session. Raises SettingsError."""
        self.settings.set(key, value)
        if key.rpartition(".")[2] == "fanout":
            fanout = self.settings.run.fanout
            self._engine.post(lambda engine: engine.task.set_info("fanout", fanout))

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
        return self._pump.drain(budget)

    def wait_batch(self, timeout: float | None) -> bool:
        """Block until something arrived; False after `timeout` seconds. The pump's thread only."""
        return self._pump.wait(timeout)

    def wait_run(self, run_id: int, timeout: float | None = None) -> bool:
        """Block until the pump applied a run's end; False after `timeout` seconds. Never in the pump's thread."""
        run = self.runs.get(run_id)
        return True if run is None else run.done.wait(timeout)

    def tell(self, notice: Notice) -> None:
        """Put a notice on the way to the front end; from any thread."""
        self._send(notice)

    def _send(self, event: SessionEvent) -> None:
        self._outbox.put(Batch((event,), 0))

    def _warn(self, text: str) -> None:
        self.tell(Notice("warning", text))

    def _written(self, size: int) -> None:
        """The disk has caught up by so many bytes; in the writer's thread."""
        if self._outbox.written(size):
            self._engine.post(lambda engine: engine.release())
