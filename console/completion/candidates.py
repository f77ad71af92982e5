"""Candidates for each kind of value; see completion.py."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ...engine.text import clean_text_line
from ..interpreter.context import CommandError
from ..language.registry import Registry
from ..language.spec import Kind
from ..language.tokens import Token, quote
from ..macros import store as macro_store
from ..macros.macros import SUFFIX, MacroError
from ..session.service import Service
from ..settings.settings import SettingsError, choices, describe, setting_names, split_key
from .names import Names
from .remote_files import RemoteFiles

WORKERS = ("paramiko", "ssh", "exec", "pdsh", "rsh")
_RESULTS = {
    "ok": "ended well",
    "failed": "returned another code than 0",
    "timeout": "timed out",
    "unreachable": "could not be reached",
    "lost": "were lost while running",
    "aborted": "were aborted",
    "bad": "did not end well",
}
_OPERATORS = re.compile(r"[,&!^\s](?![^\[]*\])")
#: Entries of a folder that are looked at, and seconds for which programs and macros are remembered.
_MAX_ENTRIES = 20_000
_REMEMBERED = 30.0
_DURATIONS = {"10s": "ten seconds", "30s": "half a minute", "5m": "five minutes", "1h30m": "an hour and a half"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to go on: `text` replaces what stands from column `start` to the cursor."""

    text: str
    start: int
    display: str = ""
    description: str = ""


@dataclass
class Sources:
    """Where candidates come from."""

    session: Service
    registry: Registry
    names: Names

    def setting_values(self, key: str, token: Token) -> Iterator[Candidate]:
        """Values that a setting may have."""
        try:
            name = ".".join(split_key(key))
            value = self.session.settings.get(name)
            allowed = choices(name) or (("true", "false") if isinstance(value, bool) else ())
        except SettingsError:
            return
        if not allowed:
            allowed = (str(value),)
        yield from _plain(((text, "now" if text == str(value) else "") for text in allowed), token)

    def macro_parameters(self, name: str, token: Token) -> Iterator[Candidate]:
        """`name=` for each parameter of a macro."""
        try:
            macro, _ = macro_store.load(name, self.registry)
        except (CommandError, MacroError):
            return
        for parameter in macro.parameters:
            hint = parameter.help or ("needed" if parameter.default is None else f"{parameter.default} if left out")
            if parameter.name.startswith(token.text):
                yield Candidate(f"{parameter.name}=", token.start, f"{parameter.name}=", clean_text_line(hint))


def offers(kind: Kind, token: Token, sources: Sources, allowed: tuple[str, ...] = ()) -> Iterator[Candidate]:
    """Candidates of a kind for the word `token`, which ends at the cursor."""
    if allowed:
        yield from _plain(((text, "") for text in allowed), token)
    source = _SOURCES.get(kind)
    if source is not None:
        yield from source(token, sources)


def _plain(rows: Iterator[tuple[str, str]], token: Token) -> Iterator[Candidate]:
    for text, description in rows:
        if text.startswith(token.text):
            yield Candidate(quote(text), token.start, clean_text_line(text), clean_text_line(description))


# -- nodes


def _nodes(token: Token, sources: Sources) -> Iterator[Candidate]:
    """Node sets: the part after the last operator is completed; groups, results and saved sets after `@`."""
    breaks = [match.end() for match in _OPERATORS.finditer(token.text)]
    offset = breaks[-1] if breaks else 0
    part = token.text[offset:]
    # Inside quotes columns do not tell where the part begins: then the whole word is replaced.
    exact = token.end - token.start == len(token.text)
    start = token.start + offset if exact else token.start
    before = "" if exact else token.text[:offset]
    if not part or part.startswith("@"):
        for name, description in _group_rows(sources):
            if name.startswith(part):
                yield Candidate(before + name, start, clean_text_line(name), clean_text_line(description))
    if not part.startswith("@"):
        yield from _node_names(part, before, start, sources)


