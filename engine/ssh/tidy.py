"""Removing what a broken copy left on a node: over the connection that stands, or over the next one."""

from __future__ import annotations

from ..states import Failure
from . import wire
from .peer import Peer
from .sftp import REMOVE, SftpClient


class Tidy:
    """Begins by itself. What the server has answered for is forgotten, the rest waits for the next connection."""

    def __init__(self, peer: Peer, paths: set[bytes]) -> None:
        self._peer = peer
        self._paths = set(paths)
        self._client: SftpClient | None = None
        if peer.connection is not None:
            self._begin()
        else:
            peer.errands.append(self._begin)

    def _begin(self) -> None:
        self._client = SftpClient(self._peer, self._ready, self._broken)
        self._client.begin()

    def _ready(self) -> None:
        assert self._client is not None
        for path in list(self._paths):
            self._client.ask(REMOVE, lambda _kind, _fields, path=path: self._removed(path), wire.string(path))  # type: ignore[misc]

    def _removed(self, path: bytes) -> None:
        self._paths.discard(path)
        if not self._paths and self._client is not None:
            self._client.end()

    def _broken(self, _failure: Failure) -> None:
        self._peer.errands.append(self._begin)
