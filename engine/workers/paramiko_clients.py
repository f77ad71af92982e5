"""The clients of WorkerParamiko: one node's connection, and its command or copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..client import ClientState, EngineClient
from ..names import NameRefusedError, check_node
from ..ssh.command import Command, CommandListener, CommandOptions, Terminal
from ..ssh.config import ConfigError
from ..ssh.copies import CopyBack, CopyOut
from ..ssh.download import DownloadOptions
from ..ssh.lease import Lease
from ..ssh.peer import Peer
from ..ssh.remote_kill import RemoteKill
from ..ssh.upload import UploadOptions
from ..states import Failure, FailureKind, NodeEnd, NodeState
from ..streams import LineBuffer

if TYPE_CHECKING:
    from .paramiko import WorkerParamiko


class NodeClient(EngineClient):
    """A node's connection, then whatever is done over it. Subclasses give `begin`, `stop` and `rest`."""

    prepares = True
    worker: WorkerParamiko

    def __init__(self, worker: WorkerParamiko, node: str) -> None:
        super().__init__(worker, node, worker.timeout, worker.autoclose)
        self.peer: Peer | None = None
        self._lease: Lease | None = None
        self._stopping = False

    def prepare(self) -> bool:
        """See EngineClient: wish for the connection; True if it stands."""
        try:
            check_node(self.key)
            pool = self.worker.pool()
            self.peer = pool.peer(self.key, self.worker.user, self.worker.settings)
        except (NameRefusedError, ConfigError) as error:
            self.unreachable(Failure(FailureKind.CONFIGURATION, f"{self.key}: {error}"))
            return False
        if self.peer.connection is not None:
            return True
        self._lease = self.peer.lease(
            lambda _connection: self.loop.ready(self), self.unreachable, lambda: self.worker._on_connect(self.key)
        )
        return False

    def start(self) -> None:
        """See EngineClient."""
        assert self.peer is not None
        self.pickup()
        if self.running:
            self.begin(self.peer)

    def kill(self, timed_out: bool) -> None:
        """See EngineClient. What runs on the node is ended first, which takes a moment; a second call does not wait."""
        if self._lease is not None:
            self._lease.cancel()
        if self.state is ClientState.RUNNING and not self._stopping:
            self._stopping = True
            if self.deadline is not None:
                self.deadline.cancel()
            if self.stop(timed_out):
                return
        self.drop()
        self.finish(self.killed(timed_out))

    def unreachable(self, failure: Failure) -> None:
        """No connection, or no session on it: the command did not run."""
        if not self._stopping:
            self.finish(NodeEnd(NodeState.UNREACHABLE, 255, failure))

    def begin(self, peer: Peer) -> None:
        """Do the work over the connection."""
        raise NotImplementedError

    def stop(self, timed_out: bool) -> bool:
        """End what runs on the node; True: `finish` comes in a moment, False: now."""
        return False

    def drop(self) -> None:
        """Forget what runs on the node."""

    def ended(self, rc: int | None, failure: Failure | None) -> None:
        """The work is over."""
        if self._stopping:
            return
        if failure is None:
            self.finish(NodeEnd(NodeState.OK if rc == 0 else NodeState.FAILED, rc))
        elif failure.kind is FailureKind.CONNECTION_LOST:
            self.finish(NodeEnd(NodeState.LOST, None, failure))
        elif rc is not None:
            self.finish(NodeEnd(NodeState.FAILED, rc, failure))
        else:
            self.unreachable(failure)