def _group_rows(sources: Sources) -> Iterator[tuple[str, str]]:
    session = sources.session
    for name, text in session.selection.saved.items():
        yield f"@{name}", f"saved: {text}"
    last = session.runs.last
    if last is not None:
        for word, description in _RESULTS.items():
            yield f"@{word}", description
    for group, description in sources.names.groups:
        yield f"@{group}", description or "group"
    yield "@*", f"all {len(sources.names.nodes)} known nodes" if sources.names.nodes else "all nodes"
    if last is not None:
        for run in reversed(list(session.runs)):
            yield f"@run:{run.id}:", run.line


def _node_names(part: str, before: str, start: int, sources: Sources) -> Iterator[Candidate]:
    seen: set[str] = set()
    last = sources.session.runs.last
    for origin, names in (("", sources.names.nodes), ("of the last run", () if last is None else last.names)):
        for name in names:
            if name.startswith(part) and name not in seen:
                seen.add(name)
                yield Candidate(before + name, start, clean_text_line(name), origin)


def _run_nodes(token: Token, sources: Sources) -> Iterator[Candidate]:
    run = sources.session.runs.last
    if run is not None:
        yield from _plain(((name, "") for name in run.names), token)


# -- runs, timers, tasks


def _runs(token: Token, sources: Sources) -> Iterator[Candidate]:
    for run in reversed(list(sources.session.runs)):
        if str(run.id).startswith(token.text.removeprefix("#")):
            yield Candidate(str(run.id), token.start, f"#{run.id}", run.line)


def _timers(token: Token, sources: Sources) -> Iterator[Candidate]:
    rows = ((str(info.id), info.command) for info in sources.session.timers() if info.active)
    yield from _plain(rows, token)


# -- files


def _local_paths(token: Token, _sources: Sources) -> Iterator[Candidate]:
    folder, _, part = token.text.rpartition("/")
    shown = token.text[: len(token.text) - len(part)]
    where = os.path.expanduser(folder) if folder else ("/" if token.text.startswith("/") else ".")
    entries: list[os.DirEntry[str]] = []
    try:
        with os.scandir(where) as listing:
            for number, entry in enumerate(listing):
                if number >= _MAX_ENTRIES:
                    break
                if entry.name.startswith(part) and (part or not entry.name.startswith(".")):
                    entries.append(entry)
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return
    # One look at the disk per entry: only for those that are really asked for.
    for entry in sorted(entries, key=lambda entry: entry.name):
        name, is_folder = entry.name, _is_folder(entry)
        text = quote(shown + name)
        slash = "/" if is_folder else ""
        if is_folder and text.endswith("'"):
            text, slash = text[:-1] + "/'", ""
        yield Candidate(text + slash, token.start, clean_text_line(name) + ("/" if is_folder else ""), "")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _remote_paths(token: Token, sources: Sources) -> Iterator[Candidate]:
    """Files of the nodes, as far as the session knows them already; it may begin to look in the background."""
    folder, slash, part = token.text.rpartition("/")
    if not slash or folder[:1] not in ("", "/", "~"):
        return
    for name in RemoteFiles.of(sources.session).entries(folder):
        if name.startswith(part) and (part or not name.startswith(".")):
            yield Candidate(quote(f"{folder}/{name}"), token.start, clean_text_line(name), "on the nodes")


# -- programs


