"""The REPL of an operator at a terminal: the prompt, and what is asked beside it."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from prompt_toolkit import PromptSession
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_input
from prompt_toolkit.output import create_output
from prompt_toolkit.utils import is_dumb_terminal

from ..crash import write_crash_report
from ..exits import ExitCode
from ..frontend import Question
from ..runs.events import QuestionAsked
from ..session.session import Session
from ..settings import paths
from .color import wants_color
from .frontend import PlainFrontEnd
from .history import DeckHistory
from .loop import Repl, answer_once
from .printer import Paint
from .prompt import PromptParts, build_prompt
from .questions import Asker
from .streams import TerminalSink, on_terminal
from .terminal import Ended, Terminal


class Interactive(Repl):
    """An operator at a terminal."""

    def __init__(self, session: Session) -> None:
        screen = session.settings.screen
        self._failures: set[str] = set()
        color = wants_color(screen.color, terminal=True)
        paint = Paint(color)
        dumb = is_dumb_terminal()
        # Answers that go to a file leave the prompt on the terminal that is left.
        shown = on_terminal(sys.stdout)
        apart = None if shown else sys.stdout
        if not shown:
            answer_once(session.settings)
        terminal_out = sys.stdout if shown else sys.stderr
        self.terminal = Terminal(
            create_input(sys.stdin),
            None if dumb else create_output(terminal_out),
            out=lambda text: _write(terminal_out, text),
            failed=self._prompt_failed,
        )
        self.asker = Asker(self.terminal, paint)
        sink = TerminalSink(self.terminal, apart, color=wants_color(screen.color, terminal=False))
        super().__init__(session, sink, paint, PlainFrontEnd(sink, paint, self.terminal, self.asker))
        self._questions: list[QuestionAsked] = []
        warn = lambda text: self.say(text, "warning")  # noqa: E731
        history = DeckHistory(paths.history_file(), session.settings.records.history_size, warn)
        self.front_end.history = history
        self.prompt: PromptSession[str] = build_prompt(
            PromptParts(
                session=session,
                registry=self.registry,
                history=history,
                stop_run=self.stopper.stop_run,
                say=self.say,
                recording=lambda: self.interpreter.recorder.recording,
                color=color,
                queue=self.interpreter.context.queue,
            ),
            self.terminal.input,
            self.terminal.output,
        )

    def run(self) -> int:
        """Read and run lines until somebody leaves."""
        self.pump.start()
        try:
            with self.signals():
                try:
                    self._loop()
                finally:
                    self.terminal.restore()
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
            before = self._interrupts
            early = self.terminal.interrupted_early()
            if self._interrupts > before:
                self.drop_typed()  # it came while the keys were looked at
            if early or self._interrupts:
                self.say("interrupted before it began: nothing was run", "warning")
            elif line.strip():
                self.execute(line)

    def drop_typed(self) -> None:
        self.terminal.drop_read_ahead()

    def _prompt_failed(self, error: BaseException) -> None:
        """Told once for each kind of failure: a key that fails may be pressed again and again."""
        kind = type(error).__name__
        if kind not in self._failures:
            self._failures.add(kind)
            report = write_crash_report(error, ["a key at the prompt"])
            self.say(
                f"the prompt met an error, {kind}; it goes on" + (f" (report: {report})" if report else ""), "error"
            )

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


def _write(stream: TextIO, text: str) -> None:
    stream.write(text)
    stream.flush()
