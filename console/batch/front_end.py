"""The front end without an operator (`clusterdeck play`, single lines): prints, and says no where none can be asked."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from ...engine.states import NodeState
from ..commands.catalogue import default_registry
from ..exits import ExitCode
from ..frontend import Answer, Confirmation, Document, Question, View
from ..interpreter.interpreter import Interpreter
from ..runs.events import Notice, QuestionAsked, RunFinished, RunStarted, SessionEvent, TimerFired
from ..runs.runs import Run
from ..session.session import Session
from .interruption import Interrupted, termination_as_exception
from .modes import LiveErrors, Names
from .writer import Writer, use_color

#: The longest sleep of the pump while it waits for something that is not an event, seconds.
_GLANCE = 0.05


class BatchFrontEnd:
    """Results on stdout, narration on stderr; its thread is also the session's pump.

    agree: `:confirm` and the like are agreed to, except where an operator's typed word is needed.
    """

    def __init__(self, session: Session, *, agree: bool = False, writer: Writer | None = None) -> None:
        self._session = session
        self._agree = agree
        self._errors: dict[int, LiveErrors] = {}
        self._printed: set[int] = set()
        self._code: int | None = None
        if writer is None:
            out, err, color = sys.stdout.buffer, sys.stderr.buffer, session.settings.screen.color
            writer = Writer(out, err, out_color=use_color(None, color, out), err_color=use_color(None, color, err))
        self._writer = writer

    # -- as commands see it

    @property
    def interactive(self) -> bool:
        """Nobody is there."""
        return False

    def show(self, document: Document) -> None:
        """Data to stdout, everything else to stderr."""
        if document.data:
            for line in document.lines or (document.title,):
                self._writer.text(f"{line}\n")
        else:
            for line in document.lines or (document.title,):
                self._writer.narrate(line)
        self._writer.flush()

    def open_view(self, view: str, run: int | None = None, node: str | None = None, other: int | None = None) -> bool:
        """There are no views; but the gathered answers of a run that has ended are on stdout already."""
        return view == View.GATHERED and run in self._printed

    def confirm(self, confirmation: Confirmation) -> bool:
        """What was agreed to beforehand; never what needs a typed word."""
        agreed = self._agree and not confirmation.required and confirmation.typed is None
        self._writer.narrate(
            f"{confirmation.title}: {'agreed (--yes)' if agreed else 'not confirmed, nobody is there'}"
        )
        return agreed

    def ask(self, question: Question) -> Answer | None:
        """Nobody can answer."""
        self._writer.narrate(f"{question.title}: nobody is there to answer")
        return None

    def leave(self, code: int) -> None:
        """Remember the exit code; `play_lines` ends after the line."""
        self._code = code

    # -- the pump

    def pump_until(self, done: Callable[[], bool], timeout: float | None) -> bool:
        """Apply and print what arrives until `done()`; False after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not done():
            left = _GLANCE if deadline is None else min(_GLANCE, deadline - time.monotonic())
            if left <= 0:
                return False
            if self._session.wait_batch(left):
                self.pump()
        return True

    def pump(self) -> None:
        """Apply and print what has arrived."""
        for event in self._session.drain(0.05):
            self._shown(event)
        self._writer.flush()

    def _shown(self, event: SessionEvent) -> None:
        match event:
            case Notice(text=text):
                self._writer.narrate(text)
            case QuestionAsked(question=number, title=title):
                self._writer.narrate(f"{title}: refused, nobody is there to answer")
                self._session.answer(number, None)
            case TimerFired(timer=timer, run=None, missed=missed):
                self._writer.narrate(f"timer {timer}: the round before still runs ({missed} missed)")
            case RunStarted(run=number):
                run = self._session.runs.get(number)
                if run is not None:
                    self._errors[number] = LiveErrors(run, self._writer)
            case RunFinished(run=number):
                run = self._session.runs.get(number)
                self._errors.pop(number, None)
                if run is not None:
                    self._finished(run)
            case _:
                errors = self._errors.get(getattr(event, "run", None) or 0)
                if errors is not None:
                    errors.shown(event)

    def _finished(self, run: Run) -> None:
        """A run's answers on stdout, its course on stderr."""
        self._printed.add(run.id)
        names = Names(run)
        for group in run.groups():
            self._writer.header(names.fold(group.members), names.count(group.members))
            for piece in run.output.pieces(group.first):
                self._writer.data(piece)
        self._writer.narrate(f"#{run.id} {run.line}: {run.summary()}")
        for rc, numbers in run.return_codes().items():
            failed = [number for number in numbers if run.states[number] == NodeState.FAILED]
            if rc and failed:
                self._writer.narrate(f"{run.fold(failed)}: exited with exit code {rc}")
        for reason, numbers in run.reasons().items():
            nodes = run.fold(numbers)
            self._writer.narrate(reason if reason.startswith(nodes) else f"{nodes}: {reason}")
        for state in (NodeState.TIMEOUT, NodeState.ABORTED):
            numbers = [number for number in run.numbers(state) if not run.reason(number)]
            if numbers:
                self._writer.narrate(f"{run.fold(numbers)}: {state.word}")

    @property
    def code(self) -> int | None:
        """The exit code of a `:quit`, None while there was none."""
        return self._code


def play_lines(session: Session, front_end: BatchFrontEnd, lines: Sequence[str]) -> int:
    """Execute lines and wait for their runs; the first exit code above 0, or that of `:quit`. Main thread only."""
    interpreter = Interpreter(session, default_registry(), front_end)
    interpreter.context.alone = len(lines) == 1
    try:
        with termination_as_exception():
            return _play_lines(interpreter, front_end, lines)
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except Interrupted as ended:
        code = ended.code
    session.abort()
    front_end.pump_until(lambda: not session.runs.running, 3.0)
    return code


def _play_lines(interpreter: Interpreter, front_end: BatchFrontEnd, lines: Sequence[str]) -> int:
    for line in lines:
        outcome = interpreter.execute(line)
        for number in outcome.runs:
            interpreter.wait(number)
        front_end.pump()
        if outcome.leave or front_end.code is not None:
            return front_end.code or outcome.code
        if outcome.code:
            return outcome.code
    interpreter.finish()
    return ExitCode.OK
