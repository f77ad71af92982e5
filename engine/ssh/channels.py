"""The channels of one connection: their numbers, what the server says to each, and when none of them takes anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from . import wire
from .channel import PACKET, WINDOW, Channel, ChannelUser
from .failures import quote
from .pulse import Pulse
from .stream import Stream

#: What we take on a channel: the window and the largest packet.
_ROOM = wire.u32(WINDOW) + wire.u32(PACKET)
_NUMBERS = 0x7FFFFFFF


class Channels:
    """See channel.Carrier. send: takes one message; stream: is not read while every open channel is held."""

    __slots__ = (
        "_by_number",
        "_next",
        "_paused",
        "_pulse",
        "_stalled",
        "_stream",
        "_touched",
        "on_closed",
        "on_foreign",
        "send",
    )

    def __init__(self, send: Callable[[bytes], None], stream: Stream, pulse: Pulse) -> None:
        self.send = send
        #: Called when a channel is gone, unless all go with the connection.
        self.on_closed: Callable[[], None] = _nothing
        #: Takes (kind, remote, window, max_packet) of a channel that the server wants; False: it is not allowed.
        self.on_foreign: Callable[[str, int, int, int], bool] = _not_allowed
        self._stream = stream
        self._pulse = pulse
        self._by_number: dict[int, Channel] = {}
        self._next = 0
        self._touched: dict[int, Channel] = {}
        self._stalled: dict[int, Channel] = {}
        self._paused = False

    def __len__(self) -> int:
        return len(self._by_number)

    def __iter__(self) -> Iterator[Channel]:
        return iter(self._by_number.values())

    @property
    def paused(self) -> bool:
        """Whether the stream is not read on purpose, so silence means nothing."""
        return self._paused

    # -- made

    def open(self, user: ChannelUser, kind: str, fields: bytes) -> Channel:
        """Ask for a channel; its user hears `opened` or `refused`."""
        channel = self._make(user)
        if kind == "session":  # a jump host may take its time to reach what is behind it
            self._pulse.ask()
        if self._paused:
            self.holds_changed()
        self.send(b"\x5a" + wire.string(kind) + wire.u32(channel.local) + _ROOM + fields)
        return channel

    def adopt(self, user: ChannelUser, remote: int, window: int, max_packet: int) -> Channel:
        """Confirm a channel that the server opened."""
        channel = self._make(user)
        self.send(b"\x5b" + wire.u32(remote) + wire.u32(channel.local) + _ROOM)
        channel.confirm(remote, window, max_packet)
        return channel

    def _make(self, user: ChannelUser) -> Channel:
        number = self._next
        self._next = (number + 1) & _NUMBERS
        channel = self._by_number[number] = Channel(self, number, user)
        return channel

    # -- channels tell

    @property
    def backlog(self) -> int:
        """Bytes that wait for the network."""
        return self._stream.backlog

    def holds_changed(self) -> None:
        """Stop reading the stream while every open channel is held: the kernel pushes back then."""
        want = bool(self._by_number) and all(channel.held for channel in self._by_number.values())
        if want is self._paused:
            return
        self._paused = want
        if want:
            self._stream.pause()
        else:
            self._pulse.begin_anew()
            self._stream.resume()

    def stalled(self, channel: Channel) -> None:
        """A channel has more to send than the socket takes."""
        self._stalled[channel.local] = channel

    # -- the connection tells

    def drained(self) -> None:
        """The socket takes more."""
        waiting, self._stalled = self._stalled, {}
        for channel in waiting.values():
            channel.pump()

    def data(self, payload: bytes) -> None:
        """MSG_CHANNEL_DATA, whole: what most messages are. Raises WireError."""
        if len(payload) < 9:
            raise wire.WireError("message cut short")
        number = int.from_bytes(payload[1:5], "big")
        channel = self._by_number.get(number)
        if channel is not None:
            channel.receive(payload[9 : 9 + int.from_bytes(payload[5:9], "big")], False)
            self._touched[number] = channel

    def deliver(self) -> None:
        """Hand over what one read brought."""
        if not self._touched:
            return
        touched, self._touched = self._touched, {}
        for channel in touched.values():
            channel.deliver()

    def handle(self, kind: int, fields: wire.Reader) -> None:
        """Any other message to a channel that was made. Raises WireError."""
        channel = self._by_number.get(fields.u32())
        if channel is None:
            return
        if kind == wire.MSG_CHANNEL_EXTENDED_DATA:
            fields.u32()
            channel.receive(fields.string(), True)
            self._touched[channel.local] = channel
            return
        if kind == wire.MSG_CHANNEL_WINDOW_ADJUST:
            channel.widen(fields.u32())
            return
        if channel.local in self._touched:
            channel.deliver()
        if kind == wire.MSG_CHANNEL_OPEN_CONFIRMATION:
            channel.confirm(fields.u32(), fields.u32(), fields.u32())
        elif kind == wire.MSG_CHANNEL_OPEN_FAILURE:
            code, words = fields.u32(), quote(fields.string())
            self._forget(channel)
            channel.user.refused(code, words)
            self.on_closed()
        elif kind == wire.MSG_CHANNEL_EOF:
            channel.user.eof()
        elif kind == wire.MSG_CHANNEL_REQUEST:
            self._request(channel, fields)
        elif kind in (wire.MSG_CHANNEL_SUCCESS, wire.MSG_CHANNEL_FAILURE):
            channel.user.replied(kind == wire.MSG_CHANNEL_SUCCESS)
        elif kind == wire.MSG_CHANNEL_CLOSE:
            channel.close()
            self._forget(channel)
            channel.user.closed()
            self.on_closed()

    def foreign(self, fields: wire.Reader) -> None:
        """The server wants to open one."""
        kind, remote, window, max_packet = fields.text(), fields.u32(), fields.u32(), fields.u32()
        if not self.on_foreign(kind, remote, window, max_packet):
            prohibited = wire.u32(1) + wire.string("not allowed") + wire.string("")
            self.send(bytes((wire.MSG_CHANNEL_OPEN_FAILURE,)) + wire.u32(remote) + prohibited)

    def _request(self, channel: Channel, fields: wire.Reader) -> None:
        name = fields.text()
        if fields.boolean():
            self.send(bytes((wire.MSG_CHANNEL_FAILURE,)) + wire.u32(max(channel.remote, 0)))
        channel.user.request(name, fields)

    def _forget(self, channel: Channel) -> None:
        self._by_number.pop(channel.local, None)
        self._touched.pop(channel.local, None)
        self._stalled.pop(channel.local, None)
        if self._paused:
            self.holds_changed()

    def release(self) -> list[Channel]:
        """The connection is over: the channels that were there, which have what came for them and hear no more."""
        channels = list(self._by_number.values())
        self._by_number.clear()
        self.deliver()
        return channels


def _nothing() -> None:
    """Nobody waits for a channel to go."""


def _not_allowed(_kind: str, _remote: int, _window: int, _max_packet: int) -> bool:
    """A server has nothing to open."""
    return False
