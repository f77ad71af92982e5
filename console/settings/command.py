"""`clusterdeck config show|explain|init|trust`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from . import paths
from .config import PROJECT_FILE, load_settings, template, trust_project
from .sections import SECTIONS
from .settings import split_key
from .trust import TrustError


def config_command(action: str, key: str | None, *, force: bool = False) -> int:
    """Do it; returns the exit code. Raises SettingsError for wrong settings."""
    if action == "init":
        return _init(force=force)
    if action == "trust":
        return _trust(Path(key) if key else Path.cwd() / PROJECT_FILE)
    notices: list[str] = []
    settings = load_settings(notices=notices)
    for notice in notices:
        sys.stderr.write(f"clusterdeck: {notice}\n")
    rows = settings.explain()
    if key in SECTIONS:
        rows = [row for row in rows if row[0].startswith(f"{key}.")]
    elif key is not None:
        name = ".".join(split_key(key))
        rows = [row for row in rows if row[0] == name]
    section = ""
    for name, value, source, meaning in rows:
        home, _, short = name.partition(".")
        if action == "show":
            if home != section:
                sys.stdout.write(("\n" if section else "") + f"[{home}]\n")
                section = home
            sys.stdout.write(f"{short} = {value}\n")
        else:
            sys.stdout.write(f"{name} = {value}\n    {meaning}\n    from: {source}\n")
    if key is None and action == "explain":
        for part in settings.nodes:
            values = ", ".join(f"{name} = {value!r}" for name, value in part.values)
            sys.stdout.write(f"[[nodes]] match = {part.match!r}: {values}\n    from: {part.source}\n")
        _sources()
    return 0


def _sources() -> None:
    files = (paths.system_config_file(), paths.user_config_file(), Path.cwd() / PROJECT_FILE)
    for file in files:
        sys.stdout.write(f"{'read' if file.is_file() else 'not there'}: {file}\n")
    for file in paths.clush_conf_files():
        if file.is_file():
            sys.stdout.write(f"read: {file}\n")


def _init(*, force: bool) -> int:
    file = paths.user_config_file()
    if file.exists() and not force:
        sys.stderr.write(f"clusterdeck: {file} is there already; --force replaces it\n")
        return 1
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(paths.private_file(file, os.O_WRONLY | os.O_TRUNC), "w") as stream:
        stream.write(template())
    sys.stdout.write(f"{file}\n")
    return 0


def _trust(file: Path) -> int:
    if not file.is_file():
        sys.stderr.write(f"clusterdeck: there is no {file}\n")
        return 1
    try:
        text = file.read_text("utf-8", "replace")
        text = trust_project(file)
    except (TrustError, OSError) as error:
        sys.stderr.write(f"clusterdeck: {error}\n")
        return 6
    from ...engine.text import sanitize

    sys.stdout.write(sanitize(text.encode()))
    sys.stdout.write(f"\ntrusted until it changes: {file}\n")
    return 0
