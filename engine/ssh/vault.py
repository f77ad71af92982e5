"""What was asked of a human and is used again: passwords by account, answers to prompts, passphrases by key file.

A password goes to one node first (the canary). Only after a server took it do the other nodes of the account get it;
when it is rejected, the nodes that waited fail without an attempt, so a typing error cannot lock an account on N nodes.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .secrets import Secret

Prompts = tuple[tuple[str, bool], ...]


class Trial(enum.Enum):
    """How far a secret was tried."""

    FRESH = 1
    TRYING = 2
    GOOD = 3


@dataclass(frozen=True, slots=True)
class Need:
    """Why a node is held back. kind: "host-key", "passphrase", "password", "prompts" or "canary" (wait for a node).

    subject: the key file, or the account; prompts: what the server asked.
    """

    kind: str
    subject: str
    prompts: Prompts = ()


@dataclass(slots=True)
class _Kept:
    secrets: tuple[Secret, ...]
    trial: Trial = Trial.FRESH
    canary: str = ""


@dataclass(slots=True)
class Verdict:
    """Answer to "may I send it now?": the secrets, or a need, or a refusal (a reason)."""

    secrets: tuple[Secret, ...] | None = None
    need: Need | None = None
    refusal: str | None = None


@dataclass(slots=True)
class Vault:
    """One per pool; the reactor's thread only. idle: seconds after which unused secrets are forgotten."""

    idle: float = 900.0
    can_ask: Callable[[], bool] = field(default=lambda: False)
    on_settled: Callable[[Need], None] = field(default=lambda _need: None)
    _kept: dict[tuple[str, Prompts], _Kept] = field(default_factory=dict)
    _declined: dict[tuple[str, Prompts], float] = field(default_factory=dict)
    _rejected: dict[tuple[str, Prompts], tuple[float, str]] = field(default_factory=dict)

    def put(self, account: str, secrets: tuple[Secret, ...], prompts: Prompts = ()) -> None:
        """A human answered (or the console knew beforehand)."""
        self._kept[account, prompts] = _Kept(secrets)
        self._rejected.pop((account, prompts), None)
        self._declined.pop((account, prompts), None)

    def decline(self, account: str, prompts: Prompts = ()) -> None:
        """A human would not answer: those that wait go on without."""
        self._declined[account, prompts] = time.monotonic()

    def ask_for(self, account: str, node: str, since: float, prompts: Prompts = ()) -> Verdict:
        """May `node`, wanted since `since` (monotonic seconds), send the account's secret now?"""
        self.forget_idle()
        key = (account, prompts)
        kept = self._kept.get(key)
        if kept is not None and not all(secret.known for secret in kept.secrets):
            del self._kept[key]
            kept = None
        if kept is None:
            rejected = self._rejected.get(key)
            if rejected is not None and since <= rejected[0]:
                return Verdict(refusal=f"not tried here, because {rejected[1]} rejected the same password")
            declined = self._declined.get(key)
            if declined is not None and since <= declined:
                return Verdict(refusal="no answer was given")
            if not self.can_ask():
                return Verdict(refusal="a password is wanted, and there is nobody to ask")
            return Verdict(need=Need("prompts" if prompts else "password", account, prompts))
        if kept.trial is Trial.TRYING and kept.canary != node:
            return Verdict(need=Need("canary", account, prompts))
        if kept.trial is Trial.FRESH:
            kept.trial, kept.canary = Trial.TRYING, node
        return Verdict(secrets=kept.secrets)

    def settle(self, account: str, node: str, accepted: bool | None, prompts: Prompts = ()) -> None:
        """A server answered; None: the canary was lost before it did, so another one may try."""
        key = (account, prompts)
        kept = self._kept.get(key)
        if kept is None or kept.trial is Trial.GOOD or kept.canary != node:
            return
        if accepted:
            kept.trial = Trial.GOOD
        elif accepted is None:
            kept.trial, kept.canary = Trial.FRESH, ""
        else:
            del self._kept[key]
            for secret in kept.secrets:
                secret.forget()
            self._rejected[key] = (time.monotonic(), node)
        self.on_settled(Need("canary", account, prompts))

    @property
    def holds_secrets(self) -> bool:
        """Whether there is anything to forget."""
        return bool(self._kept)

    def forget_idle(self) -> None:
        """Drop secrets that were not used for `idle` seconds."""
        limit = time.monotonic() - self.idle
        for key in [k for k, kept in self._kept.items() if all(s.born < limit for s in kept.secrets)]:
            for secret in self._kept.pop(key).secrets:
                secret.forget()

    def clear(self) -> None:
        """Forget everything."""
        for kept in self._kept.values():
            for secret in kept.secrets:
                secret.forget()
        self._kept.clear()
