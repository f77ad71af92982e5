"""A real OpenSSH server for tests: unprivileged or root, on 127.0.0.1 and a free port, with keys of its own.

Nothing of the account's `~/.ssh` is read or written. The server dies with the test process, `kill -9` included.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from clusterdeck.tests.support.processes import descendants, wait_gone

#: How many node names every server's client configuration knows: node1 .. node64.
NODE_COUNT = 64
_START_TIMEOUT = 60.0
#: Holds sshd as a child and ends it when standard input ends, which happens when the test process is gone.
_KEEPER = '"$@" & child=$!; echo "$child"; cat >/dev/null; kill "$child" 2>/dev/null; wait "$child" 2>/dev/null'


class SshdError(RuntimeError):
    """The server could not be started; the message names the reason and, where one is missing, the package."""


def find_sshd() -> str:
    """Path of the OpenSSH server program. Raises SshdError with the package to install."""
    for candidate in (shutil.which("sshd"), "/usr/sbin/sshd", "/usr/local/sbin/sshd"):
        if candidate and os.access(candidate, os.X_OK):
            return candidate
    raise SshdError("sshd is missing: install it with `apt-get install openssh-server` (these tests need the real one)")


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Sshd:
    """One running server, its client key and a ready client configuration.

    folder: an empty folder of the caller's. options: sshd_config keywords over the defaults (`MaxSessions="1"`).
    prefix: of the node names; `node1`..`node64` all lead to this one server. wrapper: a command that runs sshd.
    Attributes: config (for `ssh -F`), known_hosts, key (private), host_key (public), port, user, pid, log_file.
    Use it as a context manager or call `stop()`.
    """

    def __init__(
        self,
        folder: Path,
        options: Mapping[str, str] | None = None,
        *,
        prefix: str = "node",
        wrapper: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self._wrapper = tuple(wrapper)
        self.prefix = prefix
        self.user = getpass.getuser()
        self.key = folder / "id_ed25519"
        self.config = folder / "ssh_config"
        self.known_hosts = folder / "known_hosts"
        self.log_file = folder / "sshd.log"
        self.host_key = folder / "host_ed25519.pub"
        self.pid = 0
        self.port = 0
        self._options = dict(options or {})
        self._program = find_sshd()
        self._keeper: subprocess.Popen[str] | None = None
        self._make_keys()
        self._start()
        self._write_client_files()

    @property
    def nodes(self) -> str:
        """All node names, folded."""
        return f"{self.prefix}[1-{NODE_COUNT}]"

    @property
    def ssh_options(self) -> str:
        """What an `ssh` command line needs to reach the nodes (also the `ssh_options` setting of a task)."""
        return f"-F {self.config}"

    def log(self) -> str:
        """What the server has logged so far (VERBOSE)."""
        return self.log_file.read_text(errors="replace")

    def sessions(self) -> list[psutil.Process]:
        """The server's living descendants: one or two processes per connection, and the commands they run."""
        return descendants(self.pid)

    def kill_connections(self) -> None:
        """Cut every connection and kill every command, and go on listening."""
        doomed = self.sessions()
        for process in doomed:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        wait_gone(doomed, 20)

    def stop(self) -> None:
        """End the server, its connections and their commands; may be called twice."""
        if self._keeper is None:
            return
        self.kill_connections()
        keeper, self._keeper = self._keeper, None
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        keeper.stdin.close()
        keeper.stdout.close()
        try:
            keeper.wait(30)
        except subprocess.TimeoutExpired:
            keeper.kill()
            keeper.wait()

    def __enter__(self) -> Sshd:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- making it

    def _make_keys(self) -> None:
        for path, comment in ((self.key, "client"), (self.folder / "host_ed25519", "server")):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)]
            try:
                subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)
            except FileNotFoundError:
                raise SshdError("ssh-keygen is missing: `apt-get install openssh-client`") from None
            except subprocess.CalledProcessError as error:
                raise SshdError(f"ssh-keygen: {error.stderr}") from error
        shutil.copy(self.key.with_suffix(".pub"), self.folder / "authorized_keys")

    def _server_options(self) -> dict[str, str]:
        options = {
            "ListenAddress": f"127.0.0.1:{self.port}",
            "HostKey": str(self.folder / "host_ed25519"),
            "AuthorizedKeysFile": str(self.folder / "authorized_keys"),
            "PidFile": "none",
            # Test folders lie below a world-writable /tmp, which StrictModes would refuse.
            "StrictModes": "no",
            "UsePAM": "no",
            "PermitRootLogin": "yes",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PrintMotd": "no",
            "UseDNS": "no",
            "LogLevel": "VERBOSE",
            "MaxStartups": "256",
            "MaxSessions": "256",
            "AcceptEnv": "*",
            # The account's own start-up files (bash reads ~/.bashrc under sshd) are neither the tests' nor quick.
            "SetEnv": f"HOME={self.folder}",
            "Subsystem": "sftp internal-sftp",
        }
        if _openssh_version(self._program) >= (9, 8):
            # From 9.8 on, sshd shuts out an address whose logins fail, which tests do on purpose.
            options["PerSourcePenalties"] = "no"
        return options | self._options

    def _start(self) -> None:
        if os.geteuid() == 0:
            # sshd's privilege separation directory; the init system makes it where sshd is a service.
            Path("/run/sshd").mkdir(mode=0o755, parents=True, exist_ok=True)
        for _ in range(5):  # another process may take the port between the choice and sshd's bind
            self.port = free_port()
            lines = [f"{key} {value}\n" for key, value in self._server_options().items()]
            (self.folder / "sshd_config").write_text("".join(lines))
            if self._launch():
                return
            self.stop()
            if "Address already in use" not in self.log():
                break
        raise SshdError(f"{self._program} did not start: {self.log().strip()}")

    def _launch(self) -> bool:
        command = [
            *self._wrapper,
            self._program,
            "-D",
            "-E",
            str(self.log_file),
            "-f",
            str(self.folder / "sshd_config"),
        ]
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", _KEEPER, "sshd-keeper", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        assert self._keeper.stdout is not None
        self.pid = int(self._keeper.stdout.readline())
        deadline = time.monotonic() + _START_TIMEOUT
        while time.monotonic() < deadline and psutil.pid_exists(self.pid):
            if _answers_as_ssh(self.port):
                return True
            time.sleep(0.01)  # nothing tells from outside when sshd listens
        return False

    def _write_client_files(self) -> None:
        public = self.host_key.read_text().split()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {public[0]} {public[1]}\n")
        names = " ".join(f"{self.prefix}{number}" for number in range(1, NODE_COUNT + 1))
        self.config.write_text(
            f"""Host {names}
    HostName 127.0.0.1
    Port {self.port}
    User {self.user}
    IdentityFile {self.key}
    IdentitiesOnly yes
    IdentityAgent none
    UserKnownHostsFile {self.known_hosts}
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    BatchMode yes
    LogLevel ERROR
"""
        )


def _answers_as_ssh(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _openssh_version(program: str) -> tuple[int, int]:
    answer = subprocess.run([program, "-V"], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", answer.stderr + answer.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)
