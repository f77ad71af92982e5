"""The same verdict on host keys as `ssh -o StrictHostKeyChecking=yes`, case by case, against real servers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from clusterdeck.engine.states import FailureKind, NodeState
from clusterdeck.engine.task import Task
from clusterdeck.tests.ssh.conftest import Recorder
from clusterdeck.tests.support.sshd import Sshd


def _keygen(*words: object) -> None:
    subprocess.run(["ssh-keygen", "-q", *map(str, words)], check=True, stdin=subprocess.DEVNULL, capture_output=True)


def _make(folder: Path, name: str, kind: str = "ed25519") -> Path:
    path = folder / name
    bits = ["-b", "2048"] if kind == "rsa" else []
    _keygen("-t", kind, *bits, "-N", "", "-C", name, "-f", path)
    return path


def _public(path: Path) -> str:
    return " ".join(path.with_name(path.name + ".pub").read_text().split()[:2])


def _hashed(name: str) -> str:
    salt = hashlib.sha1(name.encode()).digest()
    digest = hmac.digest(salt, name.encode(), "sha1")
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


@dataclass
class Case:
    """server: which. lines: the user's known_hosts. more: other files by name. options: for ssh_config."""

    server: str
    lines: str | bytes | None
    options: str = ""
    more: dict[str, str] = field(default_factory=dict)


