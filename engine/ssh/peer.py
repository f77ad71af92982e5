"""One node of a pool: its configuration, its connection or the attempt to make one, and who waits for it.

Steps of an attempt: [jump host's connection] -> queue for the connecting window -> TCP or channel or ProxyCommand ->
handshake -> ready. One deadline covers everything behind the queue.
"""

from __future__ import annotations

import enum
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..reactor import Deadline
from ..states import Failure, FailureKind
from .agent_forward import AgentBridges
from .auth import Authenticator, Login
from .config_values import HostConfig
from .connection import Connection
from .dial import ChannelStream, CommandDial, TcpDial
from .failures import SshError
from .key_check import check_host_key
from .keys import Plan, agent_path
from .lease import Lease
from .phases import Algorithms, Listener
from .questions import UnknownKey
from .stream import Stream
from .vault import Need

if TYPE_CHECKING:
    from .command import Command
    from .pool import Pool

#: A handshake that takes longer than this lends its place in the window to another.
LEND_AFTER = 1.0
#: Attempts when a server drops connections before its version (MaxStartups).
_DROPS = 5


class PeerState(enum.Enum):
    """Where a peer stands."""

    IDLE = "idle"
    WAITING = "waiting for its jump host"
    QUEUED = "queued"
    DIALING = "connecting"
    HELD = "held back"
    READY = "connected"


