"""Which part of a line is what: spans for the lexer. No screen and no prompt_toolkit is known here."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..language.language import is_bare
from ..language.registry import Registry
from ..language.spec import Argument, CommandSpec, Kind, Option
from ..language.tokens import BLANKS, Token, skip_blanks, token_at

_SHELL = re.compile(
    r"(?P<string>'[^']*'?|\"(?:[^\"\\]|\\.)*\"?)"
    r"|(?P<variable>\$\{[^}]*\}?|\$[A-Za-z_][A-Za-z0-9_]*|\$[0-9?!#@*$-])"
    r"|(?P<operator>&&|\|\||>>|<<|[|;&<>()])"
    r"|(?P<comment>(?:(?<=\s)|(?<=\A))#[^\n]*)"
    r"|(?P<word>[^\s'\"$|;&<>()]+)",
    re.DOTALL,
)
#: After these operators a word is a command again.
_COMMAND_FOLLOWS = frozenset({"|", "||", "&&", ";", "&", "("})
_SHELL_KINDS = frozenset({Kind.COMMAND, Kind.LOCAL_COMMAND})
_NODE_KINDS = frozenset({Kind.NODES, Kind.NODE, Kind.SAVED})


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` to `end` (exclusive) are a `kind`: the name of a style class."""

    start: int
    end: int
    kind: str


def spans(line: str, registry: Registry) -> list[Span]:
    """The parts of a line, in order and without overlaps; what is between them is plain."""
    if is_bare(line):
        return _shell(line, 0)
    start = skip_blanks(line, 0)
    if start >= len(line):
        return []
    sign = line[start]
    if sign == "#":
        return [Span(start, len(line), "deck.comment")]
    if sign == ":":
        return _Colon(line, registry).read(start)
    if sign == "!":
        return [Span(start, start + 1, "deck.sign"), *_shell(line, start + 1)]
    if sign == "@":
        token = _token(line, start)
        return [] if token is None else [Span(start, token.end, "deck.group"), *_shell(line, token.end)]
    if sign in "+-&":
        return [Span(start, start + 1, "deck.sign"), *_nodes(line, start + 1, len(line))]
    return [Span(start, len(line.rstrip(BLANKS)), "deck.command")]


def _token(line: str, position: int) -> Token | None:
    return token_at(line, position, open_end=True)


def _shell(line: str, start: int) -> list[Span]:
    """A shell command: the verbs, strings, variables and operators."""
    found: list[Span] = []
    command_next = True
    for match in _SHELL.finditer(line, start):
        kind = match.lastgroup or "word"
        if kind == "word":
            if command_next and "=" not in match.group():
                found.append(Span(match.start(), match.end(), "shell.command"))
                command_next = False
            elif match.group().startswith("-") and not command_next:
                found.append(Span(match.start(), match.end(), "deck.option"))
            continue
        if kind == "operator":
            command_next = match.group() in _COMMAND_FOLLOWS
        elif kind == "string" and command_next:
            command_next = False
        found.append(Span(match.start(), match.end(), "deck.comment" if kind == "comment" else f"shell.{kind}"))
    return found


def _nodes(line: str, start: int, end: int) -> list[Span]:
    """A node set; the groups in it stand out."""
    found: list[Span] = []
    for match in re.finditer(r"(@[^\s,!&^]*)|[^\s@]+", line[start:end]):
        kind = "deck.group" if match.group(1) else "deck.nodes"
        found.append(Span(start + match.start(), start + match.end(), kind))
    return found


class _Colon:
    """Reads a `:` command as far as it goes; nothing is an error here, a line is read while it is typed."""

    def __init__(self, line: str, registry: Registry) -> None:
        self.line = line
        self.registry = registry
        self.found: list[Span] = []

    def read(self, start: int) -> list[Span]:
        first = _token(self.line, start + 1) if self.line[start + 1 : start + 2].strip(BLANKS) else None
        if first is None:
            return [Span(start, start + 1, "deck.command")]
        second = _token(self.line, first.end)
        match = self.registry.match([token.text for token in (first, second) if token is not None])
        if match is None:
            near = any(word.startswith(first.text) for word in self.registry.words())
            return [Span(start, first.end, "deck.command" if near else "deck.unknown")]
        spec, used = match
        end = first.end if used == 1 or second is None else second.end
        self.found.append(Span(start, end, "deck.command"))
        self._rest(spec, end)
        return self.found

    def _rest(self, spec: CommandSpec, position: int) -> None:
        words = [argument for argument in spec.arguments if not argument.raw]
        only_words, taken = False, 0
        while (token := _token(self.line, position)) is not None:
            text = token.text
            if text == "--" and not only_words:
                self._add(token, "deck.sign")
                only_words = True
            elif not only_words and text.startswith("-") and len(text) > 1:
                token = self._option(spec, token)
            elif spec.raw is not None and taken >= len(words):
                self._raw(spec.raw, token.start)
                return
            else:
                self._value(words[min(taken, len(words) - 1)] if words else None, token)
                if taken < len(words) and not words[taken].repeat:
                    taken += 1
            position = token.end

    def _raw(self, part: Argument, start: int) -> None:
        if part.kind in _SHELL_KINDS:
            self.found += _shell(self.line, start)
        elif part.kind is Kind.LINE:
            self.found += [
                Span(start + span.start, start + span.end, span.kind)
                for span in spans(self.line[start:], self.registry)
            ]

    def _option(self, spec: CommandSpec, token: Token) -> Token:
        """An option and, where it takes one, its value; returns the last token of it."""
        flag, sign, _ = token.text.partition("=")
        option = spec.by_flag(flag if token.text.startswith("--") else token.text[:2])
        self._add(token, "deck.option" if option is not None else "deck.unknown")
        attached = bool(sign) if token.text.startswith("--") else len(token.text) > 2
        if option is None or not option.takes_value or attached:
            return token
        value = _token(self.line, token.end)
        if value is None or value.text == "--":
            return token
        self._value(option, value)
        return value

    def _value(self, part: Argument | Option | None, token: Token) -> None:
        if part is not None and part.kind in _NODE_KINDS:
            self.found += _nodes(self.line, token.start, token.end)
        elif self.line[token.start] in "'\"":
            self._add(token, "shell.string")

    def _add(self, token: Token, kind: str) -> None:
        self.found.append(Span(token.start, token.end, kind))
