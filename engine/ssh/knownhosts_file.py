"""Writing known_hosts: under a lock, to a temporary file that takes the old one's place, hashed if the file is hashed.

Files under /etc are never written.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hmac
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from . import wire


def add_keys(path: str, keys: Sequence[tuple[str, bytes]], *, hashed: bool | None = None) -> None:
    """Append (name, key) pairs that are not there yet; names as `hostkeys.lookup_name` makes them.

    hashed: whether names are hidden (HashKnownHosts); None: as the file's present lines are. Other processes that
    write through here wait for each other. Raises OSError, and PermissionError for a file under /etc.
    """
    target = Path(os.path.realpath(os.path.expanduser(path)))
    if target.is_relative_to("/etc"):
        raise PermissionError(f"{target} is the system's: keys are only added to a user's own file")
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(target):
        old = target.read_bytes() if target.exists() else b""
        hide = _is_hashed(old) if hashed is None else hashed
        lines = [
            line
            for name, key in dict.fromkeys(keys)
            if (line := _line(name, key, hide)) and not _stands(old, name, key)
        ]
        if not lines:
            return
        if old and not old.endswith(b"\n"):
            old += b"\n"
        _replace(target, old + b"".join(lines))


def _stands(old: bytes, name: str, key: bytes) -> bool:
    encoded = base64.b64encode(key)
    return any(line.startswith(name.encode() + b" ") and encoded in line for line in old.splitlines())


def _is_hashed(old: bytes) -> bool:
    lines = [line for line in old.splitlines() if line and not line.startswith((b"#", b"@"))]
    return bool(lines) and all(line.startswith(b"|1|") for line in lines)


def _line(name: str, key: bytes, hide: bool) -> bytes:
    if any(character.isspace() or character in ",|*?!" for character in name):
        return b""
    shown = name.encode()
    if hide:
        salt = os.urandom(20)
        digest = hmac.digest(salt, shown, "sha1")
        shown = b"|1|" + base64.b64encode(salt) + b"|" + base64.b64encode(digest)
    return shown + b" " + wire.Reader(key).string() + b" " + base64.b64encode(key) + b"\n"


@contextlib.contextmanager
def _locked(target: Path) -> Iterator[None]:
    descriptor = os.open(f"{target}.clusterdeck-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(target: Path, data: bytes) -> None:
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.chmod(name, mode)
        os.replace(name, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
