"""The connections of one Task: made when first wanted, kept between commands, counted, closed when idle.

Connecting has windows of its own, apart from the fanout of commands: a wide one until the server has said its version,
which costs next to nothing, and a narrower one for key exchange and login, which is work. A node that is silent waits
in the wide one. It becomes narrow as well when a server drops connections that did not log in yet.
"""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable

from ..reactor import Deadline, Reactor
from ..states import Failure, FailureKind
from .background import Background
from .config import ConfigError, SshConfig
from .config_values import HostConfig
from .connection import Connection
from .directory import Directory
from .holds import Holds
from .hostkeys import KnownHosts
from .lease import Lease
from .login_plan import Plan
from .peer import Peer, PeerState
from .plans import Plans
from .questions import UnknownKey
from .settings import SshSettings
from .sudo import SudoDesk
from .vault import Need, Vault
from .window import Window

#: Connections that may wait for a server's version, as a multiple of the window of handshakes.
_OPENING = 4
_SWEEP = 5.0
_UNANSWERED = 3
#: So many changed keys, and this share of the nodes dialled, stop a run.
_ALARM_AT = 3
_ALARM_SHARE = 0.01
#: Descriptors that are left to the rest of the program.
_RESERVE = 64


class Pool:
    """settings are read live. Every method belongs to the reactor's thread."""

    def __init__(self, reactor: Reactor, settings: SshSettings | None = None) -> None:
        self.reactor = reactor
        self.settings = settings or SshSettings()
        self.resolver = Background(reactor, "resolve", 8)
        self.signers = Background(reactor, "sign", 2)
        self.disk = Background(reactor, "disk", 2)
        self._loader = Background(reactor, "keys", 1)
        self.vault = Vault(can_ask=lambda: self.settings.ask is not None)
        #: Nodes whose key has changed since the pool was made.
        self.changed: set[str] = set()
        self.live: set[Peer] = set()
        self.descriptor_limit = raise_descriptor_limit()
        self._told_limit = False
        self._directories: dict[tuple[object, ...], Directory] = {}
        self._peers: dict[tuple[HostConfig, Peer | None], Peer] = {}
        self._known: dict[tuple[tuple[str, ...], ...], KnownHosts] = {}
        self._plans = Plans(self._loader)
        self._lucky: dict[tuple[str, ...], dict[str, bytes]] = {}
        #: Connections until the server's version is there; handshakes and logins.
        self.opening = Window(reactor, self._most_opening)
        self.handshakes = Window(reactor, lambda: self.settings.window)
        self._dialled = 0
        self._changed_now = 0
        self._alarm: str | None = None
        #: Lowered when servers drop connections before their version (MaxStartups); infinite: not known to be needed.
        self._open_limit = math.inf
        self._sweeper: Deadline | None = None
        self._holds = Holds(self)
        self.sudo = SudoDesk(reactor, self.vault, lambda: self.settings.ask)
        self.vault.on_settled = self._secret_settled
        self._closed = False

    # -- what workers ask

    @property
    def live_count(self) -> int:
        """Connections that stand."""
        return len(self.live)

    @property
    def connecting_count(self) -> int:
        """Connections being made or waiting for their turn."""
        busy = (PeerState.WAITING, PeerState.QUEUED, PeerState.DIALING)
        return sum(peer.state in busy for peer in self._peers.values())

    def lease(
        self, node: str, ready: Callable[[Connection], None], failed: Callable[[Failure], None], user: str | None = None
    ) -> Lease | None:
        """Wish for a connection to a node. None: it failed at once, and `failed` was called."""
        try:
            peer = self.peer(node, user)
        except ConfigError as error:
            failed(Failure(FailureKind.CONFIGURATION, f"{node}: {error}"))
            return None
        return peer.lease(ready, failed)

    def peer(self, node: str, user: str | None = None, settings: SshSettings | None = None) -> Peer:
        """The peer for a node name; settings: of the run that wants it, else the pool's. Raises ConfigError."""
        wanted = settings or self.settings
        peer = self._directory(wanted).peer(node, user or wanted.user)
        peer.timeout = wanted.connect_timeout
        return peer

    def shared_peer(self, config: HostConfig, via: Peer | None) -> Peer:
        """The peer for a configuration, whichever settings led to it. via: the jump host's peer."""
        peer = self._peers.get((config, via))
        if peer is None:
            peer = self._peers[config, via] = Peer(self, config, via)
        return peer

    def _notice(self, text: str) -> None:
        self.settings.notice(text)

    def _directory(self, settings: SshSettings) -> Directory:
        key = Directory.key(settings)
        found = self._directories.get(key)
        if found is None or found.stale:
            found = self._directories[key] = Directory(settings, self.shared_peer, self._notice)
        return found

    @property
    def config(self) -> SshConfig:
        """The parsed configuration of the pool's settings. Raises ConfigError."""
        return self._directory(self.settings).config

    def forget_config(self) -> None:
        """Read configuration and keys again for new connections."""
        self._directories.clear()
        self._plans.forget()

    def close(self) -> None:
        """Close everything, answer nobody any more."""
        if self._closed:
            return
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        gone = Failure(FailureKind.CONNECTION_LOST, "the connections were closed here")
        self._holds.close()
        for peer in list(self._peers.values()):
            peer.refuse(gone)
            peer.disconnect()
        for background in (self.resolver, self.signers, self.disk, self._loader):
            background.close()
        self.vault.clear()

    # -- what peers ask

    def known_hosts(self, config: HostConfig) -> KnownHosts:
        """The files that count for a host, read once."""
        key = (config.user_known_hosts, config.global_known_hosts, config.revoked_host_keys)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = KnownHosts(*key)
        return known

    def plan(self, config: HostConfig, done: Callable[[Plan], None]) -> None:
        """What to log in with; `done` may be called before this returns."""
        self._plans.get(config, done, first=self.opening.idle and self.handshakes.idle)

    def plans(self) -> list[Plan]:
        """All plans that were read."""
        return self._plans.all()

    def login_failed(self) -> None:
        """A login failed: the next one is to see what keys there are then."""
        self._plans.login_failed()

    def load(self, function: Callable[[], object], done: Callable[[object, Exception | None], None]) -> None:
        """Run a slow call that concerns keys in the background."""
        self._loader.run(function, done)

    def lucky(self, config: HostConfig) -> dict[str, bytes]:
        """Memory of the keys that worked, shared by nodes with the same key files."""
        return self._lucky.setdefault(config.identity_files, {})

    def accepts_new(self, config: HostConfig, key: UnknownKey) -> bool:
        """Whether an unknown key is taken without asking; it is then written down."""
        if self.host_key_policy(config) != "accept-new":
            return False
        self._holds.trust(config, (key,))
        return True

    def host_key_policy(self, config: HostConfig) -> str:
        """ "ask", "accept-new" or "refuse"."""
        return {"no": "accept-new", "yes": "refuse"}.get(config.strict_host_keys, config.strict_host_keys)

    def hold(self, peer: Peer, need: Need, failure: Failure) -> None:
        """A peer needs an answer before it can be dialled again."""
        self._holds.add(peer, need, failure)

    def unhold(self, peer: Peer) -> None:
        """Nobody wants that peer any more."""
        self._holds.remove(peer)

    def _secret_settled(self, need: Need) -> None:
        self._holds.settled(need)
        self.sudo.settled(need)

    # -- the windows

    def _most_opening(self) -> int:
        return int(min(self._open_limit, self.settings.window * _OPENING))

    def begins(self) -> None:
        """A peer is about to queue."""
        if self.opening.idle and self.handshakes.idle:
            # Nothing was under way: this is another run, with counts of its own.
            self._dialled = self._changed_now = 0
            self._alarm = None

    def dials(self, config: HostConfig) -> None:
        """A peer is dialled."""
        self._dialled += 1
        each = 2 if config.proxy_command is not None else 1  # its data, and what it says on its standard error
        wanted = self.live_count + self.opening.under_way + self.handshakes.under_way
        if wanted * each > self.descriptor_limit - _RESERVE:
            self._tell_limit()

    def alarm(self, peer: Peer) -> Failure | None:
        """Why no more nodes are connected to, if that is so."""
        if self._alarm is None:
            return None
        return Failure(FailureKind.HOST_KEY_CHANGED, f"{peer.label}: not connected: {self._alarm}")

    def key_changed(self, node: str) -> None:
        """A node showed another key than the known one. Many at once are no accident: stop connecting to more."""
        self.changed.add(node)
        self._changed_now += 1
        if self._alarm is None and self._changed_now >= max(_ALARM_AT, self._dialled * _ALARM_SHARE):
            self._alarm = f"the keys of {self._changed_now} of {self._dialled} nodes have changed, so no more are tried"
            self.settings.notice(f"host keys: {self._alarm}")

    def dropped(self) -> None:
        """A server dropped a connection before its version: fewer at once for a while."""
        self._open_limit = max(4.0, min(self._open_limit, self.settings.window) * 0.7)

    def _tell_limit(self) -> None:
        if not self._told_limit:
            self._told_limit = True
            self.settings.notice(
                f"the limit of {self.descriptor_limit} open files is nearly reached, more connections will fail "
                f"(raise it with ulimit -Hn before starting)"
            )

    # -- life of connections

    def connected(self, peer: Peer) -> None:
        """A connection stands."""
        self.live.add(peer)
        self.settings.live(len(self.live))
        self._open_limit += 0.5
        if self._sweeper is None or not self._sweeper.active:
            self._sweeper = self.reactor.call_later(_SWEEP, self._sweep)

    def disconnected(self, peer: Peer) -> None:
        """A connection is gone."""
        self.live.discard(peer)
        self.settings.live(len(self.live))

    def _sweep(self) -> None:
        now = time.monotonic()
        settings = self.settings
        for peer in list(self.live):
            connection = peer.connection
            if connection is None or connection.channels.paused:
                continue
            pulse = connection.pulse
            interval = peer.config.alive_interval or settings.keepalive
            silent = now - pulse.heard
            if pulse.unanswered >= (peer.config.alive_count or _UNANSWERED):
                connection.fail(peer.silence(silent))
            elif pulse.asked and peer.is_stuck(now - pulse.asked):
                connection.fail(peer.silence(now - pulse.asked))
            elif not connection.channels and settings.idle and now - peer.last_used > settings.idle:
                peer.disconnect()
            elif interval and silent > interval * (pulse.unanswered + 1):
                connection.keep_alive()
        self.vault.forget_idle()
        if (self.live or self.vault.holds_secrets) and not self._closed:
            self._sweeper = self.reactor.call_later(_SWEEP, self._sweep)


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one; returns what holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = 1 << 20
    if soft != resource.RLIM_INFINITY and soft < hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        except (OSError, ValueError):
            return soft
        return hard
    return 1 << 20 if soft == resource.RLIM_INFINITY else soft
