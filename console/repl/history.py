"""The prompt's history: kept in a file of mode 0600, one JSON string per line, without secrets and doubles."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prompt_toolkit.auto_suggest import AutoSuggest, Suggestion
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.history import History

from ..language.redact import find_secrets
from ..settings.paths import private_file, write_private

#: The file is rewritten when it has this many times the lines that are kept.
_SLACK = 1.25
#: A pasted file is not worth recalling, and would make every start slower.
_LONGEST = 16_384


class DeckHistory(History):
    """History of one console; several consoles may share the file, each sees the others' lines at its next start.

    file: None keeps lines in memory only. limit: lines kept; 0 writes none. warn: hears once, in one line, when the
    file cannot be used; the history then lives in memory.

    Lines that begin with a blank are not remembered at all, lines that hold something secret only in memory.
    """

    def __init__(self, file: Path | None, limit: int, warn: Callable[[str], None] | None = None) -> None:
        super().__init__()
        self._file = file if limit > 0 else None
        self._limit = limit
        self._warn = warn

    def load_history_strings(self) -> Iterable[str]:
        """Newest first, as prompt_toolkit wants them."""
        if self._file is None:
            return []
        try:
            lines, stale = self._read(self._file)
            if stale:
                self._rewrite(self._file)
        except OSError as error:
            self._give_up(error)
            return []
        return list(reversed(lines))

    def append_string(self, string: str) -> None:
        if string[:1].isspace() or not string.strip():
            return
        if self._loaded and string == (self._loaded_strings or [""])[0]:
            return
        super().append_string(string)

    def store_string(self, string: str) -> None:
        if self._file is None or len(string) > _LONGEST or find_secrets(string):
            return
        try:
            with self._locked(self._file), os.fdopen(private_file(self._file, os.O_WRONLY | os.O_APPEND), "ab") as out:
                out.write(json.dumps(string).encode() + b"\n")
        except OSError as error:
            self._give_up(error)

    def _read(self, file: Path) -> tuple[list[str], bool]:
        """The lines, oldest first and each once (where it was used last), and whether the file should be rewritten."""
        with os.fdopen(private_file(file, os.O_RDONLY), "rb") as stream:
            raw = stream.read().splitlines()
        found: dict[str, None] = {}
        for row in raw:
            try:
                line = json.loads(row)
            except ValueError:  # a line cut short by a full disk: the others are still good
                continue
            if isinstance(line, str):
                found.pop(line, None)
                found[line] = None
        return list(found)[-self._limit :], len(raw) > self._limit * _SLACK

    def _rewrite(self, file: Path) -> None:
        with self._locked(file):
            lines, _ = self._read(file)  # again: another console may have written since
            write_private(file, "".join(json.dumps(line) + "\n" for line in lines))

    @contextmanager
    def _locked(self, file: Path) -> Iterator[None]:
        descriptor = private_file(file.with_name(f".{file.name}.lock"), os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _give_up(self, error: OSError) -> None:
        file, self._file = self._file, None
        if self._warn is not None:
            self._warn(f"the history is not kept: {file}: {error.strerror or error}")


class DeckSuggest(AutoSuggest):
    """Suggests the newest line of the history that begins with what is typed."""

    def get_suggestion(self, buffer: Buffer, document: Document) -> Suggestion | None:
        typed = document.text
        if not typed.strip() or not document.is_cursor_at_the_end:
            return None
        for line in reversed(buffer.history.get_strings()):
            if line.startswith(typed) and line != typed:
                return Suggestion(line[len(typed) :])
        return None
