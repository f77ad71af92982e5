"""Whether the key that a node showed is the one that is known: refuses by raising, with the remedy in the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..states import Failure, FailureKind
from .auth import HeldBackError
from .failures import SshError
from .hostkeys import Verdict, fingerprint, lookup_name
from .questions import UnknownKey
from .vault import Need

if TYPE_CHECKING:
    from .attempt import Attempt
    from .peer import Peer


def check_host_key(peer: Peer, attempt: Attempt, kind: str, key: bytes, address: str) -> None:
    """Refuse by raising; unknown keys hold the node back. Nothing secret was sent before this returns."""
    config = peer.config
    known = peer.pool.known_hosts(config)
    judgement = known.judge(config.hostname, config.port, key, config.host_key_alias)
    if judgement.verdict is Verdict.GOOD:
        return
    shown = fingerprint(key)
    entry = judgement.entry
    if judgement.verdict is Verdict.REVOKED:
        where = f"{entry.path}:{entry.line}" if entry else "known_hosts"
        reason = f"{peer.label}: its host key {shown} is revoked in {where}: do not connect"
        raise SshError(FailureKind.HOST_KEY_REVOKED, reason)
    if judgement.verdict is Verdict.CHANGED and entry is not None:
        peer.pool.key_changed(config.node)
        old = fingerprint(entry.key)
        name = config.host_key_alias or lookup_name(config.hostname, config.port)
        reason = (
            f"{peer.label}: HOST KEY CHANGED: it shows {shown}, {entry.path}:{entry.line} has {old}; if the host "
            f"was reinstalled: ssh-keygen -f {entry.path} -R '{name}'"
        )
        raise SshError(FailureKind.HOST_KEY_CHANGED, reason)
    name = config.host_key_alias or lookup_name(config.hostname, config.port)
    peer.unknown_key = UnknownKey(config.node, name, address, kind, shown, key, judgement.note)
    # A file that cannot be read may hold another key of this host, or revoke this one: nobody is new then.
    if not known.problems and peer.pool.accepts_new(config, peer.unknown_key):
        return
    remarks = "; ".join(filter(None, (judgement.note, *known.problems)))
    note = f" ({remarks})" if remarks else ""
    reason = f"{peer.label}: host key {kind} {shown} is not known{note}: accept it, or add it to known_hosts"
    need = Need("host-key", name)
    attempt.need = need
    held = HeldBackError(need, reason)
    held.failure = Failure(FailureKind.HOST_KEY_UNKNOWN, reason)
    raise held
