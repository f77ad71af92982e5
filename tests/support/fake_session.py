"""A session without an engine: runs end at once with the answers that a test gives, through the real run models."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ClusterShell.NodeSet import NodeSet

from clusterdeck.console.frontend import Answer, Confirmation, Document, Question
from clusterdeck.console.runs.events import (
    STDERR,
    STDOUT,
    Chunk,
    NodeChange,
    NodesChanged,
    Notice,
    OutputArrived,
    RunFinished,
    RunStarted,
)
from clusterdeck.console.runs.options import RunOptions
from clusterdeck.console.runs.output import OutputLimits
from clusterdeck.console.runs.run_store import RunStore
from clusterdeck.console.runs.runs import Run
from clusterdeck.console.runs.spool import Spool, SpoolBudget
from clusterdeck.console.session.node_expressions import DeckResolver, parse_nodes
from clusterdeck.console.session.selection import Selection
from clusterdeck.console.session.session import RefusedError
from clusterdeck.console.session.submission import Agree
from clusterdeck.console.session.timers import TimerInfo
from clusterdeck.console.settings.settings import Settings
from clusterdeck.engine.states import Failure, FailureKind, NodeState
from clusterdeck.engine.task import Task


@dataclass
class Answered:
    """What a node makes of a command."""

    out: str = ""
    err: str = ""
    rc: int | None = 0
    state: NodeState | None = None
    reason: str = ""

    @property
    def end(self) -> NodeState:
        if self.state is not None:
            return self.state
        return NodeState.OK if self.rc == 0 else NodeState.FAILED


#: (command, node) -> what it answers.
Answering = Callable[[str, str], Answered]


class _Groups:
    """Groups without any file or program."""

    default_source_name = "test"

    def __init__(self, groups: dict[str, str]) -> None:
        self.groups = groups

    def group_nodes(self, group: str, _namespace: str | None = None) -> list[str]:
        return [self.groups[group]] if group in self.groups else []

    def all_nodes(self, _namespace: str | None = None) -> list[str]:
        return list(self.groups.values())

    def grouplist(self, _namespace: str | None = None) -> list[str]:
        return list(self.groups)

    def has_node_groups(self, _namespace: str | None = None) -> bool:
        return False

    def node_groups(self, _node: str, _namespace: str | None = None) -> list[str]:
        return []


class FakeSession:
    """Satisfies console.service.Service. calls: what reached it, in order. hold: runs stay alive until `finish`."""

    def __init__(self, answer: Answering | None = None, groups: dict[str, str] | None = None) -> None:
        self.settings = Settings()
        self.selection = Selection()
        self.runs = RunStore()
        self.calls: list[tuple[Any, ...]] = []
        self.answer: Answering = answer or (lambda command, node: Answered(f"{node}: {command}"))
        self.hold = False
        self.resolved: list[str] = []
        self.notices: list[Notice] = []
        self.noted: list[tuple[str, dict[str, Any]]] = []
        self.closers: list[Callable[[], object]] = []
        self._own = {"web": "web[1-4]", "db": "db[1-2]", "all": "web[1-4],db[1-2]", **(groups or {})}
        self.resolver: Any = DeckResolver(
            self.runs, self.selection.find_saved, lambda name: None, lambda: _Groups(self._own)
        )
        self._numbers = itertools.count(1)
        self._timers: dict[int, TimerInfo] = {}

    # -- what a session does

    def resolve(self, expression: str) -> NodeSet:
        self.resolved.append(expression)
        return parse_nodes(expression, self.resolver)

    def shell(self, command: str, nodes: NodeSet, options: RunOptions, agree: Agree | None = None) -> Run:
        agreed(agree)
        self.calls.append(("shell", command, str(nodes), options))
        return self._run("shell", command, command, nodes, options)

    def local(self, command: str, options: RunOptions | None = None) -> Run:
        self.calls.append(("local", command))
        return self._run("local", f"!{command}", command, None, options or RunOptions())

    def copy(
        self,
        sources: list[str],
        dest: str,
        nodes: NodeSet,
        options: RunOptions,
        agree: Agree | None = None,
    ) -> Run:
        agreed(agree)
        self.calls.append(("copy", sources, dest, str(nodes), options))
        run = self._run("copy", f":copy {' '.join(sources)} {dest}", "", nodes, options)
        run.sources, run.destination = tuple(sources), dest
        return run

    def rcopy(
        self,
        sources: list[str],
        dest: str,
        nodes: NodeSet,
        options: RunOptions,
        agree: Agree | None = None,
    ) -> Run:
        agreed(agree)
        self.calls.append(("rcopy", " ".join(sources), dest, str(nodes), options))
        run = self._run("rcopy", f":rcopy {' '.join(sources)} {dest}", "", nodes, options)
        run.sources, run.destination = tuple(sources), dest
        return run

    def repeat(self, old: Run, nodes: NodeSet, *, retry: bool = False, agree: Agree | None = None) -> Run:
        if old.unrepeatable:
            raise RefusedError(f"run {old.id} cannot be repeated, {old.unrepeatable}")
        agreed(agree)
        self.calls.append(("retry" if retry else "again", old.id, str(nodes)))
        return self._run(old.kind, old.command, old.command, nodes, old.options)

    def abort(self, run: int | None = None, nodes: NodeSet | None = None) -> list[int]:
        numbers = [one.id for one in self.runs.running if run in (None, one.id)]
        self.calls.append(("abort", run, None if nodes is None else str(nodes)))
        for number in numbers:
            self.finish(number, lambda _command, _node: Answered(rc=None, state=NodeState.ABORTED))
        return numbers

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
        agreed(agree)
        info = TimerInfo(len(self._timers) + 1, command, nodes, options, delay, interval, count, until)
        self._timers[info.id] = info
        self.calls.append(("timer", delay, interval, command, str(nodes), count, until))
        return info

    def timers(self) -> list[TimerInfo]:
        return list(self._timers.values())

    def cancel_timer(self, number: int) -> bool:
        self.calls.append(("cancel_timer", number))
        return self._timers.pop(number, None) is not None

    def wait_run(self, run_id: int, timeout: float | None = None) -> bool:
        run = self.runs.get(run_id)
        return True if run is None else run.done.wait(timeout)

    def set_option(self, key: str, value: Any) -> None:
        self.settings.set(key, value)

    def engine_task(self) -> Task:
        raise RefusedError("there is no engine here")

    def note(self, what: str, content: Mapping[str, Any]) -> None:
        self.noted.append((what, dict(content)))

    def at_close(self, call: Callable[[], object]) -> None:
        self.closers.append(call)

    def tell(self, notice: Notice) -> None:
        self.notices.append(notice)

    # -- what nodes do

    def _run(self, kind: str, line: str, command: str, nodes: NodeSet | None, options: RunOptions) -> Run:
        spool = Spool(lambda: (_ for _ in ()).throw(OSError("no disk")), 0, SpoolBudget(0), lambda error: None)
        run = Run(next(self._numbers), line, kind, nodes, options, OutputLimits(1024**2, 16 * 1024**2), spool)
        self.runs.add(run)
        run.apply(RunStarted(run.id, time.monotonic()))
        if not self.hold:
            self.finish(run.id)
        return run

    def finish(self, number: int, answer: Answering | None = None) -> None:
        """Let all nodes of a run answer and end."""
        run = self.runs.get(number)
        assert run is not None
        with self.runs.lock:
            for node, name in enumerate(run.names):
                said = (answer or self.answer)(run.command.removeprefix("!"), name)
                for stream, text in ((STDOUT, said.out), (STDERR, said.err)):
                    if text:
                        data = (text.rstrip("\n") + "\n").encode()
                        run.apply(OutputArrived(run.id, (Chunk(node, stream, data, data.count(b"\n")),)))
                failure = Failure(FailureKind.UNREACHABLE, said.reason) if said.reason else None
                now = time.monotonic()
                change = NodeChange(node, said.end, now, said.rc, failure)
                run.apply(NodesChanged(run.id, (NodeChange(node, NodeState.RUNNING, now), change)))
            run.apply(RunFinished(run.id, time.monotonic()))
            run.done.set()


@dataclass
class FakeFrontEnd:
    """Satisfies console.frontend.FrontEnd. agree: what every confirmation is answered with."""

    interactive: bool = True
    agree: bool = True
    views: tuple[str, ...] = ()
    documents: list[Document] = field(default_factory=list)
    confirmations: list[Confirmation] = field(default_factory=list)
    opened: list[tuple[str, int | None, str | None, int | None]] = field(default_factory=list)
    left: int | None = None

    def show(self, document: Document) -> None:
        self.documents.append(document)

    def open_view(self, view: str, run: int | None = None, node: str | None = None, other: int | None = None) -> bool:
        if view in self.views:
            self.opened.append((str(view), run, node, other))
            return True
        return False

    def confirm(self, confirmation: Confirmation) -> bool:
        self.confirmations.append(confirmation)
        return self.agree

    def ask(self, question: Question) -> Answer | None:
        return None

    def leave(self, code: int) -> None:
        self.left = code

    @property
    def text(self) -> str:
        """Everything shown, titles and lines."""
        return "\n".join("\n".join([document.title, *document.lines]) for document in self.documents)

    @property
    def errors(self) -> list[str]:
        """Texts of the documents of level error."""
        return [document.text for document in self.documents if document.level == "error"]


def agreed(agree: Agree | None) -> None:
    """As a session does, before anything begins."""
    if agree is not None:
        agree()
