"""WorkerSsh: OpenSSH's own ssh and scp, one process per node."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from typing import Any

from ..names import check_user
from ..states import Failure, FailureKind, NodeEnd, NodeState
from .exec import CopyClient, ExecClient, ExecWorker

__all__ = ["WORKER_CLASS", "Scp", "Ssh", "WorkerSsh"]


def words(value: Any, default: str = "") -> list[str]:
    """A program or options from the Task's info, split as a shell would; ~ of the program is expanded."""
    return shlex.split(str(value) if value else default)


def program(value: Any, default: str) -> list[str]:
    """A program with its fixed options from the Task's info."""
    found = words(value, default)
    return [os.path.expanduser(found[0]), *found[1:]] if found else [default]


class Ssh(ExecClient):
    """ssh to one node."""

    def check_names(self) -> None:
        """See ExecClient; the user, too."""
        super().check_names()
        if self.info("ssh_user"):
            check_user(str(self.info("ssh_user")))

    def _build_cmd(self) -> tuple[str | list[str], Mapping[str, str] | None]:
        info = self.info
        command = program(info("ssh_path"), "ssh") + words(info("ssh_options"))
        command += ["-oForwardAgent=no", "-oForwardX11=no"]
        if info("ssh_user"):
            command += ["-l", str(info("ssh_user"))]
        command += _connect_timeout(info("connect_timeout"))
        return [*command, "-oBatchMode=yes", str(self.key), self.command or ""], None

    def ended(self, rc: int) -> NodeEnd:
        """ssh says 255 where it could not connect (or lost the connection)."""
        if rc == 255:
            failure = Failure(FailureKind.UNREACHABLE, f"{self.key}: ssh ended with 255: its own message is the output")
            return NodeEnd(NodeState.UNREACHABLE, rc, failure)
        return super().ended(rc)


class Scp(CopyClient):
    """scp to or from one node."""

    def check_names(self) -> None:
        """See ExecClient; the user, too."""
        super().check_names()
        if user := self.info("scp_user") or self.info("ssh_user"):
            check_user(str(user))

    def _build_cmd(self) -> tuple[str | list[str], Mapping[str, str] | None]:
        info = self.info
        command = program(info("scp_path"), "scp") + words(info("scp_options") or info("ssh_options"))
        command += self._copy_options()
        command += [*_connect_timeout(info("connect_timeout")), "-oBatchMode=yes"]
        user = info("scp_user") or info("ssh_user")
        prefix = f"{user}@[{self.key}]" if user else f"[{self.key}]"
        return [*command, *self._remote_paths(prefix)], None


class WorkerSsh(ExecWorker):
    """Runs a command on nodes, or copies, through ssh and scp; arguments as ExecWorker, no %-substitution.

    Programs, users and options are read from the Task's info when a node starts: ssh_path, ssh_user, ssh_options,
    scp_path, scp_user, scp_options, connect_timeout. Raises ValueError if a reverse copy's `dest` is no directory.
    """

    SHELL_CLASS = Ssh
    COPY_CLASS = Scp

    def _for_all_nodes(self) -> bool:
        return False


def _connect_timeout(seconds: Any) -> list[str]:
    return [f"-oConnectTimeout={int(seconds)}"] if seconds and seconds > 0 else []


WORKER_CLASS = WorkerSsh
