"""The one way in for lines: from the TUI's prompt, the REPL, macros and batch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ...engine.names import NameRefusedError
from ...engine.text import sanitize_text
from ..crash import write_crash_report
from ..exits import ExitCode
from ..frontend import Document, FrontEnd, Pumping
from ..language.language import LanguageError, parse
from ..language.registry import Registry
from ..language.spec import Command, Danger
from ..queue.queue import QueueService
from ..records.audit import AuditError
from ..session.service import Service
from ..session.session import RefusedError
from .context import CommandError, Context, Outcome
from .recorder import Recorder

if TYPE_CHECKING:
    from ..session.timers import TimerInfo

#: How often a wait looks whether it should stop, seconds.
_GLANCE = 0.1


class Interpreter:
    """Executes lines against a session; one per front end.

    `execute`, `perform` and `wait` belong to the console thread; `stop` may be called from any thread.
    """

    def __init__(self, session: Service, registry: Registry, front_end: FrontEnd) -> None:
        self.session = session
        self.registry = registry
        self.front_end = front_end
        self.recorder = Recorder()
        self._stopping = threading.Event()
        self.context = Context(session, front_end, registry, self, self.recorder, QueueService(session))

    def execute(self, line: str) -> Outcome:
        """Do what a line says. Errors are shown, not raised: a line that is wrong does nothing at all."""
        self._stopping.clear()
        try:
            command = parse(line, self.registry)
        except LanguageError as error:
            self.context.last_line = line
            self._show_error(error, line)
            return Outcome(ExitCode.USAGE)
        if command.spec.danger >= Danger.TOUCHES and command.spec.id != "run.edit":
            self.context.last_line = line
        try:
            outcome = self.perform(command)
        except CommandError as error:
            self.show_error(error, command)
            return Outcome(error.code)
        except KeyboardInterrupt:
            self.front_end.show(Document.of("interrupted; what was gathered stays", level="warning"))
            return Outcome(ExitCode.INTERRUPTED)
        except Exception as error:
            # The console must outlive any single line; the places go to a report, the operator gets one line.
            report = write_crash_report(error, [command.spec.id])
            where = f" (report: {report})" if report is not None else ""
            text = sanitize_text(f":{command.spec.word}: internal error: {type(error).__name__}: {error}{where}")
            self.front_end.show(Document.of(text, level="error"))
            return Outcome(ExitCode.ERROR)
        self.recorder.note(command, outcome.runs)
        return outcome

    def perform(self, command: Command) -> Outcome:
        """Do a command. Raises CommandError with one line that says what is wrong and what would be right."""
        if command.spec.macro_only and self.context.script is None:
            raise CommandError(f":{command.spec.word} makes sense in a macro only", ":help play", code=ExitCode.USAGE)
        try:
            return command.spec.handler(self.context, command)
        except AuditError as error:
            remedy = "nothing was run; records.audit_required demands the record"
            raise CommandError(sanitize_text(str(error)), remedy, code=ExitCode.AUDIT_FAILED) from error
        except RefusedError as error:
            raise CommandError(sanitize_text(str(error)), code=ExitCode.REFUSED) from error
        except NameRefusedError as error:
            raise CommandError(sanitize_text(str(error)), code=ExitCode.REFUSED, argument="nodes") from error
        except ValueError as error:
            raise CommandError(sanitize_text(str(error)), code=ExitCode.USAGE) from error

    # -- waiting

    def stop(self) -> None:
        """End the macro or the wait that is under way, as soon as possible; from any thread."""
        self._stopping.set()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called since the last line began."""
        return self._stopping.is_set()

    def wait(self, run: int, timeout: float | None = None) -> bool:
        """Wait for the end of a run. False after `timeout` seconds, or when `stop` was called."""
        model = self.session.runs.get(run)
        if model is None:
            return True
        return self.wait_until(model.done.is_set, timeout, lambda seconds: self.session.wait_run(run, seconds))

    def pause(self, seconds: float) -> bool:
        """Wait that long. False when `stop` was called."""
        self.wait_until(lambda: False, seconds, self._stopping.wait)
        return not self.stopping

    def wait_until(self, done: Callable[[], bool], timeout: float | None, sleep: Callable[[float], object]) -> bool:
        """Wait until `done()`; `sleep(seconds)` waits at most that long and wakes early when it may be done."""
        if isinstance(self.front_end, Pumping):
            self.front_end.pump_until(lambda: done() or self.stopping, timeout)
            return done()
        deadline = None if timeout is None else time.monotonic() + timeout
        while not done():
            left = _GLANCE if deadline is None else min(_GLANCE, deadline - time.monotonic())
            if left <= 0 or self.stopping:
                return done()
            sleep(left)
        return True

    def finish(self) -> None:
        """Before a front end ends with its last line: wait for timers that end by themselves, and tell of the others.

        Returns early when `stop` is called.
        """
        for info in self.session.timers():
            if info.active and info.endless:
                text = f"timer {info.id} ends here, with the last line: --count or --until would say when it is done"
                self.front_end.show(Document.of(text, level="warning"))
                self.session.cancel_timer(info.id)
        for info in self.session.timers():
            self._await_timer(info.id)

    def _await_timer(self, number: int) -> None:
        def now() -> TimerInfo:
            return next(info for info in self.session.timers() if info.id == number)

        self.wait_until(lambda: not now().active, None, self._stopping.wait)
        last = now().last_run
        if last is not None:
            self.wait(last)

    # -- errors

    def _show_error(self, error: LanguageError, line: str) -> None:
        shown = [sanitize_text(text) for text in error.explain(line)]
        self.front_end.show(Document("error", tuple(shown), "error"))

    def show_error(self, error: CommandError, command: Command) -> None:
        """Show what is wrong with a command, with a caret where its line is known."""
        place = command.place(error.argument) if error.argument else None
        if place is None:
            self.front_end.show(Document.of(error.text, level="error"))
            return
        self._show_error(LanguageError(error.message, place + error.offset, error.remedy), command.line)
