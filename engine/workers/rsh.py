"""WorkerRsh: rsh and rcp, one process per node."""

from __future__ import annotations

from collections.abc import Mapping

from ..states import NodeEnd
from .exec import CopyClient, ExecClient, ExecWorker
from .remote_ends import unconfirmed
from .ssh import program, words

__all__ = ["WORKER_CLASS", "RcpClient", "RshClient", "WorkerRsh"]

#: rsh itself does not tell the command's return code: it is echoed behind this at the end of the output.
_MARK = b"clusterdeck-rsh-rc: "


class RshClient(ExecClient):
    """rsh to one node."""

    USER_KEYS = ("rsh_user",)
    _told: int | None = None

    def _build_cmd(self) -> tuple[str | list[str], Mapping[str, str] | None]:
        info = self.info
        command = program(info("rsh_path"), "rsh")
        if self.user:
            command += ["-l", self.user]
        command += words(info("rsh_options"))
        # In a subshell of its own, because the command may say `exit`; on a line of its own, because it may end in `#`.
        return [*command, str(self.key), f"({self.command}\n); echo {_MARK.decode()}$?"], None

    def report_lines(self, sname: str, lines: list[bytes]) -> None:
        """Filter the line with the return code, which may follow text that had no line end."""
        if sname == self.worker.SNAME_STDOUT and any(_MARK in line for line in lines):
            lines = [line for line in map(self._filter, lines) if line is not None]
        if lines:
            super().report_lines(sname, lines)

    def _filter(self, line: bytes) -> bytes | None:
        text, mark, code = line.rpartition(_MARK)
        if not mark or not code.strip().isdigit():
            return line
        self._told = int(code)
        return text or None

    def ended(self, rc: int) -> NodeEnd:
        """The return code that the node told, where rsh itself has nothing worse to say."""
        return super().ended(self._told if rc in (0, 1) and self._told is not None else rc)

    def killed(self, timed_out: bool) -> NodeEnd:
        """See EngineClient. Whether rsh takes the remote process with it depends on the daemon there."""
        end = super().killed(timed_out)
        return unconfirmed(str(self.key), "rsh", end) if self.pid is not None else end


class RcpClient(CopyClient):
    """rcp to or from one node."""

    USER_KEYS = ("rsh_user",)

    def _build_cmd(self) -> tuple[str | list[str], Mapping[str, str] | None]:
        info = self.info
        command = program(info("rcp_path"), "rcp") + words(info("rcp_options") or info("rsh_options"))
        command += self._copy_options()
        prefix = f"{self.user}@{self.key}" if self.user else str(self.key)
        return [*command, *self._remote_paths(prefix)], None


class WorkerRsh(ExecWorker):
    """Runs a command on nodes, or copies, through rsh and rcp; arguments as ExecWorker, no %-substitution.

    Programs, user and options are read from the Task's info when a node starts: rsh_path, rsh_user, rsh_options,
    rcp_path, rcp_options. Raises ValueError if a reverse copy's `dest` is no directory.
    """

    SHELL_CLASS = RshClient
    COPY_CLASS = RcpClient

    def _for_all_nodes(self) -> bool:
        return False


WORKER_CLASS = WorkerRsh
