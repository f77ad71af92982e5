"""Settings of the SSH layer out of a Task's info."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .settings import SshSettings

#: Info keys and the fields of SshSettings that they set; None (or absent) leaves the default.
KEYS = {
    "ssh_config": "config_file",
    "ssh_user": "user",
    "connect_timeout": "connect_timeout",
    "ssh_window": "window",
    "ssh_host_keys": "host_keys",
    "ssh_ask": "ask",
    "ssh_keepalive": "keepalive",
    "ssh_idle": "idle",
    "ssh_match_exec": "allow_exec",
    "ssh_overrides": "overrides",
    "ssh_known_hosts": "known_hosts",
    "ssh_notice": "notice",
    "ssh_live": "live",
    "ssh_trace": "trace",
}


def settings_from(info: Callable[[str], Any]) -> SshSettings:
    """Read the info values, each once."""
    settings = SshSettings()
    for key, name in KEYS.items():
        value = info(key)
        if value is not None:
            setattr(settings, name, value)
    return settings
