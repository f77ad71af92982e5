"""Who is at the other end of a Unix socket, as the kernel knows it."""

from __future__ import annotations

import os
import socket
import struct

_CREDENTIALS = struct.Struct("3i")


def peer_uid(sock: socket.socket) -> int:
    """The user id of the process at the other end (of whoever listened there, for the one who connected). OSError."""
    _, uid, _ = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(uid)


def same_user(sock: socket.socket) -> bool:
    """Whether that is a process of this user."""
    try:
        return peer_uid(sock) == os.geteuid()
    except OSError:
        return False


def connect(path: str, timeout: float | None = None) -> socket.socket:
    """A connection to a socket that this user serves. timeout: seconds, for this and for what follows.

    Raises OSError; PermissionError also where another user serves there: what is sent would be theirs.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(path)
        if not same_user(sock):
            raise PermissionError(0, "another user serves there")
    except BaseException:
        sock.close()
        raise
    return sock
