"""Records lines to a macro while they are typed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..language.language import render
from ..language.redact import find_secrets
from ..language.spec import Argument, Command, Kind, Option

#: Commands that steer the recording or only look around.
_LEFT_OUT = frozenset(
    {"macro.record", "macro.stop", "session.quit", "help.show", "macro.list", "macro.edit", "run.edit"}
)

#: Stands over lines that name a run of the recorded session.
_NUMBERED = "# The number of a run is of the session that was recorded: name nodes, or the last run's (@failed, @ok)."
_GO_ON = ":on-failure continue"


@dataclass
class Recorder:
    """Lines since `start`; console thread only. Secrets never get in: they become parameters of the macro."""

    name: str = ""
    file: Path | None = None
    lines: list[str] = field(default_factory=list)
    secrets: int = 0
    nodes: str = ""
    #: Runs that a line began, and the number of lines up to it.
    runs: list[tuple[int, int]] = field(default_factory=list)

    @property
    def active(self) -> bool:
        """Whether lines are being recorded."""
        return self.file is not None

    @property
    def recording(self) -> str:
        """The name of the macro that is being recorded, or ""."""
        return self.name if self.active else ""

    def start(self, name: str, file: Path, nodes: str = "") -> None:
        """Begin a recording. nodes: what is selected, for the macro's first line."""
        self.nodes = nodes
        self.name, self.file, self.lines, self.secrets, self.runs = name, file, [], 0, []

    def note(self, command: Command, runs: Sequence[int] = ()) -> None:
        """A command was done and began these runs; keep its line if a recording is under way."""
        if not self.active or command.spec.id in _LEFT_OUT:
            return
        if command.spec.id == "session.note" and not command.get("text"):
            return
        text = _in_file(command)
        for start, end in reversed(find_secrets(text)):
            self.secrets += 1
            text = f"{text[:start]}{{secret{self.secrets}}}{text[end:]}"
        if _names_run(command):
            text = f"{_NUMBERED}\n{text}"
        self.lines.append(text)
        self.runs += [(run, len(self.lines)) for run in runs]

    def stop(self, is_bad: Callable[[int], bool]) -> tuple[Path, int, int]:
        """End the recording and write the macro (mode 0600); gives the file, its lines and how many secrets were
        left out. is_bad: whether a run did not end well. Raises OSError; then the recording goes on.

        Where the operator went on after a run that had failed somewhere, the macro does, too.
        """
        assert self.file is not None
        head = [f"# {self.name}: recorded in clusterdeck" + (f" on {self.nodes}" if self.nodes else "")]
        head += [f":param secret{number}" for number in range(1, self.secrets + 1)]
        if any(line < len(self.lines) and is_bad(run) for run, line in self.runs):
            head += ["# Not all went well while this was recorded, and more was typed all the same.", _GO_ON]
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(self.file, flags, 0o600), "w", encoding="utf-8") as stream:
            stream.write("\n".join([*head, *self.lines]) + "\n")
        found = self.file, len(self.lines), self.secrets
        self.file = None
        return found


def _names_run(command: Command) -> bool:
    """Whether a line is about a run by its number, which means nothing when the macro plays."""
    parts: list[Argument | Option] = [*command.spec.options, *command.spec.arguments]
    kinds = {part.name: part.kind for part in parts}
    return any(
        kinds[name] is Kind.RUN or (kinds[name] is Kind.NODES and "@run:" in value)
        for name, value in (*command.options, *command.arguments)
    )


def _in_file(command: Command) -> str:
    """A command as a .deck file holds it: several lines stand between <<< and >>>."""
    raw = command.spec.raw
    value = command.get(raw.name) if raw is not None else ""
    if raw is None or "\n" not in value:
        return command.line.strip(" \t\r\n") or render(command)
    fence = 3
    while f"\n{'>' * fence}\n" in f"\n{value}\n":
        fence += 1
    arguments = tuple((name, "<" * fence if name == raw.name else text) for name, text in command.arguments)
    head = render(command.changed(arguments=arguments))
    if head == "<" * fence:
        # In the bare form the block's first line would be taken for what it looks like (`:x`, `@y`).
        head = f":{command.spec.word} -- {head}"
    return f"{head}\n{value}\n{'>' * fence}"
