"""Host certificates of OpenSSH (PROTOCOL.certkeys): parsed and verified here, since paramiko does not.

A certificate is good for a host when its signature holds, it is of type "host", now lies in its validity, one of its
principals (if it has any) names the host, it has no critical option, and its authority signed with a strong algorithm.
Whether that authority is trusted for the host is decided by hostkeys.py.
"""

from __future__ import annotations

import fnmatch
import time
from dataclasses import dataclass
from functools import lru_cache

from paramiko import PKey
from paramiko.message import Message
from paramiko.pkey import UnknownKeyType
from paramiko.ssh_exception import SSHException

from . import wire

CERT_SUFFIX = "-cert-v01@openssh.com"
_HOST = 2
#: ssh_config's CASignatureAlgorithms as OpenSSH ships it (no SHA-1), as far as keys can be verified here.
CA_SIGNATURES = frozenset(
    ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512", "rsa-sha2-256")
)
#: Fields of the public key proper, between the nonce and the serial number.
_KEY_FIELDS = {
    "ssh-rsa": 2,
    "ssh-ed25519": 1,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
}


class CertificateError(ValueError):
    """The certificate does not hold for this host; the message says why."""


@dataclass(frozen=True, slots=True)
class HostCertificate:
    """The fields of a parsed certificate whose signature was verified."""

    plain_key: bytes
    kind: int
    key_id: bytes
    principals: tuple[str, ...]
    valid_after: int
    valid_before: int
    critical: bytes
    authority: bytes
    signature_type: str

    def check_host(self, name: str, now: float | None = None) -> None:
        """Raise CertificateError unless the certificate is good for host `name` at `now` (seconds since 1970)."""
        moment = time.time() if now is None else now
        if self.kind != _HOST:
            raise CertificateError("it is a user certificate, not a host certificate")
        if moment < self.valid_after:
            raise CertificateError("it is not valid yet")
        if moment >= self.valid_before:
            raise CertificateError("it has expired")
        # Principals of host certificates are names, not patterns: OpenSSH compares them as they are.
        if self.principals and name not in self.principals:
            raise CertificateError("no principal of it names this host")
        if self.critical:
            raise CertificateError("it has critical options that are not understood")
        if self.signature_type not in CA_SIGNATURES:
            raise CertificateError("its authority signed with an algorithm that is not accepted")


def is_certificate(blob: bytes) -> bool:
    """Whether a host key as sent by the server is a certificate."""
    try:
        return wire.Reader(blob).string().endswith(CERT_SUFFIX.encode())
    except wire.WireError:
        return False


@lru_cache(maxsize=256)
def parse(blob: bytes) -> HostCertificate:
    """Parse a certificate and verify the authority's signature. Raises CertificateError."""
    try:
        return _parse(blob)
    except (wire.WireError, SSHException, UnknownKeyType, ValueError, TypeError, IndexError) as error:
        if isinstance(error, CertificateError):
            raise
        raise CertificateError("it is malformed") from error


def _parse(blob: bytes) -> HostCertificate:
    reader = wire.Reader(blob)
    plain_type = reader.text().removesuffix(CERT_SUFFIX)
    fields = _KEY_FIELDS.get(plain_type)
    if fields is None:
        raise CertificateError("its key type is not known here")
    reader.string()  # nonce
    key = wire.string(plain_type) + b"".join(wire.string(reader.string()) for _ in range(fields))
    reader.u64()  # serial
    kind = reader.u32()
    key_id = reader.string()
    principals = _strings(reader.string())
    valid_after, valid_before = reader.u64(), reader.u64()
    critical = reader.string()
    reader.string()  # extensions
    reader.string()  # reserved
    authority = reader.string()
    signed = blob[: reader.position]
    signature = reader.string()
    if reader.rest:
        raise CertificateError("it has bytes behind its end")
    authority_type = wire.Reader(authority).text()
    if authority_type.endswith(CERT_SUFFIX):
        raise CertificateError("its authority is a certificate itself")
    if not PKey.from_type_string(authority_type, authority).verify_ssh_sig(signed, Message(signature)):
        raise CertificateError("its signature is wrong")
    return HostCertificate(
        plain_key=key,
        kind=kind,
        key_id=key_id,
        principals=principals,
        valid_after=valid_after,
        valid_before=valid_before,
        critical=critical,
        authority=authority,
        signature_type=wire.Reader(signature).text(),
    )


def _strings(data: bytes) -> tuple[str, ...]:
    reader = wire.Reader(data)
    found: list[str] = []
    while reader.rest:
        found.append(reader.text())
    return tuple(found)


def wildcard_regex(pattern: str) -> str:
    """OpenSSH's wildcards (`*` and `?` only, no brackets) as a regular expression for a whole name."""
    escaped = pattern.replace("[", "[[]")
    return fnmatch.translate(escaped)
