"""Which files may be believed: owned by root or by us, and writable by nobody else, up to the root folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path

#: No file that we read on trust is larger.
MAX_BYTES = 4 * 1024 * 1024


class TrustError(Exception):
    """A file that must not be believed; the text names the file, the reason and the remedy."""


def check_trusted(file: Path) -> None:
    """Raise TrustError unless the file and every folder above it can be changed by root and us only.

    Symbolic links are resolved first. A folder that others may write to is accepted only with the sticky bit, as
    /tmp has it, because then nobody else can replace what is ours in it. Raises OSError where it is not there.
    """
    real = _resolved(file)
    owners = (0, os.geteuid())
    for place in (real, *real.parents):
        status = place.stat()
        if status.st_uid not in owners:
            raise TrustError(f"{real} is not trusted: {place} belongs to user {status.st_uid}, not to root or you")
        if not status.st_mode & 0o022:
            continue
        if stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX:
            continue
        raise TrustError(f"{real} is not trusted: others may write to {place} (chmod go-w {place})")


def _resolved(file: Path) -> Path:
    try:
        return file.resolve(strict=True)
    except RuntimeError:  # older Pythons' word for a loop
        raise TrustError(f"{file} is a link that leads back to itself") from None


def read_trusted(file: Path) -> str:
    """The text of a trusted file. Raises TrustError, or OSError where it cannot be read."""
    check_trusted(file)
    descriptor = os.open(_resolved(file), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise TrustError(f"{file} is not a regular file")
    with os.fdopen(descriptor, "rb") as stream:
        # The file that was checked might have been swapped since: what counts is what was opened.
        if status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022:
            raise TrustError(f"{file} is not trusted: it changed while it was being checked")
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise TrustError(f"{file} is not read: it is larger than {MAX_BYTES} bytes")
    try:
        return data.decode("utf-8-sig")  # some editors begin a file with a mark
    except UnicodeDecodeError:
        raise TrustError(f"{file} is not read: it is not UTF-8 text") from None
