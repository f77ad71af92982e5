"""From the words of ssh_config to typed values, with tokens expanded and OpenSSH's defaults filled in."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from .config_file import ConfigError, Option
from .transport import CIPHERS, HOST_KEY_ALGORITHMS, KEX, MACS

#: What OpenSSH tries when no IdentityFile is given, as far as these types can be used here.
DEFAULT_IDENTITIES = ("~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519")
DEFAULT_GLOBAL_HOSTS = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
DEFAULT_USER_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
#: Login names that are used at all: no blanks, nothing that a shell acts on, no option.
_USER = re.compile(r"[\w.@+][\w.@+%:=,/\\-]{0,255}\$?\Z")
#: What a token that was not written by the operator may bring into a shell line (ProxyCommand, Match exec).
_SHELL_WORD = re.compile(r"[\w.:@+%=,/][\w.:@+%=,/-]*\Z")
_FOREIGN_TOKENS = "hnrk"
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True, slots=True)
class Here:
    """This side of every connection, as tokens and defaults name it: the home folder, the account, the machine."""

    home: str
    user: str
    host: str


class Looked(Protocol):
    """What a lookup gathered."""

    node: str
    single: dict[str, Option]
    repeated: dict[str, list[Option]]

    def value(self, key: str, default: str) -> str:
        """First value of a keyword."""


@dataclass(frozen=True, slots=True)
class Jump:
    """One hop of ProxyJump; None: not given, so the hop's own configuration counts."""

    host: str
    user: str | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True)
class HostConfig:
    """All that a connection to one node needs. Paths are absolute; times are seconds, None is "not set"."""

    node: str
    hostname: str
    port: int
    user: str
    identity_files: tuple[str, ...]
    identities_given: bool
    certificate_files: tuple[str, ...]
    identities_only: bool
    identity_agent: str | None
    proxy_jump: tuple[Jump, ...]
    proxy_command: str | None
    connect_timeout: float | None
    connection_attempts: int
    alive_interval: float
    alive_count: int
    user_known_hosts: tuple[str, ...]
    global_known_hosts: tuple[str, ...]
    revoked_host_keys: tuple[str, ...]
    hash_known_hosts: bool
    strict_host_keys: str
    host_key_alias: str | None
    address_family: str
    bind_address: str | None
    ciphers: tuple[str, ...] | None
    kex: tuple[str, ...] | None
    macs: tuple[str, ...] | None
    host_key_algorithms: tuple[str, ...] | None
    forward_agent: bool
    methods: tuple[str, ...]
    set_env: tuple[tuple[str, str], ...]

    def as_pairs(self) -> list[tuple[str, str]]:
        """Keyword and value of what OpenSSH has as well, in its words, for `explain`."""
        jumps = ",".join(_jump_text(jump) for jump in self.proxy_jump)
        return [
            ("hostname", self.hostname),
            ("port", str(self.port)),
            ("user", self.user),
            ("identityfile", " ".join(self.identity_files)),
            ("identitiesonly", _yes(self.identities_only)),
            ("proxyjump", jumps or "none"),
            ("proxycommand", self.proxy_command or "none"),
            ("connecttimeout", "none" if self.connect_timeout is None else f"{self.connect_timeout:g}"),
            ("serveraliveinterval", f"{self.alive_interval:g}"),
            ("serveralivecountmax", str(self.alive_count)),
            ("userknownhostsfile", " ".join(self.user_known_hosts)),
            ("globalknownhostsfile", " ".join(self.global_known_hosts)),
            ("hashknownhosts", _yes(self.hash_known_hosts)),
            ("stricthostkeychecking", self.strict_host_keys),
            ("addressfamily", self.address_family),
            ("forwardagent", _yes(self.forward_agent)),
        ]