class Peer:
    """Made by the pool; reactor's thread only. via: the jump host's peer."""

    def __init__(self, pool: Pool, config: HostConfig, via: Peer | None) -> None:
        self.pool = pool
        self.config = config
        self.via = via
        self.state = PeerState.IDLE
        self.connection: Connection | None = None
        self.last_used = time.monotonic()
        self.unknown_key: UnknownKey | None = None
        self.need: Need | None = None
        #: Whether commands on the node may use the agent.
        self.forwards_agent = False
        #: Sessions that the server admits at once, once it refused one; None: not known.
        self.session_limit: int | None = None
        self.session_waiters: list[Callable[[], None]] = []
        #: Commands that were started on the connection and have not ended.
        self.running: set[Command] = set()
        self._leases: list[Lease] = []
        self._via_lease: Lease | None = None
        self._dial: TcpDial | CommandDial | ChannelStream | None = None
        self._authenticator: Authenticator | None = None
        self._deadline: Deadline | None = None
        self._lending: Deadline | None = None
        self._retry: Deadline | None = None
        self._has_slot = False
        self._started = 0.0
        self._drops = 0
        self._tries = 0
        self._orders = 0
        self._plan: Plan | None = None
        port = "" if config.port == 22 else f":{config.port}"
        self.label = config.node if config.hostname == config.node else f"{config.node} ({config.hostname}{port})"

    # -- wishes

    def lease(
        self,
        ready: Callable[[Connection], None],
        failed: Callable[[Failure], None],
        dialing: Callable[[], None] | None = None,
    ) -> Lease:
        """Wish for a connection; `ready` may be called before this returns. dialing: connecting has begun."""
        lease = Lease(self, ready, failed, dialing)
        self.last_used = lease.since
        if self.connection is not None:
            lease.give(self.connection)
            return lease
        self._leases.append(lease)
        if self.state is PeerState.DIALING and dialing is not None:
            dialing()
        if self.state is PeerState.IDLE:
            self._drops = self._tries = 0
            self.begin()
        return lease

    @property
    def wanted_since(self) -> float:
        """When the oldest wish that is open was made."""
        return self._leases[0].since if self._leases else time.monotonic()

    def forsaken(self, lease: Lease) -> None:
        """A wish was taken back; with the last one the attempt stops."""
        if lease in self._leases:
            self._leases.remove(lease)
        if not self._leases and self.state is not PeerState.READY:
            self._stop()
            self.state = PeerState.IDLE
            self.pool.unhold(self)

    # -- an attempt

    def begin(self) -> None:
        """Start, or start again after what held it back is settled."""
        self._stop()
        self.need = None
        self._started = 0.0
        if self.via is not None:
            self.state = PeerState.WAITING
            self._via_lease = self.via.lease(lambda _connection: self._queue(), self._jump_failed)
        else:
            self._queue()

    def _queue(self) -> None:
        if self._plan is None:
            self.state = PeerState.WAITING
            self.pool.plan(self.config, self._planned)
            return
        self.state = PeerState.QUEUED
        self.pool.enqueue(self)

    def _planned(self, plan: Plan) -> None:
        self._plan = plan
        if self.state is PeerState.WAITING and self._leases:
            self._queue()

    def _jump_failed(self, failure: Failure) -> None:
        self._fail(Failure(failure.kind, f"{self.label}: its jump host failed: {failure.reason}"))

    def dial(self) -> None:
        """The window has a place for us."""
        self.state = PeerState.DIALING
        self._has_slot = True
        self._tries += 1
        reactor = self.pool.reactor
        for lease in list(self._leases):
            told, lease.dialing = lease.dialing, None
            if told is not None:
                told()
        if not self._leases:
            return
        timeout = self.pool.connect_timeout(self.config)
        now = time.monotonic()
        if not self._started:
            self._started = now
        self._deadline = reactor.call_at(self._started + timeout, self._late)
        self._lending = reactor.call_later(LEND_AFTER, self._lend)
        if self.via is not None:
            connection = self.via.connection
            if connection is None:
                self.begin()
                return
            self._dial = ChannelStream(connection, self.config, self._carried, self._fail)
        elif self.config.proxy_command is not None:
            self._dial = CommandDial(reactor, self.config, self._carried, self._fail)
        else:
            share = max(0.5, timeout / 2)
            self._dial = TcpDial(reactor, self.pool.resolver, self.config, share, self._carried, self._fail)

    def _lend(self) -> None:
        if self._has_slot:
            self._has_slot = False
            self.pool.place_free()

    def _late(self) -> None:
        timeout = self.pool.connect_timeout(self.config)
        connection = self.connection_under_way
        if connection is not None:
            connection.fail_late(timeout)
        else:
            reason = f"{self.label}: no connection within {timeout:g} s: is it up, and the port not filtered?"
            self._fail(Failure(FailureKind.CONNECT_TIMEOUT, reason))

    def _carried(self, stream: Stream, address: str) -> None:
        config = self.config
        self._dial = None
        assert self._plan is not None
        login = Login(config.user, config.node, self.label, self.wanted_since, config.methods)
        lucky = self.pool.lucky(config)
        self._authenticator = Authenticator(login, self._plan, self.pool.vault, self.pool.signers, lucky)
        try:
            connection = Connection(
                self.pool.reactor,
                stream,
                self.label,
                lambda kind, key: check_host_key(self, kind, key, address),
                self._authenticator,
                Listener(self._connected, self._fail, self._lost, self._channel_closed),
                Algorithms(self._host_key_algorithms(), config.ciphers, config.kex, config.macs),
            )
        except SshError as error:
            stream.close()
            self._fail(error.failure)
            return
        self.connection_under_way = connection
        connection.start()

    connection_under_way: Connection | None = None

    def _host_key_algorithms(self) -> tuple[str, ...]:
        config = self.config
        known = self.pool.known_hosts(config).algorithms(config.hostname, config.port, config.host_key_alias)
        if config.host_key_algorithms is None:
            return known
        return config.host_key_algorithms

    # -- ends of an attempt

    def _stop(self) -> None:
        """Give up what is under way, without a word."""
        for deadline in (self._deadline, self._lending, self._retry):
            if deadline is not None:
                deadline.cancel()
        self._deadline = self._lending = self._retry = None
        via_lease, self._via_lease = self._via_lease, None
        if via_lease is not None:
            via_lease.cancel()
        dial, self._dial = self._dial, None
        if dial is not None:
            dial.cancel()
        connection, self.connection_under_way = self.connection_under_way, None
        if connection is not None:
            connection.close()
        self._give_slot_back()

    def _give_slot_back(self) -> None:
        had, self._has_slot = self._has_slot, False
        if had:
            self.pool.place_free()

    def _connected(self) -> None:
        connection, self.connection_under_way = self.connection_under_way, None
        if connection is None:
            return
        self._stop()
        self.state = PeerState.READY
        self.connection = connection
        agent = agent_path(self.config.identity_agent) if self.config.forward_agent else None
        self.forwards_agent = agent is not None
        if agent is not None:
            AgentBridges(self.pool.reactor, connection, agent)
        self.last_used = time.monotonic()
        self._drops = 0
        self.pool.connected(self)
        leases, self._leases = self._leases, []
        for lease in leases:
            lease.give(connection)

    def _fail(self, failure: Failure) -> None:
        authenticator, self._authenticator = self._authenticator, None
        need = self.need or (authenticator.need if authenticator is not None else None)
        self.connection_under_way = None
        self._dial = None
        started = self._started
        self._stop()
        if need is not None and self._leases:
            self.state = PeerState.HELD
            self.need = need
            self.pool.hold(self, need, failure)
            return
        if self._again(failure, started):
            return
        self.refuse(failure)

    def _again(self, failure: Failure, started: float) -> bool:
        """Try once more when the server is only too busy, or ConnectionAttempts says so, while there is time."""
        left = started + self.pool.connect_timeout(self.config) - time.monotonic()
        dropped = failure.kind is FailureKind.BANNER and "ended before" in failure.reason
        if dropped:
            self.pool.dropped()
            self._drops += 1
            delay = 0.15 * 2**self._drops * random.uniform(0.7, 1.3)
            allowed = self._drops < _DROPS
        else:
            delay = 1.0
            busy = (FailureKind.REFUSED, FailureKind.UNREACHABLE, FailureKind.CONNECT_TIMEOUT, FailureKind.NO_ROUTE)
            allowed = failure.kind in busy and self._tries < self.config.connection_attempts
        if not self._leases or not allowed or delay >= left:
            return False
        self.state = PeerState.WAITING

        def retry() -> None:
            self._started = started
            self._queue()

        self._retry = self.pool.reactor.call_later(delay, retry)
        return True

    def refuse(self, failure: Failure) -> None:
        """Tell everybody who waits that there will be no connection."""
        self._stop()
        self.state = PeerState.IDLE
        leases, self._leases = self._leases, []
        for lease in leases:
            lease.refuse(failure)

    def _lost(self, failure: Failure) -> None:
        self._gone()
        del failure

    def _gone(self) -> None:
        self.connection = None
        self.running.clear()
        self._orders = 0
        self.session_limit = None
        self.state = PeerState.IDLE
        self.pool.disconnected(self)
        self._wake_sessions()

    def disconnect(self) -> None:
        """Close the connection in use."""
        connection = self.connection
        if connection is not None:
            self._gone()
            connection.close()

    @property
    def had_sessions(self) -> bool:
        """Whether the server has admitted a session on this connection."""
        return self._orders > 0

    def touch(self) -> None:
        """The connection is used now."""
        self.last_used = time.monotonic()

    def next_order(self) -> int:
        """A number for each command that is started on the connection, rising."""
        self._orders += 1
        return self._orders

    # -- sessions (MaxSessions)

    def may_open_session(self) -> bool:
        """Whether the server is likely to admit one more session now."""
        connection = self.connection
        if connection is None or self.session_limit is None:
            return True
        return len(connection.channels) < self.session_limit

    def session_refused(self) -> bool:
        """A session was refused; True: others are open, so trying again when one ends makes sense."""
        connection = self.connection
        others = len(connection.channels) if connection is not None else 0
        if others:
            self.session_limit = others
        return bool(others)

    def _channel_closed(self) -> None:
        self.last_used = time.monotonic()
        if self.session_waiters:
            self._wake_sessions()

    def _wake_sessions(self) -> None:
        waiters, self.session_waiters = self.session_waiters, []
        for waiter in waiters:
            waiter()
