"""One client's connection to one demo node: who may log in, and what each channel is asked to do."""

from __future__ import annotations

import re
import socket
import threading
from dataclasses import dataclass
from pathlib import Path

import paramiko
from paramiko.common import (
    AUTH_FAILED,
    AUTH_SUCCESSFUL,
    MSG_CHANNEL_REQUEST,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_SUCCEEDED,
)

from .job import Job, Terminal
from .plan import Fault, NodePlan
from .sftp import FilesSubsystem, NodeFiles

_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class DemoNode:
    """What the connections of a node share."""

    plan: NodePlan
    home: Path
    environment: dict[str, str]
    host_key: paramiko.PKey
    user: str
    authorized: paramiko.PKey


class Connection(paramiko.ServerInterface):
    """The server's half of one SSH connection; paramiko calls it in the connection's own thread."""

    def __init__(self, node: DemoNode) -> None:
        self.node = node
        self._environments: dict[int, dict[str, str]] = {}
        self._terminals: dict[int, Terminal] = {}
        self._ready: dict[int, Job] = {}
        self._jobs: dict[int, Job] = {}
        self._sessions: set[int] = set()

    # -- logging in

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        known = self.node.plan.fault is not Fault.AUTHENTICATION and key == self.node.authorized
        return AUTH_SUCCESSFUL if known and username == self.node.user else AUTH_FAILED

    # -- channels

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED if kind == "session" else OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_env_request(self, channel: paramiko.Channel, name: bytes, value: bytes) -> bool:
        key = name.decode(errors="replace")
        if not _ENVIRONMENT_NAME.fullmatch(key) or b"\0" in value:
            return False
        self._environments.setdefault(channel.chanid, {})[key] = value.decode(errors="surrogateescape")
        return True

    def check_channel_pty_request(
        self,
        channel: paramiko.Channel,
        term: bytes,
        width: int,
        height: int,
        pixelwidth: int,
        pixelheight: int,
        modes: bytes,
    ) -> bool:
        name = term.decode(errors="replace") if isinstance(term, bytes) else term
        self._terminals[channel.chanid] = Terminal(name.replace("\0", "") or "dumb", width or 80, height or 24)
        return True

    def check_channel_window_change_request(
        self, channel: paramiko.Channel, width: int, height: int, pixelwidth: int, pixelheight: int
    ) -> bool:
        job = self._jobs.get(channel.chanid)
        if job is not None:
            job.resize(width, height)
        return job is not None

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        return self._prepare(channel, command.decode(errors="surrogateescape"))

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        return self._prepare(channel, None)

    def _prepare(self, channel: paramiko.Channel, command: str | None) -> bool:
        number = channel.chanid
        if number in self._jobs or (command is not None and "\0" in command):
            return False
        self._ready[number] = self._jobs[number] = Job(
            channel,
            command,
            environment=self.node.environment | self._environments.pop(number, {}),
            home=self.node.home,
            latency=self.node.plan.latency,
            terminal=self._terminals.pop(number, None),
            sessions=self._sessions,
        )
        return True

    def request_answered(self, channel: paramiko.Channel) -> None:
        """The client has its answer to the last request: a prepared command may now speak."""
        job = self._ready.pop(channel.chanid, None)
        if job is not None:
            job.start()

    def signal_request(self, channel: paramiko.Channel, name: str) -> None:
        """RFC 4254 section 6.9; it has no answer."""
        job = self._jobs.get(channel.chanid)
        if job is not None:
            job.signal(name)

    def channel_gone(self, number: int) -> None:
        """Forget a channel whose number may come back."""
        for table in (self._environments, self._terminals, self._ready, self._jobs):
            table.pop(number, None)


class NodeTransport(paramiko.Transport):
    """paramiko's transport, with two things that its server side lacks.

    A command starts only after the client has been told that it may (otherwise a quick one could end before its
    own beginning was confirmed), and "signal" requests are handed on.
    """

    def __init__(self, connection: socket.socket, node: DemoNode) -> None:
        super().__init__(connection)
        self.local_version = "SSH-2.0-clusterdeck_demo"
        self._connection = Connection(node)
        self._open: dict[int, paramiko.Channel] = {}
        self._channel_handler_table = dict(paramiko.Transport._channel_handler_table)  # type: ignore[attr-defined]
        self._original_request = self._channel_handler_table[MSG_CHANNEL_REQUEST]
        self._channel_handler_table[MSG_CHANNEL_REQUEST] = self._channel_request
        self.add_server_key(node.host_key)
        self.set_subsystem_handler("sftp", FilesSubsystem, NodeFiles, str(node.home))

    def serve(self) -> None:
        """Begin; everything else happens in the transport's own thread."""
        self.start_server(event=threading.Event(), server=self._connection)

    def _queue_incoming_channel(self, channel: paramiko.Channel) -> None:
        # The base class keeps channels for accept(), which nobody calls here, and would keep them for ever.
        self._open[channel.chanid] = channel

    def _unlink_channel(self, chanid: int) -> None:
        super()._unlink_channel(chanid)  # type: ignore[misc]
        self._open.pop(chanid, None)
        self._connection.channel_gone(chanid)

    def _channel_request(self, channel: paramiko.Channel, message: paramiko.Message) -> None:
        start = message.packet.tell()
        if message.get_text() == "signal":
            message.get_boolean()
            self._connection.signal_request(channel, message.get_text())
            return
        message.packet.seek(start)
        self._original_request(channel, message)
        self._connection.request_answered(channel)
