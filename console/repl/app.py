"""`clusterdeck repl`: the same commands as the full-screen console, in a plain terminal or from a pipe.

Threads: this one reads lines and runs them; the pump shows what runs give, above the prompt. When standard input is
not a terminal its lines are played one after the other, and the exit code tells of the first that could not be done.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from types import FrameType
from typing import Any, TextIO

from prompt_toolkit import PromptSession
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_input
from prompt_toolkit.output import create_output
from prompt_toolkit.utils import is_dumb_terminal

from ..commands.catalogue import default_registry
from ..exits import ExitCode
from ..frontend import Question
from ..interpreter.interpreter import Interpreter
from ..runs.events import Notice, QuestionAsked
from ..session.session import Session
from ..settings import paths
from .frontend import PlainFrontEnd, Sink
from .history import DeckHistory
from .printer import Paint, Printer
from .prompt import PromptParts, build_prompt
from .pump import Pump
from .questions import Asker
from .stopper import Stopper
from .streams import StreamSink, TerminalSink
from .style import wants_color
from .terminal import Ended, Terminal


def run(session: Session) -> int:
    """The REPL on a session; returns the exit code. Uses standard input, output and error as they are."""
    if _on_terminal(sys.stdin) and (_on_terminal(sys.stdout) or _on_terminal(sys.stderr)):
        return _Interactive(session).run()
    with open(os.devnull, "w") as nowhere:  # a stream that was closed by whoever started us
        return _Played(session, sys.stdin, sys.stdout or nowhere, sys.stderr or nowhere).run()


def _on_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()


class _Repl:
    """What both kinds have in common: the interpreter, the pump, and the way to stop what runs."""

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

    def _stop_what_runs(self, begun: int) -> None:
        with self._beginning:
            if self._begun == begun:
                self.interpreter.stop()
                self.stopper.stop_run()

    def execute(self, line: str) -> int:
        """Run a line; returns its code. Ctrl-C stops what runs, a second one breaks the line off."""
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
        return outcome.code

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Signals for as long as lines are read and run.

        One handler for all of that time: a Ctrl-C between the end of a prompt and the start of its line must not get
        lost, and must not take the line with it. SIGTERM and SIGHUP leave in order, so that the terminal is put back
        and the runs are stopped by whoever owns the session.
        """

        def interrupted(_number: int, _frame: FrameType | None) -> None:
            self._interrupts += 1
            if self._interrupts > 1 and self._executing:
                raise KeyboardInterrupt
            # Not here: this thread may hold any lock at this moment.
            stop = threading.Thread(target=self._stop_what_runs, args=(self._begun,), daemon=True)
            stop.name = "clusterdeck-interrupt"
            stop.start()

        def ended(number: int, _frame: FrameType | None) -> None:
            raise SystemExit(128 + number)

        handlers = {signal.SIGINT: interrupted, signal.SIGTERM: ended, signal.SIGHUP: ended}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _Interactive(_Repl):
    """An operator at a terminal."""

    def __init__(self, session: Session) -> None:
        screen = session.settings.screen
        color = wants_color(screen.color, terminal=True)
        paint = Paint(color)
        dumb = is_dumb_terminal()
        # Answers that go to a file leave the prompt on the terminal that is left.
        apart = None if _on_terminal(sys.stdout) else sys.stdout
        terminal_out = sys.stdout if _on_terminal(sys.stdout) else sys.stderr
        self.terminal = Terminal(
            create_input(sys.stdin),
            None if dumb else create_output(terminal_out),
            out=lambda text: _write(terminal_out, text),
        )
        self.asker = Asker(self.terminal, paint)
        sink = TerminalSink(self.terminal, apart, color=wants_color(screen.color, terminal=False))
        super().__init__(session, sink, paint, PlainFrontEnd(sink, paint, self.terminal, self.asker))
        self._questions: list[QuestionAsked] = []
        warn = lambda text: self.say(text, "warning")  # noqa: E731
        history = DeckHistory(paths.history_file(), session.settings.records.history_size, warn)
        recorder = self.interpreter.recorder
        self.prompt: PromptSession[str] = build_prompt(
            PromptParts(
                session=session,
                registry=self.registry,
                history=history,
                stop_run=self.stopper.stop_run,
                say=self.say,
                recording=lambda: recorder.name if recorder.active else "",
                color=color,
            ),
            self.terminal.input,
            self.terminal.output,
        )

    def run(self) -> int:
        """Read and run lines until somebody leaves."""
        self.pump.start()
        try:
            with self.signals():
                self._loop()
        finally:
            self.pump.stop()
        return self.front_end.code or ExitCode.OK

    def _loop(self) -> None:
        typed: Document | None = None
        while self.front_end.code is None:
            self._answer_questions()
            self._forget_interrupts()
            try:
                line = self.terminal.ask(self.prompt, typed, self._forget_interrupts)
            except Ended as ended:  # a question came; what was typed stays
                typed = ended.typed
                continue
            except EOFError:
                line = ":quit"
            except KeyboardInterrupt:
                continue
            typed = None
            if self.terminal.interrupted_early() or self._interrupts:
                self.say("interrupted before it began: nothing was run", "warning")
            elif line.strip():
                self.execute(line)

    def _forget_interrupts(self) -> None:
        """What was pressed before the prompt read its first key meant nothing that is typed at it."""
        self._interrupts = 0

    def asked(self, question: QuestionAsked) -> None:
        """The pump's thread: whoever has the keyboard asks."""
        if self.terminal.keyboard.acquire(blocking=False):
            try:
                self._ask(question)
            finally:
                self.terminal.keyboard.release()
        else:
            self._questions.append(question)
            self.terminal.end_prompt()

    def _answer_questions(self) -> None:
        while self._questions:
            self._ask(self._questions.pop(0))

    def _ask(self, question: QuestionAsked) -> None:
        if not any(open_one.question == question.question for open_one in self.session.questions()):
            return
        secret = question.kind == "secret"
        answer = self.asker.ask(Question(question.title, question.kind, question.rows, question.choices, secret=secret))
        value: Any = None if answer is None else answer.text if secret or not question.choices else answer.choice
        self.session.answer(question.question, value)

    def refresh(self) -> None:
        self.terminal.refresh()


