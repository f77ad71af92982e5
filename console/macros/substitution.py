"""Puts the values of a macro's parameters into its commands, as data.

In a shell command `{name}` becomes one word of the remote shell, whatever the value holds: quoted where it stands
bare, escaped where it stands in quotes. `{name:raw}` is put in as it is. In all other places a value is a value: it
can never become an option or a second argument. `{{name}}` stands for the text `{name}`.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable, Mapping

from ..language.spec import Command, Kind

_PLACE = re.compile(r"\{\{([A-Za-z_][A-Za-z0-9_-]*(?::raw)?)\}\}|(?<!\$)\{([A-Za-z_][A-Za-z0-9_-]*)(:raw)?\}")
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]+\Z", re.ASCII)
_ESCAPED_IN_DOUBLE = re.compile(r'[\\"$`]')
#: Where these occur the quotes around a place cannot be told for sure.
_NESTED = re.compile(r"`|\$\(|<<")


class SubstitutionError(ValueError):
    """A value that cannot be put where the macro wants it."""


def near_miss(name: str, known: Iterable[str]) -> str | None:
    """The known parameter that was probably meant."""
    return next(iter(difflib.get_close_matches(name, list(known), 1, 0.75)), None)


def fill(command: Command, values: Mapping[str, str]) -> Command:
    """The command with the parameters filled in. Raises SubstitutionError."""
    spec = command.spec

    def filled(name: str, value: str) -> str:
        part = spec.argument(name) or spec.option(name)
        kind = None if part is None else part.kind
        if kind in (Kind.COMMAND, Kind.LOCAL_COMMAND):
            return fill_shell(value, values)
        if kind is Kind.NODES:
            _refuse_widening(value, values)
        return fill_plain(value, values)

    options = tuple((name, filled(name, value)) for name, value in command.options)
    arguments = tuple((name, filled(name, value)) for name, value in command.arguments)
    return command.changed(options=options, arguments=arguments)


def _refuse_widening(text: str, values: Mapping[str, str]) -> None:
    """An empty value beside `@` or `*` would make every node of what was to be one group. Raises SubstitutionError."""
    for match in _PLACE.finditer(text):
        beside = text[: match.start()].endswith(("@", ":")) or text[match.end() :].startswith(("*", ":"))
        if match[2] and beside and values.get(match[2]) == "":
            raise SubstitutionError(f"{match[2]} is empty, and {text} would then mean more nodes than are meant")


def fill_plain(text: str, values: Mapping[str, str]) -> str:
    """The text with the values put in as they are."""

    def put(match: re.Match[str]) -> str:
        if match[1]:
            return f"{{{match[1]}}}" if match[1].removesuffix(":raw") in values else match[0]
        return values.get(match[2], match[0])

    return _PLACE.sub(put, text)


def fill_shell(text: str, values: Mapping[str, str]) -> str:
    """A shell command with each value put in as one word. Raises SubstitutionError."""
    found: list[str] = []
    position = 0
    quote = ""
    for match in _PLACE.finditer(text):
        before = text[position : match.start()]
        quote = _open_quote(before, quote)
        found.append(before)
        position = match.end()
        name = match[2]
        if match[1]:
            known = match[1].removesuffix(":raw") in values
            found.append(f"{{{match[1]}}}" if known else match[0])
        elif name not in values:
            found.append(match[0])
        elif match[3]:
            found.append(values[name])
        else:
            found.append(_as_word(name, values[name], quote, text))
    return "".join([*found, text[position:]])


def _as_word(name: str, value: str, quote: str, text: str) -> str:
    if "\0" in value:
        raise SubstitutionError(f"{name}: a value cannot hold a NUL character")
    if _PLAIN.match(value):
        return value
    if _NESTED.search(text):
        remedy = f"write {{{name}:raw}} if it is meant"
        raise SubstitutionError(f"{name}: {value!a} cannot be put safely into a command with ` $( or <<: {remedy}")
    if quote == "'":
        return value.replace("'", "'\\''")
    if quote == '"':
        return _ESCAPED_IN_DOUBLE.sub(r"\\\g<0>", value)
    return shlex.quote(value)


def _open_quote(text: str, quote: str) -> str:
    """Which quote is open after `text`, given the one that was open before it."""
    position = 0
    while position < len(text):
        mark = text[position]
        if quote == "'":
            quote = "" if mark == "'" else quote
        elif mark == "\\":
            position += 1
        elif quote == '"':
            quote = "" if mark == '"' else quote
        elif mark in "'\"":
            quote = mark
        position += 1
    return quote
