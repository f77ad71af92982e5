"""The SSH binary packet protocol without a socket: bytes in, payloads out, and back (RFC 4253 section 6, RFC 5647).

A `Codec` takes the place of paramiko's packetizer (`Transport(packetizer_class=...)`), with the names that the
transport calls; it never blocks, never starts a timer and never reads a socket. Packets of AES-GCM take the short way;
CTR and CBC with MACs of both orders work too, for servers that have nothing else.
"""

from __future__ import annotations

import hmac
import os
import struct
from collections.abc import Callable
from typing import Any

from .wire import WireError

#: Bytes in one direction after which we ask for new keys; far under the 64 GiB that RFC 4344 allows for AES.
REKEY_BYTES = 1 << 32
#: RFC 4344 section 3.1: a packet counter must not run round.
REKEY_PACKETS = 1 << 30
#: The longest packet that is accepted: OpenSSH's own limit.
MAX_PACKET = 256 * 1024
_LENGTH = struct.Struct(">I")


class Codec:
    """Both directions of one connection. The owner sets `sink`, which is given each packet ready to be written."""

    def __init__(self, _socket: object = None) -> None:
        self.sink: Callable[[bytes], None] = _nowhere
        self.closed = False
        self._initial_kex_done = False  # set by the transport: sequence numbers may run round only after it
        self._need_rekey = False
        self._renewed = 0
        self._buffer = b""
        self._position = 0
        # outbound
        self._out_engine: Any = None
        self._out_block = 8
        self._out_mac: tuple[bytes, str, int] | None = None
        self._out_etm = self._out_aead = False
        self._out_zero_padding = True
        self._out_fixed = b""
        self._out_counter = 0
        self._out_sequence = 0
        self._out_bytes = self._out_packets = 0
        # inbound
        self._in_engine: Any = None
        self._in_block = 8
        self._in_mac: tuple[bytes, str, int] | None = None
        self._in_etm = self._in_aead = False
        self._in_fixed = b""
        self._in_counter = 0
        self._in_sequence = 0
        self._in_bytes = self._in_packets = 0
        self._in_first = b""  # the first block of a packet, already decrypted (CTR, CBC)

    # -- what paramiko's transport calls

    def set_log(self, log: object) -> None:
        """Nothing is logged here."""

    def set_outbound_cipher(
        self,
        block_engine: Any,
        block_size: int,
        mac_engine: Any,
        mac_size: int,
        mac_key: bytes | None,
        sdctr: bool = False,
        etm: bool = False,
        aead: bool = False,
        iv_out: bytes | None = None,
    ) -> None:
        """New keys for what we send from the next packet on."""
        self._out_engine, self._out_block = block_engine, block_size
        self._out_mac = _mac(mac_engine, mac_key, mac_size)
        self._out_etm, self._out_aead, self._out_zero_padding = etm, aead, sdctr
        if aead:
            self._out_fixed, self._out_counter = _split_iv(iv_out)
        self._out_bytes = self._out_packets = 0
        self._renew(1)

    def set_inbound_cipher(
        self,
        block_engine: Any,
        block_size: int,
        mac_engine: Any,
        mac_size: int,
        mac_key: bytes | None,
        etm: bool = False,
        aead: bool = False,
        iv_in: bytes | None = None,
    ) -> None:
        """New keys for what we read from the next packet on."""
        self._in_engine, self._in_block = block_engine, block_size
        self._in_mac = _mac(mac_engine, mac_key, mac_size)
        self._in_etm, self._in_aead = etm, aead
        if aead:
            self._in_fixed, self._in_counter = _split_iv(iv_in)
        self._in_bytes = self._in_packets = 0
        self._renew(2)

    def _renew(self, direction: int) -> None:
        self._renewed |= direction
        if self._renewed == 3:
            self._renewed = 0
            self._need_rekey = False

    def set_outbound_compressor(self, compressor: object) -> None:
        """Compression is never offered, so this cannot be reached by an honest server."""
        raise WireError("compression was not offered")

    set_inbound_compressor = set_outbound_compressor

    def reset_seqno_out(self) -> None:
        """Strict key exchange: numbers start again with new keys."""
        self._out_sequence = 0

    def reset_seqno_in(self) -> None:
        """Strict key exchange: numbers start again with new keys."""
        self._in_sequence = 0

    def need_rekey(self) -> bool:
        """Whether so much went through that new keys should be made."""
        return self._need_rekey

    def ask_rekey(self) -> None:
        """Make new keys at the next chance."""
        self._need_rekey = True

    def send_message(self, message: Any) -> None:
        """Send one of paramiko's messages."""
        self.send(message.asbytes())

    def close(self) -> None:
        """Called by the transport when it is closed; the stream is closed by its owner."""
        self.closed = True

    # -- out

    def send(self, payload: bytes) -> None:
        """Encrypt one payload and give it to the sink."""
        block = self._out_block
        covered = len(payload) + (1 if self._out_etm or self._out_aead else 5)
        padding = block - covered % block
        if padding < 4:
            padding += block
        filler = bytes(padding) if self._out_zero_padding else os.urandom(padding)
        length = _LENGTH.pack(len(payload) + padding + 1)
        body = b"".join((padding.to_bytes(1, "big"), payload, filler))
        if self._out_aead:
            nonce = self._out_fixed + self._out_counter.to_bytes(8, "big")
            self._out_counter = (self._out_counter + 1) & 0xFFFFFFFFFFFFFFFF
            packet = length + self._out_engine.encrypt(nonce, body, length)
        else:
            packet = self._seal(length, body)
        self._out_sequence = self._next_sequence(self._out_sequence)
        self._out_packets += 1
        self._out_bytes += len(packet)
        if self._out_bytes >= REKEY_BYTES or self._out_packets >= REKEY_PACKETS:
            self._need_rekey = True
        self.sink(packet)

    def _seal(self, length: bytes, body: bytes) -> bytes:
        if self._out_engine is None:
            return length + body
        sequence = _LENGTH.pack(self._out_sequence)
        if self._out_etm:
            sealed: bytes = length + self._out_engine.update(body)
            return sealed + _digest(self._out_mac, sequence + sealed)
        plain = length + body
        return bytes(self._out_engine.update(plain)) + _digest(self._out_mac, sequence + plain)

    def _next_sequence(self, number: int) -> int:
        number = (number + 1) & 0xFFFFFFFF
        if number == 0 and not self._initial_kex_done:
            raise WireError("sequence number ran round during the first key exchange")
        return number

    # -- in

    def feed(self, data: bytes) -> None:
        """Take bytes as they came from the network."""
        if self._position:
            self._buffer = self._buffer[self._position :] + data
            self._position = 0
        else:
            self._buffer = self._buffer + data if self._buffer else data

    @property
    def in_sequence(self) -> int:
        """Number of the packet that comes next."""
        return self._in_sequence

    @property
    def pending(self) -> int:
        """Bytes that were fed and not read yet."""
        return len(self._buffer) - self._position

    def read_line(self, limit: int) -> bytes | None:
        """A line before the packets begin (RFC 4253 section 4.2), without its end; None: not there yet."""
        end = self._buffer.find(b"\n", self._position)
        if end < 0:
            if self.pending > limit:
                raise WireError(f"no end of line within {limit} bytes")
            return None
        line = self._buffer[self._position : end]
        self._position = end + 1
        return line.rstrip(b"\r")

    def next_payload(self) -> bytes | None:
        """The payload of the next whole packet, or None when more bytes are needed. Raises WireError."""
        packet = self._open_aead() if self._in_aead else self._open_other()
        if packet is None:
            return None
        self._in_sequence = self._next_sequence(self._in_sequence)
        self._in_packets += 1
        self._in_bytes += len(packet)
        if self._in_bytes >= REKEY_BYTES or self._in_packets >= REKEY_PACKETS:
            self._need_rekey = True
        end = len(packet) - packet[0]
        if end <= 1:
            raise WireError("packet without a payload")
        return packet[1:end]

    def _length(self, raw: bytes) -> int:
        length = int.from_bytes(raw, "big")
        if not 5 <= length <= MAX_PACKET:
            raise WireError(f"packet length {length} is out of bounds")
        return length

    def _open_aead(self) -> bytes | None:
        buffer, start = self._buffer, self._position
        if len(buffer) - start < 4:
            return None
        head = buffer[start : start + 4]
        end = start + 4 + self._length(head) + 16
        if len(buffer) < end:
            return None
        nonce = self._in_fixed + self._in_counter.to_bytes(8, "big")
        self._in_counter = (self._in_counter + 1) & 0xFFFFFFFFFFFFFFFF
        self._position = end
        try:
            packet: bytes = self._in_engine.decrypt(nonce, memoryview(buffer)[start + 4 : end], head)
        except Exception as error:
            raise WireError("packet with a wrong authentication tag") from error
        return packet

    def _open_other(self) -> bytes | None:
        mac_size = self._in_mac[2] if self._in_mac else 0
        if self._in_etm:
            return self._open_etm(mac_size)
        block = self._in_block
        if not self._in_first:
            if self.pending < block:
                return None
            first = self._buffer[self._position : self._position + block]
            self._position += block
            self._in_first = first if self._in_engine is None else self._in_engine.update(first)
        length = self._length(self._in_first[:4])
        left = length + 4 - block
        if left < 0 or left % block:
            raise WireError("packet length does not fit the cipher's blocks")
        if self.pending < left + mac_size:
            return None
        start = self._position
        rest = self._buffer[start : start + left]
        self._position = start + left + mac_size
        if self._in_engine is not None:
            rest = self._in_engine.update(rest)
        plain = self._in_first + rest
        self._in_first = b""
        if mac_size:
            self._check(_LENGTH.pack(self._in_sequence) + plain, self._buffer[start + left : self._position])
        return plain[4:]

    def _open_etm(self, mac_size: int) -> bytes | None:
        start = self._position
        if self.pending < 4:
            return None
        length = self._length(self._buffer[start : start + 4])
        if length % self._in_block:
            raise WireError("packet length does not fit the cipher's blocks")
        end = start + 4 + length
        if len(self._buffer) < end + mac_size:
            return None
        self._position = end + mac_size
        self._check(_LENGTH.pack(self._in_sequence) + self._buffer[start:end], self._buffer[end : end + mac_size])
        return bytes(self._in_engine.update(self._buffer[start + 4 : end]))

    def _check(self, data: bytes, received: bytes) -> None:
        if not hmac.compare_digest(_digest(self._in_mac, data), received):
            raise WireError("packet with a wrong MAC")


def _digest(mac: tuple[bytes, str, int] | None, data: bytes) -> bytes:
    if mac is None:
        return b""
    key, name, size = mac
    return hmac.digest(key, data, name)[:size]


def _mac(engine: Any, key: bytes | None, size: int) -> tuple[bytes, str, int] | None:
    return None if engine is None or key is None else (key, engine().name, size)


def _split_iv(iv: bytes | None) -> tuple[bytes, int]:
    """RFC 5647 section 7.1: four fixed bytes and a counter of eight."""
    if iv is None or len(iv) != 12:
        raise WireError("AES-GCM needs an IV of 12 bytes")
    return iv[:4], int.from_bytes(iv[4:], "big")


def _nowhere(_packet: bytes) -> None:
    raise WireError("no stream")
