"""The engine in a thread of its own: one Task, its inbox (an EnginePort) and what runs on it.

`EngineThread.post` is the one way in, from any thread; the orders below it run in the engine's thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ...engine.results import Results
from ...engine.task import Task
from ...engine.text import clean_text_line, sanitize_text
from ..runs.events import Notice
from ..runs.runs import Run
from ..runs.spool import Spool, SpoolBudget
from ..settings import paths
from ..settings.settings import Settings
from .launch import Launcher, RunSpec, reads
from .outbox import EventBatcher, Outbox
from .run_handler import RunDriver

if TYPE_CHECKING:
    from .timers import TimerDriver

#: Bytes after which a line without an end is cut: a node that never ends its line must not fill the memory.
LINE_LIMIT = 1024 * 1024


class EngineThread:
    """Owns the Task. When that dies of an error, its runs end and `alive` turns False.

    ask: takes the SSH layer's questions; None: nobody is there to answer.
    """

    def __init__(self, settings: Settings, outbox: Outbox, ask: Callable[[Any], None] | None = None) -> None:
        self.batcher = EventBatcher(outbox, self._call_later, self._hold)
        self._drivers: dict[int, RunDriver] = {}
        self._timers: dict[int, TimerDriver] = {}
        self._ending = False
        self._idle = threading.Event()
        self.task = Task()
        self.task.results = _NothingKept()
        self.task.set_info("line_limit", LINE_LIMIT)
        self.task.set_info("hang_up", True)  # who stops a command means all that it started
        self.task.set_info("ssh_ask", ask)
        self.task.set_info("ssh_notice", self._notice)
        self.task.set_info("ssh_live", self._count)
        self.task.excepthook = self._died
        self._settings = settings
        self._launcher = Launcher(self.task, settings)
        self._port = self.task.port(handler=self)
        self.alive = True
        #: SSH connections that stand; read by any thread.
        self.connections = 0

    def start(self) -> None:
        """Let the loop run; it runs until `stop`."""
        self.task.resume()

    def prepare(self) -> None:
        """Bring the Task's settings up to date for work that is no run; from any thread."""
        self._launcher.prepare()

    def post(self, order: Callable[[], None]) -> bool:
        """Call `order` in the engine's thread, in order; False when the engine is gone."""
        return self.alive and bool(self._port.msg_send(order))

    def stop(self, timeout: float) -> bool:
        """End everything; False when the engine's thread did not end within `timeout` seconds.

        Runs are aborted first, so that what they began on nodes is ended as well, which takes a moment.
        """
        deadline = time.monotonic() + timeout
        if self.post(self._end_runs):
            self._idle.wait(timeout / 2)
        self.alive = False
        ender = threading.Thread(target=self.task.abort, kwargs={"kill": True}, name="engine-stop", daemon=True)
        ender.start()
        ender.join(max(0.1, deadline - time.monotonic()))
        return not ender.is_alive()

    def _end_runs(self) -> None:
        self._ending = True
        for timer in list(self._timers.values()):
            timer.cancel("the session ends")
        for driver in list(self._drivers.values()):
            driver.abort()
        if not self._drivers:
            self._idle.set()

    # -- orders, in the engine's thread

    def begin(self, run: Run, spec: RunSpec) -> None:
        """Start a run."""
        driver = RunDriver(
            run.id,
            run.names,
            spec.options,
            self.batcher,
            lambda handler, names: self._launcher.launch(spec, handler, names, handler.ranks),
            self._over,
            max(1, len(spec.sources)),
            self._make_spool if reads(spec.options) else None,
        )
        self._drivers[run.id] = driver
        if spec.options.stdin is not None:
            driver.feed(spec.options.stdin)
            if not spec.options.open_stdin:
                driver.feed(None)
        driver.begin()

    def abort(self, numbers: Iterable[int], nodes: Iterable[str] | None) -> None:
        """Abort runs, or some of their nodes."""
        for number in numbers:
            driver = self._drivers.get(number)
            if driver is not None:
                driver.abort(nodes)

    def feed(self, number: int, data: bytes | None, taken: Callable[[], None] | None = None) -> None:
        """Write to a run's standard input; None ends it. taken: called when there is room for more, or no use."""
        driver = self._drivers.get(number)
        if driver is not None:
            driver.feed(data, taken)
        elif taken is not None:
            taken()

    def _make_spool(self) -> Spool:
        """A file for input that nodes will read later; counted apart from outputs, whose budget is the pump's."""
        limit = self._settings.limits.run_spool
        return Spool(paths.spool_dir, limit, SpoolBudget(limit))

    def add_timer(self, driver: TimerDriver) -> None:
        """Arm a timer."""
        self._timers[driver.info.id] = driver
        driver.start(self.task, lambda: self._timers.pop(driver.info.id, None))

    def cancel_timer(self, number: int, reason: str) -> None:
        """Disarm a timer."""
        driver = self._timers.get(number)
        if driver is not None:
            driver.cancel(reason)

    def judge_round(self, number: int, run: int, reason: str) -> None:
        """What a timer's condition made of its round: a reason to end the timer, or ""."""
        driver = self._timers.get(number)
        if driver is not None:
            driver.judged(run, reason)

    def is_running(self, number: int) -> bool:
        """Whether a run has not ended, as the engine's thread sees it."""
        return number in self._drivers

    def release(self) -> None:
        """Read output again."""
        self._hold(False)

    # -- the Task's callbacks

    def ev_msg(self, _port: Any, order: Callable[[], None]) -> None:
        """An order arrived. Its failure must not end the other runs."""
        try:
            order()
        except Exception as error:
            self.batcher.event(Notice("error", f"internal error: {type(error).__name__}: {error}"), now=True)

    def _over(self, driver: RunDriver) -> None:
        self._drivers.pop(driver.number, None)
        if self._ending and not self._drivers:
            self._idle.set()

    def _call_later(self, delay: float, callback: Callable[[], None]) -> object:
        return self.task.timer(delay, _Callback(callback), autoclose=True)

    def _hold(self, flag: bool) -> None:
        self.task.hold_output(flag)

    def trace(self) -> None:
        """From now on tell every step towards a connection, as notices of the level "debug"; from any thread."""
        self.task.set_info("ssh_trace", lambda text: self.batcher.event(Notice("debug", clean_text_line(text))))

    def _count(self, connections: int) -> None:
        self.connections = connections

    def _notice(self, text: str) -> None:
        self.batcher.event(Notice("warning", clean_text_line(text)))

    def _died(self, kind: type[BaseException], error: BaseException, _traceback: Any) -> None:
        self.alive = False
        self._idle.set()
        text = f"the engine failed: {kind.__name__}: {error}"
        for driver in list(self._drivers.values()):
            driver.lose(text)
        for timer in list(self._timers.values()):
            timer.lost(text)
        self.batcher.event(Notice("error", sanitize_text(text)), now=True)


class _NothingKept(Results):
    """Results of a Task that runs for days: the run models have them, the Task would only gather them."""

    def __init__(self) -> None:
        super().__init__(lambda _sname: False)

    def add_lines(self, worker: Any, key: Any, sname: str, lines: list[bytes]) -> None:
        """Not kept."""

    def set_retcode(self, worker: Any, key: Any, rc: int) -> None:
        """Not kept."""

    def add_timeout(self, worker: Any, key: Any) -> None:
        """Not kept."""


class _Callback:
    """A timer's handler that calls a function."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function

    def ev_timer(self, _timer: Any) -> None:
        """The timer fired."""
        self._function()
