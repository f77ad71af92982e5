"""Numbers and strings as SSH writes them (RFC 4251 section 5), and the message numbers that this layer handles.

`Reader` raises `WireError` for anything that is cut short: what a server sends is never trusted to be whole.
"""

from __future__ import annotations

import struct

MSG_DISCONNECT = 1
MSG_IGNORE = 2
MSG_UNIMPLEMENTED = 3
MSG_DEBUG = 4
MSG_SERVICE_REQUEST = 5
MSG_SERVICE_ACCEPT = 6
MSG_EXT_INFO = 7
MSG_KEXINIT = 20
MSG_NEWKEYS = 21
KEX_FIRST, KEX_LAST = 30, 49
MSG_USERAUTH_REQUEST = 50
MSG_USERAUTH_FAILURE = 51
MSG_USERAUTH_SUCCESS = 52
MSG_USERAUTH_BANNER = 53
MSG_USERAUTH_PK_OK = 60
MSG_USERAUTH_INFO_REQUEST = 60
MSG_USERAUTH_INFO_RESPONSE = 61
MSG_GLOBAL_REQUEST = 80
MSG_REQUEST_SUCCESS = 81
MSG_REQUEST_FAILURE = 82
MSG_CHANNEL_OPEN = 90
MSG_CHANNEL_OPEN_CONFIRMATION = 91
MSG_CHANNEL_OPEN_FAILURE = 92
MSG_CHANNEL_WINDOW_ADJUST = 93
MSG_CHANNEL_DATA = 94
MSG_CHANNEL_EXTENDED_DATA = 95
MSG_CHANNEL_EOF = 96
MSG_CHANNEL_CLOSE = 97
MSG_CHANNEL_REQUEST = 98
MSG_CHANNEL_SUCCESS = 99
MSG_CHANNEL_FAILURE = 100

_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")


class WireError(ValueError):
    """The other side sent something that is not SSH."""


def u32(number: int) -> bytes:
    """A 32-bit number, big end first."""
    return _U32.pack(number)


def u64(number: int) -> bytes:
    """A 64-bit number, big end first."""
    return _U64.pack(number)


def string(data: bytes | str) -> bytes:
    """Length and bytes; text is written as UTF-8."""
    if isinstance(data, str):
        data = data.encode()
    return _U32.pack(len(data)) + data


def boolean(flag: bool) -> bytes:
    """One byte, 0 or 1."""
    return b"\1" if flag else b"\0"


class Reader:
    """Reads fields one after the other out of a payload."""

    __slots__ = ("data", "position")

    def __init__(self, data: bytes, position: int = 0) -> None:
        self.data = data
        self.position = position

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        start = self.position
        end = start + count
        if end > len(self.data):
            raise WireError("message cut short")
        self.position = end
        return self.data[start:end]

    def u8(self) -> int:
        """One byte as a number."""
        return self.take(1)[0]

    def boolean(self) -> bool:
        """One byte, true unless it is 0."""
        return self.take(1) != b"\0"

    def u32(self) -> int:
        """Four bytes as a number."""
        return int.from_bytes(self.take(4), "big")

    def u64(self) -> int:
        """Eight bytes as a number."""
        return int.from_bytes(self.take(8), "big")

    def string(self) -> bytes:
        """A counted string."""
        return self.take(self.u32())

    def text(self) -> str:
        """A counted string as text; bytes that are not UTF-8 are replaced."""
        return self.string().decode("utf-8", "replace")

    def names(self) -> list[str]:
        """A name-list: words between commas."""
        text = self.text()
        return text.split(",") if text else []

    @property
    def rest(self) -> bytes:
        """What has not been read."""
        return self.data[self.position :]