def build(looked: Looked, here: Here) -> HostConfig:
    """Make the typed configuration of one node. Raises ConfigError with the place of a bad value."""
    take = _Values(looked)
    hostname = _hostname(looked)
    port = take.number("port", 22)
    if not 0 < port < 65536:
        raise ConfigError(f"{take.where('port')}: port {port} is out of range")
    user = looked.value("user", here.user)
    if not _USER.match(user):
        raise ConfigError(f"{take.where('user')}: user name {user!a} is refused")
    tokens = _tokens(looked.node, hostname, port, user, take.text("hostkeyalias"), here)

    def paths(words: Sequence[str]) -> tuple[str, ...]:
        return tuple(_path(word, tokens, here.home) for word in words if word != "none")

    files = [option.value for option in looked.repeated.get("identityfile", ())]
    agent = take.text("identityagent")
    interval = take.seconds("serveraliveinterval") or 0.0
    jump, command = _proxy(looked, tokens)
    return HostConfig(
        node=looked.node,
        hostname=hostname,
        port=port,
        user=user,
        identity_files=paths(files or DEFAULT_IDENTITIES),
        identities_given=bool(files),
        certificate_files=paths([o.value for o in looked.repeated.get("certificatefile", ())]),
        identities_only=take.flag("identitiesonly", False),
        identity_agent=None if agent is None else _path(agent, tokens, here.home),
        proxy_jump=jump,
        proxy_command=command,
        connect_timeout=take.seconds("connecttimeout"),
        connection_attempts=max(1, take.number("connectionattempts", 1)),
        alive_interval=interval,
        alive_count=take.number("serveralivecountmax", 3),
        user_known_hosts=paths(take.words("userknownhostsfile", DEFAULT_USER_HOSTS)),
        global_known_hosts=paths(take.words("globalknownhostsfile", DEFAULT_GLOBAL_HOSTS)),
        revoked_host_keys=paths(take.words("revokedhostkeys", ())),
        hash_known_hosts=take.flag("hashknownhosts", False),
        strict_host_keys=take.choice("stricthostkeychecking", "ask"),
        host_key_alias=_alias(take.text("hostkeyalias")),
        address_family=looked.value("addressfamily", "any").lower(),
        bind_address=take.text("bindaddress"),
        ciphers=take.algorithms("ciphers", CIPHERS),
        kex=take.algorithms("kexalgorithms", KEX),
        macs=take.algorithms("macs", MACS),
        host_key_algorithms=take.algorithms("hostkeyalgorithms", HOST_KEY_ALGORITHMS),
        forward_agent=looked.value("forwardagent", "no").lower() not in ("no", "false", "none"),
        methods=_methods(take),
        set_env=_environment(looked),
    )


class _Values:
    """Typed access with errors that name the place."""

    def __init__(self, looked: Looked) -> None:
        self._single = looked.single

    def where(self, key: str) -> str:
        option = self._single.get(key)
        return option.where if option is not None else "default"

    def text(self, key: str) -> str | None:
        option = self._single.get(key)
        return None if option is None else option.value

    def words(self, key: str, default: Sequence[str]) -> Sequence[str]:
        option = self._single.get(key)
        return default if option is None else option.words

    def number(self, key: str, default: int) -> int:
        text = self.text(key)
        if text is None:
            return default
        try:
            return int(text)
        except ValueError:
            raise ConfigError(f"{self.where(key)}: {key} is a number, not {text!a}") from None

    def seconds(self, key: str) -> float | None:
        text = self.text(key)
        if text is None or text.lower() == "none":
            return None
        pieces = re.findall(r"(\d+)([smhdwSMHDW]?)", text)
        if not pieces or "".join(a + b for a, b in pieces) != text:
            raise ConfigError(f"{self.where(key)}: {key} is a time such as 10 or 1m30s, not {text!a}")
        total = sum(int(number) * _UNITS[unit.lower()] for number, unit in pieces)
        return float(total)

    def flag(self, key: str, default: bool) -> bool:
        text = self.text(key)
        if text is None:
            return default
        word = text.lower()
        if word in ("yes", "true"):
            return True
        if word in ("no", "false"):
            return False
        raise ConfigError(f"{self.where(key)}: {key} is yes or no, not {text!a}")

    def choice(self, key: str, default: str) -> str:
        word = (self.text(key) or default).lower()
        word = {"true": "yes", "false": "no", "off": "no"}.get(word, word)
        if word not in ("yes", "no", "ask", "accept-new"):
            raise ConfigError(f"{self.where(key)}: {key} is yes, no, ask or accept-new, not {word!a}")
        return word

    def algorithms(self, key: str, default: Sequence[str]) -> tuple[str, ...] | None:
        text = self.text(key)
        if text is None:
            return None
        mode = text[0] if text[:1] in "+-^" else ""
        names = [name.strip() for name in text[len(mode) :].split(",") if name.strip()]
        if mode == "+":
            return tuple(dict.fromkeys((*default, *names)))
        if mode == "^":
            return tuple(dict.fromkeys((*names, *default)))
        if mode == "-":
            return tuple(name for name in default if name not in names)
        return tuple(names)


def expand_tokens(text: str, tokens: Mapping[str, str]) -> str:
    """Replace `%x` by its value; `%%` is a percent sign. Raises ConfigError for a token that is not known here."""

    def value(match: re.Match[str]) -> str:
        letter = match.group(1)
        if letter == "%":
            return "%"
        if letter not in tokens:
            raise ConfigError(f"%{letter} is not known in {text!a}")
        return tokens[letter]

    return re.sub(r"%(.)", value, text, flags=re.DOTALL)


