"""A scripted SSH server that misbehaves in one chosen way; paramiko's server side, on 127.0.0.1.

`HostileServer("name of a fault")` listens on a port of its own. Faults before login are plain bytes on a socket; the
later ones let paramiko's own Transport do the honest part first. `attempts` records (user, password) of every try.
`turn` makes an honest server misbehave while it is in use, and honest again.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any, cast

import paramiko
from paramiko.common import (
    AUTH_FAILED,
    AUTH_PARTIALLY_SUCCESSFUL,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_SUCCEEDED,
)
from paramiko.message import Message
from paramiko.server import InteractiveQuery

HOST_KEY = paramiko.ECDSAKey.generate()

Raw = Callable[[socket.socket], None]


def _wait_for_end(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while sock.recv(65536):
            pass


def _silent(sock: socket.socket) -> None:
    _wait_for_end(sock)


def _reset(sock: socket.socket) -> None:
    """Close so that the other side gets RST, once it has said something."""
    with contextlib.suppress(OSError):
        sock.recv(1)
    _reset_now(sock)


def _reset_now(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _say(data: bytes, *, then: Raw = _wait_for_end) -> Raw:
    def act(sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            sock.sendall(data)
        then(sock)

    return act


def _endless(line: bytes) -> Raw:
    def act(sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock.sendall(line * 100)

    return act


def _drip(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            sock.sendall(b"x")
            time.sleep(0.05)


def _nothing(_sock: socket.socket) -> None:
    pass


_VERSION = b"SSH-2.0-hostile\r\n"


def _packet(payload: bytes) -> bytes:
    padding = 8 - (len(payload) + 5) % 8
    padding += 8 if padding < 4 else 0
    return struct.pack(">IB", len(payload) + padding + 1, padding) + payload + bytes(padding)


def _kexinit(kex: bytes = b"curve25519-sha256@libssh.org") -> bytes:
    lists = [kex, b"ssh-ed25519", b"aes128-ctr", b"aes128-ctr", b"hmac-sha2-256", b"hmac-sha2-256", b"none", b"none"]
    body = b"".join(struct.pack(">I", len(name)) + name for name in [*lists, b"", b""])
    return _packet(b"\x14" + bytes(16) + body + b"\0" * 5)


#: Faults before anything is encrypted.
RAW: dict[str, Raw] = {
    "silent": _silent,
    "dropped": _nothing,
    "reset": _reset,
    "refuses in words": _say(b"Exceeded MaxStartups\r\n", then=_nothing),
    "nonsense banner": _say(os.urandom(5000)),
    "old protocol": _say(b"SSH-1.5-old\r\n"),
    "endless banner": _endless(b"welcome \x1b[2J to this host\r\n"),
    "endless line": _endless(b"x" * 1000),
    "dripping banner": _drip,
    "hangs after its version": _say(_VERSION),
    "drops after its version": _say(_VERSION, then=_nothing),
    "nonsense in key exchange": _say(_VERSION + os.urandom(4000)),
    "huge packet in key exchange": _say(_VERSION + b"\x7f\xff\xff\xff" + bytes(100)),
    "no algorithm in common": _say(_VERSION + _kexinit(b"sntrup-nothing")),
    "hangs in key exchange": _say(_VERSION + _kexinit()),
    "drops in key exchange": _say(_VERSION + _kexinit(), then=_nothing),
    "wrong answer in key exchange": _say(_VERSION + _kexinit() + _packet(b"\x1f" + bytes(40))),
    "new keys too early": _say(_VERSION + _kexinit() + _packet(b"\x15")),
    "message before keys": _say(_VERSION + _kexinit() + _packet(b"\x34")),
    "goodbye in key exchange": _say(
        _VERSION + _kexinit() + _packet(b"\x01\0\0\0\x02\0\0\0\x0ago \x1b]0;x\x07!" + bytes(4))
    ),
}


def _send(transport: Any, message: Message) -> None:
    """Send whatever is wanted, past paramiko's own order of things."""
    transport._send_message(message)


