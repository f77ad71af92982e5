"""What became of a command on one node: plain values that every layer may import.

A node's command passes PENDING, CONNECTING and RUNNING and ends in exactly one of the other states.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class NodeState(enum.IntEnum):
    """State of one node in one run; the values are small so that a `bytearray` can hold one per node."""

    PENDING = 0
    CONNECTING = 1
    RUNNING = 2
    OK = 3
    FAILED = 4
    TIMEOUT = 5
    UNREACHABLE = 6
    ABORTED = 7
    LOST = 8

    @property
    def word(self) -> str:
        """The state in one lower-case word: `ok`, `failed`, `unreachable`, ..."""
        return self.name.lower()

    @property
    def symbol(self) -> str:
        """One ASCII character that tells the state without colour."""
        return _SYMBOLS[self]

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen on this node in this run."""
        return self > NodeState.RUNNING

    @property
    def bad(self) -> bool:
        """Whether the command did not end well (a finished state other than OK)."""
        return self > NodeState.OK


_SYMBOLS = {
    NodeState.PENDING: ".",
    NodeState.CONNECTING: "~",
    NodeState.RUNNING: ">",
    NodeState.OK: "+",
    NodeState.FAILED: "x",
    NodeState.TIMEOUT: "T",
    NodeState.UNREACHABLE: "!",
    NodeState.ABORTED: "-",
    NodeState.LOST: "?",
}


class FailureKind(enum.StrEnum):
    """Why a node did not give a return code of its own; one kind per thing an operator would do about it."""

    DNS = "dns"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    NO_ROUTE = "no route"
    CONNECT_TIMEOUT = "connect timeout"
    BANNER = "banner"
    KEX = "key exchange"
    HOST_KEY_UNKNOWN = "host key unknown"
    HOST_KEY_CHANGED = "host key changed"
    HOST_KEY_REVOKED = "host key revoked"
    AUTHENTICATION = "authentication"
    CHANNEL_REFUSED = "channel refused"
    CONNECTION_LOST = "connection lost"
    DESCRIPTORS = "out of descriptors"
    COMMAND_TIMEOUT = "command timeout"
    COPY = "copy"
    CONFIGURATION = "configuration"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure that is not a return code: its kind and one line that names the value, the place and the remedy."""

    kind: FailureKind
    reason: str


def without_name(reason: str, name: str) -> str:
    """A reason without the name, and the address behind it, that it begins with; for where the name stands anyway."""
    if not reason.startswith(name):
        return reason
    rest = reason[len(name) :]
    if rest.startswith(" ("):
        _address, found, rest = rest.partition(")")
        if not found:
            return reason
    return rest[2:] if rest.startswith(": ") else reason


@dataclass(frozen=True, slots=True)
class NodeEnd:
    """How a node's command ended.

    state: a finished NodeState. rc: the return code, None where there is none (timed out, aborted, lost).
    failure: set where `rc` alone does not tell.
    """

    state: NodeState
    rc: int | None = None
    failure: Failure | None = None
