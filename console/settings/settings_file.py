"""The text of a file of settings, ours or clush's: believed only where it may be, not missed where there is none."""

from __future__ import annotations

from pathlib import Path

from .settings import SettingsError
from .trust import TrustError, read_trusted


def settings_text(file: Path) -> str | None:
    """What the file says; None where there is none. Raises SettingsError naming the file and the reason."""
    try:
        return read_trusted(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except TrustError as error:
        raise SettingsError(str(error)) from error
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror or error}") from error
