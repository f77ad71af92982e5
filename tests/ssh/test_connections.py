"""Connections below the worker: ciphers, key renewal, keepalive, jump hosts, ways of logging in."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clusterdeck.engine.ssh import wire
from clusterdeck.engine.ssh.channel import Channel, ChannelUser
from clusterdeck.engine.ssh.connection import Connection
from clusterdeck.engine.ssh.questions import HostKeyQuestion, SecretQuestion
from clusterdeck.engine.states import Failure, FailureKind, NodeState
from clusterdeck.engine.task import Task
from clusterdeck.engine.workers.paramiko import pool_of
from clusterdeck.tests.ssh.conftest import Recorder
from clusterdeck.tests.support.agent import ssh_agent
from clusterdeck.tests.support.hostile_ssh import HostileServer
from clusterdeck.tests.support.patience import with_time_enough
from clusterdeck.tests.support.sshd import Sshd


def _config(folder: Path, server: Sshd, text: str) -> str:
    path = folder / "ssh_config_for_test"
    path.write_text(text + "\n" + server.config.read_text())
    return str(path)


@pytest.mark.parametrize(
    "options",
    [
        "Ciphers aes256-gcm@openssh.com",
        "Ciphers aes128-ctr\nMACs hmac-sha2-256-etm@openssh.com",
        "Ciphers aes256-ctr\nMACs hmac-sha2-512",
        "KexAlgorithms ecdh-sha2-nistp256",
        "KexAlgorithms ecdh-sha2-nistp521",
        "KexAlgorithms diffie-hellman-group16-sha512",
        "KexAlgorithms diffie-hellman-group-exchange-sha256",
        "KexAlgorithms diffie-hellman-group14-sha256",
    ],
)
def test_other_algorithms(ssh_task: Task, sshd: Sshd, tmp_path: Path, options: str) -> None:
    ssh_task.set_info("ssh_config", _config(tmp_path, sshd, options))
    assert ssh_task.run("seq 1 20000", nodes="node1").read("node1") == b"\n".join(b"%d" % n for n in range(1, 20001))


@pytest.mark.parametrize("options", ["Ciphers aes128-cbc", "KexAlgorithms nonsense", "HostKeyAlgorithms ssh-dss"])
def test_algorithms_that_nobody_has(
    ssh_task: Task, sshd: Sshd, tmp_path: Path, recorder: Recorder, options: str
) -> None:
    ssh_task.set_info("ssh_config", _config(tmp_path, sshd, options))
    ssh_task.run("true", nodes="node1", handler=recorder)
    assert recorder.kind("node1") in (FailureKind.KEX, FailureKind.CONFIGURATION)


class _Echo(ChannelUser):
    def __init__(self) -> None:
        self.got = 0
        self.over = False
        self.channel: Channel | None = None

    def opened(self) -> None:
        assert self.channel is not None
        self.channel.request("exec", wire.string("cat"), want_reply=True)

    def data(self, data: bytes) -> None:
        self.got += len(data)

    def closed(self) -> None:
        self.over = True

    def lost(self, failure: Failure) -> None:
        raise AssertionError(failure)


@pytest.mark.parametrize("server_asks", [False, True])
def test_keys_are_renewed_in_the_middle_of_a_stream(
    task: Task, make_sshd: Callable[..., Sshd], server_asks: bool
) -> None:
    server = make_sshd(RekeyLimit="1M none") if server_asks else make_sshd()
    task.set_info("ssh_config", str(server.config))
    pool = pool_of(task)
    ready: list[Connection] = []
    failed: list[Failure] = []
    pool.lease("node1", ready.append, failed.append)
    while not ready and not failed:
        pool.reactor.turn(5)
    assert not failed
    user = _Echo()
    user.channel = ready[0].open_channel(user)
    sent = 0
    while sent < 8_000_000 or user.got < sent:
        if sent < 8_000_000 and user.channel.backlog < 200_000:
            user.channel.write(os.urandom(100_000))
            sent += 100_000
            if not server_asks and sent % 2_000_000 == 0:
                ready[0].renew_keys()
        pool.reactor.turn(0.01)
    user.channel.write_eof()
    while not user.over:
        pool.reactor.turn(5)
    assert user.got == sent
    assert "rekey" in server.log().lower() or not server_asks or sent > 1_000_000


def test_silence_is_noticed(task: Task, make_sshd: Callable[..., Sshd], monkeypatch: pytest.MonkeyPatch) -> None:
    import signal

    from clusterdeck.engine.ssh import pool as pool_module

    monkeypatch.setattr(pool_module, "_SWEEP", 0.05)
    server = make_sshd()
    task.set_info("ssh_config", str(server.config))
    task.set_info("ssh_keepalive", 0.2)
    recorder = Recorder()
    stopped: list[int] = []

    def stop(worker: object, node: str) -> None:
        for process in server.sessions():
            process.send_signal(signal.SIGSTOP)
            stopped.append(process.pid)

    recorder.on_lines = stop
    try:
        task.run("echo started; sleep 30", nodes="node1", handler=recorder, timeout=20)
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    assert recorder.ends["node1"].state is NodeState.LOST
    failure = recorder.ends["node1"].failure
    assert failure is not None
    assert "no sign of life" in failure.reason


@pytest.mark.parametrize("busy", [False, True])
def test_a_kept_connection_that_is_stuck_is_replaced(
    busy: bool, task: Task, make_sshd: Callable[..., Sshd], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long before the keep-alive finds out; but a command that runs over it is not given up for the next one's sake."""
    from clusterdeck.engine.ssh import pool as pool_module

    monkeypatch.setattr(pool_module, "_SWEEP", 0.05)
    server = make_sshd()
    task.set_info("ssh_config", str(server.config))
    task.set_info("connect_timeout", 0.4)
    task.run("true", nodes="node1", timeout=10)
    first, second = Recorder(), Recorder()
    stuck = server.sessions()

    def suspend(*_: object) -> None:
        for process in stuck:
            if process.is_running():
                process.suspend()

    def resume() -> None:
        for process in stuck:
            if process.is_running():
                process.resume()

    if busy:
        first.on_lines = suspend
        task.shell("echo started; sleep 1.5", nodes="node1", handler=first, timeout=20)
        task.timer(1.0, handler=_Then(lambda: task.shell("true", nodes="node1", handler=second, timeout=20)))
        task.timer(2.0, handler=_Then(resume))
        task.resume(30)
        assert first.states() == {NodeState.OK}
        assert {process.pid for process in stuck} <= {process.pid for process in server.sessions()}
    else:
        suspend()
        task.run("true", nodes="node1", handler=second, timeout=20)
    resume()
    assert second.states() == {NodeState.OK}


