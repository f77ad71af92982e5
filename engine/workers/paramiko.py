"""WorkerParamiko: commands and copies over SSH connections that stay open between commands, without a process per node.

What it reads of the Task's info, and how a front end answers questions, stands in engine/ssh/__init__.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, cast

from ..client import EngineClient
from ..names import file_name
from ..ssh.copies import Source
from ..ssh.pool import Pool
from ..ssh.settings import SshSettings
from ..ssh.taskinfo import settings_from
from .paramiko_clients import CommandClient, CopyClient
from .pernode import PerNodeWorker

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
    settings = settings_from(owner.info)
    if settings.trace is None and owner.info("debug"):
        settings.trace = lambda text: owner.engine.debug(f"PARAMIKO: {text}")
    pool.settings = settings
    return pool


class WorkerParamiko(PerNodeWorker):
    """Runs a command on nodes, or copies files and folders, over the Task's kept SSH connections.

    Arguments and errors as PerNodeWorker; the timeout counts from the start of the command, as connecting has its own
    limit. Keywords beyond those: user (over ssh_user and the configuration), environment (a mapping), pty (True: a
    terminal for the command), sudo (True, or the program: run the command by sudo, whose prompt is answered with one
    password for the set), per_node (a reverse copy goes to DEST/NODE/name, not DEST/name.NODE), overwrite (True: plain
    files of an earlier reverse copy give way).
    """

    answers_sudo = True
    gives_terminal = True
    reads_ssh_config = True

    def __init__(self, nodes: Any, handler: Any | None = None, timeout: float | None = None, **kwargs: Any) -> None:
        super().__init__(nodes, handler, timeout, **kwargs)
        self.user: str | None = kwargs.get("user")
        self.pty = bool(kwargs.get("pty", False))
        sudo = kwargs.get("sudo", False)
        self.sudo: str | None = sudo if isinstance(sudo, str) else ("sudo" if sudo else None)
        self.environment: Mapping[str, str] = dict(kwargs.get("environment") or {})
        #: Reverse copies: DEST/NODE/name instead of DEST/name.NODE; plain files that are there give way.
        self.per_node = bool(kwargs.get("per_node", False))
        self.overwrite = bool(kwargs.get("overwrite", True))
        self._source: Source | None = None
        self._pool: Pool | None = None

    def pool(self) -> Pool:
        """The connections of this worker's Task; settings are taken over when its first node begins."""
        if self._pool is None:
            task, own = self._scheduled(), self.infos
            self._pool = pool_of(task)
            self.settings = settings_from(lambda key: own[key] if key in own else task.info(key))
        return self._pool

    def _make_all(self) -> Iterable[EngineClient]:
        if self.command is None:
            return [CopyClient(self, node) for node in self.nodes]
        return [CommandClient(self, node, self.command) for node in self.nodes]

    def shared_source(self) -> Source:
        """What is copied out, listed and read once for all nodes."""
        if self._source is None:
            assert self.source is not None
            self._source = Source(self.pool().disk, self.source)
        return self._source

    def place_of(self, node: str) -> tuple[bytes, bytes]:
        """What comes back from a node: its folder below `dest` (empty: none of its own), and the name in there."""
        assert self.source is not None
        base = os.path.basename(self.source.rstrip("/")) or "root"
        base = "home" if base in (".", "..", "~") else base
        if not self.per_node:
            return b"", os.fsencode(f"{base}.{file_name(node)}")
        return os.fsencode(file_name(node)), os.fsencode(base)

    def _on_close(self) -> None:
        if self._source is not None:
            self._source.close()
            self._source = None
        super()._on_close()


WORKER_CLASS = WorkerParamiko
