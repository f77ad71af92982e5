"""What may be typed next: pure, quick, and never waiting for a node, a group program or a slow disk twice.

`complete` looks at the text up to the cursor, finds out from the registry what stands there, and asks the source of
that kind of value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from ..language.language import SHELL, LanguageError, parse
from ..language.registry import Registry
from ..language.spec import Argument, Command, CommandSpec, Kind, Option
from ..language.tokens import BLANKS, Token, skip_blanks, token_at
from ..queue.queue import QueueService
from ..session.service import Service
from .candidate import Candidate, Sources
from .candidates import offers
from .names import NameCache, Names

__all__ = ["LIMIT", "Candidate", "complete"]

#: More candidates than this help nobody and cost drawing time.
LIMIT = 200


def complete(
    text: str,
    cursor: int,
    session: Service,
    registry: Registry,
    names: Names | None = None,
    queue: QueueService | None = None,
) -> list[Candidate]:
    """Candidates for the word at the cursor, best first, at most LIMIT.

    names: nodes and groups to offer; those that are known of the session if left out. queue: where maps and tasks are.
    """
    known = NameCache.of(session).snapshot() if names is None else names
    sources = Sources(session, registry, known, queue)
    found: dict[str, Candidate] = {}
    for candidate in islice(_candidates(text[:cursor], sources), LIMIT * 2):
        found.setdefault(candidate.text, candidate)
        if len(found) == LIMIT:
            break
    return list(found.values())


def _candidates(text: str, sources: Sources) -> Iterator[Candidate]:
    start = skip_blanks(text, 0)
    if start >= len(text):
        yield from _anything(start, sources)
        return
    first = text[start]
    if first == "#":
        return
    if first == ":":
        yield from _console_command(text, start + 1, sources)
    elif first == "!":
        yield from _shell_words(text, start + 1, Kind.LOCAL_COMMAND, sources)
    elif first == "@":
        token = token_at(text, start, open_end=True)
        if token is not None and token.end == len(text):
            yield from offers(Kind.NODES, token, sources)
        else:
            yield from _shell_words(text, token.end if token else start, Kind.COMMAND, sources)
    elif first in "+-&":
        token = _last(text, start + 1)
        yield from offers(Kind.NODES, token, sources)
    else:
        yield from _shell_words(text, start, Kind.COMMAND, sources)


def _anything(start: int, sources: Sources) -> Iterator[Candidate]:
    for spec in sources.registry:
        if not spec.hidden and not spec.macro_only:
            yield Candidate(f":{spec.word}", start, f":{spec.word}", spec.summary)


def _last(text: str, position: int) -> Token:
    """The word that the cursor is in or behind, from `position` on; empty where a new word begins."""
    token = Token("", skip_blanks(text, position), len(text))
    while (found := token_at(text, position, open_end=True)) is not None:
        token = found
        position = found.end
    if token.end < len(text) or (text and text[-1] in BLANKS and not token.quote and token.end == len(text)):
        return Token("", len(text), len(text))
    return token


def _shell_words(text: str, position: int, kind: Kind, sources: Sources) -> Iterator[Candidate]:
    """Words of a shell command: its first word is a program, the others files."""
    last = _last(text, position)
    earlier = text[skip_blanks(text, position) : last.start].strip(BLANKS)
    at_start = not earlier or earlier[-1] in "|;&("
    if at_start and "/" not in last.text:
        yield from offers(kind, last, sources)
    else:
        yield from offers(Kind.LOCAL_PATH if kind is Kind.LOCAL_COMMAND else Kind.REMOTE_PATH, last, sources)


@dataclass
class _Position:
    """What stands at the cursor in a console command."""

    part: Argument | Option | None = None
    flags: bool = False
    only_words: bool = False


def _console_command(text: str, position: int, sources: Sources) -> Iterator[Candidate]:
    words: list[Token] = []
    at = position
    while (token := token_at(text, at, open_end=True)) is not None:
        words.append(token)
        at = token.end
    current = _last(text, position)
    done = [token for token in words if token is not words[-1]] if words and words[-1] == current else words
    if not done:
        yield from _command_words(current, sources)
        return
    found = sources.registry.match([token.text for token in done])
    if found is None:
        return
    spec, used = found
    if used == 1 and len(done) == 1:
        for word in spec.subwords:
            if word.startswith(current.text):
                other = sources.registry.find([done[0].text, word])
                yield Candidate(word, current.start, word, other.summary if other else "")
    yield from _arguments(spec, done[used:], current, text, sources)


def _command_words(current: Token, sources: Sources) -> Iterator[Candidate]:
    typed = current.text
    rows = [(word, sources.registry.find(word)) for word in sources.registry.words()]
    shown = [(word, spec) for word, spec in rows if spec is not None]
    for word, spec in shown:
        if word.startswith(typed):
            yield Candidate(word, current.start, word, spec.summary)
    for word, spec in shown:
        if typed and not word.startswith(typed) and _in_order(typed, word):
            yield Candidate(word, current.start, word, spec.summary)


def _in_order(typed: str, word: str) -> bool:
    """Whether the letters typed occur in the word in that order."""
    rest = iter(word)
    return all(letter in rest for letter in typed)


def _arguments(
    spec: CommandSpec, done: list[Token], current: Token, text: str, sources: Sources
) -> Iterator[Candidate]:
    given: list[str] = []
    values: list[Token] = []
    raw_from = len(spec.arguments) - 1 if spec.raw else None
    only_words = False
    waiting: Option | None = None
    for token in done:
        if waiting is not None:
            waiting = None
        elif not only_words and token.text == "--":
            only_words = True
        elif not only_words and token.text.startswith("-") and len(token.text) > 1:
            option = spec.by_flag(token.text.partition("=")[0])
            given.append(option.name if option else token.text)
            waiting = option if option is not None and option.takes_value and "=" not in token.text else None
        else:
            values.append(token)
            if raw_from is not None and len(values) > raw_from:
                begin = values[raw_from].start
                yield from _raw(spec, text, begin, sources)
                return
    if waiting is not None:
        yield from _values(waiting, current, values, sources)
        return
    if not only_words and current.text.startswith("-"):
        yield from _flags(spec, given, current, sources)
        return
    part = _argument_at(spec, len(values))
    if part is not None and part.raw:
        yield from _raw(spec, text, current.start, sources)
    elif part is not None:
        yield from _values(part, current, values, sources)
    if not only_words and not current.text:
        yield from _flags(spec, given, current, sources)


def _argument_at(spec: CommandSpec, place: int) -> Argument | None:
    for argument in spec.arguments:
        if argument.repeat or place == 0:
            return argument
        place -= 1
    return None


def _raw(spec: CommandSpec, text: str, begin: int, sources: Sources) -> Iterator[Candidate]:
    raw = spec.raw
    if raw is None:
        return
    if raw.kind in (Kind.COMMAND, Kind.LOCAL_COMMAND):
        yield from _shell_words(text, begin, raw.kind, sources)
    else:
        yield from offers(raw.kind, _last(text, begin), sources)


def _flags(spec: CommandSpec, given: list[str], current: Token, sources: Sources) -> Iterator[Candidate]:
    flag, sign, _value = current.text.partition("=")
    option = spec.by_flag(flag) if sign else None
    if option is not None and option.takes_value:
        begin = current.start + len(flag) + 1
        yield from offers(
            option.kind, Token(current.text[len(flag) + 1 :], begin, current.end), sources, option.choices
        )
        return
    for option in spec.options:
        if option.name in given and not option.repeat:
            continue
        for name in option.flags:
            if name.startswith(current.text) and (len(name) > 2 or len(option.flags) == 1 or current.text == name):
                value = f" {option.metavar or option.name.upper()}" if option.takes_value else ""
                yield Candidate(name, current.start, name + value, option.help)


def _values(part: Argument | Option, current: Token, values: list[Token], sources: Sources) -> Iterator[Candidate]:
    yield from offers(part.kind, current, sources, part.choices, values[0].text if values else "")


def command_at(text: str, registry: Registry) -> Command | None:
    """The command that a line stands for so far, None while it is not complete; for hints beside the prompt."""
    try:
        command = parse(text, registry)
    except LanguageError:
        return None
    return None if command.spec.id == SHELL and not command.get("command").strip() else command
