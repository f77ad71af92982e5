"""Removing what broken copies left on a node: over the connection that stands, or over the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..states import Failure
from . import wire
from .sftp import REMOVE, SftpClient

if TYPE_CHECKING:
    from .peer import Peer


class Tidy:
    """Removes `Peer.leftovers`. What the server has answered for is forgotten, the rest waits for another time."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._left = 0
        self._client = SftpClient(peer, self._ready, self._broken)
        self._client.begin()

    def _ready(self) -> None:
        doomed = list(self._peer.leftovers)
        self._left = len(doomed)
        for path in doomed:
            self._client.ask(REMOVE, lambda _kind, _fields, path=path: self._removed(path), wire.string(path))  # type: ignore[misc]
        if not doomed:
            self._end()

    def _removed(self, path: bytes) -> None:
        self._peer.leftovers.discard(path)
        self._left -= 1
        if not self._left:
            self._end()

    def _end(self) -> None:
        self._client.end()
        self._peer.tidied()

    def _broken(self, _failure: Failure) -> None:
        self._peer.tidied(broken=True)
