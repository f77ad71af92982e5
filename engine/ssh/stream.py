"""Bytes both ways without blocking: a socket in the reactor, with the interface that a channel has as well.

A connection does not know whether it runs over TCP, over a ProxyCommand or inside another connection's channel: each
is a `Stream`. All calls are made in the reactor's thread.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from typing import Protocol

from ..reactor import READ, WRITE, Reactor

_SMALL_READ = 16 * 1024
_LARGE_READ = 256 * 1024
#: Reads of one stream in one turn before the others have theirs.
_READS_PER_TURN = 4
#: sendmsg takes at most IOV_MAX (1024) pieces.
_PIECES = 256


class Stream(Protocol):
    """What a connection needs of whatever carries it."""

    on_data: Callable[[bytes], None]
    on_closed: Callable[[Exception | None], None]
    on_drained: Callable[[], None] | None

    def write(self, data: bytes) -> None:
        """Send `data` some time soon; never blocks."""

    @property
    def backlog(self) -> int:
        """Bytes written here that are not yet under way."""

    def pause(self) -> None:
        """Read nothing until `resume`."""

    def resume(self) -> None:
        """Read again."""

    def close(self) -> None:
        """Give everything back; no callback comes afterwards. Idempotent."""


class CarrierError(ConnectionError):
    """What carried the stream ended, for the reason in the message. in_vain: trying again would not help."""

    def __init__(self, reason: str, *, in_vain: bool = False) -> None:
        super().__init__(reason)
        self.in_vain = in_vain


def ignore_data(_data: bytes) -> None:
    """For a stream that nobody listens to yet."""


def ignore_closed(_error: Exception | None) -> None:
    """For a stream that nobody listens to yet."""


class SocketStream:
    """A connected, non-blocking stream socket. `on_closed(None)` is the other side's orderly end."""

    __slots__ = (
        "_backlog",
        "_closed",
        "_events",
        "_flush_due",
        "_out",
        "_reactor",
        "_size",
        "_socket",
        "on_closed",
        "on_data",
        "on_drained",
    )

    def __init__(self, reactor: Reactor, sock: socket.socket) -> None:
        self._reactor = reactor
        self._socket = sock
        self.on_data: Callable[[bytes], None] = ignore_data
        self.on_closed: Callable[[Exception | None], None] = ignore_closed
        self.on_drained: Callable[[], None] | None = None
        self._out: deque[bytes | memoryview] = deque()
        self._backlog = 0
        self._flush_due = False
        self._closed = False
        self._size = _SMALL_READ
        self._events = READ
        sock.setblocking(False)
        reactor.watch(sock.fileno(), READ, self._ready)

    @property
    def backlog(self) -> int:
        """Bytes that the kernel has not taken yet."""
        return self._backlog

    def write(self, data: bytes) -> None:
        """Queue bytes; what is written in one turn leaves together at its end."""
        if self._closed:
            return
        self._out.append(data)
        self._backlog += len(data)
        if not self._flush_due and not self._events & WRITE:
            self._flush_due = True
            self._reactor.call_soon(self._flush)

    def pause(self) -> None:
        """Read nothing until `resume`: the kernel's buffer fills and pushes back."""
        self._want(self._events & ~READ)

    def resume(self) -> None:
        """Read again."""
        self._want(self._events | READ)

    def close(self) -> None:
        """Close the socket; queued bytes are tried once. Idempotent."""
        if self._closed:
            return
        if self._out:
            self._send()
        self._shut()

    def _shut(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._out.clear()
        self._backlog = 0
        if self._events:
            self._reactor.unwatch(self._socket.fileno())
        self._socket.close()
        self.on_data, self.on_closed, self.on_drained = ignore_data, ignore_closed, None

    def _want(self, events: int) -> None:
        if self._closed or events == self._events:
            return
        descriptor = self._socket.fileno()
        if not events:
            self._reactor.unwatch(descriptor)
        elif not self._events:
            self._reactor.watch(descriptor, events, self._ready)
        else:
            self._reactor.change(descriptor, events, self._ready)
        self._events = events

    def _fail(self, error: Exception | None) -> None:
        on_closed = self.on_closed
        self._shut()
        on_closed(error)

    def _ready(self, mask: int) -> None:
        if mask & WRITE:
            self._flush()
        if mask & READ and not self._closed:
            self._read()

    def _read(self) -> None:
        for _ in range(_READS_PER_TURN):
            size = self._size
            try:
                data = self._socket.recv(size)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._fail(error)
                return
            if not data:
                self._fail(None)
                return
            self._size = _LARGE_READ if len(data) == size else (_SMALL_READ if len(data) < _SMALL_READ else size)
            self.on_data(data)
            if len(data) < size or self._closed or not self._events & READ:
                return

    def _flush(self) -> None:
        self._flush_due = False
        if self._closed:
            return
        error = self._send()
        if error is not None:
            self._fail(error)
            return
        self._want(self._events | WRITE if self._out else self._events & ~WRITE)
        if not self._out and self.on_drained is not None:
            self.on_drained()

    def _send(self) -> OSError | None:
        out = self._out
        while out:
            pieces = [out[index] for index in range(min(len(out), _PIECES))]
            try:
                sent = self._socket.sendmsg(pieces)
            except (BlockingIOError, InterruptedError):
                return None
            except OSError as error:
                return error
            self._backlog -= sent
            while sent:
                first = out[0]
                if len(first) <= sent:
                    sent -= len(first)
                    out.popleft()
                else:
                    out[0] = memoryview(first)[sent:]
                    sent = 0
        return None
