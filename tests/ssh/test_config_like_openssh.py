"""The same answers as `ssh -G` for a table of configurations."""

from __future__ import annotations

import os
import pwd
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clusterdeck.engine.ssh.config import ConfigError, SshConfig
from clusterdeck.engine.ssh.config_values import DEFAULT_IDENTITIES, HostConfig, parse_jump

#: What is compared; -G prints more.
KEYS = frozenset(
    """hostname port user addressfamily bindaddress hostkeyalias identitiesonly identityagent proxyjump proxycommand
    connecttimeout connectionattempts serveraliveinterval serveralivecountmax hashknownhosts stricthostkeychecking
    userknownhostsfile globalknownhostsfile forwardagent identityfile certificatefile setenv ciphers kexalgorithms
    hostkeyalgorithms macs""".split()  # noqa: SIM905
)
#: Every configuration is looked up for these names.
HOSTS = ("node1", "node22.example.org", "Other", "10.1.2.3")
ALGORITHM_KEYS = ("ciphers", "kexalgorithms", "hostkeyalgorithms", "macs")

CONFIGURATIONS = [
    "",
    "User me",
    "user me\nUSER you",
    "Host node1\n User me\nHost *\n User you",
    "Host *\n User you\nHost node1\n User me",
    "Host node*\n Port 2222",
    "Host node?\n Port 2222",
    "Host node1 Other\n Port 2222",
    "Host !node1 *\n Port 2222",
    "Host * !node1\n Port 2222",
    "Host !node1\n Port 2222",
    "Host *.example.org !node22*\n Port 1\nHost *.org\n Port 3",
    "Host node1,Other\n Port 5",
    "Host other\n Port 5",
    "Host OTHER Other\n Port 5",
    "Host 10.1.*\n HostName 10.9.9.9",
    "Host node1\n HostName Real.Example.ORG",
    "HostName %h.example.com",
    "HostName %%h",
    "Host=node1\n Port=44",
    "Host node1\n Port = 44",
    'Host "node1"\n User "me"',
    "Host node1\n\tUser\tme\t",
    "   Host node1\n      User me   ",
    "# comment\n\n  # another\nHost node1 # behind\n User me # behind",
    "Host node1\r\n User me\r\n",
    "IdentityFile ~/.ssh/one",
    "IdentityFile ~/.ssh/one\nIdentityFile ~/.ssh/two\nIdentityFile ~/.ssh/one",
    "Host node1\n IdentityFile /a\nHost *\n IdentityFile /b",
    'IdentityFile "/a path/with spaces"',
    "IdentityFile ~/.ssh/%h-%r-%n-%u-%p-%%",
    "IdentityFile %d/.ssh/x",
    "IdentityFile none",
    "CertificateFile ~/.ssh/c1\nCertificateFile /c2",
    "IdentitiesOnly yes",
    "IdentitiesOnly TRUE",
    "IdentitiesOnly no\nIdentitiesOnly yes",
    "IdentityAgent none",
    "IdentityAgent SSH_AUTH_SOCK",
    "IdentityAgent ~/agent",
    "ProxyJump jump",
    "ProxyJump me@jump:2222",
    "ProxyJump a,b,c@d:4",
    "ProxyJump ssh://me@jump:2222",
    "ProxyJump [::1]:2222",
    "ProxyJump none",
    "ProxyJump none\nProxyCommand nc %h %p",
    "ProxyCommand nc %h %p",
    "ProxyCommand \"nc\" -x '%h' %p # no comment",
    "ProxyCommand=nc %h %p",
    "ProxyCommand none",
    "ProxyCommand nc %h %p\nProxyJump jump",
    "ProxyJump jump\nProxyCommand nc %h %p",
    "Host node1\n ProxyCommand none\nHost *\n ProxyJump jump",
    "Host node1\n ProxyJump none\nHost *\n ProxyJump jump",
    "ConnectTimeout 7",
    "ConnectTimeout 1m30s",
    "ConnectTimeout 2H",
    "ConnectTimeout none",
    "ConnectionAttempts 4",
    "ServerAliveInterval 15\nServerAliveCountMax 5",
    "ServerAliveInterval 1m",
    "HashKnownHosts yes",
    "StrictHostKeyChecking yes",
    "StrictHostKeyChecking no",
    "StrictHostKeyChecking off",
    "StrictHostKeyChecking accept-new",
    "StrictHostKeyChecking ASK",
    "UserKnownHostsFile ~/.ssh/a ~/.ssh/b",
    "UserKnownHostsFile none",
    "UserKnownHostsFile /dev/null",
    'UserKnownHostsFile "/a b/c" /d',
    "UserKnownHostsFile ~/.ssh/hosts/%h",
    "UserKnownHostsFile ~/.ssh/hosts/%k\nHostKeyAlias ALIAS",
    "GlobalKnownHostsFile /etc/a /etc/b",
    "GlobalKnownHostsFile none",
    "HostKeyAlias somebody",
    "AddressFamily inet",
    "AddressFamily INET6",
    "BindAddress 127.0.0.9",
    "ForwardAgent yes",
    "ForwardAgent no\nForwardAgent yes",
    "SetEnv A=1 B=2",
    "SetEnv A=1\nSetEnv C=3",
    'SetEnv A="x y"',
    "Ciphers aes128-ctr,aes256-ctr",
    "KexAlgorithms curve25519-sha256,ecdh-sha2-nistp256",
    "HostKeyAlgorithms ssh-ed25519,rsa-sha2-512",
    "MACs hmac-sha2-256",
    "Match all\n Port 9",
    "Match host node1\n Port 9",
    "Match host node*,Other\n Port 9",
    'Match host "node*,!node1"\n Port 9',
    "Match !host node1\n Port 9",
    "Match host NODE1\n Port 9",
    "Match originalhost node1\n HostName real\nMatch host real\n User me",
    "Host node1\n HostName real\nMatch originalhost node1 host real\n User me\nMatch host node1\n User you",
    "User me\nMatch user me\n Port 9",
    "Match user me\n Port 9\nHost *\n User me",
    "Match user %ME%\n Port 9",
    "Match localuser %ME%\n Port 9",
    "Match localuser nobody-at-all\n Port 9",
    "Match !localuser nobody-at-all host node1\n Port 9",
    "Match final host real\n Port 9\nHost node1\n HostName real",
    "Match final\n User late\nHost node1\n User early",
    "Match canonical\n Port 9",
    "Match host=node1\n Port 9",
    "Match exec true\n Port 9",
    'Match exec "test %h = node1"\n Port 9',
    "Match !exec false host node*\n Port 9",
    "Match originalhost node1 exec false\n Port 9",
    "Host node1\n Include %DIR%/one",
    "Include %DIR%/one\nPort 10",
    "Include %DIR%/*.conf",
    "Include %DIR%/missing\nPort 3",
    "Include %DIR%/one %DIR%/b.conf",
    "Host Other\n Include %DIR%/hosts\nHost node1\n User last",
    "Include %DIR%/hosts\nUser after",
    "Match host node1\n Include %DIR%/nested\n Port 12",
    "Host node1\n ProxyJump a@b:1,c,ssh://d@e:5,[::1]:6",
    "ProxyCommand relay %n %h %p %r\nHost node1\n HostName real",
    "Match host node? user *\n Port 9\nMatch user nobody-at-all,%ME%\n User you",
    "Match originalhost node* !user %ME%\n Port 9",
    "UserKnownHostsFile ${HOME}/x",
    "Compression yes\nVisualHostKey no\nLogLevel ERROR\nPort 3",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "one").write_text("Port 101\nUser included\n")
    (tmp_path / "a.conf").write_text("Port 102\n")
    (tmp_path / "b.conf").write_text("Port 103\nUser b\n")
    (tmp_path / "hosts").write_text("Host node1\n Port 104\nHost Other\n Port 105\n")
    (tmp_path / "nested").write_text(f"Include {tmp_path}/hosts\nConnectTimeout 8\n")
    return tmp_path


