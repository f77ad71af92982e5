"""Questions for a human, asked by callback and answered whenever: no thread waits for one.

A question is made in the reactor's thread; `accept`, `refuse` and `answer` may be called from any thread, the first
call counts, and the nodes that were held back for it are dialled again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..reactor import Reactor
from .secrets import Secret


@dataclass(frozen=True, slots=True)
class UnknownKey:
    """A host key that no known_hosts file has: `node` as the operator names it, `name` as the file would."""

    node: str
    name: str
    address: str
    type: str
    fingerprint: str
    key: bytes
    note: str = ""


class _Question:
    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._settled = False

    @property
    def settled(self) -> bool:
        """Whether it was answered (by anybody)."""
        return self._settled

    def _settle(self, callback: Callable[[], None]) -> None:
        def once() -> None:
            if not self._settled:
                self._settled = True
                callback()

        self._reactor.call_soon_threadsafe(once)


class HostKeyQuestion(_Question):
    """Unknown keys of all nodes that showed one, in one question."""

    kind = "host-keys"

    def __init__(
        self, reactor: Reactor, keys: Iterable[UnknownKey], done: Callable[[frozenset[UnknownKey]], None]
    ) -> None:
        super().__init__(reactor)
        self.keys = tuple(keys)
        self._done = done

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that are held back."""
        return tuple(key.node for key in self.keys)

    def accept(self, keys: Iterable[UnknownKey] | None = None) -> None:
        """Trust these keys (None: all of them), write them to known_hosts and go on; the others are refused."""
        chosen = frozenset(self.keys if keys is None else keys) & frozenset(self.keys)
        self._settle(lambda: self._done(chosen))

    def refuse(self) -> None:
        """Trust none: the nodes end as unreachable."""
        self._settle(lambda: self._done(frozenset()))


class SecretQuestion(_Question):
    """A passphrase, a password or the answers to a server's prompts.

    kind: "passphrase", "password" or "prompts". subject: the key file, or the account. prompts: clean texts and
    whether an answer may be seen while it is typed. nodes: those that wait for it. again: the last answer was wrong.
    """

    def __init__(
        self,
        reactor: Reactor,
        kind: str,
        subject: str,
        prompts: tuple[tuple[str, bool], ...],
        nodes: tuple[str, ...],
        done: Callable[[tuple[Secret, ...] | None], None],
        *,
        again: bool = False,
    ) -> None:
        super().__init__(reactor)
        self.kind = kind
        self.subject = subject
        self.prompts = prompts
        self.nodes = nodes
        self.again = again
        self._done = done

    def answer(self, *secrets: Secret | str) -> None:
        """One answer for each prompt. Raises ValueError for another number of them."""
        if len(secrets) != len(self.prompts):
            raise ValueError(f"{len(self.prompts)} answers are wanted, {len(secrets)} were given")
        wrapped = tuple(s if isinstance(s, Secret) else Secret(s) for s in secrets)
        self._settle(lambda: self._done(wrapped))

    def refuse(self) -> None:
        """Go on without: other ways of logging in are tried, or the nodes fail."""
        self._settle(lambda: self._done(None))


#: What the console gives: called in the reactor's thread, must return at once.
Ask = Callable[[HostKeyQuestion | SecretQuestion], None]
