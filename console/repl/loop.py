"""What every kind of REPL is: the interpreter, the pump that shows what runs give, and the way to stop what runs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ..commands.catalogue import default_registry
from ..exits import ExitCode
from ..interpreter.interpreter import Interpreter
from ..runs.events import Notice, QuestionAsked
from ..session.session import Session
from ..settings.settings import Settings
from .frontend import PlainFrontEnd, Sink
from .printer import Paint, Printer
from .pump import Pump
from .stopper import Stopper


def answer_once(settings: Settings) -> None:
    """Answers go to a file or a program: each comes once, as it arrives, unless somebody has chosen otherwise."""
    if settings.source("screen.output") == "default":
        settings.set("screen.output", "live", "standard output is no terminal")


class Repl:
    """One REPL on one session. Its own thread reads lines and runs them; the pump shows what comes of them."""

    def __init__(self, session: Session, sink: Sink, paint: Paint, front_end: PlainFrontEnd) -> None:
        self.session = session
        self.sink = sink
        self.front_end = front_end
        self.registry = default_registry()
        self.interpreter = Interpreter(session, self.registry, front_end)
        self.stopper = Stopper(session, self.say)
        self._interrupts = 0
        self._executing = False
        #: Lines begun so far. Guarded, so that a Ctrl-C that is served late cannot stop the line after the one it met.
        self._begun = 0
        self._beginning = threading.Lock()
        printer = Printer(session.runs, paint, self.stopper.has_stopped)
        self.pump = Pump(session, printer, sink.show, self.asked, self.refresh)

    def say(self, text: str, level: str = "info") -> None:
        """Tell the operator a line; any thread, does not wait."""
        self.session.tell(Notice(level, text))

    def asked(self, question: QuestionAsked) -> None:
        """A question of the engine, in the pump's thread."""
        raise NotImplementedError

    def refresh(self) -> None:
        """The prompt's counts changed."""

    def drop_typed(self) -> None:
        """Ctrl-C came as a signal: what was typed before it counts for nothing. In the signal's handler."""

    def _stop_what_runs(self, begun: int) -> None:
        with self._beginning:
            if self._begun == begun:
                self.interpreter.stop()
                self.stopper.stop_run()

    def execute(self, line: str) -> int:
        """Run a line; returns its code. Ctrl-C stops what runs, a second one breaks the line off.

        Jobs of a map that failed are, as nodes that failed, for the next line to look at: the line itself was done.
        """
        with self._beginning:
            self._begun += 1
        self._executing = True
        try:
            outcome = self.interpreter.execute(line)
        except KeyboardInterrupt:
            self.say("interrupted; what was gathered stays", "warning")
            return ExitCode.INTERRUPTED
        finally:
            self._executing = False
        if self._interrupts:
            # It came while the line was still being prepared: the runs that it began are what was meant.
            for number in outcome.runs:
                self.stopper.stop(number)
        failed_jobs = outcome.map is not None and outcome.code == ExitCode.EXPECTATION_FAILED
        return ExitCode.OK if failed_jobs else outcome.code

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Signals for as long as lines are read and run.

        One handler for all of that time: a Ctrl-C between the end of a prompt and the start of its line must not get
        lost, and must not take the line with it. SIGTERM and SIGHUP leave in order, so that the terminal is put back
        and the runs are stopped by whoever owns the session.
        """

        def interrupted(_number: int, _frame: FrameType | None) -> None:
            self._interrupts += 1
            self.drop_typed()
            if self._interrupts > 1 and self._executing:
                raise KeyboardInterrupt
            # Not here: this thread may hold any lock at this moment.
            stop = threading.Thread(target=self._stop_what_runs, args=(self._begun,), daemon=True)
            stop.name = "clusterdeck-interrupt"
            stop.start()

        def ended(number: int, _frame: FrameType | None) -> None:
            for other in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(other, signal.SIG_IGN)  # until the terminal is put back
            raise SystemExit(128 + number)

        handlers = {signal.SIGINT: interrupted, signal.SIGTERM: ended, signal.SIGHUP: ended}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
