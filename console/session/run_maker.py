"""Makes the runs of a session: their numbers, the limits of what they keep, the disk for what does not fit."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ClusterShell.NodeSet import NodeSet

from ..runs import run_store
from ..runs.disk_writer import DiskWriter
from ..runs.output import OutputLimits
from ..runs.runs import Run
from ..runs.spool import Spool, SpoolBudget
from ..settings import paths
from ..settings.sections import LimitSettings
from .launch import RunSpec


class RunMaker:
    """Any thread may make runs. warn: is told, in any thread, when the disk takes no more output."""

    def __init__(self, limits: LimitSettings, disk: DiskWriter, warn: Callable[[str], None]) -> None:
        self._limits = limits
        self._kept = OutputLimits(limits.node_memory, limits.run_memory)
        self._budget = SpoolBudget(limits.total_spool)
        self._disk = disk
        self._warn = warn
        self._lock = threading.Lock()
        self._last = 0
        self._numbers_known = threading.Event()
        self._numbers_known.set()

    def expect_numbers(self) -> None:
        """Somebody is finding out which numbers are used; `number_after` tells."""
        self._numbers_known.clear()

    def number_after(self, number: int) -> None:
        """Number the runs that are made from now on after this one."""
        with self._lock:
            self._last = max(self._last, number)
        self._numbers_known.set()

    def _number(self) -> int:
        if not self._numbers_known.wait(run_store.PATIENCE):
            self._numbers_known.set()  # once is enough
        with self._lock:
            self._last += 1
            return self._last

    def make(self, spec: RunSpec, line: str, nodes: NodeSet | None, kind: str | None = None) -> Run:
        """A run that nobody has begun. line: as an operator would type it; kind: instead of the specification's."""
        spool = Spool(paths.spool_dir, self._limits.run_spool, self._budget, self._spool_failed, self._disk)
        run = Run(self._number(), line, kind or spec.kind, nodes, spec.options, self._kept, spool)
        run.sources, run.destination = spec.sources, spec.destination
        return run

    def _spool_failed(self, error: OSError) -> None:
        self._warn(f"output that does not fit in memory is cut and counted from now on: {error.strerror or error}")
