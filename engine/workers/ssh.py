"""WorkerSsh: OpenSSH's own ssh and scp, one process per node."""

from __future__ import annotations

import os
import shlex
from collections import deque
from collections.abc import Mapping
from typing import Any

from ..states import NodeEnd
from .exec import CopyClient, ExecClient, ExecWorker
from .remote_ends import REMEMBERED, ssh_end, unconfirmed

__all__ = ["WORKER_CLASS", "ScpClient", "SshClient", "WorkerSsh"]


def words(value: Any, default: str = "") -> list[str]:
    """A program or options from the Task's info, split as a shell would; ~ of the program is expanded."""
    return shlex.split(str(value) if value else default)


def program(value: Any, default: str) -> list[str]:
    """A program with its fixed options from the Task's info."""
    found = words(value, default)
    return [os.path.expanduser(found[0]), *found[1:]] if found else [default]


class _OpenSsh(ExecClient):
    """What ssh and scp have in common: 255 and the messages behind it."""

    PROGRAM = "ssh"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._last: deque[bytes] = deque(maxlen=REMEMBERED)

    def report_lines(self, sname: str, lines: list[bytes]) -> None:
        """See EngineClient; the last ones may tell why there is no connection."""
        self._last.extend(lines[-REMEMBERED:])
        super().report_lines(sname, lines)

    def ended(self, rc: int) -> NodeEnd:
        """It says 255 where it could not connect or lost the connection."""
        return ssh_end(str(self.key), self.PROGRAM, self._last) if rc == 255 else super().ended(rc)

    def killed(self, timed_out: bool) -> NodeEnd:
        """See EngineClient. The remote process gets no signal from a client that is killed."""
        end = super().killed(timed_out)
        return unconfirmed(str(self.key), self.PROGRAM, end) if self.pid is not None else end


class SshClient(_OpenSsh):
    """ssh to one node."""

    USER_KEYS = ("ssh_user",)

    def _build_cmd(self) -> tuple[str | list[str], Mapping[str, str] | None]:
        info = self.info
        command = program(info("ssh_path"), "ssh") + words(info("ssh_options"))
        command += ["-oForwardAgent=no", "-oForwardX11=no"]
        if self.user:
            command += ["-l", self.user]
        command += _connect_timeout(info("connect_timeout"))
        return [*command, "-oBatchMode=yes", str(self.key), self.command or ""], None


class ScpClient(_OpenSsh, CopyClient):
    """scp to or from one node."""

    PROGRAM = "scp"
    USER_KEYS = ("scp_user", "ssh_user")

    def _build_cmd(self) -> tuple[str | list[str], Mapping[str, str] | None]:
        info = self.info
        command = program(info("scp_path"), "scp") + words(info("scp_options") or info("ssh_options"))
        command += self._copy_options()
        command += [*_connect_timeout(info("connect_timeout")), "-oBatchMode=yes"]
        prefix = f"{self.user}@[{self.key}]" if self.user else f"[{self.key}]"
        return [*command, *self._remote_paths(prefix)], None


class WorkerSsh(ExecWorker):
    """Runs a command on nodes, or copies, through ssh and scp; arguments as ExecWorker, no %-substitution.

    Programs, users and options are read from the Task's info when a node starts: ssh_path, ssh_user, ssh_options,
    scp_path, scp_user, scp_options, connect_timeout. Raises ValueError if a reverse copy's `dest` is no directory.
    """

    SHELL_CLASS = SshClient
    COPY_CLASS = ScpClient

    def _for_all_nodes(self) -> bool:
        return False


def _connect_timeout(seconds: Any) -> list[str]:
    return [f"-oConnectTimeout={int(seconds)}"] if seconds and seconds > 0 else []


WORKER_CLASS = WorkerSsh
