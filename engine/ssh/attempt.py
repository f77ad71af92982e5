"""One attempt to connect: TCP, ProxyCommand or a jump host's channel, then the server's version, handshake and login.

Two places are queued for on the way: one until the server says its version, one for what is work. The time limit covers
everything but the queues; each wish for the connection has its own.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..reactor import Deadline
from ..states import Failure, FailureKind
from . import endings
from .auth import Authenticator, Login
from .connection import Connection
from .dial import ChannelStream, TcpDial
from .failures import SshError
from .hostkeys import fingerprint
from .key_check import check_host_key, not_known
from .login_plan import Plan
from .phases import Algorithms, Listener, Phase
from .proxy_command import CommandDial
from .stream import Stream
from .vault import Need
from .window import Place

if TYPE_CHECKING:
    from .peer import Peer


class Attempt:
    """Ends in `Peer.attempt_connected` or `Peer.attempt_failed`, once, unless `stop` came first.

    started: when an earlier attempt began, if this one is its repetition.
    """

    def __init__(self, peer: Peer, plan: Plan, started: float = 0.0) -> None:
        #: What a human has to answer before the next attempt.
        self.need: Need | None = None
        #: `time.monotonic()` of the beginning, moved on by the time that was spent in queues; 0: not begun.
        self.started = started
        self._peer = peer
        self._plan = plan
        self._over = False
        self._dial: TcpDial | CommandDial | ChannelStream | None = None
        self._connection: Connection | None = None
        self._authenticator: Authenticator | None = None
        self._deadline: Deadline | None = None
        self._turn: Place | None = None
        pool = peer.pool
        # A ProxyCommand is a process: it is only started where there is a place for its handshake, too.
        window = pool.handshakes if peer.config.proxy_command is not None else pool.opening
        self._place = window.ask(self._begin)

    def stop(self) -> None:
        """Give up what is under way, without a word. Idempotent."""
        self._over = True
        if self._deadline is not None:
            self._deadline.cancel()
        if self._dial is not None:
            self._dial.cancel()
        if self._connection is not None:
            self._connection.close()
        self._give_back()

    def _give_back(self) -> None:
        self._place.free()
        if self._turn is not None:
            self._turn.free()

    # -- from the queue to the server's version

    def _begin(self) -> None:
        peer = self._peer
        pool, config = peer.pool, peer.config
        alarm = pool.alarm(peer)
        if alarm is not None:
            self._fail(alarm)
            return
        pool.dials(config)
        self.started = self.started or time.monotonic()
        peer.attempt_begins()
        if self._over:
            return
        self.watch_time()
        if peer.via is not None:
            carrier = peer.via.connection
            if carrier is None:
                reason = f"{peer.label}: its jump host failed: {peer.via.label} ended the connection at once"
                self._fail(Failure(FailureKind.CONNECTION_LOST, reason))
                return
            peer.step(f"opening a channel through {peer.via.label}")
            self._dial = ChannelStream(carrier, config, self._carried, self._fail)
        elif config.proxy_command is not None:
            peer.step("starting its ProxyCommand")
            self._dial = CommandDial(pool.reactor, config, self._carried, self._fail)
        else:
            share = max(0.5, peer.longest_limit() / 2)
            self._dial = TcpDial(pool.reactor, pool.resolver, config, share, self._carried, self._fail, peer.step)

    def _carried(self, stream: Stream, address: str) -> None:
        peer = self._peer
        pool, config = peer.pool, peer.config
        self._dial = None
        peer.step(f"connected to {address}, waiting for the server's version")
        login = Login(config.user, config.node, peer.label, peer.wanted_since, config.methods)
        self._authenticator = Authenticator(login, self._plan, pool.vault, pool.signers, pool.lucky(config), peer.step)
        try:
            connection = Connection(
                stream,
                peer.label,
                lambda kind, key: self._check_key(kind, key, address),
                self._authenticator,
                Listener(self._version_came, self._connected, self._fail),
                Algorithms(peer.host_key_algorithms(), config.ciphers, config.kex, config.macs),
            )
        except SshError as error:
            stream.close()
            self._fail(error.failure)
            return
        self._connection = connection
        connection.start()

    def _check_key(self, kind: str, key: bytes, address: str) -> None:
        """Refuse by raising; an unknown key holds the node back. Nothing secret was sent before this returns."""
        peer = self._peer
        pool, config = peer.pool, peer.config
        peer.step(f"host key {kind} {fingerprint(key)}")
        known = pool.known_hosts(config)
        try:
            unknown = check_host_key(peer.label, config, known, kind, key, address)
        except SshError as error:
            if error.failure.kind is FailureKind.HOST_KEY_CHANGED:
                pool.key_changed(config.node)
            raise
        if unknown is None:
            return
        peer.unknown_key = unknown
        # A file that cannot be read may hold another key of this host, or revoke this one: nobody is new then.
        if not known.problems and pool.accepts_new(config, unknown):
            return
        self.need = Need("host-key", unknown.name)
        raise not_known(peer.label, unknown, known)

    def _version_came(self) -> None:
        """The server is there. The clock stands until there is a place for what is work."""
        connection = self._connection
        assert connection is not None
        if self._peer.config.proxy_command is not None:
            self._peer.step("key exchange")
            connection.proceed()
            return
        self._place.keep()
        if self._deadline is not None:
            self._deadline.cancel()
        waited_from = time.monotonic()

        def shake_hands() -> None:
            self._place.free()
            alarm = self._peer.pool.alarm(self._peer)
            if alarm is not None:
                self._fail(alarm)
                return
            self.started += time.monotonic() - waited_from
            self.watch_time()
            self._peer.step("key exchange")
            connection.proceed()

        self._turn = self._peer.pool.handshakes.ask(shake_hands)

    # -- time

    def watch_time(self) -> None:
        """Look again whose time is over first: a wish was added, or the clock goes on."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self._peer.pool.reactor.call_at(min(self._peer.deadlines(self.started)), self._late)

    @property
    def is_timed(self) -> bool:
        """Whether the clock runs."""
        return self._deadline is not None and self._deadline.active

    def _late(self) -> None:
        peer = self._peer
        now = time.monotonic() + 0.01
        if max(peer.deadlines(self.started)) > now:
            peer.refuse_late(self.started, now, self._late_failure)
            self.watch_time()
            return
        self._fail(self._late_failure(peer.longest_limit()))

    def _late_failure(self, seconds: float) -> Failure:
        connection, earlier = self._connection, self._peer.earlier_failure
        if earlier is not None and (connection is None or connection.phase is Phase.BANNER):
            # It was tried before within this time, and what came of that tells more.
            return earlier
        if connection is not None:
            return endings.silent(connection.label, connection.phase, seconds)
        reason = f"{self._peer.label}: no connection within {seconds:g} s: is it up, and the port not filtered?"
        return Failure(FailureKind.CONNECT_TIMEOUT, reason)

    # -- the end

    def _connected(self) -> None:
        connection, self._connection = self._connection, None
        if self._over or connection is None:
            return
        self.stop()
        self._peer.step("logged in")
        self._peer.attempt_connected(connection)

    def _fail(self, failure: Failure) -> None:
        if self._over:
            return
        if self.need is None and self._authenticator is not None:
            self.need = self._authenticator.need
        self.stop()
        self._peer.attempt_failed(failure)