class _Server(paramiko.ServerInterface):
    """The honest part, with the fault's turn where it has one."""

    def __init__(self, owner: HostileServer, transport: paramiko.Transport) -> None:
        self.owner = owner
        self.transport = transport
        self.opened = 0

    @property
    def fault(self) -> str:
        """The owner's, which may turn while a connection stands."""
        return self.owner.fault

    def get_allowed_auths(self, username: str) -> str:
        return self.owner.methods

    def check_auth_none(self, username: str) -> int:
        return self._auth(AUTH_FAILED)

    def _auth(self, result: int) -> int:
        if self.fault == "leaves after login" and result == AUTH_SUCCESSFUL:
            message = Message()
            message.add_byte(b"\x34")
            _send(self.transport, message)
            self.transport.close()
        if self.fault == "hangs in login":
            self.owner.stop_event.wait(60)
        elif self.fault == "drops in login":
            self.transport.sock.close()
        elif self.fault == "goodbye in login":
            message = Message()
            message.add_bytes(b"\x01\0\0\0\x0b")
            message.add_string("too many \x1b[31mfailures")
            message.add_string("")
            _send(self.transport, message)
            self.transport.close()
        elif self.fault == "rejects every key":
            return AUTH_FAILED
        return result

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        if "publickey" not in self.owner.methods:
            return AUTH_FAILED
        if self.owner.second_factor:
            self.owner.methods = "password"
            return AUTH_PARTIALLY_SUCCESSFUL
        return self._auth(AUTH_SUCCESSFUL)

    def check_auth_password(self, username: str, password: str) -> int:
        with self.owner.lock:
            self.owner.attempts.append((username, password))
        return AUTH_SUCCESSFUL if password == self.owner.password else AUTH_FAILED

    def check_auth_interactive(self, username: str, submethods: str) -> Any:
        return InteractiveQuery("", "", *self.owner.prompts)

    def check_auth_interactive_response(self, responses: list[str]) -> int:
        with self.owner.lock:
            self.owner.attempts.append(("interactive", *responses))
        return AUTH_SUCCESSFUL if responses == self.owner.answers else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        self.opened += 1
        if self.fault == "refuses sessions":
            return OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        if self.fault == "hangs at the session":
            self.owner.stop_event.wait(60)
        if self.fault == "drops at the session":
            self.transport.sock.close()
        if self.fault == "goodbye at the session":
            self.transport.close()
        return OPEN_SUCCEEDED

    def check_channel_direct_tcpip_request(self, chanid: int, origin: Any, destination: Any) -> int:
        if self.fault == "drops at the session":
            self.transport.sock.close()
        return OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_subsystem_request(self, channel: paramiko.Channel, name: str) -> bool:
        if self.owner.sftp is not None:
            return bool(super().check_channel_subsystem_request(channel, name))
        return self._request(channel)

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        return self._request(channel)

    def check_channel_env_request(self, channel: paramiko.Channel, name: bytes, value: bytes) -> bool:
        return False

    def _request(self, channel: paramiko.Channel) -> bool:
        if self.fault == "refuses the request":
            return False
        if self.fault == "hangs at the request":
            self.owner.stop_event.wait(60)
        act = _SESSION.get(self.fault, _session_ok)
        threading.Thread(target=self._act, args=(act, channel), daemon=True).start()
        return True

    def _act(self, act: Callable[[_Server, paramiko.Channel], None], channel: paramiko.Channel) -> None:
        time.sleep(0.02)  # the answer to the request leaves when this method's caller has returned
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            act(self, channel)


def _session_ok(server: _Server, channel: paramiko.Channel) -> None:
    channel.sendall(b"hello\n")
    channel.send_exit_status(0)
    channel.close()


def _drop_in_output(server: _Server, channel: paramiko.Channel) -> None:
    channel.sendall(b"\0\0\0\5\2\0\0\0\3" + b"\0\0")
    server.transport.sock.close()


def _reset_in_output(server: _Server, channel: paramiko.Channel) -> None:
    channel.sendall(b"\0\0\0\5\2\0\0\0\3" + b"\0\0")
    _reset_now(cast(socket.socket, server.transport.sock))
    server.transport.sock.close()


def _no_status(server: _Server, channel: paramiko.Channel) -> None:
    channel.sendall(b"hello\n")
    channel.close()


def _hang(server: _Server, channel: paramiko.Channel) -> None:
    channel.sendall(b"hello\n" if server.fault == "hangs before the status" else b"")
    server.owner.stop_event.wait(60)


def _corrupt(server: _Server, channel: paramiko.Channel) -> None:
    channel.sendall(b"\0\0\0\5\2\0\0\0\3")
    server.transport.sock.sendall(os.urandom(4000))
    server.owner.stop_event.wait(60)


def _overflow(server: _Server, channel: paramiko.Channel) -> None:
    piece = Message()
    piece.add_byte(b"\x5e")
    piece.add_int(channel.remote_chanid)
    piece.add_string(b"\0\0\0\2\x65\0" + b"x" * 30000)
    while True:
        _send(server.transport, piece)


