"""Known host keys: read into dictionaries once, judged like OpenSSH does, written with care.

`KnownHosts` covers several files. A verdict is one of `Verdict`; only GOOD lets a connection go on, UNKNOWN may be
asked about, CHANGED and REVOKED are never overridden here. Files are read again when they change on disk.
"""

from __future__ import annotations

import base64
import binascii
import enum
import hashlib
import hmac
import os
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import wire
from .hostcerts import CERT_SUFFIX, CertificateError, is_certificate, parse, wildcard_regex
from .revoked_keys import RevokedKeys, RevokedKeysError
from .transport import HOST_KEY_ALGORITHMS

#: Larger files are refused (a known_hosts of 10 MB has some 80,000 lines).
MAX_FILE = 64 * 1024 * 1024
_RECHECK = 1.0
DEFAULT_PORT = 22


class Verdict(enum.Enum):
    """What is known about a key that a host showed."""

    GOOD = "good"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: marker is "", "cert-authority" or "revoked"."""

    marker: str
    key: bytes
    path: str
    line: int

    @property
    def key_type(self) -> str:
        """Type word of the key."""
        return wire.Reader(self.key).text()


@dataclass(frozen=True, slots=True)
class Judgement:
    """Verdict, the entry it rests on (if any), and a note for the reason line."""

    verdict: Verdict
    entry: Entry | None = None
    note: str = ""


def fingerprint(key: bytes) -> str:
    """SHA256 fingerprint as `ssh-keygen -l` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def lookup_name(host: str, port: int) -> str:
    """The name under which a host stands in the file: lower case, `[host]:port` unless the port is 22."""
    name = host.lower()
    return name if port in (0, DEFAULT_PORT) else f"[{name}]:{port}"


