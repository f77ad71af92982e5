"""The phases of a connection, and what it is given: algorithms, who logs in, who is told."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ..states import Failure
from . import wire


class Phase(enum.Enum):
    """How far a connection has come; the value is the word that a reason uses."""

    BANNER = "waiting for the server's version"
    KEX = "key exchange"
    AUTHENTICATION = "authentication"
    READY = "use"
    CLOSED = "closed"


class Entrance(Protocol):
    """What a login needs of its connection."""

    phase: Phase

    @property
    def session_id(self) -> bytes:
        """What signatures are bound to."""

    @property
    def signature_algorithms(self) -> list[str]:
        """Signature algorithms that the server takes; empty when it did not say."""

    def send(self, payload: bytes) -> None:
        """Send one message."""

    def authenticated(self) -> None:
        """The server let us in."""

    def fail(self, failure: Failure) -> None:
        """There is no way in."""


class Authentication(Protocol):
    """Who logs in: told of every message of the authentication protocol."""

    def begin(self, connection: Entrance) -> None:
        """Key exchange is done."""

    def handle(self, kind: int, fields: wire.Reader) -> None:
        """A message from 5 to 79 that is not of key exchange. Raises SshError to give up."""

    def cancel(self) -> None:
        """The connection is gone; forget it."""


@dataclass(frozen=True, slots=True)
class Algorithms:
    """What ssh_config asks for; None means our own order."""

    host_keys: tuple[str, ...] | None = None
    ciphers: tuple[str, ...] | None = None
    kex: tuple[str, ...] | None = None
    macs: tuple[str, ...] | None = None


@dataclass(slots=True)
class Listener:
    """Who is told. on_version: the server said its version, the handshake waits for `Connection.proceed`."""

    on_version: Callable[[], None]
    on_ready: Callable[[], None]
    on_failed: Callable[[Failure], None]
    on_lost: Callable[[Failure], None] = field(default=lambda _failure: None)
