"""What the caller of the SSH layer decides; everything else comes from ssh_config and the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .questions import Ask


@dataclass(slots=True)
class SshSettings:
    """Read live: a change counts for connections that are dialled afterwards. Times are seconds.

    config_file: as `ssh -F`; None for ~/.ssh/config and the system's; "none" for no file at all.
    user: over every User of the configuration, where a user is given.
    connect_timeout: from the first packet to the end of authentication; None: ssh_config's, or 10; 0: no limit.
    window: how many connections may be in key exchange and authentication at once, apart from the fanout of commands.
    host_keys: "ask", "accept-new", "refuse" or None, which is StrictHostKeyChecking (`no` counts as `accept-new`).
    ask: who is asked; None: nobody is there (batch), unknown keys and missing secrets are failures.
    keepalive: seconds of silence after which a sign of life is asked for; 0 switches it off. Three without an answer
    end the connection. idle: seconds after which an unused connection is closed; 0 never.
    allow_exec: whether `Match exec` may run programs. overrides: ssh_config keywords that win over the files.
    known_hosts: files in place of UserKnownHostsFile and GlobalKnownHostsFile. notice: is told of what an operator
    should know (one line). live: is told how many connections stand, when that has changed. trace: is told of every
    step towards a connection (one line each); None: nobody is.
    """

    config_file: str | None = None
    user: str | None = None
    connect_timeout: float | None = None
    window: int = 64
    host_keys: str | None = None
    ask: Ask | None = None
    keepalive: float = 60.0
    idle: float = 1800.0
    allow_exec: bool = False
    overrides: Mapping[str, str] = field(default_factory=dict)
    known_hosts: tuple[str, ...] | None = None
    notice: Callable[[str], None] = field(default=lambda _text: None)
    live: Callable[[int], None] = field(default=lambda _count: None)
    trace: Callable[[str], None] | None = None
