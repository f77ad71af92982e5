"""Does a batch request: starts the session, is its pump, prints through a mode, and gives the exit code."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from ClusterShell.NodeSet import NodeSet

from ...engine.states import NodeState
from ...engine.text import sanitize_text
from ..exits import ExitCode
from ..runs.events import STDERR, STDOUT, Notice, QuestionAsked, SessionEvent
from ..runs.runs import Run
from ..session.checks import UnknownWorkerError, check_worker
from ..session.group_files import use_groups_file
from ..session.node_expressions import NodeExpressionError
from ..session.session import RefusedError, Session
from ..settings.settings import Settings, SettingsError
from . import preflight, standard_input
from .interruption import Interrupted, termination_as_exception
from .mode_choice import axes, make_mode
from .modes import OutputMode
from .narration import Narration
from .progress import ProgressLine
from .request import BatchRequest
from .secrets import SecretDesk, ask_password, has_terminal
from .targets import NoGroupError, targets
from .writer import Writer, use_color


class BatchRunner:
    """One request from its start to its exit code; the main thread is the session's pump."""

    def __init__(self, request: BatchRequest, settings: Settings, writer: Writer, session: Session) -> None:
        self._request = request
        self._settings = settings
        self._writer = writer
        self._session = session
        self._progress = ProgressLine(writer, shown=request.progress)
        self._printers: list[OutputMode] = []
        self._failed = False
        self._secrets = SecretDesk()

    def execute(self) -> int:
        """Run it. Raises NodeExpressionError, RefusedError, ValueError and OSError for what cannot be run."""
        request, settings = self._request, self._settings
        nodes = targets(request.targets, self._session)
        check_worker(preflight.worker_of(request, settings))
        preflight.warn(request, settings, self._writer)
        if not len(nodes):
            self._writer.narrate("no node to run on: use -w NODES, -g GROUP, -a or --hostfile")
            return ExitCode.USAGE
        if request.axis is not None:
            axes(request.axis)
        if request.dry_run:
            preflight.show_plan(request, settings, self._writer, nodes)
            return ExitCode.OK
        preflight.check_protected(request, settings, self._session, nodes)
        preflight.check_copy(request)
        if request.verbose >= 2:
            self._session.trace()
        run = self._submit(nodes, self._ask_password())
        if run.options.open_stdin:
            standard_input.feed(self._session, run)
        narration = Narration(request, settings, run, self._writer, asks=self._session.asks)
        try:
            self._printers = [*self._modes(run), narration]
        except OSError:
            self._session.abort(run.id)
            raise
        self._tell_copies(run)
        code: int = ExitCode.OK
        try:
            self._pump(run)
        except (KeyboardInterrupt, Interrupted) as reason:
            code = reason.code if isinstance(reason, Interrupted) else ExitCode.INTERRUPTED
            self._interrupted(run)
        self._progress.clear()
        for printer in self._printers:
            printer.finished()
        self._writer.flush()
        return code if code != ExitCode.OK else self._exit_code(run, refused_keys=narration.refused_host_keys)

    # -- start

    def _ask_password(self) -> bytes | None:
        """The password of a run mode that has one, as the first line of the commands' input; None where SSH gets it."""
        request, settings = self._request, self._settings
        if not request.password_prompt:
            return None
        if not has_terminal():
            raise RefusedError("the run mode asks for a password, and there is no terminal to ask on")
        password = ask_password("Password")
        if not settings.batch.command_prefix and preflight.worker_of(request, settings) == "paramiko":
            # The mode wraps ssh (`sshpass ssh`), which this worker does not call: it logs in itself.
            self._secrets = SecretDesk(password)
            return None
        return (password or "").encode() + b"\n"

    def _submit(self, nodes: NodeSet, first_input: bytes | None) -> Run:
        request, session = self._request, self._session
        if request.copy == "out":
            return session.copy(list(request.sources), request.destination, nodes, request.options)
        if request.copy == "back":
            return session.rcopy(list(request.sources), request.destination, nodes, request.options)
        reads = request.stdin and standard_input.is_given()
        return session.shell(request.command, nodes, replace(request.options, open_stdin=reads, stdin=first_input))

    def _modes(self, run: Run) -> list[OutputMode]:
        request = self._request
        printers: list[OutputMode] = [make_mode(request, run, self._writer, self._session)]
        if request.out_folder or request.err_folder:
            from .files import NodeFiles
        if request.verbose >= 2:
            from .debug import DebugLines

            printers.insert(0, DebugLines(run, self._settings, self._writer))
        if request.out_folder:
            printers.append(NodeFiles(run, Path(request.out_folder), STDOUT))
        if request.err_folder:
            printers.append(NodeFiles(run, Path(request.err_folder), STDERR))
        return printers

    def _tell_copies(self, run: Run) -> None:
        if self._request.verbose and self._request.copy == "out":
            for source in run.sources:
                line = f"`{source}' -> {run.fold(range(len(run.names)))}:`{run.destination}'"
                self._writer.text(f"{sanitize_text(line)}\n")

    # -- the pump

    def _pump(self, run: Run) -> None:
        while run.ended is None:
            if self._session.wait_batch(0.2 if self._progress.is_shown else None):
                self._drain()
                self._writer.flush()
            self._progress.show(run)

    def _drain(self) -> None:
        for event in self._session.drain(0.05):
            for printer in self._printers:
                printer.shown(event)
            self._handle(event)

    def _handle(self, event: SessionEvent) -> None:
        match event:
            case QuestionAsked(question=number):
                self._progress.clear()
                self._session.answer(number, self._secrets.answer(event))
            case Notice(level="debug"):
                pass  # for the debug mode alone
            case Notice(level=level, text=text) if level != "info" or self._request.verbose:
                self._failed = self._failed or level == "error"
                self._writer.narrate(text)
            case _:
                pass

    def _interrupted(self, run: Run) -> None:
        """Stop the run, keep what was gathered, and say which nodes had not ended."""
        rest = [number for number, state in enumerate(run.states) if not NodeState(state).finished]
        self._session.abort(run.id)
        deadline = time.monotonic() + 5.0
        try:
            while run.ended is None and time.monotonic() < deadline:
                if self._session.wait_batch(0.1):
                    self._drain()
        except (KeyboardInterrupt, Interrupted):
            pass  # asked twice: leave at once, the rest is told below
        self._writer.narrate("interrupted")
        if rest:
            self._writer.narrate(f"{run.fold(rest)}: not ended when interrupted")

    # -- the end

    def _exit_code(self, run: Run, *, refused_keys: bool) -> int:
        if refused_keys:
            return ExitCode.UNKNOWN_HOST_KEYS
        if self._failed:
            return ExitCode.ERROR
        if run.stopped:
            return ExitCode.STOPPED
        if any(run.rc(node) is None for node in run.numbers(NodeState.FAILED)):
            return ExitCode.ERROR  # the command could not be run at all, which no return code of a node says
        if not self._request.max_rc:
            return ExitCode.OK
        without = run.count(NodeState.TIMEOUT) + run.count(NodeState.UNREACHABLE) + run.count(NodeState.LOST)
        return ExitCode.NODES_FAILED if without else min(run.max_rc() or 0, 255)


