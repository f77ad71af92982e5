"""SFTP inside one node's folder: no path, link or name leads out of it.

The root of a client's view is the node's folder. Paths that the node's own commands print (they are real ones)
are understood too, so that what `pwd` says can be copied to.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import paramiko
from paramiko import SFTPAttributes, SFTPHandle, SFTPServer
from paramiko.sftp import SFTP_OK, SFTP_PERMISSION_DENIED

if TYPE_CHECKING:
    from typing_extensions import Buffer


class _OpenFile(SFTPHandle):
    """An open file by its descriptor; positions come with every request, so there is no state to keep."""

    def __init__(self, fd: int, flags: int) -> None:
        super().__init__(flags)
        self._fd = fd

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._fd)
        self._fd = -1

    def read(self, offset: int, length: int) -> bytes | int:
        try:
            return os.pread(self._fd, length, offset)
        except OSError as error:
            return SFTPServer.convert_errno(error.errno or 0)

    def write(self, offset: int, data: Buffer) -> int:
        view = memoryview(data)
        try:
            while view:
                written = os.pwrite(self._fd, view, offset)
                offset += written
                view = view[written:]
        except OSError as error:
            return SFTPServer.convert_errno(error.errno or 0)
        return SFTP_OK

    def stat(self) -> SFTPAttributes | int:
        try:
            return SFTPAttributes.from_stat(os.fstat(self._fd))
        except OSError as error:
            return SFTPServer.convert_errno(error.errno or 0)

    def chattr(self, attr: SFTPAttributes) -> int:
        return _attempt(lambda: _set_attributes(self._fd, attr))


class FilesSubsystem(SFTPServer):
    """paramiko's, which ends with an exit status, as sshd's does: scp takes its absence for a failure."""

    def start_subsystem(self, name: str, transport: paramiko.Transport, channel: paramiko.Channel) -> None:
        super().start_subsystem(name, transport, channel)
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            channel.send_exit_status(0)


class NodeFiles(paramiko.SFTPServerInterface):
    """The files of one node, all in the folder `root`; every refusal is a status, never an exception."""

    def __init__(self, server: paramiko.ServerInterface, root: str) -> None:
        super().__init__(server)
        self._root = root

    def _locate(self, path: str, *, follow: bool) -> str:
        """The real path of a client's path. follow: whether a link at its end is followed.

        Raises PermissionError for what lies outside the node's folder.
        """
        inside = path == self._root or path.startswith(f"{self._root}/")
        candidate = path if inside else self._root + os.path.normpath(f"/{path.lstrip('/')}")
        candidate = os.path.normpath(candidate)
        if follow or candidate == self._root:
            real = os.path.realpath(candidate)
        else:
            real = os.path.join(os.path.realpath(os.path.dirname(candidate)), os.path.basename(candidate))
        if real != self._root and not real.startswith(f"{self._root}/"):
            raise PermissionError(path)
        return real

    def list_folder(self, path: str) -> list[SFTPAttributes] | int:
        found: list[SFTPAttributes] = []
        try:
            with os.scandir(self._locate(path, follow=True)) as entries:
                for entry in entries:
                    found.append(SFTPAttributes.from_stat(entry.stat(follow_symlinks=False), entry.name))
        except OSError as error:
            return _status(error)
        return found

    def stat(self, path: str) -> SFTPAttributes | int:
        try:
            return SFTPAttributes.from_stat(os.stat(self._locate(path, follow=True)))
        except OSError as error:
            return _status(error)

    def lstat(self, path: str) -> SFTPAttributes | int:
        try:
            return SFTPAttributes.from_stat(os.lstat(self._locate(path, follow=False)))
        except OSError as error:
            return _status(error)

    def open(self, path: str, flags: int, attr: SFTPAttributes) -> SFTPHandle | int:
        mode = attr.st_mode if attr.st_mode is not None else 0o666
        try:
            fd = os.open(self._locate(path, follow=True), flags | os.O_CLOEXEC | os.O_NOFOLLOW, mode & 0o777)
        except OSError as error:
            return _status(error)
        return _OpenFile(fd, flags)

    def remove(self, path: str) -> int:
        return _attempt(lambda: os.remove(self._locate(path, follow=False)))

    def rename(self, oldpath: str, newpath: str) -> int:
        def act() -> None:
            target = self._locate(newpath, follow=False)
            if os.path.lexists(target):  # SFTP's plain rename never replaces
                raise FileExistsError(target)
            os.rename(self._locate(oldpath, follow=False), target)

        return _attempt(act)

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        return _attempt(lambda: os.replace(self._locate(oldpath, follow=False), self._locate(newpath, follow=False)))

    def mkdir(self, path: str, attr: SFTPAttributes) -> int:
        mode = attr.st_mode if attr.st_mode is not None else 0o777
        return _attempt(lambda: os.mkdir(self._locate(path, follow=False), mode & 0o777))

    def rmdir(self, path: str) -> int:
        return _attempt(lambda: os.rmdir(self._locate(path, follow=False)))

    def chattr(self, path: str, attr: SFTPAttributes) -> int:
        return _attempt(lambda: _set_attributes(self._locate(path, follow=True), attr))

    def symlink(self, target_path: str, path: str) -> int:
        return _attempt(lambda: os.symlink(target_path, self._locate(path, follow=False)))

    def readlink(self, path: str) -> str | int:
        try:
            return os.readlink(self._locate(path, follow=False))
        except OSError as error:
            return _status(error)


def _attempt(action: Callable[[], None]) -> int:
    try:
        action()
    except OSError as error:
        return _status(error)
    return SFTP_OK


def _status(error: OSError) -> int:
    return SFTP_PERMISSION_DENIED if error.errno is None else SFTPServer.convert_errno(error.errno)


def _set_attributes(where: str | int, attr: SFTPAttributes) -> None:
    if attr.st_mode is not None:
        os.chmod(where, attr.st_mode & 0o777)
    if attr.st_atime is not None and attr.st_mtime is not None:
        os.utime(where, (attr.st_atime, attr.st_mtime))
    if attr.st_size is not None:
        os.truncate(where, attr.st_size)
