"""One node of a pool: its configuration, its connection or the attempt to make one, and who waits for it.

A wish for a connection begins an attempt (attempt.py), after the jump host's own connection where there is one. What
follows a failure is decided here: hold the node back, try again, or tell those who wait.
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
from .attempt import Attempt
from .config_values import HostConfig
from .connection import Connection
from .keys import agent_path
from .lease import Lease
from .login_plan import Plan
from .questions import UnknownKey

if TYPE_CHECKING:
    from .pool import Pool

#: Seconds that an attempt may take where nobody says otherwise, and where "no limit" (0) was said.
DEFAULT_CONNECT_TIMEOUT = 10.0
_NO_LIMIT = 86400.0
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
        #: Of the attempt that is being repeated.
        self.earlier_failure: Failure | None = None
        #: Seconds that the run which asked last gives an attempt; None: as the configuration says, 0: no limit.
        self.timeout: float | None = None
        #: Whether commands on the node may use the agent.
        self.forwards_agent = False
        #: Sessions that the server admits at once, once it refused one; None: not known.
        self.session_limit: int | None = None
        self.session_waiters: list[Callable[[], None]] = []
        #: Commands that were started on the connection and have not ended, in that order.
        self.running: list[object] = []
        #: Whether the server has admitted one on this connection.
        self.had_sessions = False
        #: Called, once each, when the next connection stands.
        self.errands: list[Callable[[], None]] = []
        self._leases: list[Lease] = []
        self._via_lease: Lease | None = None
        self._attempt: Attempt | None = None
        self._retry: Deadline | None = None
        #: When the attempt began that the next one repeats; 0: the next one is the first.
        self._started = 0.0
        self._drops = 0
        self._tries = 0
        self._jump_lost = False
        self._plan: Plan | None = None
        port = "" if config.port == 22 else f":{config.port}"
        self.label = config.node if config.hostname == config.node else f"{config.node} ({config.hostname}{port})"

    # -- wishes

    def lease(
        self,
        ready: Callable[[Connection], None],
        failed: Callable[[Failure], None],
        dialing: Callable[[], None] | None = None,
        limit: float | None = None,
    ) -> Lease:
        """Wish for a connection; `ready` may be called before this returns. limit: seconds, for this wish.

        dialing: called when connecting begins.
        """
        lease = Lease(ready, failed, dialing, limit or self._limit(), self._forsaken)
        self.last_used = lease.since
        if self.connection is not None:
            lease.give(self.connection)
            return lease
        self._leases.append(lease)
        if self.state is PeerState.DIALING:
            if self._attempt is not None and self._attempt.is_timed:
                self._attempt.watch_time()
            if dialing is not None:
                lease.dialing = None
                dialing()
        if self.state is PeerState.IDLE:
            self._drops = self._tries = 0
            self._jump_lost = False
            self.begin()
        return lease

    @property
    def wanted_since(self) -> float:
        """When the oldest wish that is open was made."""
        return self._leases[0].since if self._leases else time.monotonic()

    def _forsaken(self, lease: Lease) -> None:
        """A wish was taken back; with the last one the attempt stops."""
        if lease in self._leases:
            self._leases.remove(lease)
        if not self._leases and self.state is not PeerState.READY:
            self._stop()
            self.state = PeerState.IDLE
            self.pool.unhold(self)

    def step(self, words: str) -> None:
        """Tell whoever traces connections what happens now."""
        trace = self.pool.settings.trace
        if trace is not None:
            trace(f"{self.label}: {words}")

    # -- an attempt

    def begin(self) -> None:
        """Start, or start again after what held it back is settled."""
        self._stop()
        self.earlier_failure = None
        self._plan = None
        self._started = 0.0
        if self.via is not None:
            self.state = PeerState.WAITING
            limit = self.longest_limit()
            self._via_lease = self.via.lease(lambda _connection: self._queue(), self._jump_failed, limit=limit)
        else:
            self._queue()

    def _queue(self) -> None:
        if self._plan is None:
            self.state = PeerState.WAITING
            self.pool.plan(self.config, self._planned)
            return
        self.state = PeerState.QUEUED
        self.pool.begins()
        self._tries += 1
        self._attempt = Attempt(self, self._plan, self._started)

    def _planned(self, plan: Plan) -> None:
        self._plan = plan
        if self.state is PeerState.WAITING and self._leases:
            self._queue()

    def _jump_failed(self, failure: Failure) -> None:
        self.attempt_failed(Failure(failure.kind, f"{self.label}: its jump host failed: {failure.reason}"))

    def host_key_algorithms(self) -> tuple[str, ...]:
        """Types of host keys to ask for, the known ones first."""
        config = self.config
        if config.host_key_algorithms is not None:
            return config.host_key_algorithms
        return self.pool.known_hosts(config).algorithms(config.hostname, config.port, config.host_key_alias)

    # -- what an attempt asks and tells

    def _limit(self) -> float:
        """Seconds for a wish that is made now."""
        timeout = self.config.connect_timeout if self.timeout is None else self.timeout
        if timeout is None:
            return DEFAULT_CONNECT_TIMEOUT
        return timeout or _NO_LIMIT

    def longest_limit(self) -> float:
        """Seconds of the most patient wish."""
        return max((lease.limit for lease in self._leases), default=self._limit())

    def deadlines(self, started: float) -> list[float]:
        """When the time of each wish is over, for an attempt that began at `started`; never empty."""
        return [max(started, lease.since) + lease.limit for lease in self._leases] or [started + self._limit()]

    def refuse_late(self, started: float, now: float, failure: Callable[[float], Failure]) -> None:
        """The wishes whose time is over end; the others stay."""
        late = [lease for lease in self._leases if max(started, lease.since) + lease.limit <= now]
        self._leases = [lease for lease in self._leases if lease not in late]
        for lease in late:
            lease.refuse(failure(lease.limit))

    def attempt_begins(self) -> None:
        """The queue is behind it."""
        self.state = PeerState.DIALING
        for lease in list(self._leases):
            told, lease.dialing = lease.dialing, None
            if told is not None:
                told()

    def attempt_connected(self, connection: Connection) -> None:
        """The connection stands."""
        self._stop()
        self.state = PeerState.READY
        self.connection = connection
        connection.listener.on_lost = self._lost
        connection.channels.on_closed = self._channel_closed
        agent = agent_path(self.config.identity_agent) if self.config.forward_agent else None
        self.forwards_agent = agent is not None
        if agent is not None:
            AgentBridges(self.pool.reactor, connection, agent)
        self.last_used = time.monotonic()
        self.pool.connected(self)
        leases, self._leases = self._leases, []
        for lease in leases:
            lease.give(connection)
        errands, self.errands = self.errands, []
        for errand in errands:
            errand()

    def attempt_failed(self, failure: Failure) -> None:
        """No connection: wait for a human, try again, or tell those who wait."""
        attempt = self._attempt
        need = attempt.need if attempt is not None else None
        started = attempt.started if attempt is not None else 0.0
        self._stop()
        if need is not None and self._leases:
            self.state = PeerState.HELD
            self.pool.hold(self, need, failure)
            return
        if failure.kind is FailureKind.CONNECTION_LOST and not self._jump_lost and self._leases:
            # The jump host's kept connection was dead, which is only seen when it is used: once more over a new one.
            self._jump_lost = True
            self.begin()
            return
        if failure.kind is FailureKind.AUTHENTICATION:
            self.pool.login_failed()
        if not self._again(failure, started):
            self.refuse(failure)

    def _again(self, failure: Failure, started: float) -> bool:
        """Try once more when the server is only too busy, or ConnectionAttempts says so, while there is time."""
        left = max(self.deadlines(started)) - time.monotonic()
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
        self._started = started
        self.earlier_failure = failure
        self.step(f"again in {delay:.1f} s ({failure.reason})")
        self._retry = self.pool.reactor.call_later(delay, self._queue)
        return True

    def _stop(self) -> None:
        """Give up what is under way, without a word."""
        retry, self._retry = self._retry, None
        if retry is not None:
            retry.cancel()
        via_lease, self._via_lease = self._via_lease, None
        if via_lease is not None:
            via_lease.cancel()
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.stop()

    def refuse(self, failure: Failure) -> None:
        """Tell everybody who waits that there will be no connection."""
        self._stop()
        self.state = PeerState.IDLE
        leases, self._leases = self._leases, []
        for lease in leases:
            lease.refuse(failure)

    def _lost(self, _failure: Failure) -> None:
        self._gone()

    def _gone(self) -> None:
        self.connection = None
        self.running.clear()
        self.had_sessions = False
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

    def is_stuck(self, waited: float) -> bool:
        """Whether a new connection is worth more than this one, which was asked for a session `waited` seconds ago and
        has said nothing since. Not while a command has its session: that may be worth the wait for the keep-alive.
        """
        connection = self.connection
        if connection is None or waited <= self.longest_limit():
            return False
        return not any(channel.is_open for channel in connection.channels)

    def silence(self, seconds: float) -> Failure:
        """What it means that the connection has not been heard for so long."""
        reason = f"{self.label}: connection lost (no sign of life for {seconds:.0f} s)"
        return Failure(FailureKind.CONNECTION_LOST, reason)

    def touch(self) -> None:
        """The connection is used now."""
        self.last_used = time.monotonic()

    def started(self, command: object) -> None:
        """A command runs on the connection."""
        self.had_sessions = True
        self.running.append(command)

    def ended(self, command: object) -> None:
        """It does not any more, or never did."""
        if command in self.running:
            self.running.remove(command)

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
