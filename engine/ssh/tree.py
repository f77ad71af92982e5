"""What is copied out: a local file or folder, listed once for all nodes, and read once however many nodes take it."""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from dataclasses import dataclass, field

from .steps import CopyRefusedError

_BLOCK = 256 * 1024
#: Bytes of the cache that nodes at different speeds share.
_CACHE = 64 * 1024 * 1024
_MAX_ITEMS = 1_000_000


@dataclass(frozen=True, slots=True)
class Item:
    """One file or folder. relative: its place below the source, empty for the source itself."""

    path: bytes
    relative: bytes
    mode: int
    mtime: int
    atime: int
    size: int

    @property
    def is_dir(self) -> bool:
        """Whether it is a folder."""
        return stat.S_ISDIR(self.mode)


@dataclass(slots=True)
class Tree:
    """The listing: folders before what is in them. name: how it is called where the destination is a directory."""

    name: bytes
    folders: list[Item] = field(default_factory=list)
    files: list[Item] = field(default_factory=list)

    @property
    def is_dir(self) -> bool:
        """Whether a folder is copied."""
        return bool(self.folders)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(item.size for item in self.files)


def list_tree(source: str) -> Tree:
    """List a file or folder; links are followed, as scp does, and devices, sockets and pipes refused.

    Blocks. Raises CopyRefusedError, OSError.
    """
    path = os.fsencode(os.path.expanduser(source))
    name = os.path.basename(os.path.abspath(path))
    tree = Tree(name)
    status = os.stat(path)
    if not stat.S_ISDIR(status.st_mode):
        tree.files.append(_item(path, b"", status))
        return tree
    waiting: list[tuple[bytes, bytes, os.stat_result, frozenset[tuple[int, int]]]] = [(path, b"", status, frozenset())]
    while waiting:
        folder, relative, status, above = waiting.pop()
        identity = (status.st_dev, status.st_ino)
        if identity in above:
            raise CopyRefusedError(f"{os.fsdecode(folder)!a}: a link leads back to a folder above it")
        tree.folders.append(_item(folder, relative, status))
        for entry in sorted(os.scandir(folder), key=lambda e: e.name):
            place = relative + b"/" + entry.name if relative else entry.name
            status = entry.stat()
            if stat.S_ISDIR(status.st_mode):
                waiting.append((entry.path, place, status, above | {identity}))
            else:
                tree.files.append(_item(entry.path, place, status))
        if len(tree.files) + len(tree.folders) > _MAX_ITEMS:
            raise CopyRefusedError(f"{source!a} holds more than {_MAX_ITEMS} files: copy an archive instead")
    tree.folders.sort(key=lambda item: item.relative)
    return tree


def _item(path: bytes, relative: bytes, status: os.stat_result) -> Item:
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise CopyRefusedError(f"{os.fsdecode(path)!a} is neither a file nor a folder")
    return Item(path, relative, status.st_mode, int(status.st_mtime), int(status.st_atime), status.st_size)


class SharedReader:
    """Reads blocks of files once for all nodes that want them at about the same time. `reads` counts real reads."""

    def __init__(self) -> None:
        self.reads = 0
        self._blocks: OrderedDict[tuple[bytes, int], bytes] = OrderedDict()
        self._held = 0
        self._files: OrderedDict[bytes, int] = OrderedDict()

    def read(self, item: Item, offset: int, size: int) -> bytes:
        """Up to `size` bytes at `offset`, not across a block; empty at the end. Raises OSError."""
        start = offset - offset % _BLOCK
        key = (item.path, start)
        block = self._blocks.get(key)
        if block is None:
            block = os.pread(self._descriptor(item.path), _BLOCK, start)
            self.reads += 1
            self._blocks[key] = block
            self._held += len(block)
            while self._held > _CACHE:
                self._held -= len(self._blocks.popitem(last=False)[1])
        else:
            self._blocks.move_to_end(key)
        inside = offset - start
        return block[inside : inside + size]

    def _descriptor(self, path: bytes) -> int:
        found = self._files.get(path)
        if found is None:
            found = self._files[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            while len(self._files) > 32:
                os.close(self._files.popitem(last=False)[1])
        else:
            self._files.move_to_end(path)
        return found

    def close(self) -> None:
        """Give descriptors and memory back. Idempotent."""
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()
        self._blocks.clear()
        self._held = 0
