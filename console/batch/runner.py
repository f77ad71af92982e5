"""Does a batch request: starts the session, is its pump, prints through a mode, and gives the exit code."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from ClusterShell.NodeSet import NodeSet

from ...engine.states import FailureKind, NodeState
from ...engine.text import sanitize_text
from ..exits import ExitCode
from ..runs.events import STDERR, STDOUT, NodesChanged, Notice, QuestionAsked, SessionEvent
from ..runs.runs import Run
from ..session.checks import UnknownWorkerError, check_worker
from ..session.group_files import use_groups_file
from ..session.node_expressions import NodeExpressionError
from ..session.session import RefusedError, Session
from ..session.waves import plan_waves, spread
from ..settings.settings import Settings, SettingsError
from .interruption import Interrupted, termination_as_exception
from .mode_choice import axes, make_mode
from .modes import OutputMode
from .request import BatchRequest
from .secrets import SecretDesk, ask_password, has_terminal
from .targets import NoGroupError, targets
from .writer import Writer, use_color

_HOST_KEYS = frozenset({FailureKind.HOST_KEY_UNKNOWN, FailureKind.HOST_KEY_CHANGED, FailureKind.HOST_KEY_REVOKED})
#: Workers whose programs tell the reason of a failed connection on stderr.
_SAY_WHY = frozenset({"ssh", "rsh"})


class BatchRunner:
    """One request from its start to its exit code; the main thread is the session's pump."""

    def __init__(self, request: BatchRequest, settings: Settings, writer: Writer, session: Session) -> None:
        self._request = request
        self._settings = settings
        self._writer = writer
        self._session = session
        self._host_keys: dict[str, list[str]] = {}
        self._progress_due = 0.0
        self._failed = False
        self._secrets = SecretDesk()
        self._unanswered = False
        self._reasons: dict[str, list[str]] = {}

    def execute(self) -> int:
        """Run it. Raises NodeExpressionError, RefusedError, ValueError and OSError for what cannot be run."""
        nodes = targets(self._request.targets, self._session)
        check_worker(self._request.options.worker or self._settings.run.worker)
        self._warn_of_files()
        self._warn_of_options()
        if not len(nodes):
            self._writer.narrate("no node to run on: use -w NODES, -g GROUP, -a or --hostfile")
            return ExitCode.USAGE
        if self._request.axis is not None:
            axes(self._request.axis)
        if self._request.dry_run:
            self._show_plan(nodes)
            return ExitCode.OK
        self._check_protected(nodes)
        self._check_copy()
        first = self._ask_password()
        run = self._submit(nodes, first)
        self._feed_stdin(run)
        try:
            printers = self._printers(run)
        except OSError:
            self._session.abort(run.id)
            raise
        self._tell_copies(run)
        code: int = ExitCode.OK
        try:
            self._pump(run, printers)
        except (KeyboardInterrupt, Interrupted) as reason:
            code = reason.code if isinstance(reason, Interrupted) else ExitCode.INTERRUPTED
            self._interrupted(run, printers)
        self._writer.progress("") if self._request.progress else None
        for printer in printers:
            printer.finished()
        self._tell_codes(run)
        self._writer.flush()
        return code if code != ExitCode.OK else self._exit_code(run)

    # -- start

    def _warn_of_options(self) -> None:
        words = dict(self._request.options.infos).get("ssh_options")
        worker = self._request.options.worker or self._settings.run.worker
        if words and worker == "paramiko" and not self._request.quiet:
            self._writer.narrate(f"-o {words}: not for the worker paramiko, which reads ssh_config; -R ssh takes it")

    def _warn_of_files(self) -> None:
        """`-w node[1-3]` without quotes is a file's name where one is called `node1`: the shell wrote that instead."""
        if self._request.quiet:
            return
        options = self._request.targets
        for letter, expressions in (("w", options.nodes), ("x", options.exclude)):
            for text in expressions:
                if "[" not in text and "," not in text and os.path.exists(text):
                    self._writer.narrate(f"-{letter} {text}: a file has that name; did the shell expand it? (quote it)")

    def _show_plan(self, nodes: NodeSet) -> None:
        request = self._request
        waves = spread(len(nodes), plan_waves(len(nodes), request.options.batch))
        what = request.command if not request.copy else f"copy {' '.join(request.sources)} -> {request.destination}"
        worker = request.options.worker or self._settings.run.worker
        for line in (f"nodes: {nodes} ({len(nodes)})", f"command: {what}", f"worker: {worker}", f"waves: {waves}"):
            self._writer.text(f"{sanitize_text(line)}\n")
        self._writer.flush()

    def _check_protected(self, nodes: NodeSet) -> None:
        """Protected nodes need the number of nodes said, as an operator would have to type it."""
        expression = self._settings.safety.protected
        if not expression.strip() or self._request.confirmed == len(nodes):
            return
        try:
            meant = self._session.resolve(expression)
        except NodeExpressionError as error:
            raise SettingsError(f"safety.protected ({expression}): {error}") from None
        if not len(meant):
            # A group that is not there is empty for ClusterShell; a mistyped rail must not stand open.
            raise SettingsError(f"safety.protected ({expression}) names no node: set it right, or to nothing")
        protected = meant & nodes
        if len(protected):
            raise RefusedError(f"{protected} is protected: --confirm {len(nodes)} runs on all {len(nodes)} nodes")

    def _check_copy(self) -> None:
        request = self._request
        if request.copy == "out":
            for source in request.sources:
                if not os.path.exists(source):
                    raise FileNotFoundError(2, f'file "{source}" not found')
        elif request.copy == "back" and request.destination and not os.path.isdir(request.destination):
            raise NotADirectoryError(20, f'directory "{request.destination}" not found')

    def _ask_password(self) -> bytes | None:
        """The password of a run mode that has one, as the first line of the commands' input; None where SSH gets it."""
        request, settings = self._request, self._settings
        if not request.password_prompt:
            return None
        if not has_terminal():
            raise RefusedError("the run mode asks for a password, and there is no terminal to ask on")
        password = ask_password("Password")
        if not settings.batch.command_prefix and (request.options.worker or settings.run.worker) == "paramiko":
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
        reads = request.stdin and sys.stdin is not None and not sys.stdin.closed and not sys.stdin.isatty()
        return session.shell(request.command, nodes, replace(request.options, open_stdin=reads, stdin=first_input))

    def _feed_stdin(self, run: Run) -> None:
        """What our standard input says goes to every node; nothing from a terminal."""
        if not run.options.open_stdin:
            return
        reader = threading.Thread(target=self._read_stdin, args=(run, sys.stdin.fileno()), name="stdin", daemon=True)
        reader.start()

    def _read_stdin(self, run: Run, descriptor: int) -> None:
        taken = threading.Event()
        while not run.done.is_set():
            try:
                data = os.read(descriptor, 65536)
            except OSError:
                data = b""
            taken.clear()
            self._session.feed(run.id, data or None, taken.set)
            if not data:
                return
            taken.wait()  # the nodes are behind, or the run is over

    def _printers(self, run: Run) -> list[OutputMode]:
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

    # -- the pump

    def _pump(self, run: Run, printers: Sequence[OutputMode]) -> None:
        while run.ended is None:
            if self._session.wait_batch(0.2 if self._request.progress else None):
                for event in self._session.drain(0.05):
                    self._handle(run, event, printers)
                self._writer.flush()
            if self._request.progress:
                self._show_progress(run)

    def _handle(self, run: Run, event: SessionEvent, printers: Sequence[OutputMode]) -> None:
        for printer in printers:
            printer.shown(event)
        match event:
            case NodesChanged(changes=changes):
                for change in changes:
                    name = run.names[change.node]
                    if change.failure is not None and ": sudo: " in change.failure.reason:
                        self._unanswered = True
                    if change.failure is not None and change.failure.kind in _HOST_KEYS:
                        self._host_keys.setdefault(change.failure.kind.value, []).append(name)
                    by_code = self._is_told_by_code(change.state)
                    if by_code and self._tells_at_once():
                        self._tell_code(name, 1, change.rc)
                    told = by_code and change.state is NodeState.UNREACHABLE
                    if change.failure is not None and change.state is not NodeState.TIMEOUT and not told:
                        self._tell_reason(name, change.failure.reason)
            case QuestionAsked(question=number):
                self._writer.progress("") if self._request.progress else None
                self._session.answer(number, self._secrets.answer(event))
            case Notice(level=level, text=text) if level != "info" or self._request.verbose:
                self._failed = self._failed or level == "error"
                self._writer.narrate(text)
            case _:
                pass

    def _interrupted(self, run: Run, printers: Sequence[OutputMode]) -> None:
        """Stop the run, keep what was gathered, and say which nodes had not ended."""
        rest = [number for number, state in enumerate(run.states) if not NodeState(state).finished]
        self._session.abort(run.id)
        deadline = time.monotonic() + 5.0
        try:
            while run.ended is None and time.monotonic() < deadline:
                if self._session.wait_batch(0.1):
                    for event in self._session.drain(0.05):
                        self._handle(run, event, printers)
        except (KeyboardInterrupt, Interrupted):
            pass  # asked twice: leave at once, the rest is told below
        self._writer.narrate("interrupted")
        if rest:
            self._writer.narrate(f"{run.fold(rest)}: not ended when interrupted")

    def _show_progress(self, run: Run) -> None:
        now = time.monotonic()
        if now < self._progress_due or run.ended is not None:
            return
        self._progress_due = now + 0.1
        over = len(run.names) - sum(run.count(state) for state in NodeState if not state.finished)
        bad = over - run.count(NodeState.OK)
        done, total = run.transferred()
        copied = f" {done * 100 // total}%" if total else ""
        self._writer.progress(f"{over}/{len(run.names)}{copied}" + (f" ({bad} bad)" if bad else ""))

    # -- the end

    def _is_told_by_code(self, state: NodeState) -> bool:
        """Whether an end is told as a return code. The ssh program has said itself, on stderr, why it could not."""
        by_program = (self._request.options.worker or self._settings.run.worker) in _SAY_WHY
        return state is NodeState.FAILED or (state is NodeState.UNREACHABLE and by_program)

    def _tells_at_once(self) -> bool:
        request = self._request
        return not (request.gather or request.line_mode or request.diff or (request.quiet and request.max_rc))

    def _tell_codes(self, run: Run) -> None:
        """Return codes, timeouts and the like on stderr, as sets of nodes."""
        request = self._request
        if not (request.quiet and request.max_rc):
            if not self._tells_at_once():
                for rc, numbers in run.return_codes().items():
                    failed = [number for number in numbers if self._is_told_by_code(NodeState(run.states[number]))]
                    if rc and failed:
                        self._tell_code(run.fold(failed), len(failed), rc)
            for state, words in ((NodeState.TIMEOUT, "command timeout"), (NodeState.ABORTED, "aborted")):
                numbers = run.numbers(state)
                if numbers:
                    self._writer.narrate(f"{run.fold(numbers)}: {words}")
        for reason, names in self._reasons.items():
            self._writer.narrate(f"{NodeSet.fromlist(names)}: {reason}")
        for kind, names in self._host_keys.items():
            self._writer.narrate(f"{NodeSet.fromlist(names)}: {kind} (refused)")
        if self._unanswered and not self._session.asks:
            self._writer.narrate(
                "sudo asks for a password there: start this from a terminal, where it is asked for once, "
                "or let sudo ask for none (NOPASSWD)"
            )
        for number, name in enumerate(run.names):
            lines, size = run.output.lost(number)
            if size:
                self._writer.narrate(f"{name}: {lines} lines ({size} bytes) not kept: output limits reached")
        if run.stopped:
            waiting = run.count(NodeState.ABORTED)
            self._writer.narrate(
                f"stopped: too many nodes went wrong (--stop-at {run.options.stop_at}); {waiting} left"
            )

    def _tell_copies(self, run: Run) -> None:
        if self._request.verbose and self._request.copy == "out":
            for source in run.sources:
                line = f"`{source}' -> {run.fold(range(len(run.names)))}:`{run.destination}'"
                self._writer.text(f"{sanitize_text(line)}\n")

    def _tell_reason(self, name: str, reason: str) -> None:
        """At once where it is about this node; what holds for any node is told for all of them at the end."""
        if reason.startswith(name):
            self._writer.narrate(reason)
        else:
            self._reasons.setdefault(reason, []).append(name)

    def _tell_code(self, names: str, count: int, rc: int | None) -> None:
        if rc is not None and not (self._request.quiet and self._request.max_rc):
            shown = f"{names} ({count})" if count > 1 and self._settings.batch.verbosity > 0 else names
            self._writer.narrate(f"{shown}: exited with exit code {rc}")

    def _exit_code(self, run: Run) -> int:
        if self._host_keys:
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
            return _fail(writer, error.strerror or str(error), ExitCode.ERROR)
        except (KeyboardInterrupt, Interrupted) as reason:
            code = reason.code if isinstance(reason, Interrupted) else ExitCode.INTERRUPTED
            return _fail(writer, "interrupted", code)


def _fail(writer: Writer, text: str, code: ExitCode) -> int:
    writer.narrate(text)
    return code
