"""WorkerPdsh: one pdsh, pdcp or rpdcp process for all nodes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ClusterShell.NodeSet import NodeSet

from ..client import EngineClient
from ..errors import EngineClientNotSupportedError
from ..fanout import FANOUT_DEFAULT, FANOUT_UNLIMITED
from ..states import NodeEnd, NodeState
from .exec import CopyClient, ExecClient, ExecWorker, no_option
from .ssh import program

__all__ = ["WORKER_CLASS", "PdcpClient", "PdshClient", "WorkerPdsh"]

#: What pdsh itself says of a node (man page pdsh(1), and tried with pdsh 2.34).
_SAID = re.compile(rb"^r?pd(?:sh|cp)@[^:]*: (?P<node>.+?): (?P<what>.*)$")
_EXITED = re.compile(rb"exited with exit code (\d+)")

_NO_INPUT = "pdsh gives nodes no input"


class _PdshBase(ExecClient):
    """The process; its key is the set of all nodes, and each node ends for itself."""

    def _init_nodes(self) -> None:
        self._open = dict.fromkeys(str(node) for node in self.key)
        self._coded = False

    @property
    def wants_output(self) -> bool:
        """pdsh reads no input."""
        return False

    def write(self, data: bytes, sname: str | None = None) -> None:
        """Not possible: one input cannot be given to many nodes."""
        raise EngineClientNotSupportedError(_NO_INPUT)

    def set_write_eof(self, sname: str | None = None) -> None:
        """Not possible, as `write`."""
        raise EngineClientNotSupportedError(_NO_INPUT)

    # -- output

    def report_lines(self, sname: str, lines: list[bytes]) -> None:
        """Sort the lines by the node in front of them; what pdsh says of a node's end is not output."""
        by_node: dict[str, list[bytes]] = {}
        for line in lines:
            said = _SAID.match(line)
            if said is not None:
                # Lines of that node which came before have to be told before its end.
                self._tell(sname, by_node)
                by_node = {}
                self._said(said["node"].decode("utf-8", "replace"), said["what"], sname)
                continue
            name, colon, text = line.partition(b": ")
            if not colon:
                name, text = line.removesuffix(b":"), b""
            node = name.decode("utf-8", "replace")
            if node in self._open:
                by_node.setdefault(node, []).append(text)
            else:
                self.loop.debug(f"{self._debug_name()}: {line!r}")
        self._tell(sname, by_node)

    def _tell(self, sname: str, by_node: dict[str, list[bytes]]) -> None:
        for node, lines in by_node.items():
            if node in self._open:
                self.worker._on_lines(node, sname, lines)

    def _said(self, node: str, what: bytes, sname: str) -> None:
        if node not in self._open:
            return
        exited = _EXITED.search(what)
        if exited is not None:
            self._coded = True
            code = int(exited[1])
            self._end_node(node, NodeEnd(NodeState.FAILED if code else NodeState.OK, code))
        elif b"command timeout" in what:
            self._end_node(node, NodeEnd(NodeState.TIMEOUT))
        else:
            self.worker._on_lines(node, sname, [what])

    # -- ends

    def _end_node(self, node: str, end: NodeEnd) -> None:
        if node in self._open:
            del self._open[node]
            self.worker._on_end(node, end)

    def report_end(self, end: NodeEnd) -> None:
        """The process is over: nodes of which it said nothing ended well, unless it said nothing of any and failed."""
        if end.state is NodeState.FAILED and self._coded:
            end = NodeEnd(NodeState.OK, 0)
        for node in list(self._open):
            self._end_node(node, end)

    def _options(self) -> list[str]:
        info = self.info
        fanout = info("fanout") if self.worker.fanout is FANOUT_DEFAULT else self.worker.fanout
        options = ["-b", "-f", str(len(self._open) if fanout == FANOUT_UNLIMITED else fanout)]
        if info("command_timeout") and info("command_timeout") > 0:
            options += ["-u", str(int(info("command_timeout")))]
        return options


class PdshClient(_PdshBase):
    """pdsh for all nodes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._init_nodes()

    def _build_cmd(self) -> tuple[str | list[str], Mapping[str, str] | None]:
        info = self.info
        command = [*program(info("pdsh_path"), "pdsh"), *self._options(), "-w", str(self.key), self.command or ""]
        seconds = info("connect_timeout")
        if not seconds or seconds <= 0:
            return command, None
        before = os.environ.get("PDSH_SSH_ARGS_APPEND", "")
        return command, {"PDSH_SSH_ARGS_APPEND": f"{before} -o ConnectTimeout={int(seconds)}".strip()}


class PdcpClient(_PdshBase, CopyClient):
    """pdcp or rpdcp for all nodes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        CopyClient.__init__(self, *args, **kwargs)
        self._init_nodes()

    def _build_cmd(self) -> tuple[str | list[str], Mapping[str, str] | None]:
        info = self.info
        path = program(info("rpdcp_path"), "rpdcp") if self.reverse else program(info("pdcp_path"), "pdcp")
        command = [*path, *self._options()]
        seconds = info("connect_timeout")
        if seconds and seconds > 0:
            command += ["-t", str(int(seconds))]
        command += ["-w", str(self.key)]
        if self.isdir or self.reverse:
            command.append("-r")
        if self.preserve:
            command.append("-p")
        return [*command, no_option(self.source), no_option(self.dest)], None


class WorkerPdsh(ExecWorker):
    """Runs a command on nodes, or copies, through pdsh, pdcp and rpdcp; arguments as ExecWorker, no %-substitution.

    One process serves all nodes, so the fanout is pdsh's own (-f). Programs are read from the Task's info when it
    starts: pdsh_path, pdcp_path, rpdcp_path, which may carry options. Nodes get no input: `write` and
    `set_write_eof` raise EngineClientNotSupportedError.
    """

    SHELL_CLASS = PdshClient
    COPY_CLASS = PdcpClient

    def _make_all(self) -> Iterable[EngineClient]:
        if self.nodes:
            yield self._make_client(NodeSet(self.nodes), None)

    def write(self, buf: bytes, sname: str | None = None) -> None:
        """Raises EngineClientNotSupportedError, whatever `buf` and `sname`: pdsh gives nodes no input."""
        raise EngineClientNotSupportedError(_NO_INPUT)

    def set_write_eof(self, sname: str | None = None) -> None:
        """Raises EngineClientNotSupportedError, as `write`, whatever `sname`."""
        raise EngineClientNotSupportedError(_NO_INPUT)


WORKER_CLASS = WorkerPdsh
