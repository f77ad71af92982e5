"""ssh_config for many nodes: parsed once, looked up by index, and able to say where each value came from.

`SshConfig.lookup(node)` gives a `HostConfig`. As in OpenSSH, the first value found wins: the caller's own settings,
then the user's file, then /etc/ssh/ssh_config; an explicit file (`ssh -F`) stands alone. `Match exec` runs a program
and is off unless the caller allows it.
"""

from __future__ import annotations

import getpass
import os
import pwd
import socket
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .config_file import ConfigError, Criterion, Option, Reader, Section, patterns
from .config_values import Here, HostConfig, build, expand_command, expand_tokens

SYSTEM_FILE = "/etc/ssh/ssh_config"
#: Keywords of which every value counts.
_REPEATED = frozenset(("identityfile", "certificatefile", "sendenv"))
#: Keywords that would change where a connection goes or whom it believes, and what holds without them.
_NOT_FOLLOWED = {
    "canonicalizehostname": "CanonicalizeHostname is not supported, names are used as they are",
    "bindinterface": "BindInterface is not supported, the system chooses",
    "proxyusefdpass": "ProxyUseFdpass is not supported",
    "knownhostscommand": "KnownHostsCommand is not supported, host keys come from files",
    "casignaturealgorithms": "CASignatureAlgorithms is not supported, authorities may sign with any but SHA-1",
    "requiredrsasize": "RequiredRSASize is not supported",
    "pkcs11provider": "PKCS11Provider is not supported, load the key into the agent (ssh-add -s)",
}
_EXEC_TIMEOUT = 10.0


@dataclass(slots=True)
class _Looked:
    """Values gathered for one node so far."""

    node: str
    single: dict[str, Option] = field(default_factory=dict)
    repeated: dict[str, list[Option]] = field(default_factory=dict)

    def take(self, option: Option) -> None:
        if option.key in _REPEATED:
            known = self.repeated.setdefault(option.key, [])
            if not any(old.words == option.words for old in known):
                known.append(option)
        else:
            self.single.setdefault(option.key, option)

    def value(self, key: str, default: str) -> str:
        option = self.single.get(key)
        return option.value if option is not None else default