class _Programs:
    """Names of the programs of this host; nodes mostly have the same."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._read = float("-inf")

    def names(self) -> list[str]:
        """Sorted names; read anew when they are old."""
        if time.monotonic() - self._read > _REMEMBERED:
            self._names = sorted(self._list())
            self._read = time.monotonic()
        return self._names

    def _list(self) -> set[str]:
        found: set[str] = set()
        for folder in os.environ.get("PATH", "").split(os.pathsep):
            try:
                with os.scandir(folder or ".") as listing:
                    found.update(entry.name for entry in listing if not entry.name.startswith("."))
            except OSError:
                continue
        return found


_PROGRAMS = _Programs()


def _programs(token: Token, sources: Sources) -> Iterator[Candidate]:
    seen: set[str] = set()
    for run in reversed(list(sources.session.runs)):
        line = run.command.removeprefix("!")
        word = line.split(None, 1)[0] if line.strip() else ""
        if (
            word
            and word.isprintable()
            and not word.startswith(":")
            and word.startswith(token.text)
            and word not in seen
        ):
            seen.add(word)
            yield Candidate(word, token.start, clean_text_line(word), f"#{run.id}")
    if token.text:
        for name in _PROGRAMS.names():
            if name.startswith(token.text) and name not in seen:
                yield Candidate(name, token.start, clean_text_line(name), "a program of this host")


# -- words


def _settings(token: Token, sources: Sources) -> Iterator[Candidate]:
    rows = [(name, describe(name)) for name in setting_names()]
    yield from _plain(iter(rows), token)
    yield from _plain(((name.partition(".")[2], text) for name, text in rows if token.text), token)


def _macro_names(token: Token, _sources: Sources) -> Iterator[Candidate]:
    yield from _plain(((name, str(file.parent)) for name, file in macro_store.known().items()), token)


def _macros(token: Token, sources: Sources) -> Iterator[Candidate]:
    if "/" not in token.text:
        yield from _macro_names(token, sources)
    for candidate in _local_paths(token, sources):
        if candidate.text.endswith(("/", "/'", SUFFIX, f"{SUFFIX}'")):
            yield candidate


def _saved(token: Token, sources: Sources) -> Iterator[Candidate]:
    yield from _plain(iter(sources.session.selection.saved.items()), token)


def _words(token: Token, sources: Sources) -> Iterator[Candidate]:
    for spec in sources.registry:
        if not spec.hidden and spec.word.startswith(token.text):
            yield Candidate(spec.word, token.start, spec.word, spec.summary)


def _conditions(token: Token, _sources: Sources) -> Iterator[Candidate]:
    yield from _plain(((f"@{word}", f"some nodes {text}") for word, text in _RESULTS.items()), token)
    yield from _plain(((f"{word}>=", f"how many nodes {text}") for word, text in _RESULTS.items()), token)
    others = (("groups==", "different answers"), ("nodes>=", "nodes of the run"), ("out:/", "a line of the output"))
    yield from _plain(iter(others), token)


def _workers(token: Token, _sources: Sources) -> Iterator[Candidate]:
    yield from _plain(((name, "") for name in WORKERS), token)


def _durations(token: Token, _sources: Sources) -> Iterator[Candidate]:
    yield from _plain(iter(_DURATIONS.items()), token)


def _batches(token: Token, _sources: Sources) -> Iterator[Candidate]:
    yield from _plain(iter((("1,10%,rest", "one, then a tenth, then the rest"), ("10%", "in tenths"))), token)


_SOURCES: dict[Kind, Callable[[Token, Sources], Iterator[Candidate]]] = {
    Kind.NODES: _nodes,
    Kind.NODE: _run_nodes,
    Kind.RUN: _runs,
    Kind.WAIT: _runs,
    Kind.TIMER: _timers,
    Kind.LOCAL_PATH: _local_paths,
    Kind.REMOTE_PATH: _remote_paths,
    Kind.COMMAND: _programs,
    Kind.LOCAL_COMMAND: _programs,
    Kind.SETTING: _settings,
    Kind.MACRO: _macros,
    Kind.MACRO_NAME: _macro_names,
    Kind.SAVED: _saved,
    Kind.WORD: _words,
    Kind.CONDITION: _conditions,
    Kind.UNTIL: _conditions,
    Kind.WORKER: _workers,
    Kind.DURATION: _durations,
    Kind.BATCHES: _batches,
}
