"""Where configuration, state and cache live, and with which rights.

The state folder is 0700 and its files are 0600: it holds the history, the audit log and outputs of nodes.
Environment: CLUSTERDECK_CONFIG_DIR, CLUSTERDECK_STATE_DIR and CLUSTERDECK_CACHE_DIR move the folders (tests, sites).
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

APPLICATION = "clusterdeck"
#: Never through a link, and never waiting for the other end of a pipe.
_CAREFULLY = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_LINUX = {"config": ".config", "state": ".local/state", "cache": ".cache"}


def _folder(variable: str, kind: str) -> Path:
    moved = os.environ.get(variable)
    if moved:
        return Path(moved).expanduser()
    if sys.platform.startswith("linux"):
        # As platformdirs would say, without the time to import it.
        base = os.environ.get(f"XDG_{kind.upper()}_HOME", "")
        home = Path(base) if os.path.isabs(base) else Path.home() / _LINUX[kind]
        return home / APPLICATION
    import platformdirs

    return Path(getattr(platformdirs, f"user_{kind}_path")(APPLICATION, appauthor=False))


def config_dir() -> Path:
    """The user's configuration folder; it may not exist."""
    return _folder("CLUSTERDECK_CONFIG_DIR", "config")


def cache_dir() -> Path:
    """The cache folder; it may not exist."""
    return _folder("CLUSTERDECK_CACHE_DIR", "cache")


def state_dir() -> Path:
    """The state folder, made with mode 0700 if need be.

    Raises OSError where it cannot be made or tightened, and PermissionError where it belongs to somebody else.
    """
    folder = _folder("CLUSTERDECK_STATE_DIR", "state")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if status.st_uid not in (os.geteuid(), 0):
        raise PermissionError(f"{folder} belongs to another user: set CLUSTERDECK_STATE_DIR to a folder of your own")
    if status.st_mode & 0o077:
        folder.chmod(0o700)
    return folder


def private_file(path: Path, flags: int) -> int:
    """Open a file of the state folder with mode 0600 and return its descriptor.

    Symbolic links, files of others and what is no file are refused: the folder may have been open to others before it
    was made private. Raises OSError.
    """
    # O_TRUNC comes after the check: what is not ours is not emptied either.
    descriptor = os.open(path, (flags & ~os.O_TRUNC) | _CAREFULLY | os.O_CREAT, 0o600)
    try:
        _check_ours(path, descriptor)
        if os.fstat(descriptor).st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
        if flags & os.O_TRUNC:
            os.ftruncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_private(path: Path) -> str:
    """A text of the state folder, read with the same care. Raises OSError, and ValueError for what is no text."""
    descriptor = os.open(path, os.O_RDONLY | _CAREFULLY)
    try:
        _check_ours(path, descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    with os.fdopen(descriptor, encoding="utf-8") as stream:
        return stream.read()


def write_private(path: Path, text: str) -> None:
    """Replace a file, in one step, by a text; mode 0600. Raises OSError; what was there stays then."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(private_file(temporary, os.O_WRONLY | os.O_TRUNC), "w", encoding="utf-8") as stream:
            stream.write(text)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _check_ours(path: Path, descriptor: int) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise PermissionError(1, f"{path} is not a regular file: remove it")
    if status.st_uid not in (os.geteuid(), 0):
        raise PermissionError(1, f"{path} belongs to another user: remove it")


def user_config_file() -> Path:
    """The user's `config.toml`."""
    return config_dir() / "config.toml"


def system_config_file() -> Path:
    """The site's `config.toml`."""
    return Path(os.environ.get("CLUSTERDECK_SYSTEM_CONFIG", "/etc/clusterdeck/config.toml"))


def clush_conf_files() -> list[Path]:
    """Where clush.conf may be, in clush's order; CLUSTERDECK_CLUSH_CONF names the only one (empty: none)."""
    only = os.environ.get("CLUSTERDECK_CLUSH_CONF")
    if only is not None:
        return [Path(only)] if only else []
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    folders = [Path("/etc/clustershell"), Path.home() / ".local/etc/clustershell", Path(base) / "clustershell"]
    if "CLUSTERSHELL_CFGDIR" in os.environ:
        folders.append(Path(os.environ["CLUSTERSHELL_CFGDIR"]))
    return [folder / "clush.conf" for folder in folders]


def audit_file() -> Path:
    """The audit log, one JSON object per line."""
    return state_dir() / "audit.jsonl"


def history_file() -> Path:
    """The prompt's history."""
    return state_dir() / "history"


def runs_dir() -> Path:
    """Finished runs on disk, one folder per run."""
    folder = state_dir() / "runs"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def spool_dir() -> Path:
    """Where output goes that does not fit in memory; its files have no names."""
    folder = state_dir() / "spool"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def macros_dir() -> Path:
    """The user's own macros; it may not exist."""
    return config_dir() / "macros"