def expand_command(text: str, tokens: Mapping[str, str]) -> str:
    """As `expand_tokens`, for a line that a shell will read: names of hosts and users have to be plain words.

    Raises ConfigError.
    """
    used = set(re.findall(r"%(.)", text, flags=re.DOTALL))
    for letter in _FOREIGN_TOKENS:
        if letter in used and not _SHELL_WORD.match(tokens.get(letter, "-")):
            raise ConfigError(f"%{letter} is {tokens.get(letter, '')!a}, which is refused in a shell line ({text!a})")
    return expand_tokens(text, tokens)


def _expand_variables(text: str) -> str:
    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match.group(1))
        if found is None:
            raise ConfigError(f"environment variable {match.group(1)} is not set (in {text!a})")
        return found

    return re.sub(r"\$\{([^}]+)\}", value, text)


def _path(word: str, tokens: Mapping[str, str], home: str) -> str:
    text = _expand_variables(expand_tokens(word, tokens))
    if text == "~" or text.startswith("~/"):
        return home + text[1:]
    return os.path.expanduser(text) if text.startswith("~") else text


def _hostname(looked: Looked) -> str:
    name = looked.value("hostname", "")
    return expand_tokens(name, {"h": looked.node}).lower() if name else looked.node.lower()


def _alias(alias: str | None) -> str | None:
    return alias.lower() if alias else None


def _tokens(node: str, hostname: str, port: int, user: str, alias: str | None, here: Here) -> dict[str, str]:
    short = here.host.partition(".")[0]
    digest = hashlib.sha1(
        f"{here.host}{hostname}{port}{user}".encode("utf-8", "surrogateescape"), usedforsecurity=False
    ).hexdigest()
    return {
        "h": hostname,
        "n": node,
        "p": str(port),
        "r": user,
        "u": here.user,
        "d": here.home,
        "l": here.host,
        "L": short,
        "i": str(os.getuid()),
        "k": _alias(alias) or node,
        "C": digest,
        "j": "",
    }


def _proxy(looked: Looked, tokens: Mapping[str, str]) -> tuple[tuple[Jump, ...], str | None]:
    """ProxyJump and ProxyCommand: whichever was given first counts."""
    jump = looked.single.get("proxyjump")
    command = looked.single.get("proxycommand")
    if jump is not None and command is not None:
        first = next(key for key in looked.single if key in ("proxyjump", "proxycommand"))
        if first == "proxyjump" and jump.value.lower() == "none":
            first = "proxycommand"
        jump, command = (jump, None) if first == "proxyjump" else (None, command)
    if jump is not None and jump.value.lower() != "none":
        return tuple(parse_jump(word, jump.where) for word in jump.value.split(",")), None
    if command is not None and command.value.strip().lower() != "none":
        return (), expand_command(command.value, tokens)
    return (), None


def parse_jump(text: str, where: str = "ProxyJump") -> Jump:
    """`[user@]host[:port]` or `ssh://[user@]host[:port]`. Raises ConfigError."""
    rest = text.strip().removeprefix("ssh://").rstrip("/")
    user, at, host = rest.rpartition("@")
    match = re.fullmatch(r"\[([^\]]+)\](?::(\d+))?|([^:\[\]]+)(?::(\d+))?", host)
    if match is None or host.startswith("-") or user.startswith("-"):
        raise ConfigError(f"{where}: cannot read the jump host {text!a}")
    port = match.group(2) or match.group(4)
    return Jump(match.group(1) or match.group(3), user if at else None, int(port) if port else None)


def _jump_text(jump: Jump) -> str:
    user = f"{jump.user}@" if jump.user else ""
    host = f"[{jump.host}]" if ":" in jump.host else jump.host
    return user + host + (f":{jump.port}" if jump.port else "")


def _methods(take: _Values) -> tuple[str, ...]:
    wanted = [w.strip() for w in (take.text("preferredauthentications") or "").split(",") if w.strip()]
    order = wanted or ["publickey", "password", "keyboard-interactive"]
    interactive = take.text("kbdinteractiveauthentication") or take.text("challengeresponseauthentication") or "yes"
    allowed = {
        "publickey": (take.text("pubkeyauthentication") or "yes").lower() not in ("no", "false"),
        "password": take.flag("passwordauthentication", True),
        "keyboard-interactive": interactive.lower() not in ("no", "false"),
    }
    if take.flag("batchmode", False):
        allowed["password"] = allowed["keyboard-interactive"] = False
    return tuple(method for method in order if allowed.get(method))


def _environment(looked: Looked) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    setenv = looked.single.get("setenv")
    for word in setenv.words if setenv is not None else ():
        name, _equals, value = word.partition("=")
        found.setdefault(name, value)
    for option in looked.repeated.get("sendenv", ()):
        for name in option.words:
            if name in os.environ:
                found.setdefault(name, os.environ[name])
    return tuple(found.items())


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"
