"""Where unknown host keys are looked up before they are trusted: a file, a program's output, or DNS (SSHFP).

Each source gives an `Evidence`: keys that it has for the host, and keys in whose place it has others. What it does not
speak of is in neither. All calls block, so they belong into a thread of the caller's.
"""

from __future__ import annotations

import concurrent.futures
import ctypes
import ctypes.util
import hashlib
import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import wire
from .hostkeys import KnownHosts, Verdict
from .questions import UnknownKey

#: Seconds for a program, and for all questions to DNS.
_PROGRAM_TIMEOUT = 15.0
_DNS_TIMEOUT = 15.0
_DNS_AT_ONCE = 16
_MAX_OUTPUT = 16 * 1024 * 1024
_SSHFP = 44
_SHA256 = 2
#: RFC 4255, 6594 and 7479: numbers of key types.
_TYPES = {"ssh-rsa": 1, "ssh-ed25519": 4}


class KeySourceError(ValueError):
    """A source cannot be used; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """source: its name, for a note beside the keys."""

    source: str
    confirmed: tuple[UnknownKey, ...]
    contradicted: tuple[UnknownKey, ...]


def look_up(source: str, keys: Sequence[UnknownKey]) -> Evidence:
    """Ask a source: a path, `!PROGRAM ARGUMENT...` (no shell) or `dns`. Raises KeySourceError."""
    text = source.strip()
    if text == "dns":
        return from_dns(keys)
    if text.startswith("!"):
        try:
            return from_program(shlex.split(text[1:]), keys)
        except ValueError as error:
            raise KeySourceError(f"{text!a}: {error}") from error
    return from_file(text, keys)


def from_file(path: str, keys: Sequence[UnknownKey]) -> Evidence:
    """Lines of known_hosts, hashed and @cert-authority ones, too. Raises KeySourceError."""
    full = os.path.expanduser(path)
    if not os.path.isfile(full):
        raise KeySourceError(f"{path!a} is not a file")
    known = KnownHosts((full,))
    judged = _judge(known, path, keys)
    if known.problems:
        raise KeySourceError("; ".join(known.problems))
    return judged


def from_program(command: Sequence[str], keys: Sequence[UnknownKey]) -> Evidence:
    """A program that prints lines of known_hosts (of a CMDB, say). Raises KeySourceError."""
    if not command:
        raise KeySourceError("no program is named")
    try:
        done = subprocess.run(
            list(command), stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROGRAM_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KeySourceError(f"{command[0]!a}: {getattr(error, 'strerror', None) or 'it took too long'}") from error
    if done.returncode:
        raise KeySourceError(f"{command[0]!a} ended with {done.returncode}")
    if len(done.stdout) > _MAX_OUTPUT:
        raise KeySourceError(f"{command[0]!a} printed more than {_MAX_OUTPUT >> 20} MiB")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "keys")
        file.write_bytes(done.stdout)
        return _judge(KnownHosts((str(file),)), command[0], keys)


def _judge(known: KnownHosts, source: str, keys: Sequence[UnknownKey]) -> Evidence:
    verdicts = {key: known.judge_name(key.name, key.key).verdict for key in keys}
    bad = (Verdict.CHANGED, Verdict.REVOKED)
    return Evidence(
        source,
        tuple(key for key, verdict in verdicts.items() if verdict is Verdict.GOOD),
        tuple(key for key, verdict in verdicts.items() if verdict in bad),
    )


# -- DNS


def from_dns(keys: Sequence[UnknownKey], query: Callable[[str], bytes | None] | None = None) -> Evidence:
    """SSHFP records, of which only those count that the resolver has verified (DNSSEC).

    query(name): the answer as it came over the wire, None if there is none. Raises KeySourceError.
    """
    ask = query or _system_query()
    names = sorted({_host(key) for key in keys})
    pool = concurrent.futures.ThreadPoolExecutor(_DNS_AT_ONCE, "sshfp")
    try:
        answers = dict(zip(names, pool.map(ask, names, timeout=_DNS_TIMEOUT), strict=True))
    except TimeoutError:
        raise KeySourceError("DNS took too long") from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    confirmed, contradicted = [], []
    for key in keys:
        kind = wire.Reader(key.key).text()
        number = 3 if kind.startswith("ecdsa-") else _TYPES.get(kind)
        prints = {digest for type_, digest in records(answers[_host(key)] or b"") if type_ == number}
        if hashlib.sha256(key.key).digest() in prints:
            confirmed.append(key)
        elif prints:
            contradicted.append(key)
    return Evidence("dns", tuple(confirmed), tuple(contradicted))


def _host(key: UnknownKey) -> str:
    name = key.name
    return name[1:].partition("]")[0] if name.startswith("[") else name


def records(answer: bytes) -> list[tuple[int, bytes]]:
    """(key type, SHA256) of the SSHFP records of a verified answer (RFC 1035); empty for any other."""
    try:
        return list(_records(answer))
    except wire.WireError:
        return []


def _records(answer: bytes) -> Iterator[tuple[int, bytes]]:
    fields = wire.Reader(answer, 2)
    flags = int.from_bytes(fields.take(2), "big")
    questions, count = (int.from_bytes(fields.take(2), "big") for _ in range(2))
    fields.take(4)
    # A reply (QR), without an error (RCODE), verified (AD).
    if not flags & 0x8000 or flags & 0x000F or not flags & 0x0020:
        return
    for _ in range(questions):
        _skip_name(fields)
        fields.take(4)
    for _ in range(count):
        _skip_name(fields)
        kind = int.from_bytes(fields.take(2), "big")
        fields.take(6)
        data = fields.take(int.from_bytes(fields.take(2), "big"))
        if kind == _SSHFP and len(data) == 34 and data[1] == _SHA256:
            yield data[0], data[2:]


def _skip_name(fields: wire.Reader) -> None:
    while True:
        size = fields.u8()
        if size >= 0xC0:
            fields.take(1)
            return
        if not size:
            return
        fields.take(size)


def _system_query() -> Callable[[str], bytes | None]:
    """The C library's resolver, which follows the system's resolv.conf. Raises KeySourceError."""
    for library in (None, ctypes.util.find_library("resolv")):
        loaded = ctypes.CDLL(library)
        for name in ("res_query", "__res_query", "res_9_query"):
            function = getattr(loaded, name, None)
            if function is not None:
                return lambda host, function=function: _query(function, host)  # type: ignore[misc]
    raise KeySourceError("this system's resolver cannot be asked for SSHFP records")


def _query(function: Callable[..., int], host: str) -> bytes | None:
    buffer = ctypes.create_string_buffer(65536)
    try:
        name = host.encode("idna")
    except UnicodeError:
        return None
    size = function(name, 1, _SSHFP, buffer, len(buffer))
    return buffer.raw[:size] if 0 < size <= len(buffer) else None
