"""From node names to peers, as the settings of one run see them.

Runs that overlap may name other files, users or rules for host keys. Each set of settings has a directory of its own;
where two of them come to the same configuration of a node, they share its peer and so its connection.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace

from ..names import NameRefusedError, check_user
from .config import SshConfig
from .config_file import ConfigError
from .config_values import HostConfig, Jump
from .peer import Peer
from .settings import SshSettings

_MAX_JUMPS = 8
#: Seconds between two looks at whether the files have changed.
_RECHECK = 1.0


class Directory:
    """The configuration is read when it is made. Raises ConfigError.

    shared_peer(config, via): the peer of a configuration and of a jump host. notice: is told the file's warnings.
    """

    def __init__(
        self,
        settings: SshSettings,
        shared_peer: Callable[[HostConfig, Peer | None], Peer],
        notice: Callable[[str], None],
    ) -> None:
        self.config = SshConfig(settings.config_file, overrides=settings.overrides, allow_exec=settings.allow_exec)
        self._shared_peer = shared_peer
        self._notice = notice
        self._known_hosts = settings.known_hosts
        self._host_keys = settings.host_keys
        self._peers: dict[tuple[str, str | None], Peer] = {}
        #: How many of the configuration's warnings were told.
        self._told = 0
        self._stamps = self._look()
        self._looked = time.monotonic()

    def _look(self) -> list[tuple[int, ...]]:
        stamps: list[tuple[int, ...]] = []
        for path in self.config.watched:
            try:
                status = os.stat(path)
                stamps.append((status.st_mtime_ns, status.st_size, status.st_ino))
            except OSError:
                stamps.append(())
        return stamps

    @property
    def stale(self) -> bool:
        """Whether a file was changed since it was read; looked at once a second at most."""
        now = time.monotonic()
        if now - self._looked < _RECHECK:
            return False
        self._looked = now
        return self._look() != self._stamps

    @staticmethod
    def key(settings: SshSettings) -> tuple[object, ...]:
        """What of the settings a directory depends on."""
        overrides = tuple(settings.overrides.items())
        return (settings.config_file, settings.allow_exec, overrides, settings.known_hosts, settings.host_keys)

    def peer(self, node: str, user: str | None) -> Peer:
        """The peer for a node; user: over the configuration's. Raises ConfigError."""
        peer = self._peers.get((node, user))
        if peer is None:
            if user is not None:
                try:
                    check_user(user)
                except NameRefusedError as error:
                    raise ConfigError(str(error)) from error
            peer = self._peers[node, user] = self._make(self.config.lookup(node, user), 0)
            for text in self.config.warnings[self._told :]:
                self._notice(f"ssh_config: {text}")
            self._told = len(self.config.warnings)
        return peer

    def _make(self, config: HostConfig, depth: int, via: Peer | None = None) -> Peer:
        if via is None and config.proxy_jump:
            via = self._jumps(config.proxy_jump, depth)
        if self._known_hosts is not None:
            config = replace(config, user_known_hosts=tuple(self._known_hosts), global_known_hosts=())
        if self._host_keys is not None:
            config = replace(config, strict_host_keys=self._host_keys)
        return self._shared_peer(config, via)

    def _jumps(self, jumps: tuple[Jump, ...], depth: int) -> Peer:
        if depth >= _MAX_JUMPS:
            raise ConfigError("ProxyJump goes in a circle")
        peer: Peer | None = None
        for jump in jumps:
            config = self.config.lookup(jump.host, jump.user, jump.port)
            if peer is not None:
                config = replace(config, proxy_jump=(), proxy_command=None)
            peer = self._make(config, depth + 1, peer)
        assert peer is not None
        return peer