class _Then:
    """Does something when a timer is over."""

    def __init__(self, do: Callable[[], object]) -> None:
        self._do = do

    def ev_timer(self, _timer: object) -> None:
        self._do()


def test_an_answering_server_is_kept(ssh_task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    from clusterdeck.engine.ssh import pool as pool_module

    monkeypatch.setattr(pool_module, "_SWEEP", 0.05)
    ssh_task.set_info("ssh_keepalive", 0.1)
    worker = ssh_task.run("sleep 1.5; echo alive", nodes="node[1-2]")
    assert worker.read("node2") == b"alive"


def test_unused_connections_are_closed(ssh_task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    from clusterdeck.engine.ssh import pool as pool_module

    monkeypatch.setattr(pool_module, "_SWEEP", 0.05)
    ssh_task.run("true", nodes="node[1-3]")
    assert pool_of(ssh_task).live_count == 3
    ssh_task.set_info("ssh_idle", 0.2)
    pool = pool_of(ssh_task)
    deadline = time.monotonic() + 10
    while pool.live_count and time.monotonic() < deadline:
        pool.reactor.turn(0.1)
    assert pool.live_count == 0


@pytest.mark.parametrize("hops", ["jump1", "jump1,jump2", "jump1,jump2,jump3"])
def test_jump_hosts(ssh_task: Task, sshd: Sshd, tmp_path: Path, recorder: Recorder, hops: str) -> None:
    names = f"Host jump*\n HostName 127.0.0.1\n Port {sshd.port}\n IdentityFile {sshd.key}\n"
    names += f" UserKnownHostsFile {sshd.known_hosts}\nHost far*\n HostName 127.0.0.1\n Port {sshd.port}\n"
    names += f" IdentityFile {sshd.key}\n UserKnownHostsFile {sshd.known_hosts}\n ProxyJump {hops}\n"
    ssh_task.set_info("ssh_config", _config(tmp_path, sshd, names + "Host *\n IdentityAgent none\n"))
    worker = ssh_task.run("seq 1 50000", nodes="far[1-4]", handler=recorder)
    assert recorder.states() == {NodeState.OK}, recorder.ends
    assert len(worker.read("far3") or b"") == 288893
    assert pool_of(ssh_task).live_count == 4 + len(hops.split(","))


def test_a_jump_host_that_fails_is_named(ssh_task: Task, sshd: Sshd, tmp_path: Path, recorder: Recorder) -> None:
    text = "Host jump\n HostName 127.0.0.1\n Port 1\nHost far1\n HostName 127.0.0.1\n ProxyJump jump\n"
    text += "Host far2\n HostName 127.0.0.1\n Port 1\n ProxyJump node1\n"
    text += "Host far3\n HostName no.such.host.invalid\n ProxyJump node1\n"
    text += "Host loop\n ProxyJump loop\n"
    ssh_task.set_info("ssh_config", _config(tmp_path, sshd, text))
    ssh_task.run("true", nodes="far[1-3],loop", handler=recorder)
    assert recorder.kind("far1") is FailureKind.REFUSED
    failure = recorder.ends["far1"].failure
    assert failure is not None
    assert "its jump host failed: jump" in failure.reason
    assert recorder.kind("far2") in (FailureKind.REFUSED, FailureKind.UNREACHABLE)
    assert recorder.kind("far3") in (FailureKind.DNS, FailureKind.UNREACHABLE)
    assert recorder.kind("loop") is FailureKind.CONFIGURATION


@pytest.mark.parametrize("fault", ["drops at the session", "leaves after login", ""])
def test_a_jump_host_that_goes_away_again_and_again(
    task: Task, sshd: Sshd, tmp_path: Path, recorder: Recorder, fault: str
) -> None:
    """It is tried a second time, as a kept connection may have been dead, and then no more."""
    server = HostileServer(fault)
    (tmp_path / "known").write_text(server.known_hosts)
    text = f"Host jump\n HostName 127.0.0.1\n Port {server.port}\n IdentityFile {sshd.key}\n IdentityAgent none\n"
    text += f" IdentitiesOnly yes\n UserKnownHostsFile {tmp_path}/known\nHost far*\n ProxyJump jump\n"
    task.set_info("ssh_config", _config(tmp_path, sshd, text))
    task.set_info("connect_timeout", 60)
    started = time.monotonic()
    try:
        task.run("true", nodes="far[1-3]", handler=recorder)
    finally:
        server.stop()
    assert time.monotonic() - started < 30
    assert recorder.states() == {NodeState.UNREACHABLE}
    wanted = FailureKind.CONNECTION_LOST if fault else FailureKind.CHANNEL_REFUSED
    assert {recorder.kind(node) for node in recorder.ends} == {wanted}
    assert server.connections == (2 if fault else 1)


def test_a_jump_host_s_kept_connection_that_died(
    task: Task, sshd: Sshd, make_sshd: Callable[..., Sshd], tmp_path: Path, recorder: Recorder
) -> None:
    jump = make_sshd(prefix="jump")
    far = f"Host far*\n ProxyJump jump1\n HostName 127.0.0.1\n Port {sshd.port}\n IdentityFile {sshd.key}\n"
    far += f" UserKnownHostsFile {sshd.known_hosts}\n IdentityAgent none\n"
    task.set_info("ssh_config", _config(tmp_path, jump, far))
    task.run("true", nodes="far1", handler=recorder)
    jump.kill_connections()
    task.run("true", nodes="far[1-3]", handler=(after := Recorder()))
    assert recorder.states() == after.states() == {NodeState.OK}, after.ends


def test_proxy_command(ssh_task: Task, sshd: Sshd, tmp_path: Path, recorder: Recorder) -> None:
    relay = tmp_path / "relay.py"
    relay.write_text(
        "import socket, sys, threading, os\n"
        "s = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "def out():\n"
        "    while d := s.recv(65536):\n        os.write(1, d)\n"
        "    os._exit(0)\n"
        "threading.Thread(target=out, daemon=True).start()\n"
        "while d := os.read(0, 65536):\n    s.sendall(d)\n"
    )
    text = f"Host node1\n ProxyCommand python3 {relay} %h %p\n"
    text += "Host node2\n ProxyCommand sh -c 'printf \"the way\\n is \\033[2Jbarred\" >&2; exit 3'\n"
    text += "Host node3\n ProxyCommand sleep 60\nHost node4\n ProxyCommand no-such-program-of-ours\n"
    ssh_task.set_info("ssh_config", _config(tmp_path, sshd, text))

    def attempt(limit: float) -> bytes:
        recorder.ends.clear()
        ssh_task.set_info("connect_timeout", limit)
        return ssh_task.run("seq 1 3000", nodes="node[1-4]", handler=recorder).read("node1") or b""

    assert len(with_time_enough(attempt, bool)) == 13892
    assert recorder.kind("node2") is FailureKind.BANNER
    said = {node: str(end.failure) for node, end in recorder.ends.items()}
    assert "its ProxyCommand ended" in said["node2"]
    assert "the way is barred)" in said["node2"], said
    assert recorder.kind("node3") is FailureKind.BANNER
    assert recorder.kind("node4") in (FailureKind.CONFIGURATION, FailureKind.BANNER)
    assert "no-such-program-of-ours" in said["node4"], said


# -- logging in


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "agent"
    with ssh_agent(str(path)):
        yield path


def _run(command: list[str], **keywords: object) -> None:
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL, **keywords)  # type: ignore[call-overload]


def _key(folder: Path, name: str, kind: str = "ed25519", passphrase: str = "") -> Path:
    path = folder / name
    _run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", str(path)])
    return path


def _admit(server: Sshd, key: Path) -> None:
    with (server.folder / "authorized_keys").open("a") as file:
        file.write(key.with_suffix(".pub").read_text() if key.suffix else Path(f"{key}.pub").read_text())


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_keys_of_the_agent(
    ssh_task: Task, sshd: Sshd, tmp_path: Path, agent: Path, recorder: Recorder, kind: str
) -> None:
    key = _key(tmp_path, "key", kind)
    stranger = _key(tmp_path, "stranger")
    _admit(sshd, key)
    environment = os.environ | {"SSH_AUTH_SOCK": str(agent)}
    _run(["ssh-add", "-q", str(stranger), str(key)], env=environment)
    text = f"Host *\n IdentityAgent {agent}\n IdentitiesOnly no\n IdentityFile none\n HostName 127.0.0.1\n"
    text += f" Port {sshd.port}\n UserKnownHostsFile {sshd.known_hosts}\n"
    path = tmp_path / "config"
    path.write_text(text)
    ssh_task.set_info("ssh_config", str(path))
    ssh_task.run("true", nodes="a[1-20]", handler=recorder)
    assert recorder.states() == {NodeState.OK}, recorder.ends
    recorder.ends.clear()
    # The files only tell which of the agent's keys are meant: the private half is locked, or not here at all.
    locked = shutil.copy(key, tmp_path / "locked")
    _run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", str(locked)])
    key.unlink()
    other = _key(tmp_path, "other")
    named = {"half": key, "public": f"{key}.pub", "locked": locked, "other": f"{other}.pub"}
    blocks = "".join(f"Host {node}\n IdentityFile {file}\n" for node, file in named.items())
    path.write_text(blocks + text.replace("IdentitiesOnly no", "IdentitiesOnly yes"))
    pool_of(ssh_task).forget_config()
    ssh_task.run("true", nodes="half,public,locked,other,b1", handler=recorder)
    assert {recorder.ends[node].state for node in ("half", "public", "locked")} == {NodeState.OK}, recorder.ends
    assert recorder.kind("b1") is recorder.kind("other") is FailureKind.AUTHENTICATION
    assert "is not a private key" in str(recorder.ends["other"].failure)


def test_a_key_that_is_added_later_is_found(
    ssh_task: Task, sshd: Sshd, tmp_path: Path, agent: Path, recorder: Recorder
) -> None:
    """Who was told "no key to offer" adds one and tries again, in the same session."""
    key = _key(tmp_path, "late")
    _admit(sshd, key)
    path = tmp_path / "config"
    path.write_text(
        f"IdentityAgent {agent}\nIdentityFile none\nHostName 127.0.0.1\nPort {sshd.port}\n"
        f"UserKnownHostsFile {sshd.known_hosts}\n"
    )
    ssh_task.set_info("ssh_config", str(path))
    ssh_task.run("true", nodes="a[1-3]", handler=recorder)
    assert {recorder.kind(node) for node in recorder.ends} == {FailureKind.AUTHENTICATION}
    _run(["ssh-add", "-q", str(key)], env=os.environ | {"SSH_AUTH_SOCK": str(agent)})
    ssh_task.run("true", nodes="a[1-3]", handler=(after := Recorder()))
    assert after.states() == {NodeState.OK}, after.ends


def test_an_open_key_stays_open_when_keys_are_read_anew(
    ssh_task: Task, sshd: Sshd, tmp_path: Path, recorder: Recorder
) -> None:
    key = _key(tmp_path, "locked", passphrase="open sesame")
    _admit(sshd, key)
    path = tmp_path / "config"
    path.write_text(
        f"Host bad*\n User no-such-account\nHost *\n IdentityAgent none\n IdentityFile {key}\n HostName 127.0.0.1\n"
        f" Port {sshd.port}\n UserKnownHostsFile {sshd.known_hosts}\n PreferredAuthentications publickey\n"
    )
    asked: list[str] = []

    def ask(question: HostKeyQuestion | SecretQuestion) -> None:
        assert isinstance(question, SecretQuestion)
        asked.append(question.kind)
        question.answer("open sesame")

    ssh_task.set_info("ssh_config", str(path))
    ssh_task.set_info("ssh_ask", ask)
    for nodes, expected in (("a1", NodeState.OK), ("bad1", NodeState.UNREACHABLE), ("b[1-2]", NodeState.OK)):
        recorder.ends.clear()
        ssh_task.run("true", nodes=nodes, handler=recorder)
        assert recorder.states() == {expected}, recorder.ends
    assert asked == ["passphrase"]


@pytest.mark.parametrize("forward", ["yes", "no"])
def test_the_agent_is_forwarded_only_where_asked(
    ssh_task: Task, sshd: Sshd, tmp_path: Path, agent: Path, recorder: Recorder, forward: str
) -> None:
    key = _key(tmp_path, "key")
    _admit(sshd, key)
    _run(["ssh-add", "-q", str(key)], env=os.environ | {"SSH_AUTH_SOCK": str(agent)})
    path = tmp_path / "config"
    path.write_text(
        f"Host *\n IdentityAgent {agent}\n HostName 127.0.0.1\n Port {sshd.port}\n ForwardAgent {forward}\n"
        f" UserKnownHostsFile {sshd.known_hosts}\n"
    )
    ssh_task.set_info("ssh_config", str(path))
    worker = ssh_task.run("ssh-add -l; ssh-add -L", nodes="a[1-3]", handler=recorder)
    output = worker.read("a2") or b""
    assert (b"SHA256:" in output) is (forward == "yes")
    assert recorder.ends["a2"].rc == (0 if forward == "yes" else 2)


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_a_passphrase_is_asked_once_for_all_nodes(
    ssh_task: Task, sshd: Sshd, tmp_path: Path, recorder: Recorder, kind: str
) -> None:
    key = _key(tmp_path, "locked", kind, "open sesame")
    _admit(sshd, key)
    unused = _key(tmp_path, "unused", "ed25519", "never asked for")
    text = f"IdentityFile {unused}\nIdentityFile {key}\nIdentitiesOnly yes\nIdentityAgent none\nHostName 127.0.0.1\n"
    text += f"Port {sshd.port}\nUserKnownHostsFile {sshd.known_hosts}\n"
    path = tmp_path / "config"
    path.write_text(text)
    asked: list[SecretQuestion] = []

    def ask(question: HostKeyQuestion | SecretQuestion) -> None:
        assert isinstance(question, SecretQuestion)
        asked.append(question)
        question.answer("wrong" if len(asked) == 1 else "open sesame")

    ssh_task.set_info("ssh_config", str(path))
    ssh_task.set_info("ssh_ask", ask)
    ssh_task.run("true", nodes="a[1-10]", handler=recorder)
    assert recorder.states() == {NodeState.OK}, recorder.ends
    assert [(q.kind, q.subject, q.again) for q in asked] == [
        ("passphrase", str(key), False),
        ("passphrase", str(key), True),
    ]
    assert set(asked[1].nodes) == {f"a{n}" for n in range(1, 11)}
    ssh_task.run("true", nodes="a[1-20]", handler=Recorder())
    assert len(asked) == 2


def test_nobody_gives_the_passphrase(ssh_task: Task, sshd: Sshd, tmp_path: Path, recorder: Recorder) -> None:
    key = _key(tmp_path, "locked", "ed25519", "open sesame")
    _admit(sshd, key)
    text = f"IdentityFile {key}\nIdentitiesOnly yes\nIdentityAgent none\nHostName 127.0.0.1\n"
    text += f"Port {sshd.port}\nUserKnownHostsFile {sshd.known_hosts}\n"
    path = tmp_path / "config"
    path.write_text(text)
    ssh_task.set_info("ssh_config", str(path))
    ssh_task.run("true", nodes="a1", handler=recorder)
    assert recorder.kind("a1") is FailureKind.AUTHENTICATION
    ssh_task.set_info("ssh_ask", lambda question: question.refuse())
    ssh_task.run("true", nodes="a2", handler=recorder)
    assert recorder.kind("a2") is FailureKind.AUTHENTICATION


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_user_certificates(
    task: Task, make_sshd: Callable[..., Sshd], tmp_path: Path, agent: Path, recorder: Recorder, kind: str
) -> None:
    authority = _key(tmp_path, "authority")
    key = _key(tmp_path, "key", kind)
    server = make_sshd(TrustedUserCAKeys=f"{authority}.pub")
    _run(["ssh-keygen", "-q", "-s", str(authority), "-I", "me", "-n", server.user, f"{key}.pub"])
    elsewhere = _key(tmp_path, "elsewhere", kind)
    _run(["ssh-keygen", "-q", "-s", str(authority), "-I", "me", "-n", server.user, f"{elsewhere}.pub"])
    (tmp_path / "elsewhere-cert.pub").rename(tmp_path / "moved-cert.pub")
    common = f" HostName 127.0.0.1\n Port {server.port}\n UserKnownHostsFile {server.known_hosts}\n"
    text = f"Host a\n IdentityFile {key}\n{common}Host b\n IdentityFile {elsewhere}\n"
    text += f" CertificateFile {tmp_path}/moved-cert.pub\n{common}Host c\n IdentityFile {elsewhere}\n{common}"
    _run(["ssh-add", "-q", str(elsewhere)], env=os.environ | {"SSH_AUTH_SOCK": str(agent)})
    text += f"Host d\n IdentityAgent {agent}\n IdentityFile none\n CertificateFile {tmp_path}/moved-cert.pub\n{common}"
    path = tmp_path / "config"
    path.write_text(text + "Host *\n IdentitiesOnly yes\n IdentityAgent none\n")
    task.set_info("ssh_config", str(path))
    task.run("true", nodes="a,b,c,d", handler=recorder)
    assert {node: end.state for node, end in recorder.ends.items()} == {
        "a": NodeState.OK,
        "b": NodeState.OK,
        "c": NodeState.UNREACHABLE,
        "d": NodeState.OK,
    }, recorder.ends


# -- unknown host keys


def test_one_question_for_a_fleet(ssh_task: Task, sshd: Sshd, tmp_path: Path, recorder: Recorder) -> None:
    known = tmp_path / "known"
    text = f"Host new*\n HostName 127.0.0.1\n Port {sshd.port}\n IdentityFile {sshd.key}\n HostKeyAlias %n\n"
    lines = [f"Host new{n}\n HostKeyAlias new{n}\n" for n in range(1, 31)]
    text = "".join(lines) + f"Host new*\n HostName 127.0.0.1\n Port {sshd.port}\n IdentityFile {sshd.key}\n"
    text += f" UserKnownHostsFile {known}\n StrictHostKeyChecking ask\n"
    ssh_task.set_info("ssh_config", _config(tmp_path, sshd, text))
    asked: list[HostKeyQuestion] = []

    def ask(question: HostKeyQuestion | SecretQuestion) -> None:
        assert isinstance(question, HostKeyQuestion)
        asked.append(question)
        question.accept([key for key in question.keys if key.node != "new30"])

    ssh_task.set_info("ssh_ask", ask)
    ssh_task.run("true", nodes="new[1-30],node[1-3]", handler=recorder)
    assert len(asked) == 1
    assert {key.node for key in asked[0].keys} == {f"new{n}" for n in range(1, 31)}
    public = sshd.host_key.read_text().split()
    shown = subprocess.run(["ssh-keygen", "-lf", str(sshd.host_key)], capture_output=True, text=True, check=True)
    assert asked[0].keys[0].fingerprint == shown.stdout.split()[1]
    assert recorder.kind("new30") is FailureKind.HOST_KEY_UNKNOWN
    assert {recorder.ends[f"new{n}"].state for n in range(1, 30)} == {NodeState.OK}
    assert sorted(known.read_text().splitlines()) == sorted(f"new{n} {public[0]} {public[1]}" for n in range(1, 30))
    again = Recorder()
    ssh_task.set_info("ssh_ask", None)
    ssh_task.run("true", nodes="new[1-29]", handler=again)
    assert again.states() == {NodeState.OK}


def test_accept_new_writes_down_and_batch_refuses(
    ssh_task: Task, sshd: Sshd, tmp_path: Path, recorder: Recorder
) -> None:
    known = tmp_path / "known"
    text = f"Host a*\n HostName 127.0.0.1\n Port {sshd.port}\n IdentityFile {sshd.key}\n HashKnownHosts yes\n"
    text += f" UserKnownHostsFile {known}\n StrictHostKeyChecking ask\n"
    ssh_task.set_info("ssh_config", _config(tmp_path, sshd, text))
    ssh_task.run("true", nodes="a1", handler=recorder)
    assert recorder.kind("a1") is FailureKind.HOST_KEY_UNKNOWN
    recorder.ends.clear()
    ssh_task.set_info("ssh_host_keys", "accept-new")
    ssh_task.run("true", nodes="a1", handler=recorder)
    assert recorder.states() == {NodeState.OK}
    assert known.read_text().startswith("|1|")
    found = subprocess.run(
        ["ssh-keygen", "-F", f"[127.0.0.1]:{sshd.port}", "-f", str(known)], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0
