"""Reading ssh_config files: words, Include, and sections with their conditions. What they mean is config.py's matter.

The grammar is ssh_config(5)'s: `Keyword value` or `Keyword=value`, double quotes, `#` at the start of a line or behind
the arguments. A file is read once; Include is resolved where it stands, under the conditions that hold there.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

#: ssh_config(5): at most this many levels of Include.
_DEPTH = 16
_MAX_FILE = 16 * 1024 * 1024
#: Keywords whose value is the rest of the line, quotes and all.
RAW = frozenset(("proxycommand", "localcommand", "remotecommand", "knownhostscommand"))
#: Criteria of Match that take no argument.
_BARE = frozenset(("all", "canonical", "final"))
_CRITERIA = frozenset(("exec", "host", "originalhost", "user", "localuser", "tagged", "localnetwork"))


class ConfigError(ValueError):
    """A configuration cannot be used; the message names file, line and the reason."""


@dataclass(frozen=True, slots=True)
class Patterns:
    """A list of patterns with `*`, `?` and `!`: matches when one matches and no negated one does."""

    good: tuple[re.Pattern[str], ...]
    bad: tuple[re.Pattern[str], ...]

    def match(self, text: str) -> bool:
        """Whether `text` is meant."""
        if any(pattern.match(text) for pattern in self.bad):
            return False
        return any(pattern.match(text) for pattern in self.good)


@dataclass(frozen=True, slots=True)
class Criterion:
    """One condition: kind is "host-line" or a Match criterion in lower case."""

    kind: str
    patterns: Patterns | None = None
    argument: str = ""
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Option:
    """One setting and where it was made."""

    key: str
    value: str
    words: tuple[str, ...]
    where: str


@dataclass(slots=True)
class Section:
    """Settings under one list of conditions. literals: the names of a Host line without wildcards, for the index."""

    order: int
    criteria: tuple[Criterion, ...]
    literals: tuple[str, ...] | None
    options: list[Option] = field(default_factory=list)


def patterns(words: list[str], fold: bool = False) -> Patterns:
    """Compile patterns; `fold`: compare in lower case."""
    good: list[re.Pattern[str]] = []
    bad: list[re.Pattern[str]] = []
    for word in words:
        negated = word.startswith("!")
        text = word[1:] if negated else word
        compiled = re.compile(_regex(text.lower() if fold else text))
        (bad if negated else good).append(compiled)
    return Patterns(tuple(good), tuple(bad))


def _regex(pattern: str) -> str:
    pieces = [".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern]
    return "(?s:" + "".join(pieces) + r")\Z"


def split_words(text: str) -> list[str]:
    """Words of a line: double or single quotes, backslash before a quote or backslash, `#` ends."""
    words: list[str] = []
    position, length = 0, len(text)
    while position < length:
        if text[position] in " \t":
            position += 1
            continue
        if text[position] == "#":
            break
        word: list[str] = []
        quote = ""
        while position < length:
            c = text[position]
            if (
                c == "\\"
                and position + 1 < length
                and (text[position + 1] in "\"'\\" or (not quote and text[position + 1] == " "))
            ):
                position += 1
                word.append(text[position])
            elif not quote and c in " \t":
                break
            elif not quote and c in "\"'":
                quote = c
            elif quote and c == quote:
                quote = ""
            else:
                word.append(c)
            position += 1
        if quote:
            raise ValueError("a quote is not closed")
        words.append("".join(word))
    return words


class Reader:
    """Reads a file with its includes into `sections`. user_file: relative includes are under ~/.ssh, else /etc/ssh."""

    def __init__(self, home: str, *, user_file: bool, on_read: Callable[[str], None] | None = None) -> None:
        self.sections: list[Section] = []
        self._home = home
        self._user_file = user_file
        self._base = f"{home}/.ssh" if user_file else "/etc/ssh"
        self._on_read = on_read

    def read(self, path: str, *, must_exist: bool) -> None:
        """Read `path`. Raises ConfigError; a missing file is an error only if it has to be there."""
        self._file(path, (), None, 0, must_exist=must_exist)

    def _open(self, criteria: tuple[Criterion, ...], literals: tuple[str, ...] | None) -> Section:
        section = Section(len(self.sections), criteria, literals)
        self.sections.append(section)
        return section

    def _file(
        self,
        path: str,
        outer: tuple[Criterion, ...],
        literals: tuple[str, ...] | None,
        depth: int,
        *,
        must_exist: bool,
    ) -> None:
        try:
            status = os.stat(path)
            if status.st_size > _MAX_FILE:
                raise ConfigError(f"{path} is too large for a configuration")
            if self._user_file and (status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022):
                # It may hold commands. OpenSSH refuses such a file, too.
                raise ConfigError(f"{path} is not read: others could have written it (chown, chmod go-w)")
            text = Path(path).read_text("utf-8", "surrogateescape")
        except OSError as error:
            if must_exist or not isinstance(error, FileNotFoundError):
                raise ConfigError(f"cannot read {path}: {error.strerror}") from error
            return
        if self._on_read is not None:
            self._on_read(path)
        section = self._open(outer, literals)
        for number, line in enumerate(text.split("\n"), 1):
            section = self._line(line, f"{path}:{number}", section, outer, literals, depth)

    def _line(
        self,
        line: str,
        where: str,
        section: Section,
        outer: tuple[Criterion, ...],
        outer_literals: tuple[str, ...] | None,
        depth: int,
    ) -> Section:
        stripped = line.strip(" \t\r\f")
        if not stripped or stripped.startswith("#"):
            return section
        keyword, rest = _keyword(stripped)
        try:
            words = split_words(rest)
        except ValueError as error:
            if keyword not in RAW:
                raise ConfigError(f"{where}: {error}") from error
            words = [rest]
        if not words and keyword not in RAW:
            raise ConfigError(f"{where}: {keyword} needs a value")
        if keyword == "host":
            criteria, literals = _host_line(words)
            inner = literals if outer_literals is None else outer_literals
            return self._open((*outer, criteria), inner)
        if keyword == "match":
            return self._open((*outer, *_match_line(words, where)), outer_literals)
        if keyword == "include":
            self._include(words, section, depth, where)
            return self._open(section.criteria, section.literals)
        value = rest if keyword in RAW else words[0]
        section.options.append(Option(keyword, value, tuple(words), where))
        return section

    def _include(self, words: list[str], section: Section, depth: int, where: str) -> None:
        if depth >= _DEPTH:
            raise ConfigError(f"{where}: too many levels of Include")
        for word in words:
            name = word
            if name.startswith("~/"):
                name = f"{self._home}{name[1:]}"
            elif not name.startswith("/"):
                name = f"{self._base}/{name}"
            for path in sorted(glob.glob(name)):
                if os.path.isfile(path):
                    self._file(path, section.criteria, section.literals, depth + 1, must_exist=True)


def _keyword(line: str) -> tuple[str, str]:
    match = re.match(r'"?([^\s="]+)"?[ \t]*=?[ \t]*(.*)\Z', line, re.DOTALL)
    if match is None:
        return line.lower(), ""
    return match.group(1).lower(), match.group(2)


def _host_line(words: list[str]) -> tuple[Criterion, tuple[str, ...] | None]:
    plain = not any(character in word for word in words for character in "*?!")
    return Criterion("host-line", patterns(words)), tuple(words) if plain else None


def _match_line(words: list[str], where: str) -> list[Criterion]:
    found: list[Criterion] = []
    position = 0
    while position < len(words):
        word = words[position].lower()
        position += 1
        negated = word.startswith("!")
        kind, equals, argument = word.lstrip("!").partition("=")
        if kind in _BARE:
            found.append(Criterion(kind, negated=negated))
            continue
        if kind not in _CRITERIA:
            raise ConfigError(f"{where}: Match knows no criterion {kind!a}")
        if equals:
            argument = words[position - 1].partition("=")[2]
        else:
            if position >= len(words):
                raise ConfigError(f"{where}: Match {kind} needs an argument")
            argument = words[position]
            position += 1
        fold = kind in ("host", "originalhost")
        compiled = None if kind in ("exec", "localnetwork") else patterns(argument.split(","), fold)
        found.append(Criterion(kind, compiled, argument, negated))
    if not found:
        raise ConfigError(f"{where}: Match needs a criterion")
    return found
