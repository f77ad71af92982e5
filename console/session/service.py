"""What commands ask of a session: `session.Session` satisfies this, and so does the small one that tests use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from ClusterShell.NodeSet import NodeSet

from ...engine.task import Task
from ..runs.events import Notice
from ..runs.options import RunOptions
from ..runs.runs import Run
from ..settings.settings import Settings
from .selection import Selection
from .submission import Agree
from .timers import TimerInfo


class Runs(Protocol):
    """The run store, as far as commands read it; hold `lock` while reading a run that is not ended."""

    lock: threading.RLock

    def __iter__(self) -> Iterator[Run]: ...

    def get(self, number: int) -> Run | None: ...

    def find(self, number: int) -> Run | None: ...

    @property
    def reading(self) -> bool: ...

    def wait_earlier(self, timeout: float | None = None) -> bool: ...

    @property
    def last(self) -> Run | None: ...

    @property
    def running(self) -> list[Run]: ...


class Service(Protocol):
    """One operator's session, as commands see it; called in the console thread."""

    settings: Settings
    selection: Selection

    @property
    def resolver(self) -> Any: ...

    @property
    def runs(self) -> Runs: ...

    def resolve(self, expression: str) -> NodeSet: ...

    def shell(self, command: str, nodes: NodeSet, options: RunOptions, agree: Agree | None = None) -> Run: ...

    def local(self, command: str, options: RunOptions | None = None) -> Run: ...

    def copy(
        self,
        sources: list[str],
        dest: str,
        nodes: NodeSet,
        options: RunOptions,
        agree: Agree | None = None,
    ) -> Run: ...

    def rcopy(
        self,
        sources: list[str],
        dest: str,
        nodes: NodeSet,
        options: RunOptions,
        agree: Agree | None = None,
    ) -> Run: ...

    def repeat(self, old: Run, nodes: NodeSet, *, retry: bool = False, agree: Agree | None = None) -> Run: ...

    def abort(self, run: int | None = None, nodes: NodeSet | None = None) -> list[int]: ...

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
    ) -> TimerInfo: ...

    def timers(self) -> list[TimerInfo]: ...

    def cancel_timer(self, number: int) -> bool: ...

    def wait_run(self, run_id: int, timeout: float | None = None) -> bool: ...

    def engine_task(self) -> Task: ...

    def note(self, what: str, content: Mapping[str, Any]) -> None: ...

    def at_close(self, call: Callable[[], object]) -> None: ...

    def tell(self, notice: Notice) -> None: ...

    def set_option(self, key: str, value: Any) -> None: ...
