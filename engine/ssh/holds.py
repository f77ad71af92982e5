"""Nodes that are held back until a human has answered: one question for a whole fleet, one question at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..reactor import Deadline
from ..states import Failure
from .config_values import HostConfig
from .keys import Identity, PassphraseError, load_identity
from .knownhosts_file import add_keys
from .peer import Peer, PeerState
from .questions import HostKeyQuestion, SecretQuestion, UnknownKey
from .secrets import Secret
from .vault import Need

if TYPE_CHECKING:
    from .pool import Pool

#: A question waits for more of its kind until nothing is being dialled, but not longer than this (seconds).
_GATHER = 3.0
_LOOK = 0.1
_PASSPHRASE_TRIES = 3


class Holds:
    """The pool's waiting room."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._held: dict[Peer, tuple[Need, Failure]] = {}
        self._open: HostKeyQuestion | SecretQuestion | None = None
        self._look: Deadline | None = None
        self._oldest = 0
        self._tries: dict[str, int] = {}

    def add(self, peer: Peer, need: Need, failure: Failure) -> None:
        """A peer waits. It fails at once where nobody may be asked."""
        settings = self._pool.settings
        if need.kind == "host-key" and (settings.ask is None or self._pool.host_key_policy(peer.config) != "ask"):
            peer.refuse(failure)
            return
        if need.kind != "canary" and settings.ask is None:
            peer.refuse(failure)
            return
        self._held[peer] = (need, failure)
        self._arm()

    def remove(self, peer: Peer) -> None:
        """Nobody wants it any more."""
        self._held.pop(peer, None)

    def close(self) -> None:
        """Ask nothing more."""
        self._held.clear()
        if self._look is not None:
            self._look.cancel()

    def settled(self, need: Need) -> None:
        """A canary is done: those that waited for it are dialled (the vault tells them what to do)."""
        for peer, (other, _failure) in list(self._held.items()):
            if other == need:
                self._release(peer)

    def _release(self, peer: Peer) -> None:
        self._held.pop(peer, None)
        if peer.state is PeerState.HELD:
            peer.begin()

    # -- asking

    def _arm(self) -> None:
        if self._look is None or not self._look.active:
            self._oldest = 0
            self._look = self._pool.reactor.call_later(_LOOK, self._ask)

    def _ask(self) -> None:
        self._oldest += 1
        waiting = [peer for peer, (need, _f) in self._held.items() if need.kind != "canary"]
        if self._open is not None or not waiting:
            return
        if self._pool.connecting_count and self._oldest * _LOOK < _GATHER:
            self._look = self._pool.reactor.call_later(_LOOK, self._ask)
            return
        ask = self._pool.settings.ask
        if ask is None:
            for peer in waiting:
                peer.refuse(self._held.pop(peer)[1])
            return
        first = self._held[waiting[0]][0]
        question = self._host_keys(waiting) if first.kind == "host-key" else self._secret(first, waiting)
        self._open = question
        ask(question)

    def _host_keys(self, waiting: Iterable[Peer]) -> HostKeyQuestion:
        peers = {p.unknown_key: p for p in waiting if self._held[p][0].kind == "host-key" and p.unknown_key is not None}

        def done(chosen: frozenset[UnknownKey]) -> None:
            self._open = None
            by_files: dict[HostConfig, list[UnknownKey]] = {}
            for key in chosen:
                if key in peers:
                    by_files.setdefault(peers[key].config, []).append(key)
            for config, keys in by_files.items():
                self.trust(config, keys)
            for key, peer in peers.items():
                held = self._held.get(peer)
                if held is None:
                    continue
                if key in chosen:
                    self._release(peer)
                else:
                    del self._held[peer]
                    peer.refuse(held[1])
            self._again()

        return HostKeyQuestion(self._pool.reactor, peers, done)

    def trust(self, config: HostConfig, keys: Iterable[UnknownKey]) -> None:
        """Take keys from now on, and write them down where the host's configuration keeps them."""
        known = self._pool.known_hosts(config)
        pairs = [(key.name, key.key) for key in keys]
        known.trust(pairs)
        if known.user_files:
            try:
                add_keys(known.user_files[0], pairs, hashed=True if config.hash_known_hosts else None)
            except OSError as error:
                self._pool.settings.notice(
                    f"host keys are trusted for this session only: {known.user_files[0]}: {error.strerror or error}"
                )

    def _secret(self, need: Need, waiting: Iterable[Peer]) -> SecretQuestion:
        peers = [peer for peer in waiting if self._held[peer][0] == need]
        nodes = tuple(peer.config.node for peer in peers)
        prompts = need.prompts
        if need.kind == "passphrase":
            prompts = ((f"Passphrase of {need.subject}: ", False),)
        elif need.kind == "password":
            prompts = ((f"Password of {need.subject}: ", False),)
        again = self._tries.get(need.subject, 0) > 0 and need.kind == "passphrase"

        def done(secrets: tuple[Secret, ...] | None) -> None:
            self._open = None
            if need.kind == "passphrase":
                self._passphrase(need, secrets)
                return
            if secrets is None:
                self._pool.vault.decline(need.subject, need.prompts)
            else:
                self._pool.vault.put(need.subject, secrets, need.prompts)
            self._resume(need)

        return SecretQuestion(self._pool.reactor, need.kind, need.subject, prompts, nodes, done, again=again)

    def _resume(self, need: Need) -> None:
        for peer, (other, _failure) in list(self._held.items()):
            if other == need:
                self._release(peer)
        self._again()

    def _again(self) -> None:
        if any(need.kind != "canary" for need, _failure in self._held.values()):
            self._arm()

    # -- passphrases

    def _passphrase(self, need: Need, secrets: tuple[Secret, ...] | None) -> None:
        path = need.subject
        if secrets is None:
            self._pool.vault.decline(f"key:{path}")
            self._resume(need)
            return
        text = secrets[0].reveal()

        def loaded(found: object, error: Exception | None) -> None:
            secrets[0].forget()
            tries = self._tries[path] = self._tries.get(path, 0) + 1
            if isinstance(error, PassphraseError) and tries < _PASSPHRASE_TRIES:
                self._again()
                return
            if isinstance(found, list):
                self._unlock(path, found)
                self._tries.pop(path, None)
            else:
                self._pool.vault.decline(f"key:{path}")
            self._resume(need)

        self._pool.load(lambda: load_identity(path, text), loaded)

    def _unlock(self, path: str, found: list[Identity]) -> None:
        sign = next((identity.sign for identity in found if identity.sign is not None), None)
        for plan in self._pool.plans():
            for identity in plan.identities:
                if identity.path == path:
                    identity.sign = sign
