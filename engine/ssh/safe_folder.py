"""Writing what a node sends: only below one folder, whatever names, types and sizes the node chooses.

Each component is opened relative to its parent's descriptor and never through a link; names are single components;
files appear by rename from a private temporary name; no devices, links, set-id bits or foreign owners are made.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from dataclasses import dataclass

from .steps import CopyRefusedError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NAME_LIMIT = 255


@dataclass(frozen=True, slots=True)
class Limits:
    """What one node may send in one copy: files and folders, bytes, levels of folders."""

    entries: int = 200_000
    size: int = 64 * 1024**3
    depth: int = 64


def check_name(name: bytes) -> bytes:
    """A name of one component that may be created here. Raises CopyRefusedError."""
    shown = ascii(name[:80].decode("utf-8", "replace"))
    if name in (b"", b".", b"..") or b"/" in name or b"\0" in name:
        raise CopyRefusedError(f"the name {shown} from the node is refused")
    if len(name) > _NAME_LIMIT:
        raise CopyRefusedError(f"the name {shown}... from the node is too long")
    if any(byte < 32 or byte == 127 for byte in name):
        raise CopyRefusedError(f"the name {shown} from the node has control characters")
    return name


class SafeFolder:
    """An open folder that may be written to. `close()` gives the descriptor back."""

    def __init__(self, descriptor: int, depth: int = 0) -> None:
        self._descriptor = descriptor
        self._depth = depth
        self._folded: dict[str, bytes] = {}

    @classmethod
    def open(cls, path: str) -> SafeFolder:
        """The operator's own destination; links in its path are the operator's. Raises OSError."""
        return cls(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))

    def close(self) -> None:
        """Idempotent."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def free_bytes(self) -> int:
        """Free space of the file system."""
        status = os.fstatvfs(self._descriptor)
        return status.f_bavail * status.f_frsize

    def claim(self, name: bytes) -> bytes:
        """Check a name, also against those that differ only in case. Raises CopyRefusedError."""
        check_name(name)
        folded = name.decode("utf-8", "surrogateescape").casefold()
        other = self._folded.setdefault(folded, name)
        if other != name:
            raise CopyRefusedError(f"the names {name.decode('utf-8', 'replace')!a} and another differ only in case")
        return name

    def enter(self, name: bytes, limits: Limits) -> SafeFolder:
        """The folder `name` in here, made if need be. Raises CopyRefusedError, OSError."""
        self.claim(name)
        if self._depth >= limits.depth:
            raise CopyRefusedError(f"folders more than {limits.depth} levels deep")
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=self._descriptor)
        try:
            return SafeFolder(os.open(name, _FOLDER, dir_fd=self._descriptor), self._depth + 1)
        except OSError as error:
            # ENOTDIR: a file; ELOOP: a link, wherever it leads.
            raise CopyRefusedError(f"{_shown(name)} is here already, and no folder ({error.strerror})") from None

    def replaced_by(self, name: bytes, limits: Limits) -> SafeFolder:
        """The folder `name` in here, made if need be, with this one closed. Raises CopyRefusedError, OSError."""
        try:
            return self.enter(name, limits)
        finally:
            self.close()

    def check_free(self, name: bytes, *, overwrite: bool) -> None:
        """Raise CopyRefusedError unless a file of that name may appear here."""
        try:
            there = os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return
        if not stat.S_ISREG(there.st_mode):
            raise CopyRefusedError(f"{_shown(name)} is here already, and not a plain file")
        if not overwrite:
            raise CopyRefusedError(f"{_shown(name)} is here already: choose another destination")

    def create(self, name: bytes, *, overwrite: bool) -> NewFile:
        """A new file that takes its place when it is complete. Raises CopyRefusedError, OSError."""
        self.claim(name)
        self.check_free(name, overwrite=overwrite)
        temporary = b".clusterdeck-" + secrets.token_hex(8).encode()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600, dir_fd=self._descriptor)
        return NewFile(os.dup(self._descriptor), descriptor, temporary, name, overwrite)

    def finish(self, mode: int, times: tuple[int, int] | None) -> None:
        """Set a folder's mode (0755 at most) and times."""
        os.fchmod(self._descriptor, (mode & 0o755) | 0o700)
        if times is not None:
            os.utime(self._descriptor, times)


class NewFile:
    """A file under its temporary name. Exactly one of `keep` and `discard` ends it."""

    def __init__(self, folder: int, descriptor: int, temporary: bytes, name: bytes, overwrite: bool) -> None:
        self._folder = folder
        self._descriptor = descriptor
        self._temporary = temporary
        self._name = name
        self._overwrite = overwrite

    def write(self, data: bytes, offset: int) -> None:
        """Write all of `data` at `offset`. Raises OSError."""
        view = memoryview(data)
        while view:
            size = os.pwrite(self._descriptor, view, offset)
            view = view[size:]
            offset += size

    def keep(self, mode: int, times: tuple[int, int] | None) -> None:
        """Set mode (0755 at most, no set-id bits) and times, and take the final name."""
        try:
            os.fchmod(self._descriptor, mode & 0o755)
            if times is not None:
                os.utime(self._descriptor, times)
            SafeFolder(self._folder).check_free(self._name, overwrite=self._overwrite)
            os.rename(self._temporary, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except BaseException:
            self.discard()
            raise
        self._close()

    def discard(self) -> None:
        """Remove it. Idempotent."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.unlink(self._temporary, dir_fd=self._folder)
        self._close()

    def _close(self) -> None:
        for descriptor in (self._descriptor, self._folder):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._folder = -1


def _shown(name: bytes) -> str:
    return ascii(name.decode("utf-8", "replace"))
