"""Macros: `.deck` files of console lines, read and checked as a whole before anything is done.

A line is what one would type. Besides: `# comments`; `{name}` for parameters that `:param` declares; a last word
`<<<` takes the following lines, up to `>>>`, as they are; `:if ... :else ... :end`. Errors name file and line.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..language.language import LanguageError, check_values, parse
from ..language.registry import Registry
from ..language.spec import Command, Kind
from .substitution import SubstitutionError, fill, near_miss

SUFFIX = ".deck"
#: Blocks of `:if` in each other.
MAX_BLOCKS = 50
_FENCE = re.compile(r"(?:^|\s)(<{3,})\s*\Z")


class MacroError(Exception):
    """Something wrong in a macro; `text` is one line: file, line, column, what, remedy. `line` is the line itself."""

    def __init__(self, file: str, number: int, message: str, *, column: int | None = None, line: str = "") -> None:
        super().__init__(message)
        self.file = file
        self.number = number
        self.message = message
        self.column = column
        self.line = line

    @property
    def text(self) -> str:
        """One line that names the place."""
        place = f"{self.file}:{self.number}" + ("" if self.column is None else f":{self.column + 1}")
        return f"{place}: {self.message}"

    def explain(self) -> list[str]:
        """The message, the line and a caret."""
        if self.column is None or not self.line:
            return [self.text]
        shown = LanguageError("", self.column).explain(self.line)
        return [self.text, f"  {shown[0]}", f"  {shown[1]}"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter: default None means that a value must be given."""

    name: str
    default: str | None
    help: str
    number: int


@dataclass(frozen=True, slots=True)
class Step:
    """One line: the parsed command, its text, where it stands; for `:if`, the steps of both branches."""

    command: Command
    text: str
    number: int
    then: tuple[Step, ...] = ()
    otherwise: tuple[Step, ...] = ()

    def walk(self) -> Iterator[Step]:
        """This step and all below it."""
        yield self
        for step in (*self.then, *self.otherwise):
            yield from step.walk()


