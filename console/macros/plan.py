"""The plan of a dry run: what its lines would do, read as one document."""

from __future__ import annotations

from ..frontend import Answer, Confirmation, Document, FrontEnd, Question


class Plan:
    """Stands before a front end while a dry run goes through a macro; satisfies FrontEnd. Console thread only.

    What the lines tell is kept until `finish`, so that it is one thing to read, in its order: a toast or a view per
    line would hide the line before. Errors end the run, so they are shown at once, behind what was kept.
    """

    def __init__(self, front_end: FrontEnd, title: str) -> None:
        self.front_end = front_end
        self._title = title
        self._lines: list[str] = []

    @property
    def interactive(self) -> bool:
        return self.front_end.interactive

    def show(self, document: Document) -> None:
        if document.level == "error":
            self.finish()
            self.front_end.show(document)
        else:
            self._lines += document.lines or (document.title,)

    def finish(self) -> None:
        """Show what was kept."""
        lines, self._lines = tuple(self._lines), []
        if lines:
            self.front_end.show(Document(self._title, lines, data=True))

    def open_view(self, view: str, run: int | None = None, node: str | None = None, other: int | None = None) -> bool:
        return False

    def confirm(self, confirmation: Confirmation) -> bool:
        return False

    def ask(self, question: Question) -> Answer | None:
        return None

    def leave(self, code: int) -> None:
        pass
