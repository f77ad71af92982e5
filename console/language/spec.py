"""What a command is, as data: REPL, palette, key map, help, completion, macros and manuals are made from this."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...engine.names import check_user
from . import values
from .conditions import read_condition, read_until

if TYPE_CHECKING:
    from ..interpreter.context import Context, Outcome


class Danger(enum.IntEnum):
    """What a command may do; the safety rail and the read-only mode go by it."""

    LOOKS = 0
    """Shows something."""
    CHANGES = 1
    """Changes the console itself or files of the operator."""
    TOUCHES = 2
    """Does something on nodes or on this host."""
    ENDS = 3
    """Stops or removes something that cannot be brought back."""


class Kind(enum.StrEnum):
    """What an argument or an option's value is: decides how it is checked and completed."""

    FLAG = "flag"
    TEXT = "text"
    NODES = "node set"
    NODE = "node"
    COMMAND = "shell command"
    LOCAL_COMMAND = "local command"
    LINE = "line"
    LOCAL_PATH = "local path"
    REMOTE_PATH = "path on the nodes"
    DURATION = "duration"
    COUNT = "count"
    SHARE = "share of nodes"
    BATCHES = "batches"
    RUN = "run"
    TIMER = "timer"
    MAP = "map"
    TASK = "task"
    TAG = "tag"
    WAIT = "run or duration"
    WORKER = "worker"
    USER = "user"
    SETTING = "setting"
    VALUE = "value of a setting"
    THEME = "theme"
    NAME = "name"
    SAVED = "saved node set"
    GROUP = "group"
    FILTER = "filter"
    MACRO = "macro"
    MACRO_NAME = "name of a macro"
    PARAMETER = "parameter"
    ASSIGNMENT = "NAME=VALUE"
    VARIABLE = "variable"
    MODULE = "Python module"
    CONDITION = "condition"
    UNTIL = "condition on a round"
    CHOICE = "choice"
    WORD = "command"


_CHECKS: Mapping[Kind, Callable[[str], object]] = {
    Kind.NODES: values.read_present,
    Kind.NODE: values.read_present,
    Kind.COMMAND: values.read_present,
    Kind.LOCAL_COMMAND: values.read_present,
    Kind.LOCAL_PATH: values.read_present,
    Kind.REMOTE_PATH: values.read_present,
    Kind.DURATION: values.read_duration,
    Kind.COUNT: values.read_count,
    Kind.SHARE: values.read_share,
    Kind.BATCHES: values.read_batches,
    Kind.RUN: values.read_number,
    Kind.TIMER: values.read_number,
    Kind.MAP: values.read_number,
    Kind.TAG: values.read_name,
    Kind.MODULE: values.read_present,
    Kind.NAME: values.read_name,
    Kind.MACRO_NAME: values.read_name,
    Kind.SAVED: values.read_name,
    Kind.PARAMETER: values.read_parameter_name,
    Kind.ASSIGNMENT: values.read_assignment,
    Kind.VARIABLE: values.read_variable,
    Kind.CONDITION: read_condition,
    Kind.UNTIL: read_until,
    Kind.WAIT: values.read_wait,
    Kind.USER: check_user,
    Kind.SETTING: values.read_present,
    Kind.MACRO: values.read_present,
    Kind.WORKER: values.read_present,
}


@dataclass(frozen=True, slots=True)
class Argument:
    """A positional argument. repeat: any number of them. raw: the rest of the line, exactly as it was typed.

    choices: the only values allowed (CHOICE), or values allowed beside those of `kind`.
    """

    name: str
    kind: Kind = Kind.TEXT
    help: str = ""
    required: bool = True
    repeat: bool = False
    raw: bool = False
    choices: tuple[str, ...] = ()

    def check(self, value: str) -> None:
        """Raises ValueError, with one line, where the value cannot be right."""
        _check(self.kind, self.choices, value)

    @property
    def usage(self) -> str:
        """The argument as usage lines show it."""
        shown = "|".join(self.choices) if self.kind is Kind.CHOICE else self.name.upper().replace("_", "-")
        shown += "..." if self.repeat else ""
        return shown if self.required else f"[{shown}]"


@dataclass(frozen=True, slots=True)
class Option:
    """An option: flags such as ("-w", "--nodes"), one value or none (FLAG). repeat: may be given several times."""

    name: str
    flags: tuple[str, ...]
    kind: Kind = Kind.FLAG
    help: str = ""
    metavar: str = ""
    repeat: bool = False
    choices: tuple[str, ...] = ()

    def check(self, value: str) -> None:
        """Raises ValueError, with one line, where the value cannot be right."""
        _check(self.kind, self.choices, value)

    @property
    def takes_value(self) -> bool:
        """Whether a value follows."""
        return self.kind is not Kind.FLAG

    @property
    def usage(self) -> str:
        """The option as usage lines show it."""
        shown = "|".join(self.choices) if self.choices and not self.metavar else self.metavar or self.name.upper()
        return f"{self.flags[0]} {shown}" if self.takes_value else self.flags[0]


