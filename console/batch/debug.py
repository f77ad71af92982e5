"""`clusterdeck run -d`: what counts for the run, the steps of connecting, and every state of its nodes, on stderr."""

from __future__ import annotations

from itertools import groupby

from ..runs.events import NodeChange, NodesChanged, NodesRestarted, Notice, SessionEvent
from ..runs.runs import Run
from ..session.outbox import monotonic
from ..settings.settings import Settings
from .writer import Writer


class DebugLines:
    """An output mode beside the run's own: one line per change, nodes that change together in one set.

    Times are seconds since the run was made. It is the pump's; the text passes the gate in the writer.
    """

    def __init__(self, run: Run, settings: Settings, writer: Writer) -> None:
        self._run = run
        self._writer = writer
        self._tell_setup(settings)

    def _tell_setup(self, settings: Settings) -> None:
        run, options = self._run, self._run.options
        given = {
            "worker": options.worker,
            "fanout": options.fanout,
            "user": options.user,
            "connect_timeout": options.connect_timeout,
            "timeout": options.timeout,
        }
        self._tell(f"{len(run.names)} nodes: {run.fold(range(len(run.names)))}")
        for name, value in given.items():
            shown = settings.get(f"run.{name}") if value is None else value
            source = settings.source(f"run.{name}") if value is None else "this run"
            self._tell(f"{name}: {shown if shown != '' else 'as SSH says'} ({source})")
        for section in settings.nodes:
            values = ", ".join(f"{key} = {value!r}" for key, value in section.values)
            self._tell(f"[[nodes]] {section.match}: {values} ({section.source})")

    def shown(self, event: SessionEvent) -> None:
        """Tell the changes of nodes."""
        match event:
            case NodesChanged(changes=changes):
                for (what, at), alike in groupby(
                    changes, lambda change: (_words(change), f"{self._since(change):.3f}")
                ):
                    self._tell(f"{at} s {self._run.fold([change.node for change in alike])}: {what}")
            case Notice(level="debug", text=text):
                self._tell(f"{max(0.0, monotonic() - self._run.started):.3f} s {text}")
            case NodesRestarted(nodes=nodes, attempt=attempt):
                self._tell(f"{self._run.fold(nodes)}: attempt {attempt}")
            case _:
                pass

    def finished(self) -> None:
        """Tell how long it took."""
        run = self._run
        if run.ended is not None:
            self._tell(f"{run.ended - run.started:.3f} s: all ended")

    def _since(self, change: NodeChange) -> float:
        return max(0.0, change.at - self._run.started)

    def _tell(self, text: str) -> None:
        self._writer.narrate(f"debug: {text}".replace("\n", " "))


def _words(change: NodeChange) -> str:
    """The state, and why it ended so."""
    code = "" if change.rc is None else f", rc {change.rc}"
    why = "" if change.failure is None else f" ({change.failure.kind.value}: {change.failure.reason})"
    return f"{change.state.word}{code}{why}"