def may_ask(request: BatchRequest, settings: Settings) -> bool:
    """Whether a password may be needed that an operator who is there would be asked for."""
    by_section = any(dict(section.values).get("sudo") for section in settings.nodes)
    return request.options.sudo or settings.run.sudo or by_section or request.password_prompt


def run_batch(request: BatchRequest, settings: Settings, out: BinaryIO, err: BinaryIO) -> int:
    """Do a request and return the exit code; errors are narrated, never raised."""
    color = settings.screen.color
    writer = Writer(
        out,
        err,
        out_color=use_color(request.color, color, out),
        err_color=use_color(request.color, color, err),
        labels=request.labels,
        raw=request.raw,
    )
    from ..records import AuditError, open_records  # audit and run records, on the settings' terms

    use_groups_file(settings)
    with termination_as_exception():
        try:
            with open_records(settings, interactive=False) as records:
                asks = may_ask(request, settings) and has_terminal()
                session = Session(settings, on_submit=records.submitted, on_finish=records.finished, asks=asks)
                try:
                    return BatchRunner(request, settings, writer, session).execute()
                finally:
                    session.close()
        except AuditError as error:
            return _fail(writer, str(error), ExitCode.AUDIT_FAILED)
        except SettingsError as error:
            return _fail(writer, str(error), ExitCode.CONFIGURATION)
        except (NoGroupError, UnknownWorkerError) as error:
            return _fail(writer, str(error), ExitCode.USAGE)
        except (NodeExpressionError, ValueError) as error:
            return _fail(writer, str(error), ExitCode.ERROR)
        except RefusedError as error:
            return _fail(writer, str(error), ExitCode.REFUSED)
        except BrokenPipeError:
            # Whoever read our output has left; nothing can be told any more.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return ExitCode.ERROR
        except OSError as error:
            return _fail(writer, told(error), ExitCode.ERROR)
        except (KeyboardInterrupt, Interrupted) as reason:
            code = reason.code if isinstance(reason, Interrupted) else ExitCode.INTERRUPTED
            return _fail(writer, "interrupted", code)


def told(error: OSError) -> str:
    """What went wrong with which file."""
    text = error.strerror or str(error)
    return f"{os.fsdecode(error.filename)}: {text}" if isinstance(error.filename, str | bytes) else text


def _fail(writer: Writer, text: str, code: ExitCode) -> int:
    writer.narrate(text)
    return code
