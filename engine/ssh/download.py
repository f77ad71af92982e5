"""Copying back: a file or folder of one node into a safe folder here, pipelined, within limits."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

from . import wire
from .safe_folder import Limits, NewFile, SafeFolder
from .sftp import (
    CLOSE,
    FSTAT,
    FX_EOF,
    FXF_READ,
    OPEN,
    OPENDIR,
    READ,
    READDIR,
    Attributes,
    SftpClient,
    SftpError,
)
from .steps import CopyRefusedError, Name, Pause, Reply, Request, Work, decode, is_eof
from .transfer import (
    Pipeline,
    Progress,
    RemoteFileError,
    join,
    look,
    path_request,
    remote_path,
    several,
    shown,
)

#: Files of /proc and the like say that they are empty; this much is read of them.
_UNSIZED_LIMIT = 64 * 1024 * 1024
_LISTED = 20


@dataclass(slots=True)
class DownloadOptions:
    """name: what the copy is called in the folder. preserve: keep times. overwrite: plain files give way.

    folder: made below the destination first, for the copy to be in; empty for none.
    """

    source: str
    name: bytes
    folder: bytes = b""
    preserve: bool = False
    overwrite: bool = True
    limits: Limits = field(default_factory=Limits)


class Download:
    """The work for one node. left_out: what was not copied, and why (the first few)."""

    def __init__(self, client: SftpClient, folder: SafeFolder, options: DownloadOptions, progress: Progress) -> None:
        self.left_out: list[str] = []
        self.left_out_count = 0
        self._client = client
        self._folder = folder
        self._options = options
        self._progress = progress
        self._entries = 0
        self._size = 0
        self._open: set[NewFile] = set()
        self._folders: list[SafeFolder] = []

    def work(self) -> Work:
        """Everything, in steps."""
        options = self._options
        source = remote_path(options.source)
        there = yield from look(source)
        if there is None:
            raise CopyRefusedError(f"{shown(source)}: no such file there")
        if there.is_dir:
            yield from self._tree(source, there)
        elif there.is_file:
            self._count(there, source)
            yield from self._file(source, there, self._folder, options.name)
        else:
            raise CopyRefusedError(f"{shown(source)} is a device, pipe or socket there")

    def close(self) -> None:
        """Remove what is incomplete and close all folders. Idempotent."""
        for file in list(self._open):
            file.discard()
        self._open.clear()
        for folder in self._folders:
            folder.close()
        self._folders.clear()
        self._folder.close()

    # -- folders

    def _tree(self, source: bytes, attributes: Attributes) -> Work:
        limits = self._options.limits
        root = self._enter(self._folder, self._options.name, limits)
        waiting = [(source, root, attributes)]
        made: list[tuple[SafeFolder, Attributes]] = []
        files: list[tuple[bytes, Attributes, SafeFolder, bytes]] = []
        while waiting:
            path, folder, attributes = waiting.pop()
            made.append((folder, attributes))
            names = yield from self._list(path)
            for entry in names:
                place = join(path, entry.name)
                try:
                    found = yield from self._kind(place, entry)
                    if found is None:
                        continue
                    self._count(found, place)
                    if found.is_dir:
                        waiting.append((place, self._enter(folder, entry.name, limits), found))
                    else:
                        folder.claim(entry.name)
                        files.append((place, found, folder, entry.name))
                except CopyRefusedError as problem:
                    if self._entries > limits.entries or self._size > limits.size:
                        raise
                    self._leave_out(str(problem))
            if len(self._folders) > 512:
                yield several(self._client, [self._leniently(*file) for file in files])
                files.clear()
                self._finish_folders(made, {id(item[1]) for item in waiting})
        yield several(self._client, [self._leniently(*file) for file in files])
        self._finish_folders(made, set())

    def _finish_folders(self, made: list[tuple[SafeFolder, Attributes]], busy: set[int]) -> None:
        for folder, attributes in reversed(made):
            if id(folder) not in busy:
                folder.finish(0o755 if attributes.mode is None else attributes.mode, self._times(attributes))
                folder.close()
        kept = [folder for folder in self._folders if id(folder) in busy]
        self._folders[:] = kept
        made.clear()

    def _enter(self, folder: SafeFolder, name: bytes, limits: Limits) -> SafeFolder:
        inside = folder.enter(name, limits)
        self._folders.append(inside)
        return inside

    def _list(self, path: bytes) -> Generator[Request | Pause, Reply, list[Name]]:
        found: list[Name] = []
        try:
            handle = yield path_request(OPENDIR, path)
        except SftpError as error:
            self._leave_out(f"{shown(path)}: {error}")
            return found
        assert isinstance(handle, bytes)
        try:
            while True:
                names = yield Request(READDIR, wire.string(handle))
                if not isinstance(names, list) or not names:
                    break
                found += [entry for entry in names if entry.name not in (b".", b"..")]
                if len(found) + self._entries > self._options.limits.entries:
                    raise CopyRefusedError(f"more than {self._options.limits.entries} files and folders")
        except SftpError as error:
            if not is_eof(error):
                self._leave_out(f"{shown(path)}: {error}")
        yield Request(CLOSE, wire.string(handle))
        return found

    def _kind(self, path: bytes, entry: Name) -> Generator[Request | Pause, Reply, Attributes | None]:
        """What an entry is; links to files are followed by the node, other links are left out."""
        found: Attributes | None = entry.attributes
        if found is None or found.mode is None or found.is_link:
            link = found is not None and found.is_link
            found = yield from look(path)
            if found is None or (link and found.is_dir):
                self._leave_out(f"{shown(path)}: a link to nowhere or to a folder")
                return None
        if not (found.is_dir or found.is_file):
            self._leave_out(f"{shown(path)}: a device, pipe or socket")
            return None
        return found

    def _leave_out(self, why: str) -> None:
        self.left_out_count += 1
        if len(self.left_out) < _LISTED:
            self.left_out.append(why)

    def _count(self, attributes: Attributes, path: bytes) -> None:
        limits = self._options.limits
        self._entries += 1
        if self._entries > limits.entries:
            raise CopyRefusedError(f"more than {limits.entries} files and folders")
        if attributes.is_dir:
            return
        size = attributes.size or 0
        if self._size + size > limits.size:
            raise CopyRefusedError(f"{shown(path)}: with it the node would send more than {limits.size} bytes")
        if size > self._folder.free_bytes():
            raise CopyRefusedError(f"{shown(path)}: {size} bytes, more than the space that is left here")
        self._size += size
        self._progress.total += size

    # -- files

    def _leniently(self, path: bytes, attributes: Attributes, folder: SafeFolder, name: bytes) -> Work:
        """A file of a folder: what the server will not give is left out, and the others still come."""
        try:
            yield from self._file(path, attributes, folder, name)
        except (SftpError, CopyRefusedError) as error:
            self._leave_out(str(error))

    def _file(self, path: bytes, attributes: Attributes, folder: SafeFolder, name: bytes) -> Work:
        try:
            handle = yield path_request(OPEN, path, wire.u32(FXF_READ) + wire.u32(0))
        except SftpError as error:
            raise RemoteFileError(error, path) from error
        assert isinstance(handle, bytes)
        file: NewFile | None = None
        try:
            now = yield Request(FSTAT, wire.string(handle))
            if isinstance(now, Attributes):
                if now.mode is not None and not now.is_file:
                    raise CopyRefusedError(f"{shown(path)} turned into something else while it was copied")
                attributes = now
            file = folder.create(name, overwrite=self._options.overwrite)
            self._open.add(file)
            limit = self._options.limits.size - self._size + (attributes.size or 0)
            yield Pause(_Drain(self._client, file, handle, attributes.size or 0, limit, self._progress).start)
            file.keep(0o644 if attributes.mode is None else attributes.mode, self._times(attributes))
            self._open.discard(file)
        except SftpError as error:
            raise RemoteFileError(error, path) from error
        finally:
            if file is not None and file in self._open:
                self._open.discard(file)
                file.discard()
            self._client.ask(CLOSE, _ignore, wire.string(handle))

    def _times(self, attributes: Attributes) -> tuple[int, int] | None:
        if not self._options.preserve or attributes.mtime is None:
            return None
        return (attributes.atime or attributes.mtime, attributes.mtime)


def _ignore(_kind: int, _fields: wire.Reader) -> None:
    """Nothing depends on whether a read handle could be closed."""


class _Drain(Pipeline):
    """Reads one file. size: as the server says; 0: read until the end."""

    def __init__(
        self, client: SftpClient, file: NewFile, handle: bytes, size: int, limit: int, progress: Progress
    ) -> None:
        super().__init__(client, handle, progress)
        self._file = file
        self._sized = size > 0
        self._end = size if size else min(limit, _UNSIZED_LIMIT)
        self._offset = 0
        self._ended = False
        if not self._sized:
            # One request after the other, so that it stops where the file does.
            self.at_once = 1

    @property
    def exhausted(self) -> bool:
        """See Pipeline."""
        return self._ended or self._offset >= self._end

    def more(self) -> bool:
        """See Pipeline."""
        size = min(self.client.chunk, self._end - self._offset)
        self._request(self._offset, size)
        self._offset += size
        return True

    def failed(self, error: SftpError) -> None:
        """See Pipeline: the end of the file may come early."""
        self._ended = True
        if error.code != FX_EOF:
            super().failed(error)

    def _request(self, offset: int, size: int) -> None:
        def answered(kind: int, fields: wire.Reader) -> None:
            self._take(offset, size, decode(kind, fields))

        self.ask(READ, size, answered, wire.u64(offset), wire.u32(size))

    def _take(self, offset: int, size: int, data: Reply) -> None:
        if not isinstance(data, bytes) or len(data) > size:
            raise CopyRefusedError("the server sent more than it was asked for")
        if self.error is not None:
            return
        self._file.write(data, offset)
        self.progress.add(len(data))
        if not data:
            self._ended = True
        elif len(data) < size:
            if self._sized:
                self._request(offset + len(data), size - len(data))
            else:
                self._offset = offset + len(data)
