"""The one module that touches paramiko's inside: key exchange, driven from outside and without a thread.

paramiko's `Transport` is a thread that reads a blocking socket. Its key exchange, however, is a table of handlers that
react to one message each, so `Handshake` never starts the thread: `KeyExchange` is fed payloads by the reactor and
gives back bytes. Everything after key exchange (authentication, channels) is ours and needs nothing of paramiko.

What is relied on, beyond the documented interface, is listed in `PARAMIKO_CONTRACT`; tests/unit/test_ssh_contract.py
compares it with the paramiko that is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from paramiko.message import Message
from paramiko.ssh_exception import IncompatiblePeer, SSHException
from paramiko.transport import Transport

from . import wire
from .codec import Codec

#: Methods and attributes of `paramiko.Transport` (and what it calls on a packetizer) that this module depends on.
PARAMIKO_CONTRACT: dict[str, tuple[str, ...]] = {
    "methods": (
        "_send_kex_init",
        "_negotiate_keys",
        "_parse_newkeys",
        "_parse_ext_info",
        "_send_message",
        "_verify_key",
        "_expect_packet",
        "_enforce_strict_kex",
        "_activate_inbound",
        "_activate_outbound",
        "_log",
    ),
    "attributes": (
        "_expected_packet",
        "_handler_table",
        "agreed_on_strict_kex",
        "host_key_type",
        "in_kex",
        "initial_kex_done",
        "kex_engine",
        "local_kex_init",
        "local_version",
        "remote_version",
        "server_extensions",
        "server_mode",
        "session_id",
        "H",
        "K",
    ),
    "class_attributes": (
        "_preferred_ciphers",
        "_preferred_macs",
        "_preferred_keys",
        "_preferred_kex",
        "_cipher_info",
        "_mac_info",
        "_kex_info",
        "_key_info",
    ),
    "packetizer": (
        "set_log",
        "set_outbound_cipher",
        "set_inbound_cipher",
        "set_outbound_compressor",
        "set_inbound_compressor",
        "reset_seqno_out",
        "reset_seqno_in",
        "need_rekey",
        "send_message",
        "close",
        "closed",
        "_initial_kex_done",
    ),
}

#: What we ask for first: the cheapest that is still strong. All that paramiko knows stays behind as a fallback, but
#: for what OpenSSH itself no longer offers (CBC, 3DES, MD5, truncated SHA-1).
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")
KEX = ("curve25519-sha256@libssh.org",)
MACS = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
    "hmac-sha1",
)
#: The same exchange under the name that it got later.
_ALIASES = {"curve25519-sha256": "curve25519-sha256@libssh.org"}
CLIENT_VERSION = "SSH-2.0-clusterdeck"


class KexError(Exception):
    """Key exchange failed; the text says why, in paramiko's words (which may quote the server: pass it by the gate)."""


class _NoSocket:
    """Stands where paramiko wants a socket; the stream belongs to the connection."""

    def settimeout(self, _seconds: float | None) -> None:
        """Nothing blocks here."""

    def close(self) -> None:
        """The stream is closed by its owner."""


class _Handshake(Transport):
    """paramiko's negotiation without its thread, its log and its sleeping."""

    check_host_key: Callable[[str, bytes], None]
    key_names: tuple[str, ...] = ()

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        """Host key types in our order; paramiko's property puts every certificate behind every plain key."""
        return self.key_names

    def _verify_key(self, host_key: bytes, sig: bytes) -> None:
        """Check the signature as paramiko does, then have the key itself judged, before new keys are used."""
        super()._verify_key(host_key, sig)  # type: ignore[misc]
        self.check_host_key(str(self.host_key_type), bytes(host_key))

    def _log(self, level: int, msg: object, *args: object) -> None:
        """paramiko formats dozens of lines for each handshake; nobody reads them."""

    def __repr__(self) -> str:
        return "<Handshake>"


