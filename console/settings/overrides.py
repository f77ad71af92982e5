"""`-O KEY=VALUE`: settings given on the command line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .clush_conf import KEYS
from .settings import SettingsError, nearest, setting_names


def read_overrides(pairs: Iterable[str]) -> dict[str, Any]:
    """Setting -> value, of our names (the last part is enough where it is clear) and of those of clush.conf.

    Raises SettingsError for what is no pair, and for names with a section that do not exist; other names and all
    values are checked when they are set.
    """
    flags: dict[str, Any] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        key = key.strip()
        if not sign or not key:
            raise SettingsError(f"-O {pair!r} gives no value: write KEY=VALUE")
        if key in KEYS:
            name = KEYS[key]
            if name is not None:
                flags[name] = value
        elif "." not in key or key in setting_names():
            flags[key] = value
        else:
            raise SettingsError(f"-O {pair!r}: unknown setting{nearest(key, setting_names())}")
    return flags
