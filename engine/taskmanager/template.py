"""Commands with places for an argument: `{}` `{.}` `{/}` `{//}` `{/.}` `{#}` `{%}` `{node}`, filled in for a shell.

What is filled in is quoted for the very spot where the place stands (bare, inside '...' or inside "..."), so that no
file name and no line of input can become shell text. Where no quoting is safe, the template is refused.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: `${node}` and `${#}` are the shell's own.
_PLACE = re.compile(r"(?<!\$)\{(?:|\.|/|//|/\.|#|%|node)\}")


class TemplateError(ValueError):
    """A template in which something cannot be filled in safely; the message says where and what to do."""


@dataclass(frozen=True, slots=True)
class Values:
    """What is filled in. number: of the job, from 1. slot: of the node, from 1."""

    argument: str
    number: int
    slot: int
    node: str


_NUMERIC = frozenset({"{#}", "{%}"})
_FILLINGS: dict[str, Callable[[Values], str]] = {
    "{}": lambda v: v.argument,
    "{.}": lambda v: os.path.splitext(v.argument)[0],
    "{/}": lambda v: os.path.basename(v.argument),
    "{//}": lambda v: os.path.dirname(v.argument) or ".",
    "{/.}": lambda v: os.path.splitext(os.path.basename(v.argument))[0],
    "{#}": lambda v: str(v.number),
    "{%}": lambda v: str(v.slot),
    "{node}": lambda v: v.node,
}
_IN_DOUBLE = re.compile(r'([\\"$`])')


def _bare(text: str) -> str:
    return shlex.quote(text)


def _in_single(text: str) -> str:
    return text.replace("'", "'\\''")


def _in_double(text: str) -> str:
    return _IN_DOUBLE.sub(r"\\\1", text)


_QUOTERS = {"": _bare, "'": _in_single, '"': _in_double}


class Template:
    """A command line with places. Without a place for the argument, ` {}` is put at the end. Raises TemplateError."""

    def __init__(self, text: str) -> None:
        if "\0" in text:
            raise TemplateError("a command cannot hold a NUL character")
        if not any(match.group() not in ("{#}", "{%}", "{node}") for match in _PLACE.finditer(text)):
            text = f"{text} {{}}"
        self.text = text
        self._parts = _parse(text)

    def render(self, values: Values) -> str:
        """The command for one job. TemplateError for an argument that no shell can take."""
        if "\0" in values.argument:
            raise TemplateError(f"argument {values.number} holds a NUL character")
        return "".join(part if quote is None else quote(_FILLINGS[part](values)) for part, quote in self._parts)


Part = tuple[str, Callable[[str], str] | None]


def _parse(text: str) -> list[Part]:
    """Pieces of text (quoter None) and places with the quoter for their spot."""
    parts: list[Part] = []
    spots = _Spots(text)
    done = 0
    for match in _PLACE.finditer(text):
        spots.advance(match.start())
        problem = spots.problem
        if problem and not (problem == _ARITHMETIC and match.group() in _NUMERIC):
            raise TemplateError(f"{match.group()} at column {match.start() + 1} stands {problem}")
        parts.append((text[done : match.start()], None))
        parts.append((match.group(), _QUOTERS.get(spots.quote, _bare)))
        done = match.end()
        spots.skip(match.end())
    parts.append((text[done:], None))
    spots.advance(len(text))
    if spots.quote:
        raise TemplateError(f"a quote is never closed: add a {spots.quote} where it should end")
    return parts


_ARITHMETIC = "inside $(( )): only {#} and {%} can be filled in there"
_PROBLEMS = {
    "`": "inside `...`: use $( ) instead",
    "$'": "inside $'...': use plain quotes",
    "${": "inside ${...}: assign it to a variable first",
    "((": _ARITHMETIC,
    "#": "in a comment",
    "<<": "after <<: a here-document cannot be filled in safely",
}


class _Spots:
    """Walks a shell line and knows what the present spot is inside of."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        #: What is open, innermost last: ' " ` $' ${ (( ( # <<
        self._open: list[str] = []

    @property
    def quote(self) -> str:
        """The quote that is open here: "", ' or "."""
        return self._open[-1] if self._open and self._open[-1] in "'\"" else ""

    @property
    def problem(self) -> str:
        """Why nothing can be filled in here; "" if it can."""
        for inside in self._open:
            if inside in _PROBLEMS:
                return _PROBLEMS[inside]
        return ""

    def skip(self, at: int) -> None:
        """Go over a place without reading it."""
        self._at = at

    def advance(self, to: int) -> None:
        """Read on to a position."""
        while self._at < to:
            self._at += self._step(self._text[self._at])

    def _step(self, char: str) -> int:
        inside = self._open[-1] if self._open else ""
        if inside == "'":
            if char == "'":
                self._open.pop()
            return 1
        if inside == "#":
            if char == "\n":
                self._open.pop()
            return 1
        if char == "\\":
            return 2
        if inside == "$'":
            if char == "'":
                self._open.pop()
            return 1
        return self._step_plain(char, inside)

    def _step_plain(self, char: str, inside: str) -> int:
        for opening, mark in (("$((", "(("), ("$(", "("), ("${", "${")):
            if self._follows(opening):
                self._open.append(mark)
                return len(opening)
        if char == '"':
            self._toggle('"', inside)
        elif char == "`":
            self._toggle("`", inside)
        elif inside == "((" and self._follows("))"):
            self._open.pop()
            return 2
        elif char == "}" and inside == "${":
            self._open.pop()
        elif inside != '"':
            return self._step_unquoted(char, inside)
        return 1

    def _step_unquoted(self, char: str, inside: str) -> int:
        if self._follows("$'"):
            self._open.append("$'")
            return 2
        if self._follows("<<") and not self._follows("<<<"):
            self._open.insert(0, "<<")
            return 2
        if self._follows("<<<"):
            return 3
        if char == "'":
            self._open.append("'")
        elif char == "(":
            self._open.append("((" if inside == "((" else "(")
        elif char == ")" and inside == "(":
            self._open.pop()
        elif char == "#" and self._word_starts():
            self._open.append("#")
        return 1

    def _follows(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _toggle(self, mark: str, inside: str) -> None:
        if inside == mark:
            self._open.pop()
        else:
            self._open.append(mark)

    def _word_starts(self) -> bool:
        return self._at == 0 or self._text[self._at - 1] in " \t\n;|&()"


@functools.lru_cache(maxsize=64)
def _template(text: str) -> Template:
    return Template(text)


def render(parameters: Any, slot: int, node: str) -> str:
    """The command of a task for a slot. TypeError, ValueError (TemplateError) when there is none."""
    if not isinstance(parameters, dict) or not isinstance(parameters.get("command"), str):
        raise TypeError("a command task is a dictionary with a command")
    command: str = parameters["command"]
    if "argument" not in parameters:
        return command
    argument, number = parameters["argument"], parameters.get("number", 0)
    if not isinstance(argument, str) or not isinstance(number, int):
        raise TypeError("argument must be text, number a whole number")
    return _template(command).render(Values(argument, number, slot, node))
