"""The lines that a server says before key exchange: whatever it likes, then its version (RFC 4253 section 4.2)."""

from __future__ import annotations

from ..states import FailureKind
from .codec import Codec
from .failures import SshError, quote
from .wire import WireError

#: A server may talk before its version; this much is listened to.
_LINES = 50
_LINE = 2048


class Greeting:
    """Reads until the version is there. `label` is the node's name and address for reasons."""

    __slots__ = ("_label", "_lines")

    def __init__(self, label: str) -> None:
        self._label = label
        self._lines: list[str] = []

    @property
    def said(self) -> str:
        """What came so far and is no version, made harmless; empty once the version was read."""
        return " ".join(self._lines)

    def read(self, codec: Codec) -> str:
        """The server's version, or nothing while it has not come. Raises WireError, SshError."""
        while (line := codec.read_line(_LINE)) is not None:
            if line.startswith(b"SSH-"):
                return self._version(line)
            self._lines.append(quote(line))
            if len(self._lines) > _LINES:
                raise WireError("the server talks but does not say its version")
        return ""

    def _version(self, line: bytes) -> str:
        version = line.decode("ascii", "replace")
        if not version.startswith(("SSH-2.0-", "SSH-1.99-")):
            raise SshError(FailureKind.BANNER, f"{self._label}: the server speaks {quote(line)}, not SSH 2.0")
        self._lines.clear()
        return version
