"""ProxyCommand: a local shell line of the operator's own configuration that carries a connection.

Names in the line were checked when the configuration was read (config_values.expand_command).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable

from ..reactor import Reactor
from ..states import Failure, FailureKind
from .config_values import HostConfig
from .failures import descriptors
from .stream import SocketStream, Stream

#: Seconds between SIGTERM and SIGKILL, and between two looks.
_PATIENCE = 0.5
_LOOK = 0.02


class CommandDial:
    """Start the program; `done` or `failed` is called once, unless `cancel` came first."""

    def __init__(
        self,
        reactor: Reactor,
        config: HostConfig,
        done: Callable[[Stream, str], None],
        failed: Callable[[Failure], None],
    ) -> None:
        self._over = False
        self._reactor = reactor
        self._config = config
        self._done = done
        self._failed = failed
        reactor.call_soon(self._start)

    def cancel(self) -> None:
        """Stop before the program was started."""
        self._over = True

    def _start(self) -> None:
        if self._over:
            return
        self._over = True
        node = self._config.node
        try:
            ours, theirs = socket.socketpair()
        except OSError:
            self._failed(descriptors(node))
            return
        with theirs:
            try:
                self._reactor.check_number(ours.fileno())
            except OSError:
                ours.close()
                self._failed(descriptors(node))
                return
            try:
                program = subprocess.Popen(
                    ["/bin/sh", "-c", f"exec {self._config.proxy_command}"],
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                ours.close()
                reason = f"{node}: ProxyCommand cannot be started: {getattr(error, 'strerror', None) or error}"
                self._failed(Failure(FailureKind.CONFIGURATION, reason))
                return
        self._done(_CommandStream(self._reactor, ours, program), "ProxyCommand")


class _CommandStream(SocketStream):
    """The program's standard input and output; it ends with the stream."""

    __slots__ = ("_program",)

    def __init__(self, reactor: Reactor, sock: socket.socket, program: subprocess.Popen[bytes]) -> None:
        super().__init__(reactor, sock)
        self._program: subprocess.Popen[bytes] | None = program

    def _shut(self) -> None:
        super()._shut()
        program, self._program = self._program, None
        if program is not None:
            _signal(program, signal.SIGTERM)
            _UNDERTAKER.take(program)


def _signal(program: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(program.pid, number)


class _Undertaker:
    """Waits for programs that were told to end, and makes them; one thread, while there are any. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._programs: list[tuple[float, subprocess.Popen[bytes]]] = []
        self._works = False

    def take(self, program: subprocess.Popen[bytes]) -> None:
        """See that it ends."""
        with self._lock:
            self._programs.append((time.monotonic() + _PATIENCE, program))
            start, self._works = not self._works, True
        if start:
            threading.Thread(target=self._work, name="ssh-proxies", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                self._programs = [entry for entry in self._programs if entry[1].poll() is None]
                left = list(self._programs)
                if not left:
                    self._works = False
                    return
            now = time.monotonic()
            for limit, program in left:
                if now >= limit:
                    _signal(program, signal.SIGKILL)
            time.sleep(_LOOK)


_UNDERTAKER = _Undertaker()
