"""WorkerPopen: one local shell command."""

from __future__ import annotations

from typing import Any

from ..client import ClientWorker, EngineClient
from ..errors import WorkerBadArgumentError
from ..loop import FANOUT_DEFAULT
from ..states import NodeEnd
from .process import ProcessClient
from .stream import StreamWorker, WorkerSimple

__all__ = ["WORKER_CLASS", "PopenClient", "WorkerPopen"]


class PopenClient(ProcessClient):
    """The process of one WorkerPopen."""

    def __init__(
        self, worker: ClientWorker, key: Any, command: str, stderr: bool, timeout: float | None, autoclose: bool
    ) -> None:
        super().__init__(worker, key, stderr, timeout, autoclose)
        self.command = command

    def _build_cmd(self) -> tuple[str, None]:
        return self.command, None

    def _debug_name(self) -> str:
        return "POPEN"


class WorkerPopen(WorkerSimple):
    """Runs `command` through /bin/sh. Thread rule and getters: see Worker.

    key: under which events and results come, by default the worker itself. handler: see EventHandler. stderr: keep
    the error output apart. timeout: seconds from the start, None or negative = none. autoclose: does not keep the Task
    running. Raises ValueError for an empty command, for one that is no text, and for a timeout that is no number.
    """

    _hups_without_rc = False

    def __init__(
        self,
        command: str,
        key: Any | None = None,
        handler: Any | None = None,
        stderr: bool = False,
        timeout: float | None = -1,
        autoclose: bool = False,
    ) -> None:
        if not command or not isinstance(command, str):
            raise WorkerBadArgumentError(f"WorkerPopen needs a command, not {command!r}")
        self.command = command
        self._files = (None, None, None)
        self._rc: int | None = None
        StreamWorker.__init__(self, handler, key, stderr, timeout, autoclose)
        self._fanout = FANOUT_DEFAULT

    def _make_client(self, key: Any) -> EngineClient:
        return PopenClient(self, key, self.command, self.stderr, self.timeout, self.autoclose)

    def _fileno(self, index: int) -> int | None:
        client = self._client
        assert isinstance(client, PopenClient)
        if index == 1:
            output = client.outputs.get(self.SNAME_STDIN)
            return None if output is None else output.fd
        source = client.inputs.get(self.SNAME_STDERR if index else self.SNAME_STDOUT)
        return None if source is None else source.fd

    def retcode(self) -> int | None:
        """The return code, also after later runs of the Task; None while it runs, and if it timed out or was aborted.

        128 + N for one that signal N killed, 255 for one that could not be executed. Raises WorkerError for an
        unscheduled worker.
        """
        self._scheduled()
        return self._rc

    def _on_end(self, node: Any, end: NodeEnd) -> None:
        self._rc = end.rc
        super()._on_end(node, end)


WORKER_CLASS = WorkerPopen
