"""What both directions of a copy share: progress, work on several files at once, and how a copy ends."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field

from ..states import Failure, FailureKind
from . import wire
from .sftp import EXTENDED, FX_NO_SUCH_FILE, LSTAT, RENAME, STAT, Attributes, SftpClient, SftpError, status
from .steps import CopyRefusedError, Pause, Reply, Request, Steps, Work

#: Files of one node that are under way at once; bytes and requests of one file.
FILES_AT_ONCE = 8
REQUESTS = 64
BYTES_UNDER_WAY = 4 * 1024 * 1024
_PROGRESS_EVERY = 0.1


@dataclass(slots=True)
class Progress:
    """Counts bytes; `tell(done, total)` is called ten times a second at most, and at the end."""

    tell: Callable[[int, int], None]
    total: int = 0
    done: int = 0
    _next: float = field(default=0.0)

    def add(self, size: int) -> None:
        """More bytes are done."""
        self.done += size
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _PROGRESS_EVERY
            self.tell(self.done, self.total)

    def finish(self) -> None:
        """Tell the last count."""
        self.tell(self.done, self.total)


def remote_path(text: str) -> bytes:
    """A path as SFTP wants it: `~/` is where a session starts anyway."""
    path = os.fsencode(text)
    if path in (b"~", b"~/", b""):
        return b"."
    return path[2:].lstrip(b"/") or b"." if path.startswith(b"~/") else path


def join(folder: bytes, name: bytes) -> bytes:
    """A path below a folder."""
    return folder.rstrip(b"/") + b"/" + name if folder != b"/" else b"/" + name


def shown(path: bytes) -> str:
    """A remote or local path for a reason: one line, harmless."""
    return ascii(path.decode("utf-8", "replace"))[1:-1]


# -- single requests, as sub-generators


def look(path: bytes, *, follow: bool = True) -> Generator[Request | Pause, Reply, Attributes | None]:
    """`attributes = yield from look(path)`: None if there is no such file."""
    try:
        found = yield path_request(STAT if follow else LSTAT, path)
    except SftpError as error:
        if error.code == FX_NO_SUCH_FILE:
            return None
        raise RemoteFileError(error, path) from error
    return found if isinstance(found, Attributes) else None


def path_request(kind: int, path: bytes, more: bytes = b"") -> Request:
    """A request that begins with a path."""
    return Request(kind, wire.string(path) + more)


def rename_request(client: SftpClient, old: bytes, new: bytes) -> Request:
    """Rename over an existing file where the server can; else plain RENAME, before which `new` has to be removed."""
    if client.posix_rename:
        fields = wire.string("posix-rename@openssh.com") + wire.string(old) + wire.string(new)
        return Request(EXTENDED, fields)
    return Request(RENAME, wire.string(old) + wire.string(new))


def several(client: SftpClient, works: Iterable[Work]) -> Pause:
    """Run many pieces of work, a few at once; goes on when all are done or one has failed and the others have ended."""
    return Pause(lambda resume: _Several(client, iter(works), resume).fill())


class _Several:
    def __init__(self, client: SftpClient, works: Iterator[Work], resume: Callable[[Exception | None], None]) -> None:
        self._client = client
        self._works = works
        self._resume = resume
        self._running = 0
        self._error: Exception | None = None
        self._filling = False
        self._exhausted = False

    def fill(self) -> None:
        if self._filling:
            return
        self._filling = True
        while self._running < FILES_AT_ONCE and not self._exhausted and self._error is None:
            work = next(self._works, None)
            if work is None:
                self._exhausted = True
                break
            self._running += 1
            Steps(self._client, work, self._ended).start()
        self._filling = False
        if not self._running and (self._exhausted or self._error is not None):
            self._resume(self._error)

    def _ended(self, error: Exception | None) -> None:
        self._running -= 1
        self._error = self._error or error
        self.fill()


class Pipeline:
    """Many requests for one open file under way at once; `start` is what a Pause takes.

    Subclasses give `more`, which sends one request and may raise, and `exhausted`.
    """

    at_once = REQUESTS

    def __init__(self, client: SftpClient, handle: bytes, progress: Progress) -> None:
        self.client = client
        self.progress = progress
        #: Why no more requests are made.
        self.error: Exception | None = None
        self._handle = wire.string(handle)
        self._under_way = 0
        self._bytes = 0
        self._resume: Callable[[Exception | None], None] | None = None

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left to be asked for."""
        raise NotImplementedError

    def more(self) -> bool:
        """Send one request by `ask`; False: not now. Raises OSError, CopyRefusedError."""
        raise NotImplementedError

    def start(self, resume: Callable[[Exception | None], None]) -> None:
        """Begin; `resume` is called once, when the last answer is there."""
        self._resume = resume
        self.fill()

    def fill(self) -> None:
        """Keep requests under way."""
        try:
            while self.error is None and not self.exhausted and self._under_way < self.at_once:
                if self._bytes >= BYTES_UNDER_WAY or not self.more():
                    return
        except (OSError, CopyRefusedError) as error:
            self.error = error
        if not self._under_way and (self.error is not None or self.exhausted):
            resume, self._resume = self._resume, None
            if resume is not None:
                resume(self.error)

    def ask(self, kind: int, size: int, answered: Callable[[int, wire.Reader], None], *pieces: bytes) -> None:
        """Send a request for `size` bytes; answered(kind, fields) may raise OSError and CopyRefusedError."""
        self._under_way += 1
        self._bytes += size

        def answer(kind: int, fields: wire.Reader) -> None:
            self._under_way -= 1
            self._bytes -= size
            error = status(kind, fields)
            try:
                if error is None:
                    answered(kind, fields)
                else:
                    self.failed(error)
            except (OSError, CopyRefusedError) as problem:
                self.error = self.error or problem
            self.fill()

        self.client.ask(kind, answer, self._handle, *pieces)

    def failed(self, error: SftpError) -> None:
        """The server refused a request."""
        self.error = self.error or error


def reason(label: str, error: Exception) -> Failure:
    """Why a copy failed, in one line."""
    if isinstance(error, OSError) and not isinstance(error, SftpError):
        name = error.filename
        where = f"{os.fsdecode(name)!a}: " if isinstance(name, str | bytes) else ""
        return Failure(FailureKind.COPY, f"{label}: here: {where}{error.strerror or type(error).__name__}")
    return Failure(FailureKind.COPY, f"{label}: {error}")


class RemoteFileError(SftpError):
    """A status that concerns a known file."""

    def __init__(self, error: SftpError, path: bytes) -> None:
        super().__init__(error.code, f"{shown(path)}: {error}")