def _strange_messages(server: _Server, channel: paramiko.Channel) -> None:
    for kind in (b"\x5e", b"\x5f", b"\x5d", b"\x60", b"\x61", b"\x62", b"\x63", b"\x64", b"\x5b", b"\x5c"):
        message = Message()
        message.add_byte(kind)
        message.add_int(4711)
        message.add_bytes(bytes(40))
        _send(server.transport, message)
    _unknown_requests(server, channel)


def _unknown_requests(server: _Server, channel: paramiko.Channel) -> None:
    for name in ("hostkeys-00@openssh.com", "nonsense", "tcpip-forward"):
        message = Message()
        message.add_byte(b"\x50")
        message.add_string(name)
        message.add_boolean(True)
        _send(server.transport, message)
    for kind in ("x11", "forwarded-tcpip", "auth-agent@openssh.com", "session"):
        message = Message()
        message.add_byte(b"\x5a")
        message.add_string(kind)
        message.add_int(99)
        message.add_int(1 << 20)
        message.add_int(1 << 15)
        _send(server.transport, message)
    server.owner.stop_event.wait(60)


def _cut_short(server: _Server, channel: paramiko.Channel) -> None:
    message = Message()
    message.add_byte(b"\x5f")
    message.add_bytes(b"\0\0")
    _send(server.transport, message)
    server.owner.stop_event.wait(60)


def _bad_signal(server: _Server, channel: paramiko.Channel) -> None:
    message = Message()
    message.add_byte(b"\x62")
    message.add_int(channel.remote_chanid)
    message.add_string("exit-signal")
    message.add_boolean(False)
    message.add_string("KILL")
    message.add_boolean(False)
    message.add_string("")
    message.add_string("")
    _send(server.transport, message)
    channel.close()


def _stops_reading(server: _Server, channel: paramiko.Channel) -> None:
    server.owner.stop_event.wait(60)


_SESSION: dict[str, Callable[[_Server, paramiko.Channel], None]] = {
    "drops in the middle": _drop_in_output,
    "resets in the middle": _reset_in_output,
    "closes without a status": _no_status,
    "hangs before the status": _hang,
    "hangs without a word": _hang,
    "corrupt packet": _corrupt,
    "more than the window": _overflow,
    "strange messages": _strange_messages,
    "unknown requests": _unknown_requests,
    "cut short message": _cut_short,
    "killed by a signal": _bad_signal,
    "stops reading": _stops_reading,
}

#: Faults once keys are agreed: in the login, and after it.
LOGIN = (
    "hangs in login",
    "drops in login",
    "goodbye in login",
    "rejects every key",
)
LATER = (
    *LOGIN,
    "refuses sessions",
    "hangs at the session",
    "drops at the session",
    "goodbye at the session",
    "refuses the request",
    "hangs at the request",
    *_SESSION,
)
FAULTS = (*RAW, *LATER)


class HostileServer:
    """fault: one of FAULTS, or "" for an honest server (logins, and a command that says hello). `stop()` ends it."""

    def __init__(
        self,
        fault: str = "",
        *,
        methods: str = "publickey",
        password: str = "",
        prompts: tuple[tuple[str, bool], ...] = (),
        answers: list[str] | None = None,
        second_factor: bool = False,
        sftp: type[paramiko.SFTPServerInterface] | None = None,
    ) -> None:
        self.fault = fault
        self.methods = methods
        self.password = password
        self.prompts = prompts
        self.answers = answers or []
        self.second_factor = second_factor
        self.sftp = sftp
        self.attempts: list[tuple[str, ...]] = []
        self.connections = 0
        self.lock = threading.Lock()
        self.stop_event = threading.Event()
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(256)
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._transports: list[paramiko.Transport] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while not self.stop_event.is_set():
            try:
                sock, _address = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        act = RAW.get(self.fault)
        if act is not None:
            with contextlib.suppress(OSError):
                act(sock)
            sock.close()
            return
        transport = paramiko.Transport(sock)
        self._transports.append(transport)
        transport.add_server_key(HOST_KEY)
        if self.sftp is not None:
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, self.sftp)
        # What cannot be started is what the fault wanted.
        with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
            transport.start_server(server=_Server(self, transport))

    @property
    def known_hosts(self) -> str:
        """The line that knows this server."""
        return f"[127.0.0.1]:{self.port} {HOST_KEY.get_name()} {HOST_KEY.get_base64()}\n"

    def turn(self, fault: str) -> None:
        """Misbehave in another way from now on ("": not at all). A fault before or in the login ends what stands."""
        self.fault = fault
        if fault in RAW or fault in LOGIN:
            self.drop_all()

    def drop_all(self) -> None:
        """Cut every connection, and go on listening."""
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        """End it and its threads."""
        self.stop_event.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for transport in self._transports:
            transport.close()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in [*self._threads, *self._transports]:
            thread.join(5)