class CommandClient(NodeClient):
    """A command on one node."""

    def __init__(self, worker: WorkerParamiko, node: str, command: str) -> None:
        super().__init__(worker, node)
        self._command = command
        self._early: list[bytes | None] = []
        self._session: Command | None = None
        self._killing: RemoteKill | None = None
        self._lines: dict[bool, LineBuffer] = {}
        self._unwritten: list[int] = []

    def begin(self, peer: Peer) -> None:
        """See NodeClient."""
        worker = self.worker
        session = self._session = Command(
            peer,
            self._command,
            CommandOptions(Terminal() if worker.pty else None, worker.environment, worker.sudo),
            CommandListener(lambda: None, self._output, self._over, self._written),
        )
        self.loop.debug(f"PARAMIKO: {self.key}: {self._command}")
        early, self._early = self._early, []
        for data in early:
            if data is None:
                session.write_eof()
            else:
                self._unwritten.append(len(data))
                session.write(data)
        if self.loop.holding:
            session.hold(True)
        session.begin()

    def write(self, data: bytes, sname: str | None = None) -> None:
        """See EngineClient."""
        if sname not in (None, self.worker.SNAME_STDIN) or not data:
            return
        if self._session is None:
            if self.state < ClientState.DONE and None not in self._early:
                self._early.append(bytes(data))
        else:
            self._unwritten.append(len(data))
            self._session.write(bytes(data))

    def set_write_eof(self, sname: str | None = None) -> None:
        """See EngineClient."""
        if sname not in (None, self.worker.SNAME_STDIN):
            return
        if self._session is None:
            self._early.append(None)
        else:
            self._session.write_eof()

    def hold(self, flag: bool) -> None:
        """See EngineClient."""
        if self._session is not None:
            self._session.hold(flag)

    def stop(self, timed_out: bool) -> bool:
        """See NodeClient: end the remote process, and see whether it ended."""
        session, peer = self._session, self.peer
        if session is None or peer is None or not session.requested or session.finished or peer.connection is None:
            return False

        def done(confirmed: bool) -> None:
            self._killing = None
            self.drop()
            end = self.killed(timed_out)
            if not confirmed:
                kind = FailureKind.COMMAND_TIMEOUT if timed_out else FailureKind.INTERNAL
                reason = f"{self.key}: stopped here, but it is not confirmed that the remote process has ended"
                end = NodeEnd(end.state, None, Failure(kind, reason))
            self.finish(end)

        session.hold(False)
        self._killing = RemoteKill(peer, session, done)
        return True

    def drop(self) -> None:
        """See NodeClient."""
        if self._killing is not None:
            self._killing.cancel()
        if self._session is not None:
            self._session.cancel()

    def _written(self) -> None:
        sizes, self._unwritten = self._unwritten, []
        for size in sizes:
            self.worker._on_written(self.key, self.worker.SNAME_STDIN, size)

    def _output(self, data: bytes, is_error: bool) -> None:
        if self._stopping:
            return
        apart = is_error and self.worker.stderr
        buffer = self._lines.get(apart)
        if buffer is None:
            buffer = self._lines[apart] = LineBuffer(self.loop.info("line_limit"))
        lines = buffer.feed(data)
        if lines:
            self.report_lines(self.worker.SNAME_STDERR if apart else self.worker.SNAME_STDOUT, lines)

    def _over(self, rc: int | None, failure: Failure | None) -> None:
        if not self._stopping:
            for apart, buffer in self._lines.items():
                rest = buffer.rest()
                if rest:
                    self.report_lines(self.worker.SNAME_STDERR if apart else self.worker.SNAME_STDOUT, rest)
        elif self._killing is not None:
            self._killing.released()
        self.ended(rc, failure)


class CopyClient(NodeClient):
    """A copy to or from one node."""

    def __init__(self, worker: WorkerParamiko, node: str) -> None:
        super().__init__(worker, node)
        self._copy: CopyOut | CopyBack | None = None

    def begin(self, peer: Peer) -> None:
        """See NodeClient."""
        worker = self.worker
        assert worker.source is not None
        assert worker.dest is not None
        if worker.reverse:
            folder, name = worker.place_of(self.key)
            back = DownloadOptions(worker.source, name, folder, worker.preserve, worker.overwrite)
            self._copy = CopyBack(peer, worker.dest, back, self._tell, self._over)
        else:
            out = UploadOptions(worker.dest, worker.preserve)
            self._copy = CopyOut(peer, worker.shared_source(), out, self._tell, self._over)
        self.loop.debug(f"PARAMIKO: {self.key}: copy {worker.source} to {worker.dest}")
        self._copy.begin()

    def _tell(self, done: int, total: int) -> None:
        if not self._stopping:
            self.worker._on_progress(self.key, done, total)

    def _over(self, failure: Failure | None) -> None:
        if self._stopping:
            end = self.killed(self._timed_out)
            self.finish(NodeEnd(end.state, None, failure) if failure is not None else end)
        elif failure is None:
            self.ended(0, None)
        elif failure.kind is FailureKind.COPY:
            self.ended(1, failure)
        else:
            self.ended(None, failure)

    def stop(self, timed_out: bool) -> bool:
        """See NodeClient."""
        self._timed_out = timed_out
        return self._copy is not None and self._copy.stop()

    def drop(self) -> None:
        """See NodeClient."""
        if self._copy is not None:
            self._copy.drop()

    _timed_out = False
