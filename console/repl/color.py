"""Whether to use colours at all; asked before anything of a prompt is imported."""

from __future__ import annotations

import os
from collections.abc import Mapping


def wants_color(setting: str, *, terminal: bool, environment: Mapping[str, str] | None = None) -> bool:
    """Whether to use colours: NO_COLOR over the setting over what the terminal can do.

    setting: `auto`, `always` or `never`.
    """
    variables = os.environ if environment is None else environment
    if variables.get("NO_COLOR"):
        return False
    if setting != "auto":
        return setting == "always"
    return terminal and variables.get("TERM", "") not in ("", "dumb")
