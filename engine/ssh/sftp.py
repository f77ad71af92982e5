"""SFTP version 3 (draft-ietf-secsh-filexfer-02) over a session channel: requests out, answers to callbacks.

`SftpClient` knows the protocol and nothing of copies. Names are bytes, as the server has them. What an answer may cost
is capped: a packet's size here, the number of names where they are listed (download.py).
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass

from ..states import Failure, FailureKind
from . import wire
from .failures import quote
from .peer import Peer
from .session import Session

MAX_PACKET = 512 * 1024
#: What every server takes in one packet (the draft's 34000 bytes), and what OpenSSH's takes.
SMALL_CHUNK = 32 * 1024
LARGE_CHUNK = 128 * 1024

INIT, VERSION, OPEN, CLOSE, READ, WRITE, LSTAT, FSTAT, SETSTAT, FSETSTAT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
OPENDIR, READDIR, REMOVE, MKDIR, RMDIR, REALPATH, STAT, RENAME, READLINK, SYMLINK = range(11, 21)
STATUS, HANDLE, DATA, NAME, ATTRS = 101, 102, 103, 104, 105
EXTENDED = 200
FX_OK, FX_EOF, FX_NO_SUCH_FILE, FX_PERMISSION_DENIED, FX_FAILURE = 0, 1, 2, 3, 4
FXF_READ, FXF_WRITE, FXF_CREAT, FXF_TRUNC, FXF_EXCL = 1, 2, 8, 16, 32
_SIZE, _UIDGID, _PERMISSIONS, _TIMES, _EXTENDED = 1, 2, 4, 8, 0x80000000
_WORDS = {2: "no such file", 3: "permission denied", 4: "failure", 5: "bad message", 8: "not supported"}


class SftpError(Exception):
    """The server answered with a status other than OK; `code` is one of FX_*."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words or _WORDS.get(code, f"code {code}"))
        self.code = code


