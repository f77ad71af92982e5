"""A watch over folders: every file that is made, written or moved there while it lasts, as the kernel reports it."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

_CREATED, _WRITTEN, _MOVED_TO, _RIGHTS, _DELETED, _MOVED_FROM = 0x100, 0x2, 0x80, 0x4, 0x200, 0x40
_EVENT = struct.Struct("iIII")


class FolderWatch:
    """Use as a context manager; `changes` afterwards names what happened below the folders (not in folders below)."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._folders = list(folders)
        self._watched: dict[int, Path] = {}
        self.changes: list[str] = []

    def __enter__(self) -> FolderWatch:
        self._descriptor = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self._descriptor >= 0, "inotify is needed: these tests run on Linux"
        mask = _CREATED | _WRITTEN | _MOVED_TO | _RIGHTS | _DELETED | _MOVED_FROM
        for folder in self._folders:
            number = self._libc.inotify_add_watch(self._descriptor, os.fsencode(folder), mask)
            assert number >= 0, os.strerror(ctypes.get_errno())
            self._watched[number] = folder
        return self

    def __exit__(self, *_: object) -> None:
        try:
            while data := os.read(self._descriptor, 1 << 20):
                self._read(data)
        except BlockingIOError:
            pass
        finally:
            os.close(self._descriptor)

    def _read(self, data: bytes) -> None:
        place = 0
        while place < len(data):
            number, mask, _, length = _EVENT.unpack_from(data, place)
            place += _EVENT.size
            name = data[place : place + length].rstrip(b"\0")
            place += length
            folder = self._watched.get(number, Path("?"))
            self.changes.append(f"{folder}/{os.fsdecode(name)} ({mask:#x})")
