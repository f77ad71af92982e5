"""RevokedHostKeys of ssh_config: a file of public keys that no host may show, whatever known_hosts says.

As in OpenSSH a file that is missing or cannot be used means that no key is believed. Its binary form (a KRL, as
`ssh-keygen -k` makes it) is not read here, so it counts as one that cannot be used.
"""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path

_KRL = b"SSHKRL\n\0"
_MAX_FILE = 16 * 1024 * 1024


class RevokedKeysError(Exception):
    """The file cannot be used; the message says why."""


class RevokedKeys:
    """One file, read again when it has changed."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._stamp: tuple[int, int, int] | None = None
        self._lines: dict[bytes, int] = {}

    def line_of(self, key: bytes) -> int | None:
        """The line that revokes a key, if one does. Raises RevokedKeysError."""
        try:
            status = os.stat(self.path)
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp != self._stamp:
                self._read(status.st_size)
                self._stamp = stamp
        except OSError as error:
            raise RevokedKeysError(f"{self.path}: {error.strerror}") from error
        return self._lines.get(key)

    def _read(self, size: int) -> None:
        self._stamp = None
        if size > _MAX_FILE:
            raise RevokedKeysError(f"{self.path} is larger than {_MAX_FILE >> 20} MiB")
        data = Path(self.path).read_bytes()
        if data.startswith(_KRL):
            raise RevokedKeysError(f"{self.path} is a KRL, which is not read here: list the public keys, or use -R ssh")
        self._lines = {}
        for number, line in enumerate(data.split(b"\n"), 1):
            words = line.split()
            if len(words) < 2 or words[0].startswith(b"#"):
                continue
            try:
                self._lines.setdefault(base64.b64decode(words[1], validate=True), number)
            except binascii.Error:
                continue
