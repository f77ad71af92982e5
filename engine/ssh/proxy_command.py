"""ProxyCommand: a local shell line of the operator's own configuration that carries a connection.

Names in the line were checked when the configuration was read (config_values.expand_command). What the program says on
its standard error is kept for the reason, should it end.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable

from ..reactor import READ, Reactor
from ..states import Failure, FailureKind
from .config_values import HostConfig
from .failures import QUOTE, descriptors, quote
from .stream import CarrierError, SocketStream, Stream

#: Seconds between SIGTERM and SIGKILL, and between two looks.
_PATIENCE = 0.5
_LOOK = 0.02
#: Exit codes of a shell that found no program, or could not start it.
_NOT_STARTED = (126, 127)


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
            stream = _start(self._reactor, str(self._config.proxy_command))
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
                self._failed(descriptors(node))
                return
            reason = f"{node}: ProxyCommand cannot be started: {getattr(error, 'strerror', None) or error}"
            self._failed(Failure(FailureKind.CONFIGURATION, reason))
            return
        self._done(stream, "ProxyCommand")


def _start(reactor: Reactor, command: str) -> _CommandStream:
    """Start the program. Raises OSError, ValueError."""
    with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
        near, far = socket.socketpair()
        ours.enter_context(near)
        theirs.enter_context(far)
        words, words_far = os.pipe()
        ours.callback(os.close, words)
        theirs.callback(os.close, words_far)
        for descriptor in (near.fileno(), words):
            reactor.check_number(descriptor)
        os.set_blocking(words, False)
        program = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {command}"],
            stdin=far.fileno(),
            stdout=far.fileno(),
            stderr=words_far,
            start_new_session=True,
        )
        stream = _CommandStream(reactor, near, words, program)
        ours.pop_all()
        return stream


class _CommandStream(SocketStream):
    """The program's standard input and output; it ends with the stream. words: descriptor of its standard error."""

    __slots__ = ("_program", "_said", "_words")

    def __init__(self, reactor: Reactor, sock: socket.socket, words: int, program: subprocess.Popen[bytes]) -> None:
        super().__init__(reactor, sock)
        self._program: subprocess.Popen[bytes] | None = program
        self._words = words
        self._said = b""
        reactor.watch(words, READ, lambda _mask: self._listen())

    def _listen(self) -> None:
        if self._words < 0:
            return
        try:
            data = os.read(self._words, 4096)
        except OSError:
            return
        self._said = (self._said + data)[-QUOTE:]
        if not data:
            self._stop_listening()

    def _stop_listening(self) -> None:
        words, self._words = self._words, -1
        if words >= 0:
            self._reactor.unwatch(words)
            os.close(words)

    def _fail(self, error: Exception | None) -> None:
        self._listen()
        code = self._program.poll() if self._program is not None else None
        said = quote(b" ".join(self._said.split()))
        reason = "its ProxyCommand ended" + (f" with exit code {code}" if code else "") + (f": {said}" if said else "")
        super()._fail(CarrierError(reason, in_vain=code in _NOT_STARTED))

    def _shut(self) -> None:
        super()._shut()
        self._stop_listening()
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
