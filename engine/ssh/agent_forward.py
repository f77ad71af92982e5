"""Forwarding the agent to a node, where ForwardAgent asks for it: a channel of the server, bridged to the socket.

Whoever is root on the node can use the keys while the connection stands; so it is off unless the configuration of that
very node says yes, and a front end should say that it is on.
"""

from __future__ import annotations

import socket

from ..reactor import Reactor
from ..states import Failure
from .channel import Channel, ChannelUser
from .connection import Connection
from .stream import SocketStream

#: Agents are small talk; a node that opens more at once is up to something.
_AT_ONCE = 10


class AgentBridges:
    """Answers one connection's requests for the agent at `path`."""

    def __init__(self, reactor: Reactor, connection: Connection, path: str) -> None:
        self._reactor = reactor
        self._channels = connection.channels
        self._path = path
        self._open = 0
        connection.channels.on_foreign = self._wanted

    def _wanted(self, kind: str, remote: int, window: int, max_packet: int) -> bool:
        if kind != "auth-agent@openssh.com" or self._open >= _AT_ONCE:
            return False
        agent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            agent.settimeout(1.0)
            agent.connect(self._path)
            stream = SocketStream(self._reactor, agent)
        except OSError:
            agent.close()
            return False
        self._open += 1
        bridge = _Bridge(self, stream)
        bridge.channel = self._channels.adopt(bridge, remote, window, max_packet)
        return True

    def closed(self) -> None:
        """A bridge is down."""
        self._open -= 1


class _Bridge(ChannelUser):
    """One channel and one socket."""

    def __init__(self, bridges: AgentBridges, stream: SocketStream) -> None:
        self.channel: Channel | None = None
        self._bridges = bridges
        self._stream: SocketStream | None = stream
        stream.on_data = self._from_agent
        stream.on_closed = lambda _error: self._close()

    def _from_agent(self, data: bytes) -> None:
        if self.channel is not None:
            self.channel.write(data)

    def data(self, data: bytes) -> None:
        """See ChannelUser."""
        if self._stream is not None:
            self._stream.write(data)

    def eof(self) -> None:
        """See ChannelUser."""
        self._close()

    def closed(self) -> None:
        """See ChannelUser."""
        self._close()

    def lost(self, failure: Failure) -> None:
        """See ChannelUser."""
        self._close()

    def _close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is None:
            return
        stream.close()
        self._bridges.closed()
        if self.channel is not None:
            self.channel.close()
