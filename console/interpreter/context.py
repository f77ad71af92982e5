"""What a command's handler is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ..exits import ExitCode
from ..frontend import Document, FrontEnd
from ..language.registry import Registry
from ..language.spec import Command

if TYPE_CHECKING:
    from ..queue.queue import QueueService
    from ..session.selection import Selection
    from ..session.service import Service
    from .recorder import Recorder


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a line came to. code: an ExitCode or a return code of nodes; 0: done. runs: ids of runs that it began.

    leave: the front end should end. failed: nodes did not all end well, as far as the command waited for them.
    map: the number of a map that it waited for.
    """

    code: int = ExitCode.OK
    runs: tuple[int, ...] = ()
    leave: bool = False
    failed: bool = False
    map: int | None = None


class CommandError(Exception):
    """A command that was understood but cannot be done; one line, with what to do about it.

    argument: the option or argument at fault, for a caret under it; offset: characters into its value.
    """

    def __init__(
        self, message: str, remedy: str = "", *, code: int = ExitCode.ERROR, argument: str = "", offset: int = 0
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.code = code
        self.argument = argument
        self.offset = offset

    @property
    def text(self) -> str:
        """Message and remedy in one line."""
        return f"{self.message}: {self.remedy}" if self.remedy else self.message


class Executor(Protocol):
    """The interpreter, as far as handlers call it back."""

    def execute(self, line: str) -> Outcome:
        """Do what a line says, as if it had been typed; errors are shown."""

    def perform(self, command: Command) -> Outcome:
        """Do a command that is already parsed. Raises CommandError."""

    def wait(self, run: int, timeout: float | None = None) -> bool:
        """Wait for the end of a run. False after `timeout` seconds, or when the operator stopped it."""

    def pause(self, seconds: float) -> bool:
        """Wait that long. False when the operator stopped it."""

    def wait_until(self, done: Callable[[], bool], timeout: float | None, sleep: Callable[[float], object]) -> bool:
        """Wait until `done()`; `sleep(seconds)` waits at most that long and wakes early when it may be done."""

    @property
    def stopping(self) -> bool:
        """Whether the operator wants the macro or the wait to end."""


@dataclass
class Script:
    """What is true while a macro plays.

    file: its name in messages. dry_run: show, touch nothing. depth: macros within macros. agreed: the operator has
    said yes to one of its `:confirm` lines. background, background_maps: what it has not waited for. last: its newest
    run, which `:expect` and `:if` look at. map: a map that ended after it; then they look at that. selection: where a
    dry run selects nodes, so that the real selection stays. unknown: in a dry run, the expression that was selected
    and can be known only when the macro really plays.
    """

    file: str
    dry_run: bool = False
    depth: int = 1
    agreed: bool = False
    stop_on_failure: bool = True
    background: set[int] = field(default_factory=set)
    background_maps: set[int] = field(default_factory=set)
    last: int | None = None
    map: int | None = None
    expectation_failed: bool = False
    selection: Selection | None = None
    unknown: str = ""


@dataclass
class Context:
    """Everything that a handler may use. One per interpreter; console thread only."""

    session: Service
    front_end: FrontEnd
    registry: Registry
    executor: Executor
    recorder: Recorder
    queue: QueueService
    script: Script | None = None
    last_line: str = ""
    """The last line that did something, or that was not understood: `:edit` begins with it."""
    #: Whether the process ends with this line (`clusterdeck queue add ...`).
    alone: bool = False

    @property
    def selection(self) -> Selection:
        """The selection that commands go by."""
        if self.script is not None and self.script.selection is not None:
            return self.script.selection
        return self.session.selection

    @property
    def dry_run(self) -> bool:
        """Whether commands only show what they would do."""
        return self.script is not None and self.script.dry_run

    def tell(self, text: str, *, level: str = "info") -> Outcome:
        """Show one line; for handlers that end with it."""
        self.front_end.show(Document.of(text, level=level))
        return Outcome()

    def show(self, document: Document) -> Outcome:
        """Show a document; for handlers that end with it."""
        self.front_end.show(document)
        return Outcome()