def _check(kind: Kind, choices: tuple[str, ...], value: str) -> None:
    if value in choices:
        return
    if kind is Kind.CHOICE:
        raise ValueError(f"{value!a} is none of {', '.join(choices)}")
    check = _CHECKS.get(kind)
    if check is None:
        return
    try:
        check(value)
    except ValueError as error:
        if choices:
            raise ValueError(f"{error} (or {', '.join(choices)})") from None
        raise


Handler = Callable[["Context", "Command"], "Outcome"]


@dataclass(frozen=True, eq=False)
class CommandSpec:
    """One command. Two specs are equal only if they are the same object: a registry owns its specs.

    id: stable, `noun.verb`, what key maps and bindings use. word: what follows the colon; may be two words
    ("timer cancel"). title: "noun: Verb", for the palette. keys: default keys of the full-screen console.
    hands: ways to type it without the colon, for the manual. screen: only the full-screen console can do it.
    macro_only: makes sense only while a macro plays. subwords: second words of other commands whose first word is
    this one's ("timer": "cancel"); an argument that looks like one needs `--` before it.
    """

    id: str
    word: str
    title: str
    summary: str
    handler: Handler
    help: str = ""
    aliases: tuple[str, ...] = ()
    arguments: tuple[Argument, ...] = ()
    options: tuple[Option, ...] = ()
    examples: tuple[tuple[str, str], ...] = ()
    danger: Danger = Danger.LOOKS
    keys: tuple[str, ...] = ()
    hands: tuple[str, ...] = ()
    screen: bool = False
    macro_only: bool = False
    subwords: tuple[str, ...] = ()
    hidden: bool = False

    @property
    def family(self) -> str:
        """The noun: commands with the same one stand together in the manual."""
        return self.id.partition(".")[0]

    @property
    def raw(self) -> Argument | None:
        """The argument that takes the rest of the line as it is, if there is one."""
        return self.arguments[-1] if self.arguments and self.arguments[-1].raw else None

    @property
    def usage(self) -> str:
        """One line: `:word [options] arguments`."""
        parts = [f":{self.word}"]
        parts += [f"[{option.usage}]" for option in self.options]
        for argument in self.arguments:
            separator = "-- " if argument.raw and self.options else ""
            parts.append(
                f"[{separator}{argument.name.upper()}]" if not argument.required else separator + argument.usage
            )
        return " ".join(parts)

    @property
    def brief(self) -> str:
        """The usage with the options in one word, for error messages."""
        if not self.options:
            return self.usage
        words = [argument.usage for argument in self.arguments]
        if self.raw is not None:
            words.insert(-1, "--")
        return " ".join([f":{self.word}", "[options]", *words])

    def option(self, name: str) -> Option | None:
        """The option with that name (not flag)."""
        return next((option for option in self.options if option.name == name), None)

    def argument(self, name: str) -> Argument | None:
        """The argument with that name."""
        return next((argument for argument in self.arguments if argument.name == name), None)

    def by_flag(self, flag: str) -> Option | None:
        """The option with that flag (`-w`, `--nodes`)."""
        return next((option for option in self.options if flag in option.flags), None)


Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Command:
    """A line that was understood. Equal commands do the same; the line they came from does not count.

    options and arguments: (name, value) pairs in the order of the spec; repeated ones several times, flags with "".
    places: where in `line` a value began, by name, for carets in later errors.
    """

    spec: CommandSpec
    options: Pairs = ()
    arguments: Pairs = ()
    line: str = field(default="", compare=False)
    places: Mapping[str, int] = field(default_factory=dict, compare=False)

    @property
    def id(self) -> str:
        """The id of its spec."""
        return self.spec.id

    def _pairs(self) -> Iterator[tuple[str, str]]:
        yield from self.options
        yield from self.arguments

    def has(self, name: str) -> bool:
        """Whether the option or argument was given."""
        return any(key == name for key, _ in self._pairs())

    def get(self, name: str, default: str = "") -> str:
        """The (last) value given, else `default`."""
        found = self.many(name)
        return found[-1] if found else default

    def many(self, name: str) -> list[str]:
        """All values given."""
        return [value for key, value in self._pairs() if key == name]

    def nodes(self, name: str) -> str | None:
        """A node-set expression; several of them are joined to one. None: not given."""
        found = self.many(name)
        return ",".join(found) if found else None

    def duration(self, name: str) -> float | None:
        """Seconds; None: not given."""
        return values.read_duration(self.get(name)) if self.has(name) else None

    def number(self, name: str) -> int | None:
        """A whole number; None: not given."""
        return values.read_number(self.get(name)) if self.has(name) else None

    def place(self, name: str) -> int | None:
        """The column where the value began, None where it is not known."""
        return self.places.get(name)

    def changed(self, **kwargs: Any) -> Command:
        """A copy with other fields."""
        fields = {"spec": self.spec, "options": self.options, "arguments": self.arguments, "line": self.line}
        return Command(**{**fields, "places": self.places, **kwargs})
