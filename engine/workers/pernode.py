"""PerNodeWorker: the frame of workers that do one command or one copy on each of their nodes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from ClusterShell.NodeSet import NodeSet

from ..client import EngineClient
from ..errors import WorkerBadArgumentError
from .distant import DistantWorker

__all__ = ["PerNodeWorker"]


class PerNodeWorker(DistantWorker):
    """What exec, ssh, rsh, pdsh and paramiko workers have in common; subclasses give `_make_all`.

    Thread rule: see Worker.

    nodes: str or NodeSet; none: nothing happens. handler: see EventHandler. timeout: seconds from the start of each
    command. Keywords: command, or source and dest; stderr (keep it apart), autoclose, preserve, reverse (copies).
    Raises ValueError if there is neither a command nor a source, for a copy without `dest`, for a reverse copy whose
    `dest` is no directory, and for a timeout that is no number.
    """

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
        if self.command is None:
            self._check_copy()
        #: Clients that are not scheduled yet: they keep what is written before the start.
        self._made = list(self._make_all())

    def _check_copy(self) -> None:
        if self.source is None:
            raise WorkerBadArgumentError(f"{type(self).__name__} for {self.nodes} needs a command or a source")
        if self.dest is None:
            raise WorkerBadArgumentError(f"copy of {self.source!r} needs a destination")
        if self.reverse and not os.path.isdir(self.dest):
            raise WorkerBadArgumentError(f"reverse copy of {self.source!r}: {self.dest!r} is not an existing directory")

    def _make_all(self) -> Iterable[EngineClient]:
        """The clients, mostly one per node; called once, by the constructor."""
        raise NotImplementedError

    def make_clients(self) -> Iterable[EngineClient]:
        """See Worker."""
        made, self._made = self._made, []
        return made

    def write(self, buf: bytes, sname: str | None = None) -> None:
        """Write bytes to the input of every command; any thread.

        What `buf` holds is kept until the command's start and dropped after its end. sname: "stdin", or None, which is
        the same. Raises EngineClientNotSupportedError for what has no input (pdsh, a copy over paramiko).
        """
        data = bytes(buf)
        self._for_each_client(lambda client: client.write(data, sname))

    def set_write_eof(self, sname: str | None = None) -> None:
        """Close the input of every command when all is written; may precede the start. sname, errors: as `write`."""
        self._for_each_client(lambda client: client.set_write_eof(sname))

    def _for_each_client(self, call: Callable[[EngineClient], None]) -> None:
        def call_each() -> None:
            for client in [*self._made, *self._clients]:
                call(client)

        self._in_task(call_each)
