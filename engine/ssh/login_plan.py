"""What is offered to a server, in which order: keys of files and of the agent, and certificates for either."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from . import wire
from .keys import AgentError, Identity, KeyFileError, agent_identities, load_certificate, load_identity, load_public


@dataclass(slots=True)
class Plan:
    """What will be offered, in order; notes say what could not be used."""

    identities: list[Identity] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def make_plan(files: tuple[str, ...], certificates: tuple[str, ...], agent: str | None, identities_only: bool) -> Plan:
    """Read the files and ask the agent, once for all nodes with the same settings. Blocks; raises nothing.

    OpenSSH's order: the agent's copies of configured keys, its other keys unless `identities_only`, then files.
    """
    plan = Plan()
    offered: list[Identity] = []
    if agent is not None:
        try:
            offered = agent_identities(agent)
        except (AgentError, wire.WireError) as error:
            plan.notes.append(str(error))
    held = {identity.blob: identity for identity in offered}
    configured: list[Identity] = []
    for path in files:
        configured += _of_file(path, held, plan.notes)
    for path in certificates:
        certified = _certified(path, [*configured, *offered], plan.notes)
        if certified is not None:
            configured.insert(0, certified)
    blobs = {identity.blob for identity in configured}
    plan.identities = [identity for identity in offered if identity.blob in blobs]
    if not identities_only:
        plan.identities += [identity for identity in offered if identity.blob not in blobs]
    known = {identity.blob for identity in plan.identities}
    plan.identities += [identity for identity in configured if identity.blob not in known]
    return plan


def _of_file(path: str, held: dict[bytes, Identity], notes: list[str]) -> list[Identity]:
    """The identities of one IdentityFile, the certificate beside it first. held: what the agent has."""
    problem = ""
    try:
        if os.path.exists(path):
            found = load_identity(path)
            owner = held.get(found[-1].blob)
            for identity in found:
                if identity.sign is None and owner is not None:  # no passphrase is wanted then
                    identity.sign, identity.slow = owner.sign, owner.slow
            return found
    except KeyFileError as error:
        problem = str(error)
    # Only the public half may be here, for a private one that the agent holds, or hardware behind it.
    public = (load_public(path) if problem else None) or load_public(f"{path}.pub")
    owner = held.get(public) if public is not None else None
    if owner is None:
        if problem or public is not None:
            notes.append(problem or f"{path}: only its public half is here, and the agent does not hold it")
        return []
    certificate = load_certificate(f"{path}-cert.pub")
    return [owner] if certificate is None else [_with(certificate, f"{path}-cert.pub", owner), owner]


def _certified(path: str, identities: Iterable[Identity], notes: list[str]) -> Identity | None:
    """A CertificateFile, signed for by the key whose public half it holds; one that is open goes first."""
    certificate = load_certificate(path)
    if certificate is None:
        notes.append(f"{path}: no certificate there")
        return None
    for identity in sorted(identities, key=lambda one: one.sign is None):
        with contextlib.suppress(wire.WireError):
            plain = wire.Reader(identity.blob)
            plain.string()
            if plain.rest and plain.rest in certificate:
                return _with(certificate, path, identity)
    notes.append(f"{path}: the key of this certificate is not here")
    return None


def _with(certificate: bytes, source: str, key: Identity) -> Identity:
    return Identity(certificate, source, key.sign, key.path, key.slow)
