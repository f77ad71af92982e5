"""Private keys: files (read once, a passphrase asked for once), certificates beside them, and the agent's keys.

An `Identity` is what the server sees (the public half or a certificate) plus a way to sign. Reading files and talking
to the agent happens in background threads: an RSA key takes a quarter of a second, an agent may ask its owner.
"""

from __future__ import annotations

import base64
import binascii
import os
import socket
import stat
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from . import wire
from .hostcerts import CERT_SUFFIX

PrivateKey = ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
#: Larger files are no key files.
_MAX_KEY_FILE = 256 * 1024
_AGENT_TIMEOUT = 60.0
#: Seconds for the list of its keys, for which no agent asks its owner: one that is stuck must not hold up all nodes.
_LIST_TIMEOUT = 3.0
_AGENT_MESSAGE = 256 * 1024
_ECDSA_HASHES: dict[str, hashes.HashAlgorithm] = {
    "ecdsa-sha2-nistp256": hashes.SHA256(),
    "ecdsa-sha2-nistp384": hashes.SHA384(),
    "ecdsa-sha2-nistp521": hashes.SHA512(),
}
_RSA_HASHES: dict[str, hashes.HashAlgorithm] = {"rsa-sha2-256": hashes.SHA256(), "rsa-sha2-512": hashes.SHA512()}
_AGENT_FLAGS = {"rsa-sha2-256": 2, "rsa-sha2-512": 4}


class KeyFileError(Exception):
    """A key file cannot be used; the message names it."""


class PassphraseError(KeyFileError):
    """The key is encrypted, and the passphrase is missing or wrong."""


@dataclass(slots=True, eq=False)
class Identity:
    """One thing to offer to a server.

    blob: public key or certificate. source: file, or "agent". sign(data, algorithm) gives the signature blob, or is
    None while the passphrase of `path` is missing. slow: signing may block (the agent): done in the background.
    """

    blob: bytes
    source: str
    sign: Callable[[bytes, str], bytes] | None = field(repr=False, default=None)
    path: str | None = None
    slow: bool = False

    @property
    def type(self) -> str:
        """Type word, of the certificate if it is one."""
        return wire.Reader(self.blob).text()


def agent_path(setting: str | None, environment: dict[str, str] | None = None) -> str | None:
    """Socket of the agent from IdentityAgent ("none" switches it off) or SSH_AUTH_SOCK."""
    variables = os.environ if environment is None else environment
    if setting is None or setting == "SSH_AUTH_SOCK":
        return variables.get("SSH_AUTH_SOCK") or None
    if setting == "none":
        return None
    if setting.startswith("$"):
        return variables.get(setting[1:].strip("{}")) or None
    return os.path.expanduser(setting)


# -- files


def load_identity(path: str, passphrase: str | None = None) -> list[Identity]:
    """The identities of a key file: certificate (`path-cert.pub`) first if there is one, then the plain key.

    An encrypted key without a passphrase gives identities that cannot sign yet. Raises KeyFileError, PassphraseError
    for a wrong passphrase.
    """
    data = _read(path)
    private: PrivateKey | None = None
    try:
        private = _decode(data, path, passphrase)
        public = public_blob(private)
    except PassphraseError:
        if passphrase is not None:
            raise
        public = _public_half(data, path)
    sign = None if private is None else Signer(private)
    found = [Identity(public, path, sign, path)]
    certificate = load_certificate(f"{path}-cert.pub")
    if certificate is not None:
        found.insert(0, Identity(certificate, f"{path}-cert.pub", sign, path))
    return found


def load_certificate(path: str) -> bytes | None:
    """The certificate in a file, or None if there is none."""
    try:
        words = _read(path).split(None, 2)
    except KeyFileError:
        return None
    try:
        blob = base64.b64decode(words[1], validate=True)
        return blob if wire.Reader(blob).text().endswith(CERT_SUFFIX) else None
    except (IndexError, binascii.Error, wire.WireError):
        return None


def load_public(path: str) -> bytes | None:
    """The key in a file that holds a public half, or None."""
    try:
        kind, blob = _read(path).split()[:2]
        key = base64.b64decode(blob, validate=True)
        return key if wire.Reader(key).string() == kind else None
    except (KeyFileError, ValueError):
        return None


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise KeyFileError(f"{path} is not a file")
            data = file.read(_MAX_KEY_FILE + 1)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from error
    if len(data) > _MAX_KEY_FILE:
        raise KeyFileError(f"{path} is too large for a key")
    return data