def _theirs(path: Path, host: str, *options: str) -> dict[str, list[str]] | None:
    command = ["ssh", "-F", str(path), *options, "-G", host]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        key, _space, value = line.partition(" ")
        if key in KEYS:
            found.setdefault(key, []).append(value)
    return found


def _expand(text: str, host: str, known: dict[str, list[str]]) -> str:
    home = pwd.getpwuid(os.getuid()).pw_dir
    user = pwd.getpwuid(os.getuid()).pw_name
    values = {
        "%%": "%",
        "%h": known["hostname"][0],
        "%n": host,
        "%r": known["user"][0],
        "%u": user,
        "%p": known["port"][0],
        "%d": home,
        "%k": known.get("hostkeyalias", [host])[0],
    }
    pieces = []
    position = 0
    while position < len(text):
        two = text[position : position + 2]
        pieces.append(values.get(two, text[position]))
        position += 2 if two in values else 1
    expanded = "".join(pieces)
    return home + expanded[1:] if expanded.startswith("~/") else expanded


def _normal(host: str, known: dict[str, list[str]]) -> dict[str, object]:
    """The words of -G as typed values."""

    def one(key: str, default: str = "") -> str:
        return known.get(key, [default])[0]

    def paths(words: list[str]) -> list[str]:
        return [_expand(word, host, known) for word in words if word != "none"]

    switch = {"true": True, "yes": True, "false": False, "no": False}
    timeout = one("connecttimeout", "none")
    # -G joins the files with spaces and drops quotes; no name of the table has one where it matters.
    files = {k: " ".join(paths(one(k).split(" "))) for k in ("userknownhostsfile", "globalknownhostsfile")}
    jump = one("proxyjump", "none")
    strict = one("stricthostkeychecking").lower()
    command = one("proxycommand", "none").strip()
    identities = known.get("identityfile", [])
    agent = known.get("identityagent")
    return files | {
        "hostname": one("hostname").lower(),
        "port": int(one("port")),
        "user": one("user"),
        "addressfamily": one("addressfamily"),
        "bindaddress": known.get("bindaddress", [None])[0],
        "hostkeyalias": known.get("hostkeyalias", [None])[0],
        "identitiesonly": switch[one("identitiesonly")],
        "identityagent": None if agent is None else agent[0],
        "proxyjump": [] if jump == "none" else [parse_jump(word) for word in jump.split(",")],
        "proxycommand": None if command == "none" else _expand(command, host, known),
        "connecttimeout": None if timeout == "none" else float(timeout),
        "connectionattempts": int(one("connectionattempts")),
        "serveraliveinterval": float(one("serveraliveinterval")),
        "serveralivecountmax": int(one("serveralivecountmax")),
        "hashknownhosts": switch[one("hashknownhosts")],
        "stricthostkeychecking": {"false": "no", "true": "yes"}.get(strict, strict),
        "forwardagent": one("forwardagent") != "no",
        "identityfile": [p for p in paths(identities) if "_sk" not in p and not p.endswith(("id_xmss", "id_dsa"))],
        "certificatefile": paths(known.get("certificatefile", [])),
        "setenv": known.get("setenv", []),
    }