class _Played(_Repl):
    """Lines of a pipe or a file, one after the other; nobody can be asked."""

    def __init__(self, session: Session, lines: TextIO | None, out: TextIO, err: TextIO) -> None:
        color = wants_color(session.settings.screen.color, terminal=out.isatty())
        paint = Paint(color)
        sink = StreamSink(out, err, self._reader_gone)
        super().__init__(session, sink, paint, PlainFrontEnd(sink, paint))
        self._lines = lines
        self._unread = False
        if isinstance(lines, TextIOWrapper):
            lines.reconfigure(errors="surrogateescape")  # a line goes to the nodes byte for byte

    def _reader_gone(self) -> None:
        """Nobody reads the answers any more (`| head`): stop what runs, begin nothing else. In any thread."""
        self._unread = True
        self.interpreter.stop()
        self.session.abort()

    def run(self) -> int:
        """Play all lines; the first that cannot be done ends it, and its code is returned."""
        self.pump.start()
        code: int = ExitCode.OK
        try:
            with self.signals():
                code = self._play()
        except KeyboardInterrupt:
            code = ExitCode.INTERRUPTED
        finally:
            self.pump.stop()
        return self.front_end.code or code

    def _play(self) -> int:
        for line in self._lines or ():
            code = self.execute(line.rstrip("\n"))
            self._wait_for_runs()
            if code != ExitCode.OK or self.front_end.code is not None:
                return code
            if self._unread:
                return ExitCode.ERROR
            if self._interrupts:
                return ExitCode.INTERRUPTED
        return ExitCode.OK

    def _wait_for_runs(self) -> None:
        """The next line may use the results of this one."""
        for running in self.session.runs.running:
            while not self.session.wait_run(running.id, 0.2):
                pass

    def asked(self, question: QuestionAsked) -> None:
        self.say(f"refused, nobody is there to ask: {question.title}", "error")
        for row in question.rows:
            self.say("  " + "  ".join(row), "error")
        self.session.answer(question.question, None)


def _write(stream: TextIO, text: str) -> None:
    stream.write(text)
    stream.flush()
