"""One SSH connection, driven by the reactor from the first byte to the last: no thread, no blocking call.

Phases: the version line ("banner"), key exchange, authentication, ready. Whatever goes wrong ends in `on_failed`, once,
with a failure of the phase's kind; a connection that was ready ends in `on_lost` instead.
"""

from __future__ import annotations

from collections.abc import Callable

from ..states import Failure, FailureKind
from . import endings, wire
from .channel import Channel, ChannelUser
from .channels import Channels
from .codec import Codec
from .failures import SshError, quote
from .greeting import Greeting
from .phases import Algorithms, Authentication, Listener, Phase
from .pulse import Pulse
from .stream import Stream, ignore_closed, ignore_data
from .transport import CLIENT_VERSION, KexError, KeyExchange


class Connection:
    """`label` is the node's name and address for reasons. Nothing is sent before `start`."""

    def __init__(
        self,
        stream: Stream,
        label: str,
        check_host_key: Callable[[str, bytes], None],
        authentication: Authentication,
        listener: Listener,
        algorithms: Algorithms | None = None,
    ) -> None:
        self.label = label
        self.listener = listener
        self.phase = Phase.BANNER
        self.pulse = Pulse()
        self.channels = Channels(self.send, stream, self.pulse)
        self._greeting = Greeting(label)
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
        self._waiting: list[bytes] = []

    def start(self) -> None:
        """Say our version and listen."""
        self._stream.on_data = self._on_data
        self._stream.on_closed = self._on_closed
        self._stream.on_drained = self.channels.drained
        self._stream.write(CLIENT_VERSION.encode() + b"\r\n")

    # -- what others ask

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
        self.listener.on_ready()

    def open_channel(self, user: ChannelUser, kind: str = "session", fields: bytes = b"") -> Channel:
        """Ask for a channel; its user hears `opened` or `refused`."""
        return self.channels.open(user, kind, fields)

    def keep_alive(self) -> None:
        """Ask for a sign of life; `pulse.unanswered` counts until one comes."""
        self.pulse.unanswered += 1
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

    # -- bytes come

    def _on_closed(self, error: Exception | None) -> None:
        self.fail(endings.hung_up(self.label, self.phase, error, self._greeting.said))

    def proceed(self) -> None:
        """Begin the handshake; called once after `on_version`."""
        self._turn = True
        if self._version:
            self._stream.resume()
            self._process()

    def _on_data(self, data: bytes) -> None:
        self.pulse.beat()
        self._codec.feed(data)
        self._process()

    def _process(self) -> None:
        codec = self._codec
        try:
            if self.phase is Phase.BANNER:
                self._version = self._greeting.read(codec)
                if not self._version:
                    return
                self.phase = Phase.KEX
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
            self.channels.deliver()
            if codec.need_rekey() and self.phase is Phase.READY:
                self._kex.renew()
        except SshError as error:
            self.fail(error.failure)
        except KexError as error:
            self.fail(Failure(FailureKind.KEX, f"{self.label}: {quote(str(error))}"))
        except wire.WireError as error:
            self.fail(endings.malformed(self.label, self.phase, error))

    def _dispatch(self, payload: bytes, sequence: int) -> None:
        kind = payload[0]
        if kind == wire.MSG_CHANNEL_DATA and self.phase is Phase.READY:
            self.channels.data(payload)
            return
        if kind >= wire.MSG_GLOBAL_REQUEST and self.phase is Phase.READY:
            self._connection_message(kind, payload)
        elif kind == wire.MSG_DISCONNECT:
            # A number, then words.
            self.fail(endings.dismissed(self.label, self.phase, wire.Reader(payload, 5).string()))
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

    def _connection_message(self, kind: int, payload: bytes) -> None:
        fields = wire.Reader(payload, 1)
        if kind >= wire.MSG_CHANNEL_OPEN_CONFIRMATION:
            self.channels.handle(kind, fields)
        elif kind == wire.MSG_GLOBAL_REQUEST:
            fields.string()
            if fields.boolean():
                self.send(bytes((wire.MSG_REQUEST_FAILURE,)))
        elif kind in (wire.MSG_REQUEST_SUCCESS, wire.MSG_REQUEST_FAILURE):
            self.pulse.unanswered = 0
        elif kind == wire.MSG_CHANNEL_OPEN:
            self.channels.foreign(fields)

    # -- the end

    def _end(self, failure: Failure, *, told: bool) -> None:
        phase, self.phase = self.phase, Phase.CLOSED
        if phase is Phase.CLOSED:
            return
        channels = self.channels.release()
        self._stream.on_data, self._stream.on_closed = ignore_data, ignore_closed
        self._stream.close()
        self._authentication.cancel()
        # The pool first: what a channel's user then asks of it must not find this connection any more.
        if told:
            (self.listener.on_lost if phase is Phase.READY else self.listener.on_failed)(failure)
        for channel in channels:
            channel.user.lost(failure)
