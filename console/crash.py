"""A crash report in a file, not a traceback on the terminal: versions and places, no values, no secrets."""

from __future__ import annotations

import os
import platform
import sys
import time
import traceback
from pathlib import Path

from .. import __version__
from ..engine.text import sanitize_text
from .language.redact import redact
from .settings import paths

#: Reports that are kept; older ones go.
_KEEP = 20


def write_crash_report(error: BaseException, words: list[str]) -> Path | None:
    """Write what happened; the file, or None where that is not possible either. words: the command line."""
    try:
        folder = paths.state_dir() / "crashes"
        folder.mkdir(mode=0o700, exist_ok=True)
        file = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
        text = "\n".join(
            (
                f"{type(error).__name__}: {_told(error)}",
                f"clusterdeck {__version__}, Python {platform.python_version()}, {platform.platform()}",
                f"command: {sanitize_text(redact(' '.join(words)))}",
                "",
                # The places only: values of variables could be secrets.
                *(line.rstrip("\n") for line in traceback.format_tb(error.__traceback__)),
                "",
            )
        )
        with os.fdopen(
            paths.private_file(file, os.O_WRONLY | os.O_EXCL), "w", encoding="utf-8", errors="backslashreplace"
        ) as stream:
            stream.write(text)
        for old in sorted(folder.glob("*.txt"))[:-_KEEP]:
            old.unlink(missing_ok=True)
    except OSError:
        return None
    return file


def _told(error: BaseException) -> str:
    """What an exception says; it may quote what a node sent."""
    return sanitize_text(redact(str(error)))


def tell_crash(error: BaseException, words: list[str]) -> None:
    """Write the report and say so in two lines."""
    file = write_crash_report(error, words)
    sys.stderr.write(f"clusterdeck: this is a mistake in clusterdeck: {type(error).__name__}: {_told(error)}\n")
    if file is not None:
        sys.stderr.write(f"clusterdeck: report: {file} (clusterdeck doctor reads it)\n")
