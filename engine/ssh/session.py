"""One session channel on a node: opened over the pool, retried where that is safe, ended for good.

`Session` is the frame of commands (command.py) and of SFTP (sftp.py). Until its request (`exec`, `subsystem`) is sent
it may be moved to another connection, once, when the kept one turns out dead; afterwards never. A server that admits no
more sessions is asked again when one of the others has ended.
"""

from __future__ import annotations

from ..states import Failure, FailureKind
from . import wire
from .channel import Channel, ChannelUser
from .connection import Connection
from .lease import Lease
from .peer import Peer

#: How often, and after how many seconds, a session is asked for again where others have been admitted before.
_TRIES = 20
_AGAIN = 0.1


class Session(ChannelUser):
    """Subclasses give `established`, and hear of the end through `over(failure)`, once: None = closed in order."""

    #: Whether the request of the session has left, so that the command may have started.
    requested = False

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.channel: Channel | None = None
        self.finished = False
        self._lease: Lease | None = None
        self._redialled = False
        self._tries = 0
        self._reply: Failure | None = None

    # -- for subclasses

    def established(self) -> None:
        """The channel is open: send the request."""
        raise NotImplementedError

    def accepted(self) -> None:
        """The server took the request."""

    def over(self, failure: Failure | None) -> None:
        """The session has ended."""
        raise NotImplementedError

    # -- life

    def begin(self) -> None:
        """Open the channel, or get a connection first."""
        connection = self.peer.connection
        if connection is None:
            self._lease = self.peer.lease(self._connected, self._end)
            return
        self._connected(connection)

    def _connected(self, connection: Connection) -> None:
        self._lease = None
        if self.finished:
            return
        if not self.peer.may_open_session():
            self.peer.session_waiters.append(self._try_again)
            return
        self.peer.touch()
        self.peer.step("opening a channel")
        self.channel = connection.open_channel(self)

    def _try_again(self) -> None:
        if not self.finished and self.channel is None and self._lease is None:
            self.begin()

    def cancel(self) -> None:
        """Close at once and say nothing more."""
        if self.finished:
            return
        self.finished = True
        if self._lease is not None:
            self._lease.cancel()
            self._lease = None
        if self.channel is not None:
            self.channel.abandon()

    def _end(self, failure: Failure | None) -> None:
        if not self.finished:
            self.finished = True
            self.peer.touch()
            self.over(failure)

    def reject(self, failure: Failure) -> None:
        """End from this side for a reason."""
        if not self.finished:
            channel = self.channel
            self._end(failure)
            if channel is not None:
                channel.abandon()

    # -- what the channel tells

    def opened(self) -> None:
        """See ChannelUser."""
        if self.finished:
            if self.channel is not None:
                self.channel.abandon()
            return
        self.established()

    def refused(self, code: int, reason: str) -> None:
        """See ChannelUser: wait for another session to end, if there is one."""
        self.channel = None
        self._tries += 1
        if self.peer.session_refused():
            self.peer.session_waiters.append(self._try_again)
            return
        if self.peer.had_sessions and self._tries < _TRIES:
            # The server may not have noticed yet that the last one has ended.
            self.peer.pool.reactor.call_later(_AGAIN, self._try_again)
            return
        words = reason or f"code {code}"
        reason = f"{self.peer.label}: the server refused a session ({words}): see MaxSessions"
        self._end(Failure(FailureKind.CHANNEL_REFUSED, reason))

    def replied(self, success: bool) -> None:
        """See ChannelUser."""
        if success:
            self.accepted()
            return
        reason = f"{self.peer.label}: the server refused to start it (exec or subsystem not allowed there)"
        self._reply = Failure(FailureKind.CHANNEL_REFUSED, reason)
        self.reject(self._reply)

    def closed(self) -> None:
        """See ChannelUser."""
        self._end(None)

    def lost(self, failure: Failure) -> None:
        """See ChannelUser: a kept connection that was dead is replaced, once, before anything was asked of it."""
        self.channel = None
        if self.finished:
            return
        if not self.requested and not self._redialled:
            self._redialled = True
            self.begin()
            return
        self._end(Failure(FailureKind.CONNECTION_LOST, failure.reason))

    def request(self, name: str, fields: wire.Reader) -> None:
        """See ChannelUser."""