def _ours(config: HostConfig) -> dict[str, object]:
    return {
        "hostname": config.hostname,
        "port": config.port,
        "user": config.user,
        "addressfamily": config.address_family,
        "bindaddress": config.bind_address,
        "hostkeyalias": config.host_key_alias,
        "identitiesonly": config.identities_only,
        "identityagent": config.identity_agent,
        "proxyjump": list(config.proxy_jump),
        "proxycommand": config.proxy_command,
        "connecttimeout": config.connect_timeout,
        "connectionattempts": config.connection_attempts,
        "serveraliveinterval": config.alive_interval,
        "serveralivecountmax": config.alive_count,
        "hashknownhosts": config.hash_known_hosts,
        "stricthostkeychecking": config.strict_host_keys,
        "userknownhostsfile": " ".join(config.user_known_hosts),
        "globalknownhostsfile": " ".join(config.global_known_hosts),
        "forwardagent": config.forward_agent,
        "identityfile": list(config.identity_files),
        "certificatefile": list(config.certificate_files),
        "setenv": [f"{name}={value}" for name, value in config.set_env],
    }


def test_the_table(folder: Path) -> None:
    assert len(CONFIGURATIONS) >= 100
    me = pwd.getpwuid(os.getuid()).pw_name
    paths = []
    for number, text in enumerate(CONFIGURATIONS):
        path = folder / f"config{number}"
        path.write_text(text.replace("%DIR%", str(folder)).replace("%ME%", me) + "\n", newline="")
        paths.append(path)
    pairs = [(path, host) for path in paths for host in HOSTS]
    with ThreadPoolExecutor(4) as threads:
        theirs = list(threads.map(lambda pair: _theirs(*pair), pairs))
    wrong: list[str] = []
    for (path, host), known in zip(pairs, theirs, strict=True):
        text = path.read_text()
        if known is None:
            wrong.append(f"ssh refuses {text!r}")
            continue
        config = SshConfig(str(path), allow_exec=True).lookup(host)
        ours, wanted = _ours(config), _normal(host, known)
        wrong += [f"{text!r} {host}: {k}: {ours[k]!r}, ssh: {wanted[k]!r}" for k in wanted if ours[k] != wanted[k]]
        for key, value in zip(
            ALGORITHM_KEYS, (config.ciphers, config.kex, config.host_key_algorithms, config.macs), strict=True
        ):
            if value is not None and ",".join(value) != known[key][0]:
                wrong.append(f"{text!r} {host}: {key}: {value}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "User me\nPort 5",
        "Match user other\n Port 9\n IdentityFile /other",
        "Match user me\n Port 9",
        "IdentityFile ~/.ssh/%r-%p\nProxyCommand relay %r@%h:%p",
        "Host node1\n HostName real\nMatch host real user other\n ConnectTimeout 3",
        "ProxyJump me@jump:2222",
    ],
)
def test_user_and_port_of_a_command_line(folder: Path, text: str) -> None:
    path = folder / "config"
    path.write_text(text + "\n")
    for user, port in (("other", None), ("other", 77), (None, 77)):
        options = [*(["-l", user] if user else []), *(["-p", str(port)] if port else [])]
        known = _theirs(path, "node1", *options)
        assert known is not None
        assert _ours(SshConfig(str(path)).lookup("node1", user, port)) == _normal("node1", known)


