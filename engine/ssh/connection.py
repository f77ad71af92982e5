"""One SSH connection, driven by the reactor from the first byte to the last: no thread, no blocking call.

Phases: the version line ("banner"), key exchange, authentication, ready. Whatever goes wrong ends in `on_failed`, once,
with a failure of the phase's kind; a connection that was ready ends in `on_lost` instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..reactor import Reactor
from ..states import Failure, FailureKind
from . import wire
from .channel import PACKET, WINDOW, Channel, ChannelUser
from .codec import Codec
from .failures import SshError, quote
from .phases import KINDS, Algorithms, Authentication, Listener, Phase
from .stream import Stream, ignore_closed, ignore_data
from .transport import CLIENT_VERSION, KexError, KeyExchange

#: RFC 4253 section 4.2 lets a server talk before its version; this much is listened to.
_BANNER_LINES = 50
_BANNER_LINE = 2048
#: What we take on a channel: the window and the largest packet.
_ROOM = wire.u32(WINDOW) + wire.u32(PACKET)


class Connection:
    """`label` is the node's name and address for reasons. Nothing is sent before `start`."""

    def __init__(
        self,
        reactor: Reactor,
        stream: Stream,
        label: str,
        check_host_key: Callable[[str, bytes], None],
        authentication: Authentication,
        listener: Listener,
        algorithms: Algorithms | None = None,
    ) -> None:
        self.reactor = reactor
        self.label = label
        self.listener = listener
        self.phase = Phase.BANNER
        self.greeting: list[str] = []
        self.last_received = time.monotonic()
        #: When a session was asked for first since the server was last heard; 0: none since.
        self.asked = 0.0
        self.unanswered = 0
        self.channels: dict[int, Channel] = {}
        self.on_foreign_channel: Callable[[str, int, int, int], bool] | None = None
        self._stream = stream
        self._authentication = authentication
        self._codec = Codec()
        self._codec.sink = stream.write
        wanted = algorithms or Algorithms()
        try:
            self._kex = KeyExchange(
                self._codec, check_host_key, wanted.host_keys, wanted.ciphers, wanted.kex, wanted.macs
            )
        except KexError as error:
            raise SshError(FailureKind.CONFIGURATION, f"{label}: {error}") from error
        #: The server's version while the handshake has not begun.
        self._version = ""
        self._turn = False
        self._next_channel = 0
        self._touched: dict[int, Channel] = {}
        self._stalled: dict[int, Channel] = {}
        self._waiting: list[bytes] = []
        self._paused = False

    def start(self) -> None:
        """Say our version and listen."""
        self._stream.on_data = self._on_data
        self._stream.on_closed = self._on_closed
        self._stream.on_drained = self._on_drained
        self._stream.write(CLIENT_VERSION.encode() + b"\r\n")

    # -- what others ask

    @property
    def backlog(self) -> int:
        """Bytes that wait for the network."""
        return self._stream.backlog

    @property
    def session_id(self) -> bytes:
        """What signatures of authentication are bound to."""
        return self._kex.session_id

    @property
    def signature_algorithms(self) -> list[str]:
        """Signature algorithms that the server takes; empty when it did not say."""
        return self._kex.signature_algorithms

    def send(self, payload: bytes) -> None:
        """Send one message; while keys are being renewed it waits."""
        if self.phase is Phase.CLOSED:
            return
        if self._kex.under_way:
            self._waiting.append(payload)
            return
        self._codec.send(payload)
        if self._codec.need_rekey() and self._kex.done_once:
            self._kex.renew()

    def renew_keys(self) -> None:
        """Exchange keys anew."""
        self._codec.ask_rekey()
        self._kex.renew()

    def authenticated(self) -> None:
        """Called by the authentication when the server let us in."""
        self.phase = Phase.READY
        self.greeting.clear()
        self.listener.on_ready()

    def open_channel(self, user: ChannelUser, kind: str = "session", fields: bytes = b"") -> Channel:
        """Ask for a channel; its user hears `opened` or `refused`."""
        channel = self._new_channel(user)
        if not self.asked and kind == "session":  # a jump host may take its time to reach what is behind it
            self.asked = time.monotonic()
        if self._paused:
            self.holds_changed()
        self.send(b"\x5a" + wire.string(kind) + wire.u32(channel.local) + _ROOM + fields)
        return channel

    def adopt_channel(self, user: ChannelUser, remote: int, window: int, max_packet: int) -> Channel:
        """Confirm a channel that the server opened."""
        channel = self._new_channel(user)
        self.send(b"\x5b" + wire.u32(remote) + wire.u32(channel.local) + _ROOM)
        channel.confirm(remote, window, max_packet)
        return channel

    def _new_channel(self, user: ChannelUser) -> Channel:
        number = self._next_channel
        self._next_channel = (number + 1) & 0x7FFFFFFF
        channel = self.channels[number] = Channel(self, number, user)
        return channel

    def keep_alive(self) -> None:
        """Ask for a sign of life; `unanswered` counts until one comes."""
        self.unanswered += 1
        self.send(b"\x50" + wire.string("keepalive@openssh.com") + b"\1")

    def close(self, failure: Failure | None = None) -> None:
        """End the connection; channels hear `lost`, the listener nothing. Idempotent."""
        if self.phase is Phase.CLOSED:
            return
        if failure is None:
            failure = Failure(FailureKind.CONNECTION_LOST, f"{self.label}: the connection was closed here")
        self._end(failure, told=False)

    def fail(self, failure: Failure) -> None:
        """End the connection for a reason that its listener has to hear."""
        self._end(failure, told=True)

    def late_failure(self, seconds: float) -> Failure:
        """What it means that a deadline passes in the present phase."""
        reason = f"{self.label}: no answer within {seconds:g} s in the phase: {self.phase.value}"
        return Failure(KINDS[self.phase], reason)

    # -- channels tell

    def holds_changed(self) -> None:
        """Stop reading the socket while every open channel is held: the kernel pushes back then."""
        want = bool(self.channels) and all(channel.held for channel in self.channels.values())
        if want is not self._paused and self.phase is Phase.READY:
            self._paused = want
            if want:
                self._stream.pause()
            else:
                self.last_received = time.monotonic()
                self._stream.resume()

    @property
    def paused(self) -> bool:
        """Whether the socket is not read on purpose, so silence means nothing."""
        return self._paused

    def stalled(self, channel: Channel) -> None:
        """A channel has more to send than the socket takes."""
        self._stalled[channel.local] = channel

    def _on_drained(self) -> None:
        waiting, self._stalled = self._stalled, {}
        for channel in waiting.values():
            channel.pump()

    # -- bytes come

    def _on_closed(self, error: Exception | None) -> None:
        words = str(error.strerror or error) if isinstance(error, OSError) else "the server closed it"
        if self.phase is Phase.BANNER:
            said = f"; it said: {quote(' '.join(self.greeting))}" if self.greeting else ""
            reason = f"{self.label}: connection ended before the server's version came ({words}){said}"
        elif self.phase is Phase.READY:
            reason = f"{self.label}: connection lost ({words})"
        else:
            reason = f"{self.label}: connection ended during {self.phase.value} ({words})"
        self.fail(Failure(KINDS[self.phase], reason))

    def proceed(self) -> None:
        """Begin the handshake; called once after `on_version`."""
        self._turn = True
        if self._version:
            self._stream.resume()
            self._process()

    def _on_data(self, data: bytes) -> None:
        self.last_received = time.monotonic()
        self.asked = 0.0
        self._codec.feed(data)
        self._process()

    def _process(self) -> None:
        codec = self._codec
        try:
            if self.phase is Phase.BANNER:
                if not self._read_version():
                    return
                self.listener.on_version()
            if self._version:
                if not self._turn:
                    # What the server says already stays in the kernel.
                    self._stream.pause()
                    return
                version, self._version = self._version, ""
                self._kex.begin(version)
            while self.phase is not Phase.CLOSED:
                sequence = codec.in_sequence
                payload = codec.next_payload()
                if payload is None:
                    break
                self._dispatch(payload, sequence)
            self._deliver()
            if codec.need_rekey() and self.phase is Phase.READY:
                self._kex.renew()
        except SshError as error:
            self.fail(error.failure)
        except KexError as error:
            self.fail(Failure(FailureKind.KEX, f"{self.label}: {quote(str(error))}"))
        except wire.WireError as error:
            self.fail(Failure(KINDS[self.phase], f"{self.label}: protocol error during {self.phase.value}: {error}"))

    def _deliver(self) -> None:
        if not self._touched:
            return
        touched, self._touched = self._touched, {}
        for channel in touched.values():
            channel.deliver()

    def _read_version(self) -> bool:
        while True:
            line = self._codec.read_line(_BANNER_LINE)
            if line is None:
                return False
            if line.startswith(b"SSH-"):
                break
            self.greeting.append(quote(line))
            if len(self.greeting) > _BANNER_LINES:
                raise wire.WireError("the server talks but does not say its version")
        version = line.decode("ascii", "replace")
        if not version.startswith(("SSH-2.0-", "SSH-1.99-")):
            raise SshError(FailureKind.BANNER, f"{self.label}: the server speaks {quote(line)}, not SSH 2.0")
        self.phase = Phase.KEX
        self._version = version
        return True

    def _dispatch(self, payload: bytes, sequence: int) -> None:
        kind = payload[0]
        if kind == wire.MSG_CHANNEL_DATA and self.phase is Phase.READY:
            if len(payload) < 9:
                raise wire.WireError("message cut short")
            number = int.from_bytes(payload[1:5], "big")
            channel = self.channels.get(number)
            if channel is not None:
                channel.receive(payload[9 : 9 + int.from_bytes(payload[5:9], "big")], False)
                self._touched[number] = channel
            return
        if kind >= wire.MSG_GLOBAL_REQUEST and self.phase is Phase.READY:
            self._connection_message(kind, payload)
        elif kind == wire.MSG_DISCONNECT:
            self._disconnected(wire.Reader(payload, 1))
        elif kind == wire.MSG_UNIMPLEMENTED:
            return
        elif self._kex.handle(kind, payload, sequence):
            self._after_kex(kind)
        elif self.phase is Phase.AUTHENTICATION and wire.MSG_SERVICE_REQUEST <= kind < wire.MSG_GLOBAL_REQUEST:
            self._authentication.handle(kind, wire.Reader(payload, 1))
        elif self.phase is Phase.KEX:
            raise wire.WireError(f"message {kind} before the keys were agreed")
        elif self.phase is not Phase.CLOSED:
            self.send(bytes((wire.MSG_UNIMPLEMENTED,)) + wire.u32(sequence))

    def _after_kex(self, kind: int) -> None:
        if self.phase is Phase.KEX and kind == wire.MSG_NEWKEYS:
            self.phase = Phase.AUTHENTICATION
            self._authentication.begin(self)
        if self._waiting and not self._kex.under_way:
            waiting, self._waiting = self._waiting, []
            for payload in waiting:
                self.send(payload)

    def _disconnected(self, fields: wire.Reader) -> None:
        fields.u32()
        words = quote(fields.string())
        reason = f"{self.label}: the server ended the connection during {self.phase.value}: {words}"
        self.fail(Failure(KINDS[self.phase], reason))

    # -- the connection protocol

    def _connection_message(self, kind: int, payload: bytes) -> None:
        fields = wire.Reader(payload, 1)
        if kind >= wire.MSG_CHANNEL_OPEN_CONFIRMATION:
            number = fields.u32()
            channel = self.channels.get(number)
            if channel is not None:
                self._channel_message(kind, channel, fields)
        elif kind == wire.MSG_GLOBAL_REQUEST:
            fields.string()
            if fields.boolean():
                self.send(bytes((wire.MSG_REQUEST_FAILURE,)))
        elif kind in (wire.MSG_REQUEST_SUCCESS, wire.MSG_REQUEST_FAILURE):
            self.unanswered = 0
        elif kind == wire.MSG_CHANNEL_OPEN:
            self._foreign_channel(fields)

    def _foreign_channel(self, fields: wire.Reader) -> None:
        kind, remote, window, max_packet = fields.text(), fields.u32(), fields.u32(), fields.u32()
        if self.on_foreign_channel is not None and self.on_foreign_channel(kind, remote, window, max_packet):
            return
        prohibited = wire.u32(1) + wire.string("not allowed") + wire.string("")
        self.send(bytes((wire.MSG_CHANNEL_OPEN_FAILURE,)) + wire.u32(remote) + prohibited)

    def _channel_message(self, kind: int, channel: Channel, fields: wire.Reader) -> None:
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
            self.listener.on_channel_closed()
        elif kind == wire.MSG_CHANNEL_EOF:
            channel.user.eof()
        elif kind == wire.MSG_CHANNEL_REQUEST:
            self._channel_request(channel, fields)
        elif kind in (wire.MSG_CHANNEL_SUCCESS, wire.MSG_CHANNEL_FAILURE):
            channel.user.replied(kind == wire.MSG_CHANNEL_SUCCESS)
        elif kind == wire.MSG_CHANNEL_CLOSE:
            channel.close()
            self._forget(channel)
            channel.user.closed()
            self.listener.on_channel_closed()

    def _channel_request(self, channel: Channel, fields: wire.Reader) -> None:
        name = fields.text()
        if fields.boolean():
            self.send(bytes((wire.MSG_CHANNEL_FAILURE,)) + wire.u32(max(channel.remote, 0)))
        channel.user.request(name, fields)

    def _forget(self, channel: Channel) -> None:
        self.channels.pop(channel.local, None)
        self._touched.pop(channel.local, None)
        self._stalled.pop(channel.local, None)
        if self._paused:
            self.holds_changed()

    # -- the end

    def _end(self, failure: Failure, *, told: bool) -> None:
        phase, self.phase = self.phase, Phase.CLOSED
        if phase is Phase.CLOSED:
            return
        channels, self.channels = self.channels, {}
        self._deliver()
        self._stream.on_data, self._stream.on_closed = ignore_data, ignore_closed
        self._stream.close()
        self._authentication.cancel()
        # The pool first: what a channel's user then asks of it must not find this connection any more.
        if told:
            (self.listener.on_lost if phase is Phase.READY else self.listener.on_failed)(failure)
        for channel in channels.values():
            channel.user.lost(failure)
