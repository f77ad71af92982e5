"""Puts a session together for a front end: settings, records, the first selection; and takes it apart again."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..engine.text import sanitize_text
from .exits import ExitCode
from .records import open_records
from .runs.changes import timer_notice
from .runs.events import Notice
from .runs.runs import Run
from .session.group_files import use_groups_file
from .session.node_expressions import NodeExpressionError
from .session.selection import Selection
from .session.session import Session
from .settings import paths
from .settings.config import load_settings
from .settings.settings import Settings, SettingsError


def read_settings(overrides: Sequence[str], notices: list[str]) -> Settings:
    """The settings, with `-O KEY=VALUE` as the top layer. Raises SettingsError."""
    flags: dict[str, Any] = {}
    for pair in overrides:
        key, sign, value = pair.partition("=")
        if not sign:
            raise SettingsError(f"-O {pair!r} gives no value: write KEY=VALUE")
        flags[key.strip()] = value
    return load_settings(flags, notices=notices)


@contextmanager
def open_session(settings: Settings, nodes: str | None, *, interactive: bool) -> Iterator[Session]:
    """A started session with its records; ended, with all its runs, on the way out.

    nodes: what is selected at the start (None: as the settings say). Raises NodeExpressionError.
    """
    use_groups_file(settings)
    selection = Selection()
    problems: list[str] = []
    saved = paths.state_dir() / "node_sets.json"
    try:
        selection.load(saved)
    except (OSError, ValueError) as error:
        problems.append(str(error))
    with open_records(settings, interactive=interactive, warn=problems.append) as records:

        def finished(run: Run) -> None:
            records.finished(run)
            changed = timer_notice(session.runs, run)
            if changed is not None:
                session.tell(changed)

        session = Session(
            settings,
            selection=selection,
            on_submit=records.submitted,
            on_finish=finished,
            on_trusted=records.trusted,
            on_note=records.note,
            asks=interactive,
        )
        expression = settings.groups.default if nodes is None else nodes
        if expression.strip():
            selection.replace(session.resolve(expression), expression)
        if records.archive is not None:
            session.restore(_earlier_runs(problems))
        version = selection.version
        session.start()
        for problem in problems:
            session.tell(Notice("warning", sanitize_text(problem)))
        try:
            yield session
        finally:
            records.close()
            session.close()
            if selection.version != version:
                _store(selection, saved)


def _earlier_runs(problems: list[str]) -> list[Run]:
    from .records.archive import archived_runs

    try:
        return archived_runs()
    except OSError as error:
        problems.append(f"runs of earlier sessions cannot be read: {error}")
        return []


def _store(selection: Selection, file: Any) -> None:
    try:
        selection.store(file)
    except OSError as error:
        sys.stderr.write(f"clusterdeck: saved node sets were not written: {error}\n")


def _settings(overrides: Sequence[str]) -> Settings:
    notices: list[str] = []
    settings = read_settings(overrides, notices)
    for notice in notices:
        sys.stderr.write(f"clusterdeck: {sanitize_text(notice)}\n")
    return settings


def _fail(text: str, code: int) -> int:
    sys.stderr.write(f"clusterdeck: {sanitize_text(text)}\n")
    return code


def start_console(nodes: str | None, overrides: Sequence[str]) -> int:
    """The full-screen console; returns its exit code."""
    settings = _settings(overrides)
    from .tui.app import run

    try:
        with open_session(settings, nodes, interactive=True) as session:
            return run(session)
    except NodeExpressionError as error:
        return _fail(str(error), ExitCode.USAGE)


def start_repl(nodes: str | None, overrides: Sequence[str]) -> int:
    """The prompt in a plain terminal, or the lines of a pipe; returns its exit code."""
    settings = _settings(overrides)
    from .repl.app import run

    try:
        with open_session(settings, nodes, interactive=sys.stdin is not None and sys.stdin.isatty()) as session:
            return run(session)
    except NodeExpressionError as error:
        return _fail(str(error), ExitCode.USAGE)


def start_lines(lines: Sequence[str], nodes: str | None, overrides: Sequence[str], *, agree: bool = False) -> int:
    """Lines of the command language without an operator (`play`, `queue`); returns the first exit code above 0."""
    settings = _settings(overrides)
    from .batch.front_end import BatchFrontEnd, play_lines

    try:
        with open_session(settings, nodes, interactive=False) as session:
            return play_lines(session, BatchFrontEnd(session, agree=agree), lines)
    except NodeExpressionError as error:
        return _fail(str(error), ExitCode.USAGE)


def start_play(
    file: str,
    parameters: Sequence[str],
    nodes: str | None,
    overrides: Sequence[str],
    *,
    dry_run: bool = False,
    agree: bool = False,
) -> int:
    """Play a macro; returns its exit code."""
    from .language.tokens import quote

    words = [":play", *(["--dry-run"] if dry_run else []), quote(file), *map(quote, parameters)]
    return start_lines([" ".join(words)], nodes, overrides, agree=agree)
