"""Candidates for files, here and on the nodes, and for programs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from ...engine.text import clean_text_line
from ..language.tokens import Token, quote
from .candidate import Candidate, Sources
from .remote_files import RemoteFiles

#: Entries of a folder that are looked at, and seconds for which programs are remembered.
_MAX_ENTRIES = 20_000
_REMEMBERED = 30.0


def local_paths(token: Token, _sources: Sources) -> Iterator[Candidate]:
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


def remote_paths(token: Token, sources: Sources) -> Iterator[Candidate]:
    """Files of the nodes, as far as the session knows them already; it may begin to look in the background."""
    folder, slash, part = token.text.rpartition("/")
    if not slash or folder[:1] not in ("", "/", "~"):
        return
    for name in RemoteFiles.of(sources.session).entries(folder):
        if name.startswith(part) and (part or not name.startswith(".")):
            yield Candidate(quote(f"{folder}/{name}"), token.start, clean_text_line(name), "on the nodes")


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


def programs(token: Token, sources: Sources) -> Iterator[Candidate]:
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


def ending_in(suffix: str, token: Token, sources: Sources) -> Iterator[Candidate]:
    """Files with this ending, and folders."""
    for candidate in local_paths(token, sources):
        if candidate.text.endswith(("/", "/'", suffix, f"{suffix}'")):
            yield candidate