@dataclass(frozen=True, slots=True)
class Macro:
    """A macro that was read and checked."""

    file: str
    text: str
    summary: str
    parameters: tuple[Parameter, ...]
    steps: tuple[Step, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the text, by which changes are noticed."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def values(self, given: Mapping[str, str]) -> dict[str, str]:
        """A value for each parameter. Raises MacroError for missing and unknown ones."""
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in known:
                near = near_miss(name, known)
                hint = f"did you mean {near}?" if near else f"it has {', '.join(known) or 'none'}"
                raise MacroError(self.file, 1, f"there is no parameter {name}: {hint}")
        missing = [p for p in self.parameters if p.default is None and p.name not in given]
        if missing:
            names = " ".join(f"{parameter.name}=..." for parameter in missing)
            raise MacroError(self.file, missing[0].number, f"a value is needed: {names}")
        return {name: given.get(name, parameter.default or "") for name, parameter in known.items()}

    def expand(self, step: Step, values: Mapping[str, str]) -> Command:
        """The step's command with the parameters filled in, checked. Raises MacroError."""
        if not values:
            return step.command
        try:
            command = fill(step.command, values)
            check_values(command)
        except SubstitutionError as error:
            raise MacroError(self.file, step.number, str(error)) from None
        except LanguageError as error:
            raise MacroError(self.file, step.number, error.message) from None
        return command


def parse_macro(text: str, file: str, registry: Registry) -> Macro:
    """Read a macro. Raises MacroError for the first line that is wrong; nothing of it is done then."""
    return _Reader(text, file, registry).read()


@dataclass(frozen=True, slots=True)
class _Logical:
    text: str
    number: int


class _Reader:
    """Reads one macro."""

    def __init__(self, text: str, file: str, registry: Registry) -> None:
        self.text = text
        self.file = file
        self.registry = registry
        self.parameters: list[Parameter] = []
        self.lines = list(self._logical_lines(text))
        self.position = 0
        self.depth = 0

    def read(self) -> Macro:
        steps = self._block(None)
        summary = next((line.lstrip("# ").strip() for line in self.text.splitlines() if line.startswith("#")), "")
        return Macro(self.file, self.text, summary, tuple(self.parameters), steps)

    def _logical_lines(self, text: str) -> Iterator[_Logical]:
        """Lines with continuations and `<<<` blocks put together; comments and empty lines left out."""
        rows = text.split("\n")
        position = 0
        while position < len(rows):
            number = position + 1
            line = rows[position].rstrip("\r")
            position += 1
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            while line.endswith("\\") and not line.endswith("\\\\") and position < len(rows):
                line += "\n" + rows[position].rstrip("\r")
                position += 1
            fence = _FENCE.search(line)
            if fence is not None:
                end = ">" * len(fence[1])
                closing = next((at for at in range(position, len(rows)) if rows[at].strip() == end), None)
                if closing is None:
                    message = f"{fence[1]} is never closed: end the block with a line {end}"
                    raise MacroError(self.file, number, message, column=fence.start(1), line=line)
                line = line[: fence.start(1)] + "\n".join(row.rstrip("\r") for row in rows[position:closing])
                position = closing + 1
            # Indentation belongs to the macro (blocks of :if), not to the command.
            yield _Logical(line.lstrip(" \t"), number)

    def _block(self, opener: Step | None) -> tuple[Step, ...]:
        """Steps up to the end of the file or, after `opener`, up to `:else` or `:end` (which stay to be read)."""
        steps: list[Step] = []
        while self.position < len(self.lines):
            line = self.lines[self.position]
            command = self._parse(line)
            identity = command.spec.id
            if identity in ("macro.else", "macro.end"):
                if opener is None:
                    raise MacroError(self.file, line.number, f":{command.spec.word} without :if before it")
                return tuple(steps)
            self.position += 1
            step = Step(command, line.text, line.number)
            if identity == "macro.param":
                self._declare(step, bool(steps) or opener is not None)
            elif identity == "macro.if":
                steps.append(self._branches(step))
            else:
                steps.append(step)
        if opener is not None:
            raise MacroError(self.file, opener.number, "this :if has no :end")
        return tuple(steps)

    def _branches(self, opener: Step) -> Step:
        self.depth += 1
        if self.depth > MAX_BLOCKS:
            raise MacroError(self.file, opener.number, f"more than {MAX_BLOCKS} blocks in each other")
        then = self._block(opener)
        otherwise: tuple[Step, ...] = ()
        if self._parse(self.lines[self.position]).spec.id == "macro.else":
            self.position += 1
            otherwise = self._block(opener)
            line = self.lines[self.position]
            if self._parse(line).spec.id == "macro.else":
                raise MacroError(self.file, line.number, "a second :else")
        self.position += 1
        self.depth -= 1
        return Step(opener.command, opener.text, opener.number, then, otherwise)

    def _parse(self, line: _Logical) -> Command:
        names = [parameter.name for parameter in self.parameters]
        try:
            command = parse(line.text, self.registry, names)
        except LanguageError as error:
            message = f"{error.message}: {error.remedy}" if error.remedy else error.message
            raise MacroError(self.file, line.number, message, column=error.column, line=line.text) from None
        self._check_placeholders(line, names)
        if command.spec.id == "macro.record":
            raise MacroError(self.file, line.number, "a macro cannot record a macro")
        return command

    def _check_placeholders(self, line: _Logical, names: list[str]) -> None:
        for match in re.finditer(r"(?<![{$])\{([A-Za-z_][A-Za-z0-9_-]*)(?::raw)?\}(?!\})", line.text):
            if match[1] not in names:
                near = near_miss(match[1], names)
                if near:
                    message = f"there is no parameter {{{match[1]}}}: did you mean {{{near}}}?"
                    raise MacroError(self.file, line.number, message, column=match.start(), line=line.text)

    def _declare(self, step: Step, late: bool) -> None:
        name = step.command.get("name")
        if late:
            raise MacroError(self.file, step.number, ":param belongs before the first command")
        if any(parameter.name == name for parameter in self.parameters):
            raise MacroError(self.file, step.number, f"the parameter {name} is declared twice")
        default = step.command.get("default") if step.command.has("default") else None
        self.parameters.append(Parameter(name, default, step.command.get("help"), step.number))


def commands_that_touch(macro: Macro) -> list[Step]:
    """Steps that reach nodes or this host, for the plan that is shown before a macro is trusted."""
    kinds = (Kind.COMMAND, Kind.LOCAL_COMMAND)
    found: list[Step] = []
    for step in macro.steps:
        for one in step.walk():
            raw = one.command.spec.raw
            if raw is not None and raw.kind in kinds:
                found.append(one)
    return found


def find_file(name: str, folders: list[Path]) -> Path | None:
    """The file of a macro: a path as it is, a bare name in the folders, in order. None: there is none."""
    path = Path(name).expanduser()
    named = path.suffix == SUFFIX or len(path.parts) > 1
    places = [path] if named else [folder / f"{name}{SUFFIX}" for folder in folders]
    try:
        return next((place for place in places if place.is_file()), None)
    except (OSError, ValueError):  # a name that no file can have
        return None
