"""Puts a session together for a front end: settings, records, the first selection; and takes it apart again."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

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
from .settings.overrides import read_overrides
from .settings.settings import Settings, SettingsError

if TYPE_CHECKING:
    from .batch.targets import TargetOptions

#: Seconds that runs have to end when their session does.
_LAST_MOMENTS = 3.0


@contextmanager
def open_session(settings: Settings, nodes: str | None, *, interactive: bool) -> Iterator[Session]:
    """A started session with its records; ended, with all its runs, on the way out.

    nodes: what is selected at the start (None: as the settings say). Raises NodeExpressionError.
    """
    if interactive:
        from .privacy import no_core_dumps

        no_core_dumps()
    use_groups_file(settings)
    selection = Selection()
    problems = _Problems()
    saved = paths.state_dir() / "node_sets.json"
    try:
        selection.load(saved)
    except (OSError, ValueError) as error:
        problems.note(f"saved node sets are not read: {error}")
    with open_records(settings, interactive=interactive, warn=problems.note) as records:

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
        session.at_close(records.close)  # wherever it is closed from, the end of the terminal included
        _select(session, settings, nodes)
        if records.archive is not None:
            from .records.earlier import EarlierRuns  # interactive sessions only

            session.at_close(EarlierRuns(session, problems.note).stop)
        version = selection.version
        session.start()
        problems.tell(session)
        try:
            yield session
        finally:
            problems.tell_shell()
            _end_runs(session)
            records.close()
            session.close()
            if selection.version != version:
                _store(selection, saved)


class _Problems:
    """Warnings for the operator, kept until there is a session that can tell them. Any thread."""

    def __init__(self) -> None:
        self._kept: list[str] = []
        self._session: Session | None = None
        self._over = False

    def note(self, text: str) -> None:
        """Tell it, now or as soon as that is possible."""
        if self._over:
            with suppress(OSError):  # the terminal may have gone
                sys.stderr.write(f"clusterdeck: {sanitize_text(text)}\n")
        elif self._session is None:
            self._kept.append(text)
        else:
            self._session.tell(Notice("warning", sanitize_text(text)))

    def tell(self, session: Session) -> None:
        """There is a session now."""
        self._session = session
        for text in self._kept:
            self.note(text)

    def tell_shell(self) -> None:
        """The front end has ended: what is still to be said goes to standard error."""
        self._over = True


def _end_runs(session: Session) -> None:
    """Stop what still runs and take its end in, so that it is written down; nobody else pumps any more."""
    deadline = time.monotonic() + _LAST_MOMENTS
    session.abort()
    while session.runs.running and time.monotonic() < deadline:
        if session.wait_batch(0.1):
            session.drain(0.05)


def _select(session: Session, settings: Settings, nodes: str | None) -> None:
    """The first selection. Raises NodeExpressionError, and SettingsError where the expression is a setting."""
    expression = settings.groups.default if nodes is None else nodes
    if not expression.strip():
        return
    from .interpreter.context import CommandError
    from .interpreter.group_terms import checked

    try:
        session.selection.replace(session.resolve(checked(session, expression)), expression)
    except (CommandError, NodeExpressionError) as error:
        text = error.message if isinstance(error, CommandError) else str(error)
        if nodes is None:
            raise SettingsError(f"groups.default ({expression}): {text}") from None
        raise NodeExpressionError(text) from None


def _store(selection: Selection, file: Any) -> None:
    try:
        selection.store(file)
    except OSError as error:
        sys.stderr.write(f"clusterdeck: saved node sets were not written: {error}\n")


def _settings(overrides: Sequence[str]) -> Settings:
    notices: list[str] = []
    settings = load_settings(read_overrides(overrides), notices=notices)
    for notice in notices:
        sys.stderr.write(f"clusterdeck: {sanitize_text(notice)}\n")
    return settings


def _fail(text: str, code: int) -> int:
    sys.stderr.write(f"clusterdeck: {sanitize_text(text)}\n")
    return code


def start_console(nodes: str | None, overrides: Sequence[str]) -> int:
    """The full-screen console; returns its exit code."""
    settings = _settings(overrides)
    from .tui.launch import run

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


def start_prompt(options: TargetOptions, settings: Settings) -> int:
    """The prompt on the nodes of a `clusterdeck run` line without a command, as clush has it; its exit code."""
    from .batch.runner import told
    from .batch.targets import targets
    from .repl.app import run

    try:
        with open_session(settings, "", interactive=True) as session:
            nodes = targets(options, session)
            if len(nodes):
                session.selection.replace(nodes, str(nodes))
            return run(session)
    except NodeExpressionError as error:
        return _fail(str(error), ExitCode.USAGE)
    except OSError as error:
        return _fail(told(error), ExitCode.ERROR)


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
