"""Crowds and strangers at the task manager's doors: the Unix socket, and Redis servers on other hosts."""

from __future__ import annotations

import datetime
import ipaddress
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from clusterdeck.engine.taskmanager.errors import StoreUnavailable
from clusterdeck.engine.taskmanager.manager import TaskManager
from clusterdeck.engine.taskmanager.remote import RemoteQueue
from clusterdeck.engine.taskmanager.sockets import SocketServer
from clusterdeck.engine.taskmanager.stores import redis_link
from clusterdeck.tests.support.sshd import free_port

CROWD = 10_000


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_descriptors")
def test_ten_thousand_idle_connections(tmp_path: Path) -> None:
    """Nobody says a word: those above the limit are hung up on, and a client that was there is served all the while."""
    manager = TaskManager()
    server = SocketServer(manager, str(tmp_path / "q")).start()
    slowest = 0.0
    with ExitStack() as crowd, RemoteQueue(server.path) as client:
        for number in range(CROWD):
            sock = crowd.enter_context(socket.socket(socket.AF_UNIX))
            sock.connect(server.path)
            if number % 100 == 0:
                start = time.monotonic()
                client.add("t", [number])
                slowest = max(slowest, time.monotonic() - start)
        assert server.peers <= 4096
        assert client.status()["waiting"] == {"t": CROWD // 100}
    assert slowest < 10.0
    end = time.monotonic() + 20
    while server.peers:
        assert time.monotonic() < end
        time.sleep(0.01)
    server.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that others can be let into; those of pytest are shut on the way."""
    with tempfile.TemporaryDirectory(prefix="cdq") as folder:
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("opened", [False, True])
def test_another_user_gets_nowhere(folder: Path, opened: bool) -> None:
    """The socket's mode keeps strangers out; where somebody opened it, the kernel's word on the peer does."""
    folder.chmod(0o755)  # the way to it is not what keeps them out
    server = SocketServer(TaskManager(), str(folder / "q")).start()
    if opened:
        os.chmod(server.path, 0o666)
    code = (
        "import os, socket, sys\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "sock = socket.socket(socket.AF_UNIX)\n"
        "try: sock.connect(sys.argv[1])\n"
        "except PermissionError: sys.exit('refused')\n"
        "sock.settimeout(10)\n"
        "try: said = sock.recv(100)\n"
        "except ConnectionError: said = b''\n"
        "sys.exit('hung up' if said == b'' else 'served')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, server.path], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ("hung up" if opened else "refused")
    with RemoteQueue(server.path) as client:
        assert client.status()["waiting"] == {}
    server.close()


class Authority:
    """A certificate for 127.0.0.1, its key, and the authority that vouches for it: itself."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "redis of a test")])
        now = datetime.datetime.now(datetime.UTC)
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(address, critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.certificate, self.key = folder / "cert.pem", folder / "key.pem"
        self.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        self.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )


@pytest.fixture
def tls_redis(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts a redis-server that speaks TLS on 127.0.0.1; its address with what more it takes to trust it."""
    authority = Authority(tmp_path)
    servers: list[subprocess.Popen[bytes]] = []

    def start(*options: str) -> str:
        port = free_port()
        words = ["redis-server", "--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1", "--save", ""]
        words += ["--tls-cert-file", str(authority.certificate), "--tls-key-file", str(authority.key)]
        words += ["--tls-auth-clients", "no", "--dir", str(tmp_path), *options]
        servers.append(subprocess.Popen(words, stdout=subprocess.DEVNULL))
        end = time.monotonic() + 30
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < end
            time.sleep(0.01)
        return f"127.0.0.1:{port}?ssl_ca_certs={authority.certificate}"

    yield start
    for server in servers:
        server.kill()
        server.wait()


def test_redis_over_tls_with_a_password(tls_redis: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_link, "_is_here", lambda _host: False)  # as if it were another host
    address = tls_redis("--requirepass", "sesame")
    with TaskManager(f"rediss://:sesame@{address}") as manager:
        manager.add_task_request("t", 1)
        assert manager.get_any_task(timeout=5)[2] == 1
    for wrong in (f"rediss://{address}", f"rediss://:guess@{address}"):
        with pytest.raises(StoreUnavailable) as raised:
            TaskManager(wrong, patience=0.3)
        assert "guess" not in str(raised.value)
    # A certificate that nobody vouches for.
    with pytest.raises(StoreUnavailable, match=r"(?i)certificate"):
        TaskManager(f"rediss://:sesame@{address.partition('?')[0]}", patience=0.3)


def test_redis_on_another_host_that_is_open_to_all_is_refused(
    tls_redis: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    address = tls_redis()
    monkeypatch.setattr(redis_link, "_is_here", lambda _host: False)
    with pytest.raises(StoreUnavailable, match="without a password"):
        TaskManager(f"rediss://{address}", patience=0.3)
    with TaskManager(f"rediss://{address}", allow_plain=True) as manager:
        assert manager.number_of_tasks() == ({}, {}, {})
