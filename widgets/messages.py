"""What widgets tell the screen above them: past-tense facts and wishes, never method calls upwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from textual.message import Message

from .texts import Texts


class CommandRequested(Message):
    """A key or a click means this line of the command language."""

    def __init__(self, line: str) -> None:
        super().__init__()
        self.line = line


class CommandOffered(Message):
    """The beginning of a line that only the operator can finish: it is put into the prompt."""

    def __init__(self, line: str) -> None:
        super().__init__()
        self.line = line


class NodeChosen(Message):
    """The operator wants to see one node's output. node: number in the shown run."""

    def __init__(self, node: int) -> None:
        super().__init__()
        self.node = node


class NodesSelected(Message):
    """These nodes shall be the selection. names: node names."""

    def __init__(self, names: Sequence[str], how: str = "") -> None:
        super().__init__()
        self.names = names
        self.how = how


class GroupsWanted(Message):
    """The node groups shall be read anew, for the tree and for completion."""


class RunChosen(Message):
    """The operator wants to see another run."""

    def __init__(self, run: int, view: str = "") -> None:
        super().__init__()
        self.run = run
        self.view = view


class ViewChosen(Message):
    """The operator wants another view (`panes`, `gathered`, ...)."""

    def __init__(self, view: str) -> None:
        super().__init__()
        self.view = view


class Held(Message):
    """A pane stopped or began to follow its output."""


class TextCopied(Message):
    """Text for the clipboard, and what it is in a word or two ("12 lines of node7")."""

    def __init__(self, text: str, what: str) -> None:
        super().__init__()
        self.text = text
        self.what = what


class PagerRequested(Message):
    """A text to be read in $PAGER or $EDITOR. texts: gives it clean, piece by piece, when the program starts."""

    def __init__(self, title: str, texts: Callable[[], Iterable[Texts]], program: str = "pager") -> None:
        super().__init__()
        self.title = title
        self.texts = texts
        self.program = program


class FilterChanged(Message):
    """Another text stands in the filter line. final: Enter was pressed, make it the selection."""

    def __init__(self, text: str, final: bool = False) -> None:
        super().__init__()
        self.text = text
        self.final = final


class FilterClosed(Message):
    """The filter line was left with Escape: the filter goes away."""


class SearchChanged(Message):
    """Another text stands in the search line. final: Enter was pressed."""

    def __init__(self, text: str, final: bool = False) -> None:
        super().__init__()
        self.text = text
        self.final = final


class SearchClosed(Message):
    """The search line was left with Escape: the search goes away."""


class Told(Message):
    """One line for the operator, shown as a toast. level: information, warning or error."""

    def __init__(self, text: str, level: str = "information") -> None:
        super().__init__()
        self.text = text
        self.level = level
