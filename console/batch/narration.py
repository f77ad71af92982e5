"""What stderr says of a batch run beside its output: return codes, timeouts, reasons, what was not kept."""

from __future__ import annotations

from ClusterShell.NodeSet import NodeSet

from ...engine.states import FailureKind, NodeState
from ..runs.events import NodeChange, NodesChanged, SessionEvent
from ..runs.runs import Run
from ..settings.settings import Settings
from .preflight import worker_of
from .request import BatchRequest
from .writer import Writer

_HOST_KEYS = frozenset({FailureKind.HOST_KEY_UNKNOWN, FailureKind.HOST_KEY_CHANGED, FailureKind.HOST_KEY_REVOKED})
#: Workers whose programs tell the reason of a failed connection on stderr.
_SAY_WHY = frozenset({"ssh", "rsh"})


class Narration:
    """An output mode beside the run's own, and the last of them; the pump's. asks: an operator can be asked."""

    def __init__(self, request: BatchRequest, settings: Settings, run: Run, writer: Writer, *, asks: bool) -> None:
        self._request = request
        self._settings = settings
        self._run = run
        self._writer = writer
        self._asks = asks
        #: Reasons that hold for any node, and kinds of refused host keys, each with the nodes.
        self._reasons: dict[str, list[str]] = {}
        self._host_keys: dict[str, list[str]] = {}
        self._unanswered = False

    @property
    def refused_host_keys(self) -> bool:
        """Whether a node's host key was not accepted."""
        return bool(self._host_keys)

    def shown(self, event: SessionEvent) -> None:
        """Tell at once what is about one node."""
        if isinstance(event, NodesChanged):
            for change in event.changes:
                self._changed(change)

    def _changed(self, change: NodeChange) -> None:
        name, failure = self._run.names[change.node], change.failure
        by_code = self._is_told_by_code(change.state)
        if by_code and self._tells_at_once():
            self._tell_code(name, 1, change.rc)
        if failure is None:
            return
        if ": sudo: " in failure.reason:
            self._unanswered = True
        if failure.kind in _HOST_KEYS:
            self._host_keys.setdefault(failure.kind.value, []).append(name)
        if change.state is not NodeState.TIMEOUT and not (by_code and change.state is NodeState.UNREACHABLE):
            self._tell_reason(name, failure.reason)

    def finished(self) -> None:
        """Tell the rest, as sets of nodes."""
        self._tell_codes()
        for reason, names in self._reasons.items():
            self._writer.narrate(f"{NodeSet.fromlist(names)}: {reason}")
        for kind, names in self._host_keys.items():
            self._writer.narrate(f"{NodeSet.fromlist(names)}: {kind} (refused)")
        if self._unanswered and not self._asks:
            self._writer.narrate(
                "sudo asks for a password there: start this from a terminal, where it is asked for once, "
                "or let sudo ask for none (NOPASSWD)"
            )
        self._tell_losses()

    def _tell_codes(self) -> None:
        run, request = self._run, self._request
        if request.quiet and request.max_rc:
            return
        if not self._tells_at_once():
            for rc, numbers in run.return_codes().items():
                failed = [number for number in numbers if self._is_told_by_code(NodeState(run.states[number]))]
                if rc and failed:
                    self._tell_code(run.fold(failed), len(failed), rc)
        for state, words in ((NodeState.TIMEOUT, "command timeout"), (NodeState.ABORTED, "aborted")):
            numbers = run.numbers(state)
            if numbers:
                self._writer.narrate(f"{run.fold(numbers)}: {words}")

    def _tell_losses(self) -> None:
        run = self._run
        for number, name in enumerate(run.names):
            lines, size = run.output.lost(number)
            if size:
                self._writer.narrate(f"{name}: {lines} lines ({size} bytes) not kept: output limits reached")
        if run.stopped:
            waiting = run.count(NodeState.ABORTED)
            self._writer.narrate(
                f"stopped: too many nodes went wrong (--stop-at {run.options.stop_at}); {waiting} left"
            )

    def _is_told_by_code(self, state: NodeState) -> bool:
        """Whether an end is told as a return code. The ssh program has said itself, on stderr, why it could not."""
        by_program = worker_of(self._request, self._settings) in _SAY_WHY
        return state is NodeState.FAILED or (state is NodeState.UNREACHABLE and by_program)

    def _tells_at_once(self) -> bool:
        request = self._request
        return not (request.gather or request.line_mode or request.diff or (request.quiet and request.max_rc))

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