class _File:
    """The entries of one file, indexed."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.names: dict[str, list[Entry]] = {}
        self.hashed: list[tuple[bytes, bytes, Entry]] = []
        self.patterns: list[tuple[list[re.Pattern[str]], list[re.Pattern[str]], Entry]] = []
        self.stamp: tuple[int, int, int] | None = None
        self.checked = 0.0
        self.problem = ""

    def refresh(self, now: float) -> bool:
        """Read again if the file changed; True if it did."""
        if now - self.checked < _RECHECK and self.checked:
            return False
        self.checked = now
        try:
            status = os.stat(self.path)
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        except OSError:
            stamp = None
        if stamp == self.stamp:
            return False
        self.stamp = stamp
        self.names, self.hashed, self.patterns, self.problem = {}, [], [], ""
        if stamp is not None:
            self._read(stamp[1])
        return True

    def _read(self, size: int) -> None:
        if size > MAX_FILE:
            self.problem = f"{self.path} is larger than {MAX_FILE >> 20} MiB and was not read"
            return
        try:
            data = Path(self.path).read_bytes()
        except OSError as error:
            self.problem = f"{self.path}: {error.strerror}"
            self.stamp = None  # it may be readable the next time: descriptors come back
            return
        for number, line in enumerate(data.split(b"\n"), 1):
            self._line(line, number)

    def _line(self, raw: bytes, number: int) -> None:
        words = raw.strip(b" \t\r").split(None, 4)
        if len(words) < 3 or words[0].startswith(b"#"):
            return
        marker = ""
        if words[0].startswith(b"@"):
            marker = words.pop(0)[1:].decode("ascii", "replace")
            if marker not in ("cert-authority", "revoked") or len(words) < 3:
                return
        try:
            key = base64.b64decode(words[2], validate=True)
            if wire.Reader(key).string() != words[1]:
                return
        except (binascii.Error, wire.WireError):
            return
        self._index(words[0].decode("utf-8", "surrogateescape"), Entry(marker, key, self.path, number))

    def _index(self, hosts: str, entry: Entry) -> None:
        if hosts.startswith("|"):
            parts = hosts.split("|")
            try:
                salt, digest = base64.b64decode(parts[2]), base64.b64decode(parts[3])
            except (IndexError, binascii.Error):
                return
            if parts[1] == "1" and len(digest) == 20:
                self.hashed.append((salt, digest, entry))
            return
        names = hosts.lower().split(",")
        if not any(character in hosts for character in "*?!"):
            for name in names:
                self.names.setdefault(name, []).append(entry)
            return
        good = [re.compile(wildcard_regex(name)) for name in names if name and not name.startswith("!")]
        bad = [re.compile(wildcard_regex(name[1:])) for name in names if name.startswith("!")]
        self.patterns.append((good, bad, entry))

    def find(self, name: str) -> list[Entry]:
        """All lines that speak of `name` (as `lookup_name` gives it)."""
        found = list(self.names.get(name, ()))
        for good, bad, entry in self.patterns:
            if any(p.match(name) for p in good) and not any(p.match(name) for p in bad):
                found.append(entry)
        if self.hashed:
            data = name.encode("utf-8", "surrogateescape")
            found.extend(entry for salt, digest, entry in self.hashed if hmac.digest(salt, data, "sha1") == digest)
        return found


class KnownHosts:
    """The files of one configuration, in the order in which they are searched; the first is the one written to.

    revoked_files: RevokedHostKeys, which go before all of them.
    """

    def __init__(
        self, user_files: Sequence[str], global_files: Sequence[str] = (), revoked_files: Sequence[str] = ()
    ) -> None:
        self.user_files = tuple(user_files)
        self._revoked = [RevokedKeys(path) for path in revoked_files]
        self._files = [_File(path) for path in (*user_files, *global_files)]
        self._cache: dict[str, list[Entry]] = {}
        self._trusted: dict[str, list[Entry]] = {}

    @property
    def problems(self) -> list[str]:
        """Files that could not be read, and why."""
        return [file.problem for file in self._files if file.problem]

    def find(self, name: str) -> list[Entry]:
        """Entries of all files for a name."""
        now = time.monotonic()
        for file in self._files:
            if file.refresh(now):
                self._cache.clear()
        found = self._cache.get(name)
        if found is None:
            found = self._cache[name] = [entry for file in self._files for entry in file.find(name)]
            found += self._trusted.get(name, ())
        return found

    def trust(self, keys: Iterable[tuple[str, bytes]]) -> None:
        """Take (name, key) pairs from now on, whether or not a file can be written."""
        for name, key in keys:
            self._trusted.setdefault(name, []).append(Entry("", key, "this session", 0))
            self._cache.pop(name, None)

    def judge(self, host: str, port: int, key: bytes, alias: str | None = None) -> Judgement:
        """Verdict on the key (or certificate) that `host` showed, after its signature was verified.

        host: the name that was connected to (HostName of the configuration). alias: HostKeyAlias, which replaces it.
        """
        names = [alias.lower()] if alias else [lookup_name(host, port)]
        if not alias and port not in (0, DEFAULT_PORT):
            names.append(host.lower())
        return self._judge(names, (alias or host).lower(), key)

    def judge_name(self, name: str, key: bytes) -> Judgement:
        """Verdict for a name as it stands in the file: `host` or `[host]:port`."""
        host = name[1:].partition("]")[0] if name.startswith("[") else name
        return self._judge(list(dict.fromkeys((name, host))), host, key)

    def _judge(self, names: Sequence[str], host: str, key: bytes) -> Judgement:
        revoked = self._judge_revoked(key) if self._revoked else None
        if revoked is not None:
            return revoked
        if is_certificate(key):
            judgement = self._judge_certificate(names, host, key)
            if judgement is not None:
                return judgement
            try:
                note = "its certificate is not trusted here"
                key = parse(key).plain_key
            except CertificateError as error:
                return Judgement(Verdict.UNKNOWN, None, f"its certificate is refused: {error}")
            judged = self._judge_plain(names, key)
            return Judgement(judged.verdict, judged.entry, judged.note or note)
        return self._judge_plain(names, key)

    def _judge_revoked(self, key: bytes) -> Judgement | None:
        """A verdict if RevokedHostKeys names the key, the one inside a certificate or its authority; else None."""
        keys = [key]
        if is_certificate(key):
            try:
                keys += [parse(key).plain_key, parse(key).authority]
            except CertificateError as error:
                return Judgement(Verdict.UNKNOWN, None, f"its certificate is refused: {error}")
        try:
            for file in self._revoked:
                for one in keys:
                    line = file.line_of(one)
                    if line is not None:
                        return Judgement(Verdict.REVOKED, Entry("revoked", one, file.path, line))
        except RevokedKeysError as error:
            return Judgement(Verdict.REVOKED, None, f"RevokedHostKeys cannot be used, so no key is believed: {error}")
        return None

    def _judge_plain(self, names: Sequence[str], key: bytes) -> Judgement:
        first = _judge_key(self.find(names[0]), key)
        if first.verdict is Verdict.UNKNOWN and len(names) > 1:
            second = _judge_key(self.find(names[1]), key)
            if second.verdict is Verdict.GOOD:
                return second
            if second.verdict is Verdict.REVOKED:
                return second
        return first

    def _judge_certificate(self, names: Sequence[str], host: str, blob: bytes) -> Judgement | None:
        """A verdict, or None: no authority of it is known for the host, so the plain key inside counts."""
        try:
            certificate = parse(blob)
        except CertificateError:
            return None
        for name in names:
            entries = self.find(name)
            for entry in entries:
                if entry.marker == "revoked" and entry.key in (certificate.authority, certificate.plain_key):
                    return Judgement(Verdict.REVOKED, entry)
            for entry in entries:
                if entry.marker == "cert-authority" and entry.key == certificate.authority:
                    try:
                        certificate.check_host(host)
                    except CertificateError:
                        return None
                    return Judgement(Verdict.GOOD, entry)
        return None

    def algorithms(self, host: str, port: int, alias: str | None = None) -> tuple[str, ...]:
        """Host key types to ask for: those already known for the host first, as OpenSSH orders them.

        Without this a host known by one type would show another, and look unknown.
        """
        name = alias.lower() if alias else lookup_name(host, port)
        entries = self.find(name)
        if not entries and not alias and port not in (0, DEFAULT_PORT):
            entries = self.find(host.lower())
        known: set[str] = set()
        for entry in entries:
            if entry.marker == "cert-authority":
                known.update(n for n in HOST_KEY_ALGORITHMS if n.endswith(CERT_SUFFIX))
            elif not entry.marker:
                known.update(_ALGORITHMS_OF.get(entry.key_type, (entry.key_type,)))
        first = [n for n in HOST_KEY_ALGORITHMS if n in known]
        return (*first, *(n for n in HOST_KEY_ALGORITHMS if n not in known))


_ALGORITHMS_OF = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}


def _judge_key(entries: Iterable[Entry], key: bytes) -> Judgement:
    """OpenSSH's rule: revoked beats all; an equal key is good; any other plain key of the host means changed."""
    result = Judgement(Verdict.UNKNOWN)
    key_type = wire.Reader(key).text()
    for entry in entries:
        if entry.marker == "revoked" and entry.key == key:
            return Judgement(Verdict.REVOKED, entry)
    for entry in entries:
        if entry.marker:
            continue
        if entry.key == key:
            return Judgement(Verdict.GOOD, entry)
        if result.entry is None or entry.key_type == key_type:
            result = Judgement(Verdict.CHANGED, entry)
    return result
