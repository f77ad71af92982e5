"""One channel of a connection (RFC 4254 section 5): windows, data both ways, requests, the ends.

A `ChannelUser` is told what happens; all its methods are called in the reactor's thread, one of `closed`, `lost` and
`refused` exactly once and last.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from ..states import Failure
from . import wire

#: Bytes that the server may send before we must have taken some; larger ones cost throughput (measured), not gain it.
WINDOW = 2 * 1024 * 1024
PACKET = 32 * 1024
#: Bytes that may wait in the socket's queue before a channel stops filling it.
_SOCKET_BACKLOG = 512 * 1024
EXTENDED_STDERR = 1


class ChannelUser:
    """What a channel tells its user; every method does nothing unless overridden."""

    def opened(self) -> None:
        """The server opened the channel."""

    def refused(self, code: int, reason: str) -> None:
        """The server would not open it; `reason` is already clean."""

    def data(self, data: bytes) -> None:
        """Standard output, as much as there was."""

    def error_data(self, data: bytes) -> None:
        """Standard error."""

    def eof(self) -> None:
        """No more data will come."""

    def request(self, name: str, fields: wire.Reader) -> None:
        """The server said something about the command: exit-status, exit-signal."""

    def replied(self, success: bool) -> None:
        """The answer to the oldest request that wanted one."""

    def writable(self) -> None:
        """All that was written has left this channel's queue."""

    def closed(self) -> None:
        """Both sides have closed."""

    def lost(self, failure: Failure) -> None:
        """The connection ended under the channel."""


class Carrier(Protocol):
    """What a channel needs of the connection that carries it. send: takes one message."""

    send: Callable[[bytes], None]

    @property
    def backlog(self) -> int:
        """Bytes that wait for the network."""

    def stalled(self, channel: Channel) -> None:
        """The channel has more to send than the network takes: it is pumped when that has changed."""

    def holds_changed(self) -> None:
        """The channel is held now, or is not any more."""


class Channel:
    """Made by `Connection.open_channel`; methods of the reactor's thread only."""

    __slots__ = (
        "_abandoned",
        "_carrier",
        "_close_sent",
        "_consumed",
        "_eof_due",
        "_eof_sent",
        "_gathered",
        "_gathered_error",
        "_held",
        "_in_window",
        "_out",
        "_out_size",
        "local",
        "max_packet",
        "out_window",
        "remote",
        "user",
    )

    def __init__(self, carrier: Carrier, local: int, user: ChannelUser) -> None:
        self._carrier = carrier
        self.local = local
        self.remote = -1
        self.user = user
        self.out_window = 0
        self.max_packet = PACKET
        self._in_window = WINDOW
        self._consumed = 0
        self._held = self._abandoned = False
        self._gathered: list[bytes] = []
        self._gathered_error = False
        self._out: deque[memoryview] = deque()
        self._out_size = 0
        self._eof_due = self._eof_sent = self._close_sent = False

    # -- what the user does

    @property
    def is_open(self) -> bool:
        """Whether the server has opened it and nobody closed it yet."""
        return self.remote >= 0 and not self._close_sent

    @property
    def backlog(self) -> int:
        """Bytes written that the server's window has not yet admitted."""
        return self._out_size

    @property
    def held(self) -> bool:
        """Whether output is not wanted now."""
        return self._held

    def request(self, name: str, fields: bytes = b"", *, want_reply: bool = False) -> None:
        """Send a channel request (`exec`, `signal`, `env`, ...)."""
        if self.is_open:
            head = b"\x62" + wire.u32(self.remote) + wire.string(name) + wire.boolean(want_reply)
            self._carrier.send(head + fields)

    def write(self, data: bytes) -> None:
        """Send standard input; it waits here until the server's window admits it."""
        if not data or self._eof_due or self._close_sent:
            return
        self._out.append(memoryview(data))
        self._out_size += len(data)
        self.pump()

    def write_eof(self) -> None:
        """End of standard input, after what was written."""
        self._eof_due = True
        self.pump()

    def hold(self, flag: bool) -> None:
        """True: let the server's window run dry; False: go on."""
        self._held = flag
        if not flag:
            self._adjust()
        self._carrier.holds_changed()

    def close(self) -> None:
        """Close from our side; the user still hears `closed` when the server has answered."""
        if self._close_sent:
            return
        self._out.clear()
        self._out_size = 0
        if self.remote >= 0:
            self._close_sent = True
            self._carrier.send(b"\x61" + wire.u32(self.remote))

    def abandon(self) -> None:
        """Close and hear nothing more."""
        self.user = ChannelUser()
        self._abandoned = True
        self.hold(False)
        self.close()

    def pump(self) -> None:
        """Send what the window and the socket admit."""
        if not self.is_open:
            return
        carrier = self._carrier
        out = self._out
        sent = False
        while out and self.out_window > 0 and carrier.backlog < _SOCKET_BACKLOG:
            piece = out[0]
            size = min(len(piece), self.out_window, self.max_packet)
            if size == len(piece):
                out.popleft()
            else:
                out[0] = piece[size:]
                piece = piece[:size]
            self.out_window -= size
            self._out_size -= size
            sent = True
            carrier.send(b"".join((b"\x5e", wire.u32(self.remote), wire.u32(size), piece)))
        if out:
            carrier.stalled(self)
            return
        if self._eof_due and not self._eof_sent:
            self._eof_sent = True
            carrier.send(b"\x60" + wire.u32(self.remote))
        if sent:
            self.user.writable()

    # -- what the connection does

    def confirm(self, remote: int, window: int, max_packet: int) -> None:
        """The server opened it."""
        if self._close_sent or self.remote >= 0:
            return
        self.remote, self.out_window = remote, window
        self.max_packet = max(1, min(PACKET, max_packet))
        if self._abandoned:
            self.close()
            return
        self.user.opened()
        self.pump()

    def receive(self, data: bytes, error: bool) -> None:
        """Gather data of one read, so that a thousand tiny packets make one call of the user."""
        self._in_window -= len(data)
        if self._in_window < 0:
            raise wire.WireError("the server sent more than the window admits")
        if self._gathered and error is not self._gathered_error:
            self.deliver()
        self._gathered_error = error
        self._gathered.append(data)

    def deliver(self) -> None:
        """Hand the gathered data to the user and give the window back."""
        pieces, self._gathered = self._gathered, []
        if not pieces:
            return
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._consumed += len(data)
        if self._gathered_error:
            self.user.error_data(data)
        else:
            self.user.data(data)
        self._adjust()

    def _adjust(self) -> None:
        if self._consumed >= WINDOW // 2 and not self._held and self.is_open:
            self._carrier.send(b"\x5d" + wire.u32(self.remote) + wire.u32(self._consumed))
            self._in_window += self._consumed
            self._consumed = 0

    def widen(self, size: int) -> None:
        """The server admits more."""
        self.out_window = min(self.out_window + size, 0xFFFFFFFF)
        self.pump()
