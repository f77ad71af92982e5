"""One command of one channel: started, fed, pumped, signalled, and its end reported."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import termios
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from signal import SIGHUP, SIGKILL, Signals

import paramiko
from paramiko.common import cMSG_CHANNEL_REQUEST

_CHUNK = 32768
#: How long the closing of a channel may go unnoticed while a command says nothing, in seconds.
_CLOSED_CHECK = 0.25
_HANGUP_GRACE = 1.0
#: Makes the terminal the controlling one, by opening it as a session leader, and becomes the command. Python's own
#: way is a function between fork and exec, which is not safe in a process with threads.
_ON_TERMINAL = 'exec <"$1" >"$1" 2>&1; shift; exec "$@"'


@dataclass(frozen=True, slots=True)
class Terminal:
    """A pty request: TERM and the size in cells."""

    name: str
    columns: int
    rows: int


class Job:
    """Runs `command` (None: a shell) for `channel` in a thread of its own.

    sessions: process numbers of the commands that run on the same connection; the job's own is there while it lives.
    `start`, `signal` and `resize` are called from the connection's thread.
    """

    def __init__(
        self,
        channel: paramiko.Channel,
        command: str | None,
        *,
        environment: Mapping[str, str],
        home: Path,
        latency: float,
        terminal: Terminal | None,
        sessions: set[int],
    ) -> None:
        self._channel = channel
        self._command = command
        self._environment = dict(environment)
        self._home = home
        self._latency = latency
        self._terminal = terminal
        self._sessions = sessions
        self._process: subprocess.Popen[bytes] | None = None
        self._master = -1
        self._input = bytearray()
        self._input_fd = -1

    def start(self) -> None:
        """Start the thread; it ends when the command and the channel have ended."""
        threading.Thread(target=self._run, name="job", daemon=True).start()

    def signal(self, name: str) -> bool:
        """Send a signal, named as in SSH ("TERM"), to the command's process group."""
        number = Signals.__members__.get(f"SIG{name}")
        return number is not None and self._process is not None and self._kill(number)

    def resize(self, columns: int, rows: int) -> None:
        """Tell the command's terminal its new size."""
        if self._master >= 0:
            termios.tcsetwinsize(self._master, (rows, columns))

    # -- the job's thread

    def _run(self) -> None:
        threading.Event().wait(self._latency)
        try:
            self._environment["DEMO_SESSIONS"] = ",".join(map(str, self._sessions.copy()))
            process = self._process = self._spawn()
            self._sessions.add(process.pid)
        except OSError as error:
            with contextlib.suppress(OSError, EOFError):
                self._channel.sendall_stderr(f"cannot start the command: {error}\n".encode())
                self._channel.send_exit_status(126)
            self._channel.close()
            return
        try:
            self._pump(process)
            while not self._channel.closed and process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_CLOSED_CHECK)
            if process.poll() is not None:
                self._report(process.returncode)
        except (OSError, EOFError):
            pass  # the client went away, which _end looks after
        finally:
            self._end(process)

    def _spawn(self) -> subprocess.Popen[bytes]:
        argv = ["/bin/sh", "-c", self._command] if self._command is not None else ["/bin/sh"]
        if self._terminal is None:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self._home,
                env=self._environment,
                start_new_session=True,
            )
            assert process.stdin is not None
            self._input_fd = process.stdin.fileno()
            os.set_blocking(self._input_fd, False)
            return process
        if self._command is None:
            argv.append("-i")
        self._master, slave = os.openpty()
        self.resize(self._terminal.columns, self._terminal.rows)
        argv = ["/bin/sh", "-c", _ON_TERMINAL, "sh", os.ttyname(slave), *argv]
        environment = self._environment | {"TERM": self._terminal.name}
        try:
            process = subprocess.Popen(
                argv, stdin=slave, stdout=slave, stderr=slave, cwd=self._home, env=environment, start_new_session=True
            )
        finally:
            os.close(slave)
        self._input_fd = os.dup(self._master)
        os.set_blocking(self._input_fd, False)
        return process

    def _pump(self, process: subprocess.Popen[bytes]) -> None:
        """Carry bytes both ways until the command has closed its output or the client its channel."""
        with selectors.PollSelector() as selector:
            outputs = set()
            for fd in (self._master, process.stdout, process.stderr):
                if fd is not None and fd != -1:
                    key = selector.register(fd, selectors.EVENT_READ)
                    outputs.add(key.fd)
            errors = process.stderr.fileno() if process.stderr else -1
            channel_fd = self._channel.fileno()
            selector.register(channel_fd, selectors.EVENT_READ)
            while outputs and not self._channel.closed:
                for key, _ in selector.select(_CLOSED_CHECK):
                    if key.fd == channel_fd:
                        self._take_input(selector, channel_fd)
                    elif key.fd == self._input_fd:
                        self._feed(selector)
                    elif not self._carry(key.fd, key.fd == errors):
                        selector.unregister(key.fd)
                        outputs.discard(key.fd)

    def _carry(self, fd: int, is_error: bool) -> bool:
        try:
            data = os.read(fd, _CHUNK)
        except OSError:
            data = b""  # a terminal whose last user has gone answers EIO
        if data:
            (self._channel.sendall_stderr if is_error else self._channel.sendall)(data)
        return bool(data)

    def _take_input(self, selector: selectors.BaseSelector, channel_fd: int) -> None:
        data = self._channel.recv(_CHUNK)
        if data:
            self._input += data
        else:
            selector.unregister(channel_fd)
            if self._terminal is not None:
                self._input += b"\x04"  # end of file, for who reads a terminal
        if self._input_fd >= 0 and self._input_fd not in selector.get_map():
            selector.register(self._input_fd, selectors.EVENT_WRITE)

    def _feed(self, selector: selectors.BaseSelector) -> None:
        try:
            written = os.write(self._input_fd, self._input[:_CHUNK]) if self._input else 0
        except BlockingIOError:
            return
        except OSError:
            written = len(self._input)  # nobody reads it any more
        del self._input[:written]
        if self._input:
            return
        selector.unregister(self._input_fd)
        if self._channel.eof_received and self._terminal is None:
            self._close_input()

    def _close_input(self) -> None:
        self._input_fd = -1
        assert self._process is not None
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def _report(self, code: int) -> None:
        self._channel.shutdown_write()
        if code >= 0:
            self._channel.send_exit_status(code)
        else:
            _send_exit_signal(self._channel, Signals(-code).name.removeprefix("SIG"))

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Hang up on what still runs, and leave neither process nor descriptor."""
        self._channel.close()
        if process.poll() is None:
            self._kill(SIGHUP)
            try:
                process.wait(_HANGUP_GRACE)
            except subprocess.TimeoutExpired:
                self._kill(SIGKILL)
                process.wait()
        self._sessions.discard(process.pid)
        if self._master >= 0:
            os.close(self._master)
            if self._input_fd >= 0:
                os.close(self._input_fd)
            self._master = -1
        else:
            self._close_input()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()

    def _kill(self, number: Signals) -> bool:
        assert self._process is not None
        try:
            os.killpg(self._process.pid, number)
        except OSError:
            return False
        return True


def _send_exit_signal(channel: paramiko.Channel, name: str) -> None:
    """RFC 4254 section 6.10; paramiko sends exit statuses but has no call for this."""
    message = paramiko.Message()
    message.add_byte(cMSG_CHANNEL_REQUEST)
    message.add_int(channel.remote_chanid)
    message.add_string("exit-signal")
    message.add_boolean(False)
    message.add_string(name)
    message.add_boolean(False)  # no core dumped
    message.add_string("")
    message.add_string("")
    channel.get_transport()._send_user_message(message)  # type: ignore[attr-defined]
