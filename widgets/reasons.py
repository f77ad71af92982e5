"""Reasons of failures, put so that what kind it was is read first. Pure; no screen."""

from __future__ import annotations

import re

from ..engine.states import without_name
from .cells import safe

#: FailureKind in words -> what stands in a narrow column.
_SHORT = {
    "dns": "no name",
    "refused": "refused",
    "unreachable": "no host",
    "no route": "no route",
    "connect timeout": "no answer",
    "banner": "no ssh",
    "key exchange": "no kex",
    "host key unknown": "new key",
    "host key changed": "BAD KEY",
    "host key revoked": "BAD KEY",
    "authentication": "no login",
    "channel refused": "refused",
    "connection lost": "lost",
    "out of descriptors": "no files",
    "copy": "copy",
    "configuration": "config",
}
#: The same where there is room; a kind that is not here is told by its own name.
_LONG = {
    "dns": "no address",
    "unreachable": "host unreachable",
    "connect timeout": "no answer",
    "banner": "no SSH answer",
    "authentication": "login refused",
    "configuration": "not configured",
}
#: Kinds whose reason says all of it.
_SELF_TOLD = {"", "command timeout", "copy", "connection lost"}
#: Reasons that begin like this say their kind first.
_KIND_FIRST = ("no ", "login ", "host key ")
_LIMIT = re.compile(r"within ([\d.]+ s)\b")
_ADDRESS = re.compile(r"\[[0-9a-fA-F:]+\](?::\d+)?|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+| port \d+)?\b")


def short_kind(kind: str) -> str:
    """A FailureKind in at most nine cells; "" for what has no short word."""
    return _SHORT.get(kind, "")


def heading(kind: str, reason: str, name: str) -> str:
    """What nodes that failed in the same way have in common: the kind, without names and addresses."""
    if kind in _SELF_TOLD:
        text = without_name(safe(reason), name).replace(name, "node")
        return _ADDRESS.sub("ADDRESS", text)
    limit = _LIMIT.search(reason)
    return _LONG.get(kind, kind) + (f" within {limit[1]}" if limit else "")


def told(kind: str, reason: str, name: str) -> str:
    """The reason of one node, kind first: `refused: 10.1.0.7:22 refused the connection`."""
    text = without_name(safe(reason), name)
    if kind in _SELF_TOLD or text.startswith(_KIND_FIRST):
        return text
    word = heading(kind, reason, name)
    return f"{word}: {text}" if text else word