def test_the_default_identities_are_openssh_s(folder: Path) -> None:
    (folder / "config").write_text("")
    known = _theirs(folder / "config", "x")
    assert known is not None
    assert set(DEFAULT_IDENTITIES) <= set(known["identityfile"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Port x", "config:1: port"),
        ("Host a\n\nPort 70000", "config:3"),
        ("ConnectTimeout soon", "config:1"),
        ("IdentitiesOnly maybe", "yes or no"),
        ('User "me', "not closed"),
        ("Match nonsense x", "criterion"),
        ("Match host", "needs an argument"),
        ("Port", "needs a value"),
        ("StrictHostKeyChecking perhaps", "accept-new"),
        ("IdentityFile ~/%Z", "%Z"),
        ("ProxyJump -oProxyCommand=x", "jump host"),
        ("Include %DIR%/loop", "too many levels"),
    ],
)
def test_errors_name_the_place(folder: Path, text: str, words: str) -> None:
    (folder / "loop").write_text(f"Include {folder}/loop\n")
    path = folder / "config"
    path.write_text(text.replace("%DIR%", str(folder)))
    with pytest.raises(ConfigError, match=words):
        SshConfig(str(path)).lookup("a")


def test_exec_is_off_unless_allowed(folder: Path) -> None:
    path = folder / "config"
    path.write_text(f'Match exec "touch {folder}/ran"\n Port 9\n')
    config = SshConfig(str(path))
    assert config.lookup("a").port == 22
    assert not (folder / "ran").exists()
    assert config.warnings == ["Match exec is switched off and never holds"]


def test_one_program_runs_once_for_many_nodes(folder: Path) -> None:
    path = folder / "config"
    path.write_text(f'Match exec "echo x >>{folder}/runs"\n Port 9\nMatch exec "echo %n >>{folder}/names"\n User me\n')
    config = SshConfig(str(path), allow_exec=True)
    assert {config.lookup(f"node{n}").port for n in range(20)} == {9}
    assert (folder / "runs").read_text() == "x\n"
    assert len((folder / "names").read_text().split()) == 20


def test_what_is_not_supported_is_said(folder: Path) -> None:
    path = folder / "config"
    lines = ["Host x", "CanonicalizeHostname yes", "ProxyUseFdpass no", "BindInterface eth0"]
    path.write_text("\n".join([*lines, "Match localnetwork 10.0.0.0/8", " Port 9\n"]))
    config = SshConfig(str(path))
    assert config.lookup("a").port == 22
    assert [warning.partition(" is ")[0] for warning in config.warnings] == [
        f"{path}:2: CanonicalizeHostname",
        f"{path}:4: BindInterface",
        "Match localnetwork",
    ]


def test_explain_tells_where_values_come_from(folder: Path) -> None:
    path = folder / "config"
    path.write_text(f"Host node7\n Port 2222\nInclude {folder}/one\nIdentityFile /k\n")
    rows = {
        key: (value, where) for key, value, where in SshConfig(str(path), overrides={"User": "me"}).explain("node7")
    }
    assert rows["port"] == ("2222", f"{path}:2")
    assert rows["user"] == ("me", "command line")
    assert rows["stricthostkeychecking"] == ("ask", "default")
    assert rows["hostname"] == ("node7", "default")


def test_ten_thousand_nodes_in_a_second(folder: Path) -> None:
    path = folder / "config"
    blocks = [f"Host node{n}\n HostName 10.0.{n // 250}.{n % 250}\n Port {2000 + n}\n" for n in range(2000)]
    path.write_text("".join(blocks) + "Host node*\n User me\nMatch host 10.*\n ConnectTimeout 5\nHost *\n Port 22\n")
    started = time.process_time()
    config = SshConfig(str(path))
    for number in range(10_000):
        config.lookup(f"node{number}")
    assert time.process_time() - started < 2.0  # 0.3 s on a quiet machine
    assert (config.lookup("node77").port, config.lookup("node77").user) == (2077, "me")
    assert config.lookup("node9999").hostname == "node9999"
