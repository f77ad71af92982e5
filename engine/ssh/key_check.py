"""Whether the key that a node showed is the one that is known; the reasons for refusing it name the remedy."""

from __future__ import annotations

from ..states import FailureKind
from .config_values import HostConfig
from .failures import SshError
from .hostkeys import KnownHosts, Verdict, fingerprint, lookup_name
from .questions import UnknownKey


def check_host_key(
    label: str, config: HostConfig, known: KnownHosts, kind: str, key: bytes, address: str
) -> UnknownKey | None:
    """None: it is the known one. Raises SshError for a key that has changed or was revoked: nobody is asked then.

    label: the node's name and address; kind: the key's type; address: where it was shown.
    """
    judgement = known.judge(config.hostname, config.port, key, config.host_key_alias)
    if judgement.verdict is Verdict.GOOD:
        return None
    shown = fingerprint(key)
    entry = judgement.entry
    if judgement.verdict is Verdict.REVOKED:
        where = f"{entry.path}:{entry.line}" if entry else "known_hosts"
        why = judgement.note or f"its host key {shown} is revoked in {where}: do not connect"
        raise SshError(FailureKind.HOST_KEY_REVOKED, f"{label}: {why}")
    name = config.host_key_alias or lookup_name(config.hostname, config.port)
    if judgement.verdict is Verdict.CHANGED and entry is not None:
        old = fingerprint(entry.key)
        reason = (
            f"{label}: HOST KEY CHANGED: it shows {shown}, {entry.path}:{entry.line} has {old}; if the host "
            f"was reinstalled: ssh-keygen -f {entry.path} -R '{name}'"
        )
        raise SshError(FailureKind.HOST_KEY_CHANGED, reason)
    return UnknownKey(config.node, name, address, kind, shown, key, judgement.note)


def not_known(label: str, unknown: UnknownKey, known: KnownHosts) -> SshError:
    """Why an unknown key is refused as long as nobody accepts it."""
    remarks = "; ".join(filter(None, (unknown.note, *known.problems)))
    note = f" ({remarks})" if remarks else ""
    shown = f"{unknown.type} {unknown.fingerprint}"
    reason = f"{label}: host key {shown} is not known{note}: accept it, or add it to known_hosts"
    return SshError(FailureKind.HOST_KEY_UNKNOWN, reason)