class KeyExchange:
    """Key exchange of one connection, first and later ones.

    check_host_key(type, blob) is called when the server has proved that it owns the key, and refuses by raising; what
    it raises leaves `handle`. The three lists of algorithms, where given, come from ssh_config and replace our own.
    """

    def __init__(
        self,
        codec: Codec,
        check_host_key: Callable[[str, bytes], None],
        host_key_algorithms: Sequence[str] | None = None,
        ciphers: Sequence[str] | None = None,
        kex: Sequence[str] | None = None,
        macs: Sequence[str] | None = None,
    ) -> None:
        handshake = _Handshake(_NoSocket(), packetizer_class=lambda _sock: codec)  # type: ignore[arg-type]
        handshake.check_host_key = check_host_key
        handshake.local_version = CLIENT_VERSION
        known: Any = Transport
        handshake._preferred_ciphers = _known(ciphers, CIPHERS, known._cipher_info)  # type: ignore[attr-defined]
        handshake._preferred_macs = _known(macs, MACS, known._mac_info)  # type: ignore[attr-defined]
        default_kex = KEX + tuple(name for name in known._preferred_kex if name not in KEX)
        handshake._preferred_kex = _known(kex, default_kex, known._kex_info)  # type: ignore[attr-defined]
        self._transport: Any = handshake
        self._codec = codec
        handshake.key_names = _known(host_key_algorithms, HOST_KEY_ALGORITHMS, known._key_info)

    # -- what the connection asks

    @property
    def session_id(self) -> bytes:
        """Hash of the first exchange (RFC 4253 section 7.2)."""
        return bytes(self._transport.session_id or b"")

    @property
    def under_way(self) -> bool:
        """Whether only messages of key exchange may be sent now."""
        return bool(self._transport.in_kex)

    @property
    def done_once(self) -> bool:
        """Whether the first exchange is complete."""
        return bool(self._transport.initial_kex_done)

    @property
    def signature_algorithms(self) -> list[str]:
        """What the server takes for signatures of clients (RFC 8308); empty when it did not say."""
        value = self._transport.server_extensions.get("server-sig-algs", b"")
        text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
        return text.split(",") if text else []

    def begin(self, server_version: str) -> None:
        """The server said its version: send our KEXINIT."""
        self._transport.remote_version = server_version
        self._guard(self._transport._send_kex_init)
        self._transport._expect_packet(wire.MSG_KEXINIT)

    def renew(self) -> None:
        """Start another exchange on a connection in use."""
        if not self._transport.in_kex:
            self._guard(self._transport._send_kex_init)

    def handle(self, kind: int, payload: bytes, sequence: int) -> bool:
        """Take one message; False: it is none of key exchange. Raises KexError, or what `check_host_key` raised."""
        transport = self._transport
        if kind in (wire.MSG_IGNORE, wire.MSG_DEBUG):
            self._guard(transport._enforce_strict_kex, kind)
            return True
        expected = transport._expected_packet
        if expected and not transport.initial_kex_done and kind not in expected:
            raise KexError(f"message {kind} where {', '.join(map(str, expected))} was due")
        if kind == wire.MSG_KEXINIT:
            transport._expected_packet = ()
            self._guard(transport._negotiate_keys, self._message(payload, sequence))
        elif wire.KEX_FIRST <= kind <= wire.KEX_LAST:
            if kind not in expected or transport.kex_engine is None:
                raise KexError(f"key exchange message {kind} was not due")
            transport._expected_packet = ()
            self._guard(transport.kex_engine.parse_next, kind, self._message(payload, sequence))
        elif kind == wire.MSG_NEWKEYS:
            if kind not in expected:
                raise KexError("new keys were announced before they were agreed")
            transport._expected_packet = ()
            self._guard(transport._parse_newkeys, self._message(payload, sequence))
        elif kind == wire.MSG_EXT_INFO:
            self._guard(transport._parse_ext_info, self._message(payload, sequence))
        else:
            return False
        return True

    @staticmethod
    def _message(payload: bytes, sequence: int) -> Message:
        message = Message(payload[1:])
        message.seqno = sequence
        return message

    @staticmethod
    def _guard(function: Callable[..., object], *arguments: object) -> None:
        try:
            function(*arguments)
        except IncompatiblePeer as error:
            raise KexError(f"no algorithm in common: {error}") from error
        except (SSHException, wire.WireError, EOFError) as error:
            raise KexError(str(error)) from error
        except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError) as error:
            raise KexError(f"malformed key exchange ({type(error).__name__})") from error


#: Host key types in the order in which OpenSSH asks for them; certificates come first (their host is known by its CA).
_PLAIN_KEYS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
HOST_KEY_ALGORITHMS = tuple(f"{name}-cert-v01@openssh.com" for name in _PLAIN_KEYS) + _PLAIN_KEYS


def _known(wanted: Sequence[str] | None, default: Sequence[str], table: dict[str, Any]) -> tuple[str, ...]:
    names = tuple(_ALIASES.get(name, name) for name in (default if wanted is None else wanted))
    names = tuple(dict.fromkeys(name for name in names if name in table))
    if not names:
        raise KexError(f"none of the algorithms {', '.join(wanted or default)} is known here")
    return names