def _decode(data: bytes, path: str, passphrase: str | None) -> PrivateKey:
    secret = None if passphrase is None else passphrase.encode()
    try:
        if b"BEGIN OPENSSH" in data:
            key: object = serialization.load_ssh_private_key(data, secret)
        else:
            key = serialization.load_pem_private_key(data, secret)
    except TypeError as error:
        if passphrase is not None and "not encrypted" in str(error):
            return _decode(data, path, None)
        raise PassphraseError(f"{path} needs a passphrase") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        if passphrase is not None:
            raise PassphraseError(f"{path}: wrong passphrase") from error
        if b"ENCRYPTED" in data:
            raise PassphraseError(f"{path} needs a passphrase") from error
        raise KeyFileError(f"{path} is not a private key that can be used here") from error
    if not isinstance(key, ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise KeyFileError(f"{path}: keys of this type are not supported; use the ssh worker for it")
    return key


def _public_half(data: bytes, path: str) -> bytes:
    """The public key of an encrypted private one: from the file itself (OpenSSH keeps it in clear), else `path.pub`."""
    if b"BEGIN OPENSSH" in data:
        body = b"".join(line for line in data.splitlines() if not line.startswith(b"-----"))
        try:
            reader = wire.Reader(base64.b64decode(body), len(b"openssh-key-v1\0"))
            for _ in range(3):
                reader.string()
            reader.u32()
            return reader.string()
        except (binascii.Error, wire.WireError) as error:
            raise KeyFileError(f"{path} is damaged") from error
    try:
        return base64.b64decode(_read(f"{path}.pub").split()[1], validate=True)
    except (IndexError, binascii.Error) as error:
        raise KeyFileError(f"{path}.pub is damaged") from error


def public_blob(key: PrivateKey) -> bytes:
    """Public half of a private key as SSH writes it."""
    text = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return base64.b64decode(text.split()[1])


class Signer:
    """Signs with a key in memory; its repr shows nothing of it."""

    __slots__ = ("_key",)

    def __init__(self, key: PrivateKey) -> None:
        self._key = key

    def __call__(self, data: bytes, algorithm: str) -> bytes:
        """Signature blob of `data` by `algorithm` (a plain one, without the suffix of certificates)."""
        key = self._key
        if isinstance(key, ed25519.Ed25519PrivateKey):
            signature = key.sign(data)
        elif isinstance(key, rsa.RSAPrivateKey):
            signature = key.sign(data, padding.PKCS1v15(), _RSA_HASHES[algorithm])
        else:
            r, s = decode_dss_signature(key.sign(data, ec.ECDSA(_ECDSA_HASHES[algorithm])))
            signature = _mpint(r) + _mpint(s)
        return wire.string(algorithm) + wire.string(signature)

    def __repr__(self) -> str:
        return "<Signer ***>"


def _mpint(number: int) -> bytes:
    return wire.string(number.to_bytes(number.bit_length() // 8 + 1, "big"))


# -- the agent (draft-miller-ssh-agent)


class AgentError(Exception):
    """The agent does not answer, or refused to sign."""


def agent_identities(path: str) -> list[Identity]:
    """The keys that the agent at socket `path` offers. Blocks. Raises AgentError."""
    kind, reader = _agent_call(path, b"\x0b", _LIST_TIMEOUT)
    if kind != 12:
        raise AgentError("the agent does not list its keys")
    found = []
    for _ in range(min(reader.u32(), 1000)):
        blob = reader.string()
        reader.string()
        found.append(Identity(blob, "agent", AgentSigner(path, blob), None, True))
    return found


class AgentSigner:
    """Asks the agent for a signature; blocks while the agent asks its owner."""

    __slots__ = ("_blob", "_path")

    def __init__(self, path: str, blob: bytes) -> None:
        self._path = path
        self._blob = blob

    def __call__(self, data: bytes, algorithm: str) -> bytes:
        """Signature blob. Raises AgentError."""
        flags = _AGENT_FLAGS.get(algorithm, 0)
        message = b"\x0d" + wire.string(self._blob) + wire.string(data) + wire.u32(flags)
        kind, reader = _agent_call(self._path, message)
        if kind != 14:
            raise AgentError("the agent refused to sign")
        return reader.string()


def _agent_call(path: str, message: bytes, timeout: float = _AGENT_TIMEOUT) -> tuple[int, wire.Reader]:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
            agent.settimeout(timeout)
            agent.connect(path)
            agent.sendall(wire.string(message))
            size = int.from_bytes(_exactly(agent, 4), "big")
            if not 1 <= size <= _AGENT_MESSAGE:
                raise AgentError("the agent's answer makes no sense")
            reply = _exactly(agent, size)
    except OSError as error:
        raise AgentError(f"the agent at {path} does not answer ({error})") from error
    return reply[0], wire.Reader(reply, 1)


def _exactly(agent: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = agent.recv(count - len(data))
        if not piece:
            raise AgentError("the agent hung up")
        data += piece
    return data
