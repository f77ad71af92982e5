"""The plain terminal as commands see it: documents are printed, questions are asked in a line, there are no views."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ...engine.text import clean_text_line
from ..frontend import Answer, Confirmation, Document, Question
from .printer import Paint, Shown, document_lines

if TYPE_CHECKING:
    from prompt_toolkit.history import History

    from .questions import Asker
    from .terminal import Terminal


class Sink(Protocol):
    """Where text goes."""

    def show(self, shown: Shown) -> None: ...


class PlainFrontEnd:
    """Satisfies console.frontend.FrontEnd and Editing.

    asker: None where no operator can be asked; every question is then answered with no.
    """

    def __init__(self, sink: Sink, paint: Paint, terminal: Terminal | None = None, asker: Asker | None = None) -> None:
        self._sink = sink
        self._paint = paint
        self._terminal = terminal
        self._asker = asker
        self.history: History | None = None
        """Where `remember` puts lines; set by whoever makes the prompt."""
        self.code: int | None = None
        """The exit code, once a command has asked to leave."""

    @property
    def interactive(self) -> bool:
        return self._asker is not None

    def show(self, document: Document) -> None:
        shown = Shown()
        add = shown.add_data if document.data else shown.add_note
        for line in document_lines(document, self._paint):
            add(line)
        self._sink.show(shown)

    def open_view(self, view: str, run: int | None = None, node: str | None = None, other: int | None = None) -> bool:
        return False

    def confirm(self, confirmation: Confirmation) -> bool:
        if self._asker is not None:
            return self._asker.confirm(confirmation)
        self.show(Document.of(f"refused, nobody is there to ask: {confirmation.title}", level="error"))
        return False

    def ask(self, question: Question) -> Answer | None:
        if self._asker is not None:
            return self._asker.ask(question)
        self.show(Document.of(f"nobody is there to ask: {question.title}", level="error"))
        return None

    def leave(self, code: int) -> None:
        self.code = code

    def edit(self, text: str, suffix: str) -> str | None:
        """The text after editing; None when the editor failed or there is no terminal for it."""
        if self._terminal is None or self._asker is None:
            self.show(Document.of("an editor needs a terminal", level="error"))
            return None
        descriptor, name = tempfile.mkstemp(suffix, "clusterdeck-")  # mode 0600
        file = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as stream:
                stream.write(text)
            with self._terminal.held():
                code = _run_editor(editor(), file)
            if code == 0:
                return file.read_text("utf-8", "surrogateescape")  # a line goes to the nodes byte for byte
            self.show(Document.of(clean_text_line(f"{' '.join(editor())} failed (rc {code})"), level="error"))
        except OSError as error:
            self.show(Document.of(clean_text_line(f"no editor: {error}; set EDITOR"), level="error"))
        finally:
            with suppress(FileNotFoundError):
                file.unlink()
        return None

    def remember(self, line: str) -> None:
        if self.history is not None:
            self.history.append_string(line)


def editor() -> list[str]:
    """The operator's editor, as words of a command line."""
    words = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "")
    return words or ["vi"]


def _run_editor(command: Sequence[str], file: Path) -> int:
    return subprocess.call([*command, str(file)])
