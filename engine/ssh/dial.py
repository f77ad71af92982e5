"""From a host's configuration to a stream of bytes: names to addresses, TCP, a channel of a jump host.

Each way (proxy_command.py is the third) is a small object with `cancel`, which calls `done(stream, address)` or
`failed(failure)` once, in the reactor's thread. Deadlines are the caller's.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable
from typing import Any

from ..reactor import WRITE, Reactor
from ..states import Failure, FailureKind
from . import wire
from .background import Background
from .channel import Channel, ChannelUser
from .config_values import HostConfig
from .connection import Connection
from .failures import connect_failure
from .stream import SocketStream, Stream, ignore_closed, ignore_data

Done = Callable[[Stream, str], None]
Failed = Callable[[Failure], None]
_FAMILIES = {"any": socket.AF_UNSPEC, "inet": socket.AF_INET, "inet6": socket.AF_INET6}
_MAX_ADDRESSES = 8


class TcpDial:
    """Resolve and connect, one address after the other."""

    def __init__(
        self,
        reactor: Reactor,
        resolver: Background,
        config: HostConfig,
        share: float,
        done: Done,
        failed: Failed,
        step: Callable[[str], None],
    ) -> None:
        """share: seconds that one address may take while another is left. step: is told what happens now."""
        self._reactor = reactor
        self._config = config
        self._share = share
        self._done = done
        self._failed = failed
        self._step = step
        self._socket: socket.socket | None = None
        self._over = False
        self._left: list[tuple[Any, ...]] = []
        self._failure: Failure | None = None
        self._timer = reactor.call_later(0.0, lambda: None)
        self._timer.cancel()
        family = _FAMILIES.get(config.address_family, socket.AF_UNSPEC)
        numeric = _numeric(config.hostname, config.port, family)
        if numeric is not None:
            self._left = [numeric]
            reactor.call_soon(self._next)
        else:
            step(f"resolving {config.hostname}")
            resolver.run(
                lambda: socket.getaddrinfo(config.hostname, config.port, family, socket.SOCK_STREAM), self._resolved
            )

    def cancel(self) -> None:
        """Stop; neither callback comes any more."""
        self._over = True
        self._drop()

    def _drop(self) -> None:
        self._timer.cancel()
        if self._socket is not None:
            self._reactor.unwatch(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _resolved(self, found: list[tuple[Any, ...]] | None, error: Exception | None) -> None:
        if self._over:
            return
        if not found:
            problem = error if isinstance(error, OSError) else OSError(errno.EINVAL, "not a host name")
            kind = connect_failure(problem, self._config.node, self._config.hostname)
            if not isinstance(error, OSError):
                kind = Failure(FailureKind.DNS, f"{self._config.node}: {self._config.hostname!a} is not a host name")
            self._fail(kind)
            return
        self._left = found[:_MAX_ADDRESSES]
        self._next()

    def _fail(self, failure: Failure) -> None:
        self._over = True
        self._failed(failure)

    def _next(self) -> None:
        if self._over:
            return
        if not self._left:
            unknown = Failure(FailureKind.UNREACHABLE, f"{self._config.node}: no address to connect to")
            self._fail(self._failure or unknown)
            return
        family, kind, protocol, _name, address = self._left.pop(0)
        where = _shown(address)
        self._step(f"connecting to {where}")
        try:
            sock = self._socket = socket.socket(family, kind, protocol)
            self._reactor.check_number(sock.fileno())
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if self._config.bind_address:
                sock.bind((self._config.bind_address, 0))
            code = sock.connect_ex(address)
        except OSError as error:
            self._wrong(error, where)
            return
        if code not in (0, errno.EINPROGRESS):
            self._wrong(OSError(code, os.strerror(code)), where)
            return
        self._reactor.watch(sock.fileno(), WRITE, lambda _mask: self._connected(where))
        if self._left:
            late = OSError(errno.ETIMEDOUT, "no answer")
            self._timer = self._reactor.call_later(self._share, lambda: self._wrong(late, where))

    def _connected(self, where: str) -> None:
        sock = self._socket
        if sock is None:
            return
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._wrong(OSError(code, os.strerror(code)), where)
            return
        self._timer.cancel()
        self._reactor.unwatch(sock.fileno())
        self._socket = None
        self._over = True
        self._done(SocketStream(self._reactor, sock), where)

    def _wrong(self, error: OSError, where: str) -> None:
        self._drop()
        failure = connect_failure(error, self._config.node, where)
        if failure.kind is FailureKind.DESCRIPTORS:
            self._fail(failure)
            return
        self._failure = self._failure or failure
        self._next()


def _numeric(host: str, port: int, family: int) -> tuple[Any, ...] | None:
    """An address that needs no resolver, as getaddrinfo would give it."""
    if family in (socket.AF_UNSPEC, socket.AF_INET):
        with contextlib.suppress(OSError):
            socket.inet_pton(socket.AF_INET, host)
            return (socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, port))
    if family in (socket.AF_UNSPEC, socket.AF_INET6):
        with contextlib.suppress(OSError):
            socket.inet_pton(socket.AF_INET6, host)
            return (socket.AF_INET6, socket.SOCK_STREAM, 0, "", (host, port, 0, 0))
    return None


def _shown(address: tuple[Any, ...]) -> str:
    host = f"[{address[0]}]" if ":" in str(address[0]) else str(address[0])
    return f"{host}:{address[1]}"


class ChannelStream(ChannelUser):
    """A direct-tcpip channel of a jump host as the stream of another connection."""

    def __init__(self, connection: Connection, config: HostConfig, done: Done, failed: Failed) -> None:
        self.on_data: Callable[[bytes], None] = ignore_data
        self.on_closed: Callable[[Exception | None], None] = ignore_closed
        self.on_drained: Callable[[], None] | None = None
        self._connection = connection
        self._config = config
        self._done: Done | None = done
        self._failed: Failed | None = failed
        origin = wire.string("127.0.0.1") + wire.u32(0)
        self._channel: Channel = connection.open_channel(
            self, "direct-tcpip", wire.string(config.hostname) + wire.u32(config.port) + origin
        )

    def cancel(self) -> None:
        """Give up before or after the channel is open."""
        self._done = self._failed = None
        self.close()

    @property
    def backlog(self) -> int:
        """Bytes that wait for the jump host's window."""
        return self._channel.backlog

    def write(self, data: bytes) -> None:
        """Send through the channel."""
        self._channel.write(data)

    def pause(self) -> None:
        """Let the channel's window run dry."""
        self._channel.hold(True)

    def resume(self) -> None:
        """Take data again."""
        self._channel.hold(False)

    def close(self) -> None:
        """Close the channel; nothing more is heard of it."""
        self.on_data, self.on_closed, self.on_drained = ignore_data, ignore_closed, None
        self._channel.abandon()

    def opened(self) -> None:
        """The jump host is connected to the node."""
        if self._done is not None:
            done, self._done, self._failed = self._done, None, None
            done(self, f"{self._config.hostname}:{self._config.port} by {self._connection.label}")

    def refused(self, code: int, reason: str) -> None:
        """The jump host cannot reach the node, or will not."""
        node, jump = self._config.node, self._connection.label
        if code == 1:
            failure = Failure(
                FailureKind.CHANNEL_REFUSED, f"{node}: {jump} does not forward ({reason or 'prohibited'})"
            )
        elif "refused" in reason.lower():
            failure = Failure(FailureKind.REFUSED, f"{node}: refused the connection from {jump}")
        elif "name" in reason.lower() or "resolve" in reason.lower():
            failure = Failure(FailureKind.DNS, f"{node}: {jump} finds no address for {self._config.hostname}")
        else:
            failure = Failure(
                FailureKind.UNREACHABLE, f"{node}: {jump} cannot reach it ({reason or 'no reason given'})"
            )
        self._broken(failure)

    def data(self, data: bytes) -> None:
        """Bytes from the node."""
        self.on_data(data)

    def writable(self) -> None:
        """The window admitted all."""
        if self.on_drained is not None:
            self.on_drained()

    def eof(self) -> None:
        """The node hung up."""
        self._ended(None)

    def closed(self) -> None:
        """The channel is closed."""
        self._ended(None)

    def lost(self, failure: Failure) -> None:
        """The jump host's connection ended."""
        reason = f"{self._config.node}: its jump host failed: {failure.reason}"
        if self._failed is not None:
            self._broken(Failure(failure.kind, reason))
        else:
            self._ended(ConnectionError(reason))

    def _broken(self, failure: Failure) -> None:
        failed, self._failed, self._done = self._failed, None, None
        if failed is not None:
            failed(failure)

    def _ended(self, error: Exception | None) -> None:
        on_closed, self.on_closed = self.on_closed, ignore_closed
        on_closed(error)
