"""A Unix socket on which local workers and clients reach a manager: mode 0600, only peers with the same user id."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import socket
import stat
import tempfile
import threading
from collections import deque

from ..reactor import READ, WRITE, Deadline, Reactor
from .errors import StoreUnavailable
from .frames import encode
from .manager import TaskManager
from .peer_user import same_user
from .service import Peer, Service
from .stores.base import Change, Event

#: Most connections at a time; more are closed at once.
MOST_PEERS = 4096
#: Bytes that may wait for a peer that does not read; then it is dropped.
BACKLOG_LIMIT = 64 * 1024 * 1024
_CHUNK = 256 * 1024
_ROLES = frozenset({"worker", "client"})


class SocketServer:
    """Serves a manager on a Unix socket from one thread of its own, however many peers there are.

    path: where the socket is made; a dead one of an earlier server is replaced. Raises StoreUnavailable when something
    else is there. `start` returns when peers may connect; `close` from any thread.
    """

    def __init__(self, manager: TaskManager, path: str, *, most_peers: int = MOST_PEERS) -> None:
        self.path = path
        self._most_peers = most_peers
        self._service = Service(manager, _ROLES)
        self._manager = manager
        self._reactor = Reactor()
        self._clock: Deadline | None = None
        self._news = False
        self._closing = False
        try:
            self._listener = _listen(path)
            self._place = _identity(path)
        except OSError as error:
            self._reactor.close()
            raise StoreUnavailable(f"socket {path}: {error.strerror or error}") from error
        self._thread = threading.Thread(target=self._run, name="queue-socket", daemon=True)
        self._unsubscribe = manager.subscribe(self._changed)

    def start(self) -> SocketServer:
        """Serve from now on."""
        self._reactor.watch(self._listener.fileno(), READ, lambda _mask: self._accept())
        self._thread.start()
        return self

    @property
    def peers(self) -> int:
        """Connections now."""
        return self._service.peers

    def wait(self, timeout: float | None = None) -> None:
        """Until closed."""
        self._thread.join(timeout)

    def close(self) -> None:
        """Drop everybody (their tasks go back) and remove the socket. Idempotent."""
        if self._closing:
            return
        self._closing = True
        self._unsubscribe()
        if self._thread.ident is None:
            self._end()
            return
        self._reactor.wake()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def stop_workers(self) -> None:
        """Ask all workers to leave after the task at hand, also those that come later; from any thread."""
        self._reactor.call_soon_threadsafe(self._service.stop)

    def _changed(self, event: Event) -> None:
        if event.change is Change.RESULT and event.task_id in self._service.holders:
            self._reactor.call_soon_threadsafe(lambda: self._service.ended_elsewhere(event.task_id))
        # One wake-up for many changes: the flag is cleared before the service looks.
        if not self._news:
            self._news = True
            self._reactor.call_soon_threadsafe(self._serve)

    def _serve(self) -> None:
        self._news = False
        self._service.serve()

    def _run(self) -> None:
        self._tick()
        try:
            while not self._closing:
                self._reactor.turn()
        finally:
            self._end()

    def _tick(self) -> None:
        self._service.tick()
        wait = min(max(self._manager.next_deadline(), 0.01), 0.5 if self._service.waiting else 2.0)
        self._clock = self._reactor.call_later(wait if wait < math.inf else 2.0, self._tick)

    def _accept(self) -> None:
        for _ in range(64):
            try:
                sock, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    # Out of descriptors: the listener stays readable, so look away for a moment instead of spinning.
                    self._reactor.unwatch(self._listener.fileno())
                    self._reactor.call_later(0.2, self._listen_again)
                return
            if not same_user(sock):
                sock.close()
                continue
            if self._service.peers >= self._most_peers:
                with sock, contextlib.suppress(OSError):
                    sock.setblocking(False)
                    sock.send(encode("fault", message="it has too many connections"))
                continue
            _Connection(sock, self._reactor, self._service)

    def _listen_again(self) -> None:
        self._reactor.watch(self._listener.fileno(), READ, lambda _mask: self._accept())

    def _end(self) -> None:
        self._reactor.unwatch(self._listener.fileno())
        # Before it is closed: from then on another manager may take the place. Nor is it ours if somebody moved in.
        with contextlib.suppress(OSError):
            if _identity(self.path) == self._place:
                os.unlink(self.path)
        self._listener.close()
        for peer in self._service.all_peers():
            peer.lost()
        self._reactor.close()


class _Connection:
    """Bytes of one peer, in and out."""

    def __init__(self, sock: socket.socket, reactor: Reactor, service: Service) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._fd = sock.fileno()
        self._reactor = reactor
        self._out: deque[memoryview] = deque()
        self._waiting = 0
        self._peer: Peer = service.peer(self._send, self._close, "local")
        self._events = READ
        # One object: the reactor tells callbacks apart by identity, and every `self._ready` is a new one.
        self._callback = self._ready
        reactor.watch(self._fd, READ, self._callback)

    def _ready(self, mask: int) -> None:
        if mask & WRITE:
            self._flush()
        if mask & READ and self._fd >= 0:
            try:
                data = self._sock.recv(_CHUNK)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if data:
                self._peer.feed(data)
            else:
                self._peer.lost()

    def _send(self, data: bytes) -> None:
        if self._fd < 0:
            return
        self._out.append(memoryview(data))
        self._waiting += len(data)
        if self._waiting > BACKLOG_LIMIT:
            # Not from within the peer's own call: it is in the middle of something.
            self._reactor.call_soon(self._peer.lost)
        elif len(self._out) == 1:
            self._flush()

    def _flush(self) -> None:
        try:
            while self._out:
                sent = self._sock.send(self._out[0])
                self._waiting -= sent
                if sent < len(self._out[0]):
                    self._out[0] = self._out[0][sent:]
                else:
                    self._out.popleft()
        except BlockingIOError:
            self._watch(READ | WRITE)
            return
        except OSError:
            self._out.clear()
            self._reactor.call_soon(self._peer.lost)
        self._watch(READ)

    def _watch(self, events: int) -> None:
        if self._fd >= 0 and events != self._events:
            self._events = events
            self._reactor.change(self._fd, events, self._callback)

    def _close(self) -> None:
        if self._fd >= 0:
            self._reactor.unwatch(self._fd)
            self._fd = -1
            self._sock.close()


def _listen(path: str) -> socket.socket:
    """A listening socket at `path`, private from its first moment."""
    with contextlib.suppress(FileNotFoundError):
        status = os.lstat(path)
        if not stat.S_ISSOCK(status.st_mode) or status.st_uid != os.geteuid():
            raise FileExistsError(errno.EEXIST, "something else is there")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1.0)  # one that is stopped, with a full backlog, would keep us waiting
            if probe.connect_ex(path) not in (errno.ECONNREFUSED, errno.ENOENT):
                raise OSError(errno.EADDRINUSE, "another manager serves there")
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Made where nobody else can come, and moved when it is private: a chmod at `path` would come too late for a
        # quick neighbour, and a umask would hold for all threads.
        with tempfile.TemporaryDirectory(prefix=".q", dir=os.path.dirname(path) or ".") as folder:
            made = os.path.join(folder, "s")
            listener.bind(made)
            os.chmod(made, 0o600)
            listener.listen(512)
            os.link(made, path)  # fails where somebody else was faster
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _identity(path: str) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino
