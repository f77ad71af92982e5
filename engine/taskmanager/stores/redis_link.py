"""Connections to a Redis or Valkey server: made again when they break, refused when anybody could listen.

The package `redis` is optional; without it only these addresses fail.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from ..errors import StoreUnavailable
from .redis_refusals import evicts, meaning

#: Pauses between attempts to reach the server, seconds: first, longest.
FIRST_PAUSE = 0.02
LONGEST_PAUSE = 0.25
#: Longest time for the first contact, seconds: an address may be wrong.
OPENING = 3.0
#: Seconds in which nothing is published until a look whether the connection still is one.
QUIET = 15.0


class RedisLink:
    """Sends commands and scripts; thread-safe.

    address: redis://, rediss:// or unix://. patience: seconds for which a call tries to reach a server that is away
    before StoreUnavailable. timeout: seconds until an answer counts as lost. allow_plain: permit redis:// (no TLS) and
    a server without a password on another host. username, password: instead of the address, where they would be seen.
    """

    def __init__(
        self,
        address: str,
        *,
        patience: float = 10.0,
        timeout: float = 5.0,
        allow_plain: bool = False,
        username: str | None = None,
        password: str | None = None,
    ) -> None:
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError as error:
            raise StoreUnavailable("Redis stores need the package redis: pip install 'clusterdeck[redis]'") from error
        self._errors = errors = redis.exceptions
        #: What passes: these calls are made again.
        self._passing = (errors.ConnectionError, errors.TimeoutError, errors.ClusterDownError, errors.TryAgainError)
        self._allow_plain = allow_plain
        self._away = urlsplit(address).scheme != "unix" and not _is_here(urlsplit(address).hostname or "localhost")
        self._patience = patience
        self.label = _label(address)
        if self._away and urlsplit(address).scheme == "redis" and not allow_plain:
            raise StoreUnavailable(
                f"{self.label}: plain redis:// to another host; use rediss://, or permit it with allow_plain"
            )
        options: dict[str, Any] = {
            "socket_timeout": timeout,
            "socket_connect_timeout": min(timeout, 2.0),
            # In version 3 published messages would come beside the answers; here each has its own connection anyway.
            "protocol": 2,
            # Repeating is ours: the client's own would run a script twice.
            "retry": Retry(NoBackoff(), 0),
        }
        if username is not None:
            options["username"] = username
        if password is not None:
            options["password"] = password
        self._timeout = timeout
        self._pool: Any = redis.ConnectionPool.from_url(address, **options)
        self._closed = threading.Event()
        self._begin()
        try:
            self._idle.append(self._connect())
        except TypeError as error:
            raise ValueError(f"{self.label}: an option behind ? that is not known: {error}") from error

    def _begin(self) -> None:
        """No connection yet, or none any more: in a process that was forked off they are the other one's."""
        self._process = os.getpid()
        self._idle: deque[Any] = deque()
        self._adding = threading.Lock()
        self._connections: weakref.WeakSet[Any] = weakref.WeakSet()

    def check(self) -> None:
        """Reach the server once. StoreUnavailable when it is away, open to everybody, or throws keys away."""
        self._repeat(("PING",), None, min(self._patience, OPENING))
        memory = b""
        with contextlib.suppress(StoreUnavailable):  # a user may be refused to look
            memory = self.command("INFO", "memory")
        if evicts(memory.decode("utf-8", "replace")):
            raise StoreUnavailable(
                f"{self.label}: it throws keys away when its memory is full, and a queue would lose tasks; "
                "set its maxmemory-policy to noeviction"
            )
        credentials = self._pool.connection_kwargs
        if (
            self._away
            and not self._allow_plain
            and not (credentials.get("password") or credentials.get("ssl_certfile"))
        ):
            raise StoreUnavailable(
                f"{self.label}: a server without a password on another host; set one, or permit it with allow_plain"
            )

    def command(self, *words: Any) -> Any:
        """One command; repeated after a lost connection, so only what may be done twice."""
        return self._repeat(words, None, self._patience)

    def script(self, text: str, sha: str, key: str, *arguments: Any) -> Any:
        """One script that knows repeated calls by itself."""
        return self._repeat(("EVALSHA", sha, 1, key, *arguments), text, self._patience)

    def _repeat(self, words: tuple[Any, ...], text: str | None, patience: float) -> Any:
        end, pause = time.monotonic() + patience, FIRST_PAUSE
        while True:
            if self._closed.is_set():
                raise StoreUnavailable(f"{self.label}: closed")
            try:
                return self._once(words, text)
            except self._errors.AuthenticationError as error:
                raise StoreUnavailable(f"{self.label}: {meaning(error)}") from error
            except (*self._passing, OSError) as error:
                if time.monotonic() + pause > end:
                    raise StoreUnavailable(f"{self.label}: out of reach for {patience:g} s: {error}") from error
            except self._errors.ResponseError as error:
                raise StoreUnavailable(f"{self.label}: {meaning(error)}") from error
            self._closed.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _connection(self) -> Any:
        """An idle connection, or a new one."""
        if self._process != os.getpid():
            self._begin()
        with contextlib.suppress(IndexError):
            return self._idle.pop()
        return self._connect()

    def _connect(self) -> Any:
        # Not through the pool's own counting: the pool only holds what a connection is made with.
        connection = self._pool.connection_class(**self._pool.connection_kwargs)
        with self._adding:
            self._connections.add(connection)
        return connection

    def _once(self, words: tuple[Any, ...], text: str | None) -> Any:
        connection = self._connection()
        try:
            answer = self._ask(connection, words, text)
        except (self._errors.ReadOnlyError, self._errors.MasterDownError):
            self._drop(connection)  # the address may lead to another server by now
            raise
        except self._errors.ResponseError:  # an answer all the same: the connection is good
            self._idle.append(connection)
            raise
        except BaseException:
            self._drop(connection)
            raise
        self._idle.append(connection)
        return answer

    def _drop(self, connection: Any) -> None:
        """Give up a connection, and the idle ones, too: what broke it has broken them, and each would cost a pause."""
        with contextlib.suppress(Exception):  # it is broken already
            connection.disconnect()
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop().disconnect()

    def _ask(self, connection: Any, words: tuple[Any, ...], text: str | None) -> Any:
        # Packed here: the client's own way costs as much as the server's work.
        connection.send_packed_command((packed(words),))
        try:
            return connection.read_response()
        except self._errors.NoScriptError:  # not run: the server restarted, or never saw it
            assert text is not None
            connection.send_packed_command((packed(("SCRIPT", "LOAD", text)),))
            connection.read_response()
            connection.send_packed_command((packed(words),))
            return connection.read_response()

    def try_listening(self, channel: str) -> None:
        """Whether `messages` will work. StoreUnavailable when the server refuses."""
        connection = self._connect()
        try:
            connection.send_command("SUBSCRIBE", channel)
            connection.read_response()
        except self._errors.ResponseError as error:
            raise StoreUnavailable(f"{self.label}: {meaning(error)}") from error
        except (self._errors.RedisError, OSError):  # it is away: `messages` tries again and again
            return
        finally:
            with contextlib.suppress(Exception):  # broken already
                connection.disconnect()

    def messages(self, channel: str, ready: threading.Event) -> Iterator[str]:
        """What is published on a channel, until closed; "all|||" after each (re)connection: something may be missed.

        Sets `ready` once it listens.
        """
        pause = FIRST_PAUSE
        while not self._closed.is_set():
            connection = self._connect()
            try:
                connection.send_command("SUBSCRIBE", channel)
                connection.read_response()
                ready.set()
                pause = FIRST_PAUSE
                yield "all|||"
                while not self._closed.is_set():
                    if not connection.can_read(QUIET):
                        # Nothing for so long: is anybody there? A connection that was cut on the way says nothing, too.
                        connection.send_command("PING")
                    answer = connection.read_response(timeout=self._timeout)
                    if isinstance(answer, list) and len(answer) == 3 and answer[0] == b"message":
                        yield answer[2].decode("utf-8", "replace")
            except (self._errors.RedisError, OSError, ValueError):
                # ValueError: the socket was closed under the reader by `close`.
                self._closed.wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            finally:
                with contextlib.suppress(Exception):  # broken or closed already
                    connection.disconnect()

    def close(self) -> None:
        """Break all connections, also under a reader. Idempotent."""
        self._closed.set()
        with self._adding:
            connections = list(self._connections)
        for connection in connections:
            sock = getattr(connection, "_sock", None)
            if sock is not None:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        while self._idle:
            with contextlib.suppress(IndexError):
                self._idle.pop().disconnect()


def packed(words: tuple[Any, ...]) -> bytes:
    """A command as it goes over the wire: every word with its length in front, so none can be mistaken for another."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _label(address: str) -> str:
    """The address without credentials and options: it goes into messages and logs."""
    parts = urlsplit(address)
    place = (parts.hostname or "") + (f":{parts.port}" if parts.port else "")
    return f"{parts.scheme}://{place}{parts.path}"
