"""The way of a specification to a run that has begun: checked, made, written down, handed to the engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from ClusterShell.NodeSet import NodeSet

from ..runs.run_store import RunStore
from ..runs.runs import Run
from ..settings.settings import Settings
from .checks import advice, check_spec
from .launch import RunSpec
from .live_engine import LiveEngine
from .run_maker import RunMaker

if TYPE_CHECKING:
    from .engine_thread import EngineThread
    from .node_sections import NodeSections
    from .timers import TimerInfo

#: Asks whoever must agree to a run; what it raises stops the run.
Agree = Callable[[], object]


class Submission:
    """`round` belongs to the engine's thread, the rest to any other.

    on_submit: called before a run is handed to the engine; it may raise RefusedError. warn: is told of advice, once
    per text. resolve: gives the node set of an expression (sections of nodes in the settings have one).
    """

    def __init__(
        self,
        settings: Settings,
        runs: RunStore,
        maker: RunMaker,
        engine: LiveEngine,
        resolve: Callable[[str], NodeSet],
        on_submit: Callable[[Run], None] | None,
        warn: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._runs = runs
        self._maker = maker
        self._engine = engine
        self._resolve = resolve
        self._on_submit = on_submit
        self._warn = warn
        self._sections: NodeSections | None = None
        self._advised: set[str] = set()

    def submit(
        self,
        spec: RunSpec,
        line: str,
        nodes: NodeSet | None,
        retry_of: int | None = None,
        agree: Agree | None = None,
    ) -> Run:
        """Begin a run. Raises RefusedError, or ValueError for options that cannot be read.

        agree: see `checked`.
        """
        spec = self.checked(spec, nodes, agree)
        run = self._maker.make(spec, line, nodes)
        run.retry_of = retry_of
        self._write_down(run)
        self._engine.begin(run, spec, self._runs.add)
        return run

    def round(self, engine: EngineThread, spec: RunSpec, timer: TimerInfo) -> int:
        """Begin a timer's next run, which was `checked` when the timer was made; its number. Raises as `submit`."""
        check_spec(spec, timer.nodes, self._settings)
        run = self._maker.make(spec, timer.command, timer.nodes, "timer")
        run.timer = timer.id
        self._write_down(run)
        self._runs.add(run)
        engine.begin(run, spec)
        return run.id

    def checked(self, spec: RunSpec, nodes: NodeSet | None, agree: Agree | None = None) -> RunSpec:
        """The specification with what the settings say about these nodes. Raises RefusedError and ValueError.

        agree: called once it is found sound.
        """
        if self._settings.nodes and nodes is not None:
            from .node_sections import NodeSections  # few have any

            if self._sections is None:
                self._sections = NodeSections(self._settings.nodes, self._resolve)
            config = self._sections.ssh_config(self._settings.ssh.config)
            spec = replace(spec, parts=self._sections.parts(list(nodes)), ssh_config=config)
        check_spec(spec, nodes, self._settings)
        for text in advice(spec, self._settings):
            if text not in self._advised:
                self._advised.add(text)
                self._warn(text)
        if agree is not None:
            agree()
        return spec

    def _write_down(self, run: Run) -> None:
        if self._on_submit is not None:
            self._on_submit(run)
