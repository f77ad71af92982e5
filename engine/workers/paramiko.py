"""WorkerParamiko: commands and copies over SSH connections that stay open between commands, without a process per node.

What it reads of the Task's info, and how a front end answers questions, stands in engine/ssh/__init__.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, cast

from ClusterShell.NodeSet import NodeSet

from ..client import EngineClient
from ..errors import WorkerBadArgumentError
from ..names import file_name
from ..ssh.copies import Source
from ..ssh.pool import Pool
from ..ssh.settings import SshSettings
from ..ssh.taskinfo import settings_from
from .distant import DistantWorker
from .paramiko_clients import CommandClient, CopyClient

__all__ = ["WORKER_CLASS", "WorkerParamiko", "pool_of"]


class _TaskWithResources(Protocol):
    """What this worker needs of a Task beyond workers.base.WorkerTask."""

    def resource(self, name: str, factory: Callable[[], Pool]) -> Pool: ...

    def info(self, info_key: str, def_val: Any = None) -> Any: ...

    @property
    def engine(self) -> Any: ...


def pool_of(task: Any) -> Pool:
    """The Task's pool of connections, made at the first call; the Task's thread only."""
    owner = cast(_TaskWithResources, task)
    pool = owner.resource("ssh_pool", lambda: Pool(owner.engine.reactor, SshSettings()))
    pool.settings = settings_from(owner.info)
    return pool


class WorkerParamiko(DistantWorker):
    """Runs a command on nodes, or copies files and folders, over the Task's kept SSH connections.

    nodes, handler, timeout (seconds from the start of the command; connecting has its own limit) as ExecWorker.
    Keywords: command, or source and dest with preserve and reverse; stderr (keep it apart), autoclose; user (over
    ssh_user and the configuration), environment (a mapping), pty (True: a terminal for the command), sudo (True, or the
    program: run the command by sudo, whose prompt is answered with one password for the set), per_node (a
    reverse copy goes to DEST/NODE/name, not DEST/name.NODE), overwrite (True: plain files of an earlier reverse copy
    give way). Raises ValueError if there is neither a command nor a source, and for a reverse copy whose `dest` is no
    directory.
    """

    answers_sudo = True

    def __init__(self, nodes: Any, handler: Any | None = None, timeout: float | None = None, **kwargs: Any) -> None:
        super().__init__(handler)
        self.nodes = NodeSet(nodes)
        self.timeout = timeout
        self.command: str | None = kwargs.get("command")
        self.source: str | None = kwargs.get("source")
        self.dest: str | None = kwargs.get("dest")
        self.stderr = bool(kwargs.get("stderr", False))
        self.autoclose = bool(kwargs.get("autoclose", False))
        self.preserve = bool(kwargs.get("preserve", False))
        self.reverse = bool(kwargs.get("reverse", False))
        self.user: str | None = kwargs.get("user")
        self.pty = bool(kwargs.get("pty", False))
        sudo = kwargs.get("sudo", False)
        self.sudo: str | None = sudo if isinstance(sudo, str) else ("sudo" if sudo else None)
        self.environment: Mapping[str, str] = dict(kwargs.get("environment") or {})
        if self.command is None:
            self._check_copy()
        #: Reverse copies: DEST/NODE/name instead of DEST/name.NODE; plain files that are there give way.
        self.per_node = bool(kwargs.get("per_node", False))
        self.overwrite = bool(kwargs.get("overwrite", True))
        self._early: list[bytes | None] = []
        self._source: Source | None = None
        self._pool: Pool | None = None
        #: How its nodes are reached; of the Task's info and of its own (see Worker.infos) once it began.
        self.settings = SshSettings()

    def _check_copy(self) -> None:
        if self.source is None:
            raise WorkerBadArgumentError(f"WorkerParamiko for {self.nodes} needs a command or a source")
        if self.dest is None:
            raise WorkerBadArgumentError(f"copy of {self.source!r} needs a destination")
        if self.reverse and not os.path.isdir(self.dest):
            raise WorkerBadArgumentError(f"reverse copy of {self.source!r}: {self.dest!r} is not an existing directory")

    def pool(self) -> Pool:
        """The connections of this worker's Task; settings are taken over when its first node begins."""
        if self._pool is None:
            task, own = self._scheduled(), self.infos
            self._pool = pool_of(task)
            self.settings = settings_from(lambda key: own[key] if key in own else task.info(key))
        return self._pool

    def make_clients(self) -> Iterable[EngineClient]:
        """See Worker."""
        if self.command is None:
            return [CopyClient(self, node) for node in self.nodes]
        clients = [CommandClient(self, node, self.command) for node in self.nodes]
        early, self._early = self._early, []
        for client in clients:
            for data in early:
                if data is None:
                    client.set_write_eof()
                else:
                    client.write(data)
        return clients

    def shared_source(self) -> Source:
        """What is copied out, listed and read once for all nodes."""
        if self._source is None:
            assert self.source is not None
            self._source = Source(self.pool(), self.source)
        return self._source

    def place_of(self, node: str) -> tuple[str, bytes]:
        """Folder and name of what comes back from a node. Raises OSError."""
        assert self.source is not None
        assert self.dest is not None
        base = os.path.basename(self.source.rstrip("/")) or "root"
        base = "home" if base in (".", "..", "~") else base
        if not self.per_node:
            return self.dest, os.fsencode(f"{base}.{file_name(node)}")
        folder = os.path.join(self.dest, file_name(node))
        os.makedirs(folder, exist_ok=True)
        return folder, os.fsencode(base)

    def _on_close(self) -> None:
        if self._source is not None:
            self._source.close()
            self._source = None
        super()._on_close()

    def write(self, buf: bytes, sname: str | None = None) -> None:
        """Write bytes to the input of every command; kept until its start, dropped after its end."""
        data = bytes(buf)

        def write() -> None:
            if self.task is None or (not self._clients and not self.started):
                self._early.append(data)
            for client in list(self._clients):
                client.write(data, sname)

        self._in_task(write)

    def set_write_eof(self, sname: str | None = None) -> None:
        """Close the input of every command when all is written."""

        def close() -> None:
            if self.task is None or (not self._clients and not self.started):
                self._early.append(None)
            for client in list(self._clients):
                client.set_write_eof(sname)

        self._in_task(close)


WORKER_CLASS = WorkerParamiko
