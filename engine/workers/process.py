"""ProcessClient: a client that is one local process (a shell command, ssh, scp, pdsh, ...)."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import Any

from ..client import ClientState, ClientWorker
from ..fdclient import FdClient, closer
from ..spawn import hang_up, is_child, kill, spawn
from ..states import Failure, FailureKind, NodeEnd, NodeState

#: The system lacks something that a process which ends gives back.
_SHORTAGES = {errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM}


class ProcessClient(FdClient):
    """Runs what `_build_cmd` says. stderr: keep the error output apart, else it is merged into stdout.

    The command has ended when all its outputs are closed and it was reaped; its return code is the exit status, or
    128 + the signal that killed it, or 255 if it could not be executed.
    """

    def __init__(
        self,
        worker: ClientWorker,
        key: Any,
        stderr: bool = False,
        timeout: float | None = None,
        autoclose: bool = False,
    ) -> None:
        super().__init__(worker, key, timeout, autoclose)
        self.stderr = stderr
        self.pid: int | None = None

    def _build_cmd(self) -> tuple[str | list[str], Mapping[str, str] | None]:
        """The command (a string goes to /bin/sh -c) and what it adds to the environment.

        May raise WorkerError, which leaves the Task's run.
        """
        raise NotImplementedError

    def _debug_name(self) -> str:
        return type(self).__name__.upper()

    # -- life

    def start(self) -> None:
        """See EngineClient."""
        command, extra = self._build_cmd()
        if self.loop.info("debug"):
            shown = command if isinstance(command, str) else " ".join(command)
            self.loop.debug(f"{self._debug_name()}: {shown}")
        argv = ["/bin/sh", "-c", command] if isinstance(command, str) else command
        env = {**os.environ, **extra} if extra else None
        try:
            below = self.loop.reactor.descriptor_bound
            process = spawn(argv, env=env, stdin=self.wants_output, stderr=self.stderr, below=below)
        except (OSError, ValueError) as error:
            if getattr(error, "errno", None) in _SHORTAGES and self.loop.postpone(self):
                return
            self.finish(NodeEnd(NodeState.FAILED, 255, _not_started(argv[0], error)))
            return
        self.pid = process.pid
        worker = self.worker
        self.open_input(worker.SNAME_STDOUT, process.stdout, closer(process.stdout))
        if process.stderr is not None:
            self.open_input(worker.SNAME_STDERR, process.stderr, closer(process.stderr))
        if process.stdin is not None:
            self.open_output(worker.SNAME_STDIN, process.stdin, closer(process.stdin))
        self.pickup()
        if self.running:
            self.write_early()

    def drained(self) -> None:
        """See FdClient: all output is here, the process ends or has ended."""
        assert self.pid is not None
        self.loop.reaper.wait(self.pid, self._exited)

    def _exited(self, rc: int) -> None:
        self.pid = None
        if self.state is not ClientState.DONE:
            self.close_streams()
            self.finish(self.ended(rc))

    def ended(self, rc: int) -> NodeEnd:
        """What a return code of the process means for the node."""
        return NodeEnd(NodeState.FAILED if rc else NodeState.OK, rc)

    def kill(self, timed_out: bool) -> None:
        """SIGKILL to the process; to its children nothing, or SIGHUP where the Task's "hang_up" says so.

        One that had ended already keeps its return code.
        """
        end = self.killed(timed_out)
        pid, self.pid = self.pid, None
        if pid is not None:
            rc = None if timed_out else self.loop.reaper.reap(pid)
            if rc is not None:
                end = self.ended(rc)
            elif is_child(pid):
                kill(pid)
                if self.loop.info("hang_up"):
                    hang_up(pid)
                self.loop.reaper.adopt(pid)
        self.close_streams()
        self.finish(end)


def _not_started(program: str, error: Exception) -> Failure:
    if getattr(error, "errno", None) in (errno.EMFILE, errno.ENFILE):
        return Failure(FailureKind.DESCRIPTORS, f"{program}: not started: {error}: raise the limit (ulimit -n)")
    return Failure(FailureKind.CONFIGURATION, f"{program}: not started: {error}")
