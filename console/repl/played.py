"""The REPL without an operator: lines of a pipe or a file. Nothing of a prompt is imported here."""

from __future__ import annotations

from io import TextIOWrapper
from typing import TextIO

from ..exits import ExitCode
from ..runs.events import QuestionAsked
from ..session.session import Session
from .color import wants_color
from .frontend import PlainFrontEnd
from .loop import Repl, answer_once
from .printer import Paint
from .streams import StreamSink


class Played(Repl):
    """Lines of a pipe or a file, one after the other; nobody can be asked."""

    def __init__(self, session: Session, lines: TextIO | None, out: TextIO, err: TextIO) -> None:
        color = wants_color(session.settings.screen.color, terminal=out.isatty())
        paint = Paint(color)
        if not out.isatty():
            answer_once(session.settings)
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
        self.interpreter.finish()
        return ExitCode.INTERRUPTED if self._interrupts else ExitCode.OK

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