class SshConfig:
    """path: an explicit file, "none" for no file at all, or None for the user's and the system's.

    overrides: keyword -> value that win over every file (a command line's). allow_exec: whether `Match exec` may run
    its program. Raises ConfigError for a file that cannot be read or parsed.
    """

    def __init__(
        self,
        path: str | None = None,
        *,
        overrides: Mapping[str, str] | None = None,
        allow_exec: bool = False,
        home: str | None = None,
    ) -> None:
        folder = home or os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
        self.here = Here(folder, _local_user(), socket.gethostname())
        self.files: list[str] = []
        #: Files that would be read if they were there, and those that were.
        self.watched: list[str] = []
        self.warnings: list[str] = []
        self._allow_exec = allow_exec
        #: What came of the programs of `Match exec`, by their line: ten thousand nodes may have the same one.
        self._ran: dict[str, bool] = {}
        self._sections: list[Section] = []
        given = [Option(k.lower(), v, tuple(v.split()) or (v,), "command line") for k, v in (overrides or {}).items()]
        if given:
            self._sections.append(Section(0, (), None, given))
        if path is None:
            self._read(f"{self.here.home}/.ssh/config", user_file=True, must_exist=False)
            self._read(SYSTEM_FILE, user_file=False, must_exist=False)
        elif path != "none":
            self._read(os.path.expanduser(path), user_file=True, must_exist=True)
        self._index()
        for option in (option for section in self._sections for option in section.options):
            without = _NOT_FOLLOWED.get(option.key)
            if without is not None and option.value.lower() not in ("no", "none"):
                self._warn(f"{option.where}: {without}; -R ssh follows it")

    def _read(self, path: str, *, user_file: bool, must_exist: bool) -> None:
        reader = Reader(self.here.home, user_file=user_file, on_read=self.files.append)
        reader.read(path, must_exist=must_exist)
        self.watched += dict.fromkeys((path, *self.files))
        self._sections += [section for section in reader.sections if section.options]

    def _index(self) -> None:
        self._by_name: dict[str, list[int]] = {}
        self._always: list[int] = []
        self._final = False
        for number, section in enumerate(self._sections):
            if section.literals is None:
                self._always.append(number)
            else:
                for name in dict.fromkeys(section.literals):
                    self._by_name.setdefault(name, []).append(number)
            self._final |= any(c.kind == "final" for c in section.criteria)
        self._cache: dict[tuple[str, str | None, int | None], HostConfig] = {}

    def lookup(self, node: str, user: str | None = None, port: int | None = None) -> HostConfig:
        """The configuration of one node; kept, so a second look costs nothing. user and port: as `ssh -l -p`.

        Raises ConfigError.
        """
        key = (node, user, port)
        found = self._cache.get(key)
        if found is None:
            found = self._cache[key] = build(self._look(*key), self.here)
        return found

    def explain(self, node: str) -> list[tuple[str, str, str]]:
        """(keyword, value, where it came from) of all that holds for the node; "default" where nothing was set."""
        looked = self._look(node)
        rows = [(o.key, " ".join(o.words) or o.value, o.where) for o in looked.single.values()]
        rows += [(o.key, o.value, o.where) for options in looked.repeated.values() for o in options]
        known = {row[0] for row in rows}
        rows += [(key, value, "default") for key, value in self.lookup(node).as_pairs() if key not in known]
        return sorted(rows)

    def _look(self, node: str, user: str | None = None, port: int | None = None) -> _Looked:
        looked = _Looked(node)
        for key, value in (("user", user), ("port", port)):
            if value is not None:
                looked.take(Option(key, str(value), (str(value),), "command line"))
        numbers: Iterable[int] = self._always
        named = self._by_name.get(node)
        if named:
            numbers = sorted((*self._always, *named))
        for final in (False, True) if self._final else (False,):
            for number in numbers:
                section = self._sections[number]
                if all(self._holds(criterion, looked, final) for criterion in section.criteria):
                    for option in section.options:
                        looked.take(option)
        return looked

    def _holds(self, criterion: Criterion, looked: _Looked, final: bool) -> bool:
        return self._test(criterion, looked, final) is not criterion.negated

    def _test(self, criterion: Criterion, looked: _Looked, final: bool) -> bool:
        kind = criterion.kind
        if kind == "host-line":
            subject = looked.node
        elif kind == "all":
            return True
        elif kind in ("canonical", "final"):
            return final
        elif kind == "host":
            subject = self._host_name(looked).lower()
        elif kind == "originalhost":
            subject = looked.node.lower()
        elif kind == "user":
            subject = looked.value("user", self.here.user)
        elif kind == "localuser":
            subject = self.here.user
        elif kind == "tagged":
            subject = looked.value("tag", "")
        elif kind == "exec":
            return self._run(criterion.argument, looked)
        else:
            self._warn(f"Match {kind} is not supported and never holds")
            return criterion.negated
        return criterion.patterns is not None and criterion.patterns.match(subject)

    def _host_name(self, looked: _Looked) -> str:
        name = looked.value("hostname", "")
        return expand_tokens(name, {"h": looked.node}) if name else looked.node

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    def _run(self, command: str, looked: _Looked) -> bool:
        """Run the program of `Match exec`. Raises ConfigError where a name would be more than a word to the shell."""
        if not self._allow_exec:
            self._warn("Match exec is switched off and never holds")
            return False
        host = self._host_name(looked)
        tokens = {
            "h": host,
            "n": looked.node,
            "p": looked.value("port", "22"),
            "r": looked.value("user", self.here.user),
            "u": self.here.user,
            "d": self.here.home,
            "l": self.here.host,
            "L": self.here.host.partition(".")[0],
            "i": str(os.getuid()),
        }
        text = expand_command(command, tokens)
        if text not in self._ran:
            self._ran[text] = _succeeds(text)
        return self._ran[text]


def _succeeds(command: str) -> bool:
    """Whether a line of the shell ends with 0 in time. Blocks."""
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_EXEC_TIMEOUT,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _local_user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return getpass.getuser()


__all__ = ["ConfigError", "HostConfig", "SshConfig", "patterns"]
