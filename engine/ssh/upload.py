"""Copying out: a local file or folder to one node, pipelined, under a temporary name until it is complete."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Generator
from dataclasses import dataclass

from . import wire
from .sftp import (
    CLOSE,
    FSETSTAT,
    FXF_CREAT,
    FXF_EXCL,
    FXF_WRITE,
    MKDIR,
    OPEN,
    REALPATH,
    REMOVE,
    SETSTAT,
    WRITE,
    Attributes,
    SftpClient,
    SftpError,
)
from .steps import CopyRefusedError, Name, Pause, Reply, Request, Work
from .transfer import (
    Pipeline,
    Progress,
    RemoteFileError,
    join,
    look,
    path_request,
    remote_path,
    rename_request,
    several,
    shown,
)
from .tree import Item, SharedReader, Tree

_BACKLOG = 512 * 1024


@dataclass(slots=True)
class UploadOptions:
    """preserve: keep times and modes. dest: a remote path; an existing directory is copied into."""

    dest: str
    preserve: bool = False


class Upload:
    """The work for one node; `work()` is run by steps.Steps. temporaries: files to be removed if it is stopped."""

    def __init__(
        self, client: SftpClient, tree: Tree, reader: SharedReader, options: UploadOptions, progress: Progress
    ) -> None:
        self.temporaries: set[bytes] = set()
        self._client = client
        self._tree = tree
        self._reader = reader
        self._options = options
        self._progress = progress
        progress.total = tree.size

    def work(self) -> Work:
        """Everything, in steps."""
        tree, dest = self._tree, remote_path(self._options.dest)
        there = yield from look(dest)
        if there is not None and there.is_dir:
            dest = join(dest, tree.name)
            there = yield from look(dest)
        elif there is None and dest.endswith(b"/") and not tree.is_dir:
            raise CopyRefusedError(f"{shown(dest)} is no directory there")
        if not tree.is_dir:
            if there is not None and there.is_dir:
                raise CopyRefusedError(f"{shown(dest)} is a directory there: a file will not replace it")
            yield from self._file(tree.files[0], dest)
            return
        if there is not None and not there.is_dir:
            raise CopyRefusedError(f"{shown(dest)} is a file there: a folder will not replace it")
        for folder in tree.folders:
            yield from self._folder(folder, _place(dest, folder))
        yield several(self._client, (self._file(item, _place(dest, item)) for item in tree.files))
        if self._options.preserve:
            for folder in reversed(tree.folders):
                yield path_request(SETSTAT, _place(dest, folder), _kept(folder).encode())

    def _folder(self, item: Item, target: bytes) -> Work:
        mode = item.mode & 0o777
        try:
            yield path_request(MKDIR, target, Attributes(mode=mode | 0o700).encode())
        except SftpError as error:
            there = yield from look(target)
            if there is None or not there.is_dir:
                raise RemoteFileError(error, target) from error

    def _file(self, item: Item, target: bytes) -> Work:
        there = yield from look(target, follow=False)
        if there is not None and there.is_link:
            target = yield from self._behind(target)
            there = yield from look(target)
        if there is not None and there.is_dir:
            raise CopyRefusedError(f"{shown(target)} is a directory there: a file will not replace it")
        if there is not None and not there.is_file:
            raise CopyRefusedError(f"{shown(target)} is a device, pipe or socket there: it will not be replaced")
        temporary = join(os.path.dirname(target), b".clusterdeck-" + secrets.token_hex(8).encode())
        if not os.path.dirname(target):
            temporary = temporary[1:]
        self.temporaries.add(temporary)
        try:
            yield from self._write(item, temporary, there)
            if there is not None and not self._client.posix_rename:
                yield path_request(REMOVE, target)
            yield rename_request(self._client, temporary, target)
        except SftpError as error:
            yield from self._remove(temporary)
            raise RemoteFileError(error, target) from error
        except (OSError, CopyRefusedError):
            yield from self._remove(temporary)
            raise
        self.temporaries.discard(temporary)

    def _behind(self, target: bytes) -> Generator[Request | Pause, Reply, bytes]:
        """What a link leads to, so that the link itself stays."""
        found = yield path_request(REALPATH, target)
        if isinstance(found, list) and len(found) == 1 and isinstance(found[0], Name):
            return found[0].name
        raise CopyRefusedError(f"{shown(target)} is a link there that leads nowhere")

    def _remove(self, temporary: bytes) -> Work:
        self.temporaries.discard(temporary)
        try:
            yield path_request(REMOVE, temporary)
        except SftpError:
            return

    def _write(self, item: Item, temporary: bytes, there: Attributes | None) -> Work:
        flags = wire.u32(FXF_WRITE | FXF_CREAT | FXF_EXCL)
        mode = item.mode & 0o777 if self._options.preserve or there is None else 0o600
        handle = yield path_request(OPEN, temporary, flags + Attributes(mode=mode).encode())
        assert isinstance(handle, bytes)
        failed = True
        try:
            if item.size:
                pump = _Pump(self._client, self._reader, item, handle, self._progress)
                yield Pause(pump.start)
            kept = _kept(item) if self._options.preserve else _as_before(there)
            if kept is not None:
                yield from self._set(handle, kept)
            failed = False
        finally:
            if failed:
                self._client.ask(CLOSE, lambda _kind, _fields: None, wire.string(handle))
        yield Request(CLOSE, wire.string(handle))

    def _set(self, handle: bytes, kept: Attributes) -> Work:
        """Owner, where it differs and we may; the mode is what matters."""
        if kept.uid is not None:
            try:
                yield Request(FSETSTAT, wire.string(handle) + Attributes(uid=kept.uid, gid=kept.gid).encode())
            except SftpError:
                kept.mode = None if kept.mode is None else kept.mode & 0o777
            kept.uid = kept.gid = None
        yield Request(FSETSTAT, wire.string(handle) + kept.encode())


def _place(dest: bytes, item: Item) -> bytes:
    return join(dest, item.relative) if item.relative else dest


def _kept(item: Item) -> Attributes:
    return Attributes(mode=item.mode & 0o7777, atime=item.atime, mtime=item.mtime)


def _as_before(there: Attributes | None) -> Attributes | None:
    """A file that is replaced keeps its mode and, where possible, its owner."""
    if there is None or there.mode is None:
        return None
    return Attributes(mode=there.mode & 0o7777, uid=there.uid, gid=there.gid)


class _Pump(Pipeline):
    """Writes one file."""

    def __init__(self, client: SftpClient, reader: SharedReader, item: Item, handle: bytes, progress: Progress) -> None:
        super().__init__(client, handle, progress)
        self._reader = reader
        self._item = item
        self._offset = 0

    def start(self, resume: Callable[[Exception | None], None]) -> None:
        """See Pipeline; goes on when the server's window has admitted what was written, too."""
        self.client.writers.add(self.fill)

        def done(error: Exception | None) -> None:
            self.client.writers.discard(self.fill)
            resume(error)

        super().start(done)

    @property
    def exhausted(self) -> bool:
        """See Pipeline."""
        return self._offset >= self._item.size

    def more(self) -> bool:
        """See Pipeline."""
        client, item = self.client, self._item
        if client.backlog >= _BACKLOG:
            return False
        data = self._reader.read(item, self._offset, min(client.chunk, item.size - self._offset))
        if not data:
            raise CopyRefusedError(f"{os.fsdecode(item.path)!a} became shorter while it was copied")
        place = wire.u64(self._offset)
        size = len(data)
        self._offset += size
        self.ask(WRITE, size, lambda _kind, _fields: self.progress.add(size), place, wire.u32(size), data)
        return True
