"""The engine that a session has just now: started when first wanted, made anew when the last one died of an error."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from ..runs.runs import Run
from ..settings.settings import Settings
from .checks import RefusedError
from .engine_thread import EngineThread
from .launch import RunSpec
from .outbox import Outbox


class LiveEngine:
    """Every method may be called from any thread. ask: who answers the SSH layer's questions; None: nobody."""

    def __init__(self, settings: Settings, outbox: Outbox, ask: Callable[[Any], None] | None) -> None:
        self._settings = settings
        self._outbox = outbox
        self._ask = ask
        self._lock = threading.Lock()
        self._engine: EngineThread | None = None
        self._closed = False

    @property
    def current(self) -> EngineThread | None:
        """The engine, alive or dead; None: none was needed yet, or the session is closed."""
        return self._engine

    @property
    def connections(self) -> int:
        """SSH connections that stand."""
        engine = self._engine
        return engine.connections if engine is not None and engine.alive else 0

    def get(self) -> EngineThread:
        """A living engine. Raises RefusedError once closed."""
        with self._lock:
            if self._closed:
                raise RefusedError("the session is closed")
            if self._engine is None or not self._engine.alive:
                self._engine = EngineThread(self._settings, self._outbox, self._ask)
                self._engine.start()
            return self._engine

    def post(self, order: Callable[[EngineThread], None]) -> bool:
        """Have `order(engine)` called in the engine's thread; False where there is none to do it."""
        engine = self._engine
        return engine is not None and engine.post(lambda: order(engine))

    def begin(self, run: Run, spec: RunSpec, show: Callable[[Run], object]) -> None:
        """Show a run and begin it, in one step: who sees it and stops it must not be ahead of its beginning.

        Raises RefusedError when the engine ended.
        """
        engine = self.get()
        with self._lock:
            show(run)
            if not engine.post(lambda: engine.begin(run, spec)):
                raise RefusedError("the engine ended; try again")

    def abort(self, choose: Callable[[], list[int]], nodes: Sequence[str] | None) -> list[int]:
        """Stop the runs that `choose` gives, or only these of their nodes; see `begin`. Returns their numbers."""
        with self._lock:
            numbers = choose()
            if numbers:
                self.post(lambda engine: engine.abort(numbers, nodes))
        return numbers

    def close(self, timeout: float) -> bool:
        """End it for good; False when its thread did not end within `timeout` seconds."""
        with self._lock:
            self._closed = True
            engine, self._engine = self._engine, None
        return True if engine is None else engine.stop(timeout)
