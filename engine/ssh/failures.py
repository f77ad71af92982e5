"""Failures of connections, one kind per thing an operator would do about it, each with one line of text.

Texts of servers and of libraries go through the gate before they become part of a reason.
"""

from __future__ import annotations

import errno
import socket

from ..states import Failure, FailureKind
from ..text import clean_line

#: Bytes of a server's own words that are quoted in a reason.
QUOTE = 200


class SshError(Exception):
    """A connection, a channel or a copy failed; `failure` is what the node shows."""

    def __init__(self, kind: FailureKind, reason: str) -> None:
        super().__init__(reason)
        self.failure = Failure(kind, reason)


def quote(words: bytes | str) -> str:
    """What a server said, made harmless and short enough for one line."""
    data = words.encode("utf-8", "surrogateescape") if isinstance(words, str) else words
    text = clean_line(data[:QUOTE]).strip()
    return text + "..." if len(data) > QUOTE else text


def connect_failure(error: OSError, node: str, address: str) -> Failure:
    """Tell a refused connection from an unreachable network, a missing route or an exhausted table."""
    code = error.errno
    if isinstance(error, socket.gaierror):
        return Failure(FailureKind.DNS, f"{node}: no address found ({error.strerror}): check the name or HostName")
    if code in (errno.EMFILE, errno.ENFILE):
        return descriptors(node)
    if code == errno.ECONNREFUSED:
        return Failure(FailureKind.REFUSED, f"{node}: {address} refused the connection: is sshd running there?")
    if code in (errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM):
        return Failure(FailureKind.NO_ROUTE, f"{node}: no route to {address} ({_strerror(error)})")
    if code in (errno.EHOSTUNREACH, errno.EHOSTDOWN):
        return Failure(FailureKind.UNREACHABLE, f"{node}: {address} is unreachable ({_strerror(error)})")
    if code == errno.ETIMEDOUT:
        return Failure(FailureKind.CONNECT_TIMEOUT, f"{node}: {address} did not answer")
    return Failure(FailureKind.UNREACHABLE, f"{node}: cannot connect to {address} ({_strerror(error)})")


def descriptors(node: str) -> Failure:
    """No descriptor left for another connection."""
    return Failure(
        FailureKind.DESCRIPTORS,
        f"{node}: out of file descriptors: raise the hard limit (ulimit -Hn) or use fewer nodes at once",
    )


def _strerror(error: OSError) -> str:
    return error.strerror or type(error).__name__
