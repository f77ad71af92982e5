"""A command on a node: environment, terminal, standard streams, exit status or signal."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..states import Failure, FailureKind
from . import wire
from .failures import quote
from .peer import Peer
from .session import Session
from .sudo import Sudo

#: RFC 4254 section 6.10: signal names, and their numbers for 128+N.
SIGNALS = {
    "HUP": 1,
    "INT": 2,
    "QUIT": 3,
    "ILL": 4,
    "TRAP": 5,
    "ABRT": 6,
    "BUS": 7,
    "FPE": 8,
    "KILL": 9,
    "USR1": 10,
    "SEGV": 11,
    "USR2": 12,
    "PIPE": 13,
    "ALRM": 14,
    "TERM": 15,
    "XCPU": 24,
    "XFSZ": 25,
    "SYS": 31,
}


@dataclass(frozen=True, slots=True)
class Terminal:
    """A pty for the command."""

    term: str = "dumb"
    columns: int = 80
    rows: int = 24


@dataclass(frozen=True, slots=True)
class CommandOptions:
    """terminal: ask for one. environment: sent as `env` requests; what the server refuses goes into the command.

    sudo: the program that runs the command (`sudo`), None for none.
    """

    terminal: Terminal | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    sudo: str | None = None


@dataclass(slots=True)
class CommandListener:
    """Who is told. started: the server took the command. output(data, is_stderr). written: all input has left.

    ended(rc, failure): once; rc is None where there is none, failure is None where rc tells all.
    """

    started: Callable[[], None]
    output: Callable[[bytes, bool], None]
    ended: Callable[[int | None, Failure | None], None]
    written: Callable[[], None] = field(default=lambda: None)


class Command(Session):
    """One command. Input may be written before it has started."""

    def __init__(
        self, peer: Peer, command: str, options: CommandOptions, listener: CommandListener, *, counted: bool = True
    ) -> None:
        """counted: whether it stands among the commands that run on the node (see remote_kill.py)."""
        super().__init__(peer)
        self._counted = counted
        self._command = command
        self._options = options
        self._listener = listener
        self._early: list[bytes] = []
        self._eof = False
        self._rc: int | None = None
        self._asked: list[str] = []
        self._refused: list[str] = []
        #: Whether the answer to the wish for a terminal is the next one.
        self._terminal_due = False
        self._held = False
        self._sudo: Sudo | None = None
        if options.sudo is not None:
            self._sudo = Sudo(peer, command, options.sudo, self._send_first, self._send_early, self.reject)
            self._command = self._sudo.line

    # -- input

    def write(self, data: bytes) -> None:
        """Queue bytes for the command's input."""
        if self.requested and self.channel is not None and self._input_open:
            self.channel.write(data)
        elif not self.finished:
            self._early.append(data)

    def write_eof(self) -> None:
        """Close the input after what was written."""
        self._eof = True
        if self.requested and self.channel is not None and self._input_open:
            self.channel.write_eof()

    @property
    def _input_open(self) -> bool:
        """Whether the operator's input may flow; before sudo let the command through it would be read as a password."""
        return self._sudo is None or self._sudo.through

    def _send_first(self, data: bytes) -> None:
        if self.channel is not None:
            self.channel.write(data)

    def _send_early(self) -> None:
        channel = self.channel
        if channel is None:
            return
        early, self._early = self._early, []
        for data in early:
            channel.write(data)
        if self._eof:
            channel.write_eof()

    @property
    def backlog(self) -> int:
        """Bytes of input that the server has not taken."""
        return sum(map(len, self._early)) + (self.channel.backlog if self.channel is not None else 0)

    def hold(self, flag: bool) -> None:
        """Stop taking output, or go on."""
        self._held = flag
        if self.channel is not None:
            self.channel.hold(flag)

    def signal(self, name: str) -> None:
        """Send a signal (RFC 4254 section 6.9) to what runs there."""
        if self.channel is not None:
            self.channel.request("signal", wire.string(name))

    # -- the session

    def established(self) -> None:
        """See Session."""
        channel = self.channel
        assert channel is not None
        if self._held:
            channel.hold(True)
        if self.peer.forwards_agent:
            channel.request("auth-agent-req@openssh.com")
        # What was asked over a connection that died is not answered any more.
        self._asked, self._refused = [], []
        for name, value in self._environment():
            self._asked.append(name)
            channel.request("env", wire.string(name) + wire.string(value), want_reply=True)
        if not self._asked:
            self._start()

    def _environment(self) -> list[tuple[str, str]]:
        return [*self.peer.config.set_env, *self._options.environment.items()]

    def _start(self) -> None:
        channel = self.channel
        if channel is None:
            return
        terminal = self._options.terminal
        if terminal is not None:
            size = wire.u32(terminal.columns) + wire.u32(terminal.rows) + wire.u32(0) + wire.u32(0)
            fields = wire.string(terminal.term) + size + wire.string(b"\0")
            channel.request("pty-req", fields, want_reply=True)
            self._terminal_due = True
        command = self._command
        if self._refused:
            values = dict(self._environment())
            sets = " ".join(f"{name}={shlex.quote(values[name])}" for name in self._refused)
            command = f"export {sets}; {command}"
        self.requested = True
        if self._counted:
            self.peer.started(self)
        channel.request("exec", wire.string(command.encode("utf-8", "surrogateescape")), want_reply=True)
        if self._input_open:
            self._send_early()

    def replied(self, success: bool) -> None:
        """See ChannelUser: answers to `env` and then to `pty-req` come before the one to `exec`."""
        if self._terminal_due:
            self._terminal_due = False
            if not success:
                tell = self.peer.pool.settings.notice
                tell(f"{self.peer.label}: the server gives no terminal: the command runs without one (see PermitTTY)")
            return
        if self._asked:
            name = self._asked.pop(0)
            if not success:
                self._refused.append(name)
            if not self._asked:
                self._start()
            return
        super().replied(success)

    def accepted(self) -> None:
        """See Session."""
        self._listener.started()

    def data(self, data: bytes) -> None:
        """See ChannelUser."""
        self._output(data, False)

    def error_data(self, data: bytes) -> None:
        """See ChannelUser."""
        self._output(data, True)

    def _output(self, data: bytes, is_error: bool) -> None:
        if self.finished:
            return
        if self._sudo is not None:
            data = self._sudo.filter(data, is_error)
        if data and not self.finished:
            self._listener.output(data, is_error)

    def writable(self) -> None:
        """See ChannelUser."""
        self._listener.written()

    def request(self, name: str, fields: wire.Reader) -> None:
        """See ChannelUser."""
        if name == "exit-status":
            self._rc = fields.u32() & 0xFF
        elif name == "exit-signal":
            self._rc = 128 + SIGNALS.get(fields.text(), 0)

    def cancel(self) -> None:
        """See Session."""
        self.peer.ended(self)
        if self._sudo is not None and not self.finished:
            self._sudo.over()
        super().cancel()

    def over(self, failure: Failure | None) -> None:
        """See Session."""
        self.peer.ended(self)
        if self._sudo is not None:
            for is_error in (False, True):
                rest = self._sudo.rest(is_error)
                if rest:
                    self._listener.output(rest, is_error)
            self._sudo.over()
        if failure is not None and failure.kind is FailureKind.AUTHENTICATION:
            # sudo's, as the connection stands: the command did not run, but the node answered.
            self._listener.ended(1, failure)
            return
        if self._rc is not None:
            self._listener.ended(self._rc, None)
        elif failure is not None:
            self._listener.ended(None, failure)
        else:
            reason = f"{self.peer.label}: the server closed the session without an exit status"
            self._listener.ended(None, Failure(FailureKind.CONNECTION_LOST, reason))

    def __repr__(self) -> str:
        return f"<Command {quote(self._command)!r} on {self.peer.label}>"
