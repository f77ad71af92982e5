"""ExecWorker: one local command per node name, with %-substitution; the frame of ssh, rsh and pdsh workers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

from ClusterShell.NodeSet import NodeSet

from ..client import EngineClient
from ..errors import WorkerError
from ..names import NameRefusedError, check_node, check_user
from ..states import Failure, FailureKind, NodeEnd, NodeState
from .pernode import PerNodeWorker
from .process import ProcessClient

__all__ = ["WORKER_CLASS", "CopyClient", "ExecClient", "ExecWorker", "WorkerError"]

#: %% or %{name} or %name; the longer names first, so that %hosts is not %h followed by "osts".
_WORD = re.compile(r"%(?:(%)|\{([^}]*)\}|(hosts|host|h|rank|n))")


def no_option(path: str) -> str:
    """A local path that no program can take for an option."""
    return f"./{path}" if path.startswith("-") else path


def local_path(path: str) -> str:
    """A path of this host that scp and rcp take neither for an option nor, for a colon in it, for another host's."""
    return f"./{path}" if path.startswith("-") or ":" in path.partition("/")[0] else path


class ExecClient(ProcessClient):
    """The process of one node, or of all of them (`node` is then a NodeSet and `rank` None)."""

    #: Info values that may name the login user on the node; the first that is set counts.
    USER_KEYS: tuple[str, ...] = ()

    def __init__(
        self,
        worker: ExecWorker,
        node: str | NodeSet,
        command: str | None,
        rank: int | None,
        stderr: bool = False,
        timeout: float | None = None,
        autoclose: bool = False,
    ) -> None:
        super().__init__(worker, node, stderr, timeout, autoclose)
        self.command = command
        self.rank = rank

    def start(self) -> None:
        """See EngineClient; a name that could be an option or shell text is refused before anything is started."""
        try:
            self.check_names()
        except NameRefusedError as error:
            self.finish(NodeEnd(NodeState.FAILED, 255, Failure(FailureKind.CONFIGURATION, str(error))))
            return
        super().start()

    def check_names(self) -> None:
        """Raise NameRefusedError for a name that must not reach a command line."""
        for node in self.nodes:
            check_node(node)
        if self.user is not None:
            check_user(self.user)

    @property
    def user(self) -> str | None:
        """The login user on the node, None if the program is to choose."""
        return next((str(self.info(key)) for key in self.USER_KEYS if self.info(key)), None)

    @property
    def nodes(self) -> list[str]:
        """See EngineClient."""
        return [self.key] if isinstance(self.key, str) else list(self.key)

    def _build_cmd(self) -> tuple[str | list[str], Mapping[str, str] | None]:
        return self.substitute(self.command or ""), None

    def substitute(self, text: str) -> str:
        """Replace %h %host %n %rank %hosts %%; raises WorkerError for any other %."""
        values = {"h": str(self.key), "host": str(self.key), "hosts": str(self.key)}
        if self.rank is not None:
            values["n"] = values["rank"] = str(self.rank)
        pieces: list[str] = []
        position = 0
        while (start := text.find("%", position)) >= 0:
            pieces.append(text[position:start])
            match = _WORD.match(text, start)
            name = match and (match[2] or match[3])
            if match is not None and match[1]:
                pieces.append("%")
            elif match is not None and name in values:
                pieces.append(values[name])
            else:
                shown = text[start : start + 12]
                raise WorkerError(f"{shown!r} in {text!r}: use %h, %hosts, %n or %rank, and %% for a percent sign")
            position = match.end()
        pieces.append(text[position:])
        return "".join(pieces)

    # One process, several nodes: everything is reported for each.

    def report_pickup(self) -> None:
        """See EngineClient."""
        for node in self.nodes:
            self.worker._on_pickup(node)

    def report_lines(self, sname: str, lines: list[bytes]) -> None:
        """See EngineClient."""
        for node in self.nodes:
            self.worker._on_lines(node, sname, lines)

    def report_end(self, end: NodeEnd) -> None:
        """See EngineClient."""
        for node in self.nodes:
            self.worker._on_end(node, end)


class CopyClient(ExecClient):
    """A copy of a file or folder for one node (here: a local cp)."""

    def __init__(
        self,
        worker: ExecWorker,
        node: str | NodeSet,
        source: str,
        dest: str,
        rank: int | None,
        stderr: bool = False,
        timeout: float | None = None,
        autoclose: bool = False,
        preserve: bool = False,
        reverse: bool = False,
    ) -> None:
        super().__init__(worker, node, None, rank, stderr, timeout, autoclose)
        self.source = source
        self.dest = dest
        self.preserve = preserve
        self.reverse = reverse
        self.isdir = os.path.isdir(source)

    def _copy_options(self) -> list[str]:
        """What cp, scp and rcp call by the same names."""
        return ["-r"] * (self.isdir or self.reverse) + ["-p"] * self.preserve

    def _remote_paths(self, prefix: str) -> list[str]:
        """Source and destination as scp and rcp take them; `prefix` is the node, and the user where there is one."""
        if self.reverse:
            name = os.path.basename(self.source.rstrip("/"))
            return [f"{prefix}:{self.source}", local_path(os.path.join(self.dest, f"{name}.{self.key}"))]
        return [local_path(self.source), f"{prefix}:{self.dest}"]

    def _build_cmd(self) -> tuple[str | list[str], Mapping[str, str] | None]:
        command = ["cp", *self._copy_options()]
        source, dest = no_option(self.substitute(self.source)), no_option(self.substitute(self.dest))
        return [*command, *([dest, source] if self.reverse else [source, dest])], None


class ExecWorker(PerNodeWorker):
    """Runs a local command, or a local copy, once per node; arguments and errors as PerNodeWorker.

    In the command, source and dest, %h and %host are the node, %n and %rank its index among the nodes from 0, %% is a
    percent sign. %hosts in the command: one process for all nodes, and %hosts is their folded node set. Any other % is
    a WorkerError when the command starts.
    """

    SHELL_CLASS: type[ExecClient] = ExecClient
    COPY_CLASS: type[CopyClient] = CopyClient

    def _for_all_nodes(self) -> bool:
        """Whether one process serves all nodes."""
        if self.command is None:
            return False
        return any((m[2] or m[3]) == "hosts" for m in _WORD.finditer(self.command))

    def set_ranks(self, ranks: Mapping[str, int]) -> None:
        """See Worker: ranks by node name."""
        for client in self._made:
            if isinstance(client, ExecClient) and client.rank is not None:
                client.rank = ranks.get(client.key, client.rank)

    def _make_all(self) -> Iterable[EngineClient]:
        if not self.nodes:
            return
        if self._for_all_nodes():
            yield self._make_client(self.nodes, None)
            return
        for rank, node in enumerate(self.nodes):
            yield self._make_client(node, rank)

    def _make_client(self, node: str | NodeSet, rank: int | None) -> EngineClient:
        if self.command is not None:
            return self.SHELL_CLASS(self, node, self.command, rank, self.stderr, self.timeout, self.autoclose)
        assert self.source is not None
        assert self.dest is not None
        return self.COPY_CLASS(
            self,
            node,
            self.source,
            self.dest,
            rank,
            self.stderr,
            self.timeout,
            self.autoclose,
            self.preserve,
            self.reverse,
        )


WORKER_CLASS = ExecWorker