@dataclass(slots=True)
class Attributes:
    """What a server says of a file, or what it is told to set; None: not said."""

    size: int | None = None
    uid: int | None = None
    gid: int | None = None
    mode: int | None = None
    atime: int | None = None
    mtime: int | None = None

    @property
    def is_dir(self) -> bool:
        """Whether it is a directory."""
        return self.mode is not None and stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file; a server that tells no type is taken at its word."""
        return self.mode is None or stat.S_ISREG(self.mode) or stat.S_IFMT(self.mode) == 0

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return self.mode is not None and stat.S_ISLNK(self.mode)

    def encode(self) -> bytes:
        """As the protocol writes them."""
        flags = 0
        body = b""
        if self.size is not None:
            flags |= _SIZE
            body += wire.u64(self.size)
        if self.uid is not None and self.gid is not None:
            flags |= _UIDGID
            body += wire.u32(self.uid) + wire.u32(self.gid)
        if self.mode is not None:
            flags |= _PERMISSIONS
            body += wire.u32(self.mode)
        if self.mtime is not None:
            flags |= _TIMES
            body += wire.u32((self.atime or self.mtime) & 0xFFFFFFFF) + wire.u32(self.mtime & 0xFFFFFFFF)
        return wire.u32(flags) + body


def read_attributes(fields: wire.Reader) -> Attributes:
    """Decode ATTRS."""
    flags = fields.u32()
    found = Attributes()
    if flags & _SIZE:
        found.size = fields.u64()
    if flags & _UIDGID:
        found.uid, found.gid = fields.u32(), fields.u32()
    if flags & _PERMISSIONS:
        found.mode = fields.u32()
    if flags & _TIMES:
        found.atime, found.mtime = fields.u32(), fields.u32()
    if flags & _EXTENDED:
        for _ in range(min(fields.u32(), 64)):
            fields.string()
            fields.string()
    return found


#: Told of an answer: its type and fields, or the failure that ended the session.
Answer = Callable[[int, wire.Reader], None]


class SftpClient(Session):
    """ready: the server is there. broken(failure): the session ended; requests under way are forgotten."""

    def __init__(self, peer: Peer, ready: Callable[[], None], broken: Callable[[Failure], None]) -> None:
        super().__init__(peer)
        self.chunk = SMALL_CHUNK
        self.posix_rename = False
        self._ready = ready
        self._broken = broken
        #: Called when the server's window has admitted all that was written.
        self.writers: set[Callable[[], None]] = set()
        self._buffer = bytearray()
        self._next = 1
        self._waiting: dict[int, Answer] = {}
        self._version_seen = False
        self._said = b""

    def established(self) -> None:
        """See Session."""
        assert self.channel is not None
        self.requested = True
        self.channel.request("subsystem", wire.string("sftp"), want_reply=True)

    def accepted(self) -> None:
        """See Session."""
        assert self.channel is not None
        self.channel.write(wire.string(bytes((INIT,)) + wire.u32(3)))

    @property
    def backlog(self) -> int:
        """Bytes that wait for the server's window."""
        return self.channel.backlog if self.channel is not None else 0

    @property
    def pending(self) -> int:
        """Requests without an answer yet."""
        return len(self._waiting)

    def ask(self, kind: int, answer: Answer, *pieces: bytes) -> None:
        """Send a request made of `pieces`; `answer` is called with the server's, unless the session breaks."""
        if self.finished or self.channel is None:
            return
        number = self._next
        self._next = (number + 1) & 0xFFFFFFFF
        self._waiting[number] = answer
        size = 5 + sum(map(len, pieces))
        self.channel.write(b"".join((wire.u32(size), bytes((kind,)), wire.u32(number), *pieces)))

    def forget_requests(self) -> None:
        """Answers to what was asked so far are heard by nobody, so that work which waits for them goes no further."""
        self.writers.clear()
        self._waiting = dict.fromkeys(self._waiting, _unheard)

    def end(self) -> None:
        """Close the session in order; `broken` is not called."""
        self._broken = _nothing
        self._waiting.clear()
        self.cancel()

    # -- the channel

    def data(self, data: bytes) -> None:
        """See ChannelUser: cut packets out of the stream."""
        buffer = self._buffer
        buffer += data
        position = 0
        try:
            while len(buffer) - position >= 4:
                size = int.from_bytes(buffer[position : position + 4], "big")
                if not 1 <= size <= MAX_PACKET:
                    raise wire.WireError(f"a packet of {size} bytes" + self._chatter())
                if len(buffer) - position - 4 < size:
                    break
                packet = bytes(memoryview(buffer)[position + 4 : position + 4 + size])
                position += 4 + size
                self._packet(packet)
                if self.finished:
                    return
        except wire.WireError as error:
            self.fail(f"SFTP: {error}")
            return
        del buffer[:position]

    def _chatter(self) -> str:
        """A login script that prints to stdout is the usual reason for nonsense at the start."""
        if self._version_seen:
            return ""
        return f": the login scripts there print something ({quote(bytes(self._buffer[:60]))})"

    def error_data(self, data: bytes) -> None:
        """See ChannelUser: kept for the reason line."""
        self._said = (self._said + data)[-300:]

    def writable(self) -> None:
        """See ChannelUser."""
        for writer in list(self.writers):
            writer()

    def _packet(self, packet: bytes) -> None:
        kind = packet[0]
        fields = wire.Reader(packet, 1)
        if kind == VERSION and not self._version_seen:
            self._version_seen = True
            self._extensions(fields)
            self._ready()
            return
        answer = self._waiting.pop(fields.u32(), None)
        if answer is None:
            raise wire.WireError("an answer to nothing")
        answer(kind, fields)

    def _extensions(self, fields: wire.Reader) -> None:
        if fields.u32() < 3:
            raise wire.WireError("the server's version is too old")
        while fields.rest:
            name, value = fields.string(), fields.string()
            if name == b"posix-rename@openssh.com":
                self.posix_rename = True
            if name == b"limits@openssh.com" and value:
                self.chunk = LARGE_CHUNK

    def fail(self, why: str) -> None:
        """End the session from this side."""
        self._waiting.clear()
        said = f" ({quote(self._said)})" if self._said else ""
        self.reject(Failure(FailureKind.COPY, f"{self.peer.label}: {why}{said}"))

    def over(self, failure: Failure | None) -> None:
        """See Session."""
        self._waiting.clear()
        if failure is None:
            said = f": {quote(self._said)}" if self._said else ""
            failure = Failure(FailureKind.COPY, f"{self.peer.label}: the server's SFTP ended{said}")
        self._broken(failure)


def _nothing(_failure: Failure) -> None:
    """Nobody listens any more."""


def _unheard(_kind: int, _fields: wire.Reader) -> None:
    """Nobody waits for the answer any more."""


def status(kind: int, fields: wire.Reader) -> SftpError | None:
    """The error that a STATUS answer tells, None for OK or another kind of answer."""
    if kind != STATUS:
        return None
    code = fields.u32()
    if code == FX_OK:
        return None
    words = quote(fields.string()) if fields.rest else ""
    return SftpError(code, _WORDS.get(code, words) if words.lower() in ("", "failure") else words)