class World:
    """Servers with plain keys and with certificates of several kinds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers: dict[str, Sshd] = {}
        self.keys = {name: _make(folder, name) for name in ("host", "other", "ca", "ca2")}
        self.keys["ecdsa"] = _make(folder, "ecdsa", "ecdsa")
        self.keys["rsa"] = _make(folder, "rsa", "rsa")
        self.keys["rsaca"] = _make(folder, "rsaca", "rsa")
        _keygen("-k", "-f", folder / "krl", folder / "host.pub")
        self._start("plain", "")
        cert = ["-h", "-I", "id", "-n"]
        self._start("cert", self._sign("cert", "ca", *cert, "127.0.0.1,alias"))
        self._start("expired", self._sign("expired", "ca", *cert, "127.0.0.1", "-V", "20200101:20200102"))
        self._start("future", self._sign("future", "ca", *cert, "127.0.0.1", "-V", "20390101:20390102"))
        self._start("principal", self._sign("principal", "ca", *cert, "elsewhere"))
        self._start("nobody", self._sign("nobody", "ca", "-h", "-I", "id"))
        self._start("wildcard", self._sign("wildcard", "ca", *cert, "127.*"))
        self._start("critical", self._sign("critical", "ca", *cert, "127.0.0.1", "-O", "critical:x@y=z"))
        self._start("rsaca", self._sign("rsaca-cert", "rsaca", *cert, "127.0.0.1", "-t", "rsa-sha2-512"))

    def _sign(self, name: str, authority: str, *options: str) -> str:
        public = self.folder / f"{name}.pub"
        public.write_text(_public(self.keys["host"]) + "\n")
        _keygen("-s", self.keys[authority], *options, public)
        return f"\nHostCertificate {self.folder}/{name}-cert.pub"

    def _start(self, name: str, extra: str) -> None:
        folder = self.folder / f"server-{name}"
        folder.mkdir()
        keys = [self.keys["host"]] if extra else [self.keys["host"], self.keys["ecdsa"], self.keys["rsa"]]
        self.servers[name] = Sshd(folder, {"HostKey": "\nHostKey ".join(map(str, keys)) + extra})

    def stop(self) -> None:
        for server in self.servers.values():
            server.stop()

    def config(self, number: int, case: Case) -> str:
        server = self.servers[case.server]
        user_file = self.folder / f"known{number}"
        if case.lines is not None:
            data = case.lines if isinstance(case.lines, bytes) else case.lines.encode()
            user_file.write_bytes(data)
        for name, text in case.more.items():
            (self.folder / f"{name}{number}").write_text(text)
        options = case.options.replace("@", f"{self.folder}/").replace("#", str(number))
        lines = [f"Host case{number}", *filter(None, options.split("\n")), "HostName 127.0.0.1"]
        lines += [f"Port {server.port}", f"User {server.user}", f"IdentityFile {server.key}", "IdentitiesOnly yes"]
        lines += ["IdentityAgent none", f"UserKnownHostsFile {user_file}", "GlobalKnownHostsFile /dev/null"]
        lines += ["StrictHostKeyChecking yes", "BatchMode yes", "KexAlgorithms curve25519-sha256", "LogLevel QUIET"]
        return "\n    ".join(lines) + "\n"


def _cases(world: World) -> dict[str, Case]:
    key = {name: _public(path) for name, path in world.keys.items()}

    def at(server: str, name: str = "127.0.0.1") -> str:
        return f"[{name}]:{world.servers[server].port}"

    here, cert = at("plain"), at("cert")
    good, wrong = f"{here} {key['host']}\n", f"{here} {key['other']}\n"
    filler = "".join(f"[10.0.{n // 250}.{n % 250}]:22 {key['other']}\n" for n in range(5000))
    authority = f"@cert-authority {cert} {key['ca']}\n"
    cases = {
        "known by ed25519": Case("plain", good),
        "known by ecdsa": Case("plain", f"{here} {key['ecdsa']}\n"),
        "known by rsa": Case("plain", f"{here} {key['rsa']}\n"),
        "unknown": Case("plain", ""),
        "no file": Case("plain", None),
        "changed": Case("plain", wrong),
        "wrong and right": Case("plain", wrong + good),
        "right and wrong": Case("plain", good + wrong),
        "hashed": Case("plain", f"{_hashed(here)} {key['host']}\n"),
        "hashed and wrong": Case("plain", f"{_hashed(here)} {key['other']}\n"),
        "hashed without port": Case("plain", f"{_hashed('127.0.0.1')} {key['host']}\n"),
        "hashed, broken salt": Case("plain", f"|1|!!!|AAAA {key['host']}\n"),
        "without port": Case("plain", f"127.0.0.1 {key['host']}\n"),
        "without port, wrong": Case("plain", f"127.0.0.1 {key['other']}\n"),
        "with port wrong, without right": Case("plain", f"{wrong}127.0.0.1 {key['host']}\n"),
        "wildcard": Case("plain", f"[127.0.0.*]:* {key['host']}\n"),
        "star": Case("plain", f"* {key['host']}\n"),
        "question marks": Case("plain", f"127.0.0.? {key['host']}\n"),
        "negated": Case("plain", f"*,!{here} {key['host']}\n"),
        "negated without port": Case("plain", f"*,!127.0.0.1 {key['host']}\n"),
        "list": Case("plain", f"a,b,{here},c {key['host']}\n"),
        "brackets are no pattern": Case("plain", f"[127.0.0.[1]]:{world.servers['plain'].port} {key['host']}\n"),
        "revoked": Case("plain", f"@revoked {here} {key['host']}\n{good}"),
        "revoked behind": Case("plain", f"{good}@revoked * {key['host']}\n"),
        "another one revoked": Case("plain", f"@revoked * {key['other']}\n{good}"),
        "revoked elsewhere": Case("plain", f"@revoked example.org {key['host']}\n{good}"),
        "revoked by its name without port": Case("plain", f"@revoked 127.0.0.1 {key['host']}\n{good}"),
        "revoked and unknown": Case("plain", f"@revoked * {key['host']}\n"),
        "alias": Case("plain", f"alias {key['host']}\n", "HostKeyAlias alias"),
        "alias, upper case": Case("plain", f"alias {key['host']}\n", "HostKeyAlias ALIAS"),
        "alias is not there": Case("plain", good, "HostKeyAlias alias"),
        "name": Case("plain", f"{at('plain', 'localhost')} {key['host']}\n", "HostName localhost"),
        "name in upper case": Case("plain", f"{at('plain', 'LocalHost')} {key['host']}\n", "HostName LOCALHOST"),
        "address instead of name": Case("plain", good, "HostName localhost"),
        "second file": Case("plain", "", "UserKnownHostsFile @known# @second#", {"second": good}),
        "second file is right": Case("plain", wrong, "UserKnownHostsFile @known# @second#", {"second": good}),
        "global file": Case("plain", "", "GlobalKnownHostsFile @global#", {"global": good}),
        "global file is wrong": Case("plain", good, "GlobalKnownHostsFile @global#", {"global": wrong}),
        "global file revokes": Case(
            "plain", good, "GlobalKnownHostsFile @global#", {"global": f"@revoked * {key['host']}\n"}
        ),
        "revoked by a file": Case("plain", good, "RevokedHostKeys @list#", {"list": f"# x\n\n{key['host']} why\n"}),
        "another one revoked by a file": Case("plain", good, "RevokedHostKeys @list#", {"list": key["other"]}),
        "revoked by a file that is not there": Case("plain", good, "RevokedHostKeys @list#"),
        "revoked by no file": Case("plain", good, "RevokedHostKeys none"),
        "revoked by a file, a KRL": Case("plain", good, "RevokedHostKeys @krl"),
        "authority revoked by a file": Case("cert", authority, "RevokedHostKeys @list#", {"list": key["ca"]}),
        "certified key revoked by a file": Case("cert", authority, "RevokedHostKeys @list#", {"list": key["host"]}),
        "rubbish around": Case("plain", b"\0\0\n#x\n\n garbage\nx y\n" + good.encode() + b"\xff\xfe\n"),
        "broken base64": Case("plain", f"{here} ssh-ed25519 AAAA!!!!\n"),
        "type word is another": Case("plain", f"{here} ssh-rsa {key['host'].split()[1]}\n"),
        "spaces in front": Case("plain", f"   \t{good}"),
        "unknown marker": Case("plain", f"@nonsense {good}"),
        "no line end": Case("plain", good.rstrip("\n")),
        "carriage returns": Case("plain", good.replace("\n", "\r\n")),
        "tabs": Case("plain", good.replace(" ", "\t")),
        "comment behind": Case("plain", good.replace("\n", " somebody@somewhere\n")),
        "large file": Case("plain", filler + good),
        "only another type known": Case("plain", f"{here} {key['ca']}\n", "HostKeyAlgorithms rsa-sha2-512"),
        "type that is not asked for": Case("plain", good, "HostKeyAlgorithms rsa-sha2-512,rsa-sha2-256"),
        "type that is asked for": Case("plain", f"{here} {key['rsa']}\n", "HostKeyAlgorithms rsa-sha2-256"),
        "authority": Case("cert", authority),
        "authority for all": Case("cert", f"@cert-authority * {key['ca']}\n"),
        "authority without port": Case("cert", f"@cert-authority 127.0.0.1 {key['ca']}\n"),
        "authority hashed": Case("cert", f"@cert-authority {_hashed(cert)} {key['ca']}\n"),
        "another authority": Case("cert", f"@cert-authority {cert} {key['ca2']}\n"),
        "two authorities": Case("cert", f"@cert-authority {cert} {key['ca2']}\n{authority}"),
        "authority of others": Case("cert", f"@cert-authority *.example.org {key['ca']}\n"),
        "authority as plain key": Case("cert", f"{cert} {key['ca']}\n"),
        "authority revoked": Case("cert", f"{authority}@revoked * {key['ca']}\n"),
        "certified key revoked": Case("cert", f"{authority}@revoked * {key['host']}\n"),
        "plain key of a certified host": Case("cert", f"{cert} {key['host']}\n"),
        "wrong plain key beside authority": Case("cert", f"{cert} {key['other']}\n{authority}"),
        "certificate by alias": Case("cert", f"@cert-authority alias {key['ca']}\n", "HostKeyAlias alias"),
        "certificate by another alias": Case("cert", f"@cert-authority * {key['ca']}\n", "HostKeyAlias else"),
        "no certificates wanted": Case("cert", authority, "HostKeyAlgorithms ssh-ed25519"),
    }
    for name in ("expired", "future", "principal", "nobody", "wildcard", "critical"):
        line = f"@cert-authority {at(name)} {key['ca']}\n"
        cases[f"certificate: {name}"] = Case(name, line)
        cases[f"certificate: {name}, key known"] = Case(name, f"{line}{at(name)} {key['host']}\n")
    cases["certificate of an RSA authority"] = Case("rsaca", f"@cert-authority * {key['rsaca']}\n")
    return cases


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("hostkeys"))
    yield world
    world.stop()


def test_the_same_verdict_as_openssh(
    world: World, task: Task, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So many changed keys would stop a run; here each host is a case of its own.
    monkeypatch.setattr("clusterdeck.engine.ssh.pool._ALARM_AT", 1000)
    cases = _cases(world)
    assert len(cases) >= 40
    names = {f"case{number}": name for number, name in enumerate(cases)}
    config = world.folder / "config"
    config.write_text("".join(world.config(number, case) for number, case in enumerate(cases.values())))

    def by_ssh(node: str) -> bool:
        command = ["ssh", "-F", str(config), "-n", node, "exit 7"]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 7

    with ThreadPoolExecutor(4) as threads:
        theirs = dict(zip(names, threads.map(by_ssh, names), strict=True))
    task.set_info("ssh_config", str(config))
    task.run("exit 7", nodes=",".join(names), handler=recorder)
    ours = {node: recorder.ends[node].rc == 7 for node in names}
    different = {names[node]: (theirs[node], recorder.ends[node]) for node in names if ours[node] != theirs[node]}
    assert not different
    assert 20 < sum(theirs.values()) < len(names) - 20, "the cases are one-sided"
    kinds = {recorder.kind(node) for node in names if not theirs[node]}
    allowed = {FailureKind.HOST_KEY_UNKNOWN, FailureKind.HOST_KEY_CHANGED, FailureKind.HOST_KEY_REVOKED}
    assert kinds == allowed
    by_name = {name: recorder.kind(node) for node, name in names.items()}
    assert by_name["changed"] is FailureKind.HOST_KEY_CHANGED
    assert by_name["revoked"] is by_name["authority revoked"] is FailureKind.HOST_KEY_REVOKED
    assert by_name["unknown"] is FailureKind.HOST_KEY_UNKNOWN
    assert {recorder.ends[node].state for node in names if not theirs[node]} == {NodeState.UNREACHABLE}
