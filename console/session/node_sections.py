"""`[[nodes]]` sections of the settings: which nodes have a user, a port, a worker or limits of their own.

A node belongs to the first section that matches it. What concerns the connection is handed to SSH the way SSH knows
it, as a configuration file that includes the operator's own; so it holds for the paramiko worker and for ssh itself.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ClusterShell.NodeSet import NodeSet

from ...engine.names import check_node, check_user
from ..runs.digest import blake2b
from ..settings import paths
from ..settings.settings import NodeSection, SettingsError

#: Keys that become lines of an ssh_config, with the keyword.
_SSH_KEYWORDS = {
    "user": "User",
    "port": "Port",
    "proxy_jump": "ProxyJump",
    "connect_timeout": "ConnectTimeout",
    "agent_forwarding": "ForwardAgent",
    "host_keys": "StrictHostKeyChecking",
}
_CHECKING = {"ask": "ask", "refuse": "yes", "accept-new": "accept-new"}
_JUMP = re.compile(r"(?:none|[A-Za-z0-9._@:\[\]-]+(?:,[A-Za-z0-9._@:\[\]-]+)*)\Z", re.ASCII)

#: Seconds after which a file of sections that no session has taken up is removed.
_UNUSED = 30 * 86400.0

#: Nodes of a run that are handled alike: what their section sets, and their names.
Part = tuple[dict[str, Any], tuple[str, ...]]


class NodeSections:
    """The sections of the settings. The console thread only: a `match` may ask a group program.

    resolve: makes a node set of an expression. Raises SettingsError for what cannot be.
    """

    def __init__(self, sections: Sequence[NodeSection], resolve: Callable[[str], NodeSet]) -> None:
        self._sections = sections
        self._resolve = resolve
        self._matched: list[tuple[NodeSet, dict[str, Any]]] | None = None
        self._files: dict[str, Path] = {}

    def parts(self, names: Sequence[str]) -> tuple[Part, ...]:
        """The nodes by section, in order; () when no section concerns them."""
        matched = self._match()
        if not matched:
            return ()
        found: dict[int, list[str]] = {}
        for name in names:
            index = next((n for n, (nodes, _) in enumerate(matched) if name in nodes), -1)
            found.setdefault(index, []).append(name)
        if set(found) == {-1}:
            return ()
        return tuple((matched[n][1] if n >= 0 else {}, tuple(members)) for n, members in sorted(found.items()))

    def section_of(self, name: str) -> NodeSection | None:
        """The section that a node belongs to."""
        matched = zip(self._sections, self._match(), strict=True)
        return next((section for section, (nodes, _) in matched if name in nodes), None)

    def ssh_config(self, own: str) -> str | None:
        """Path of a configuration with the sections before the operator's `own`; None where none concerns SSH."""
        matched = [(nodes, values) for nodes, values in self._match() if set(values) & set(_SSH_KEYWORDS)]
        if not matched:
            return None
        file = self._files.get(own)
        if file is None or not file.exists():
            file = self._files[own] = _stored(config_text(matched, own))
        return str(file)

    def _match(self) -> list[tuple[NodeSet, dict[str, Any]]]:
        if self._matched is None:
            self._matched = [(self._nodes(section), _checked(section)) for section in self._sections]
        return self._matched

    def _nodes(self, section: NodeSection) -> NodeSet:
        try:
            return self._resolve(section.match)
        except ValueError as error:
            raise SettingsError(f"{section.source}: [[nodes]] {section.match!r}: {error}") from None


def _stored(text: str) -> Path:
    """A file that holds a text, named after it: sessions with other sections, and such on other hosts, have their own.

    It stays behind, as others may be using it, and goes when nobody has taken it up for a long time. Raises OSError.
    """
    folder = paths.state_dir()
    file = folder / f"nodes-{blake2b(text.encode(), digest_size=8).hexdigest()}.ssh_config"
    paths.write_private(file, text)
    for other in folder.glob("nodes*.ssh_config"):
        with contextlib.suppress(OSError):
            if time.time() - other.stat().st_mtime > _UNUSED:
                other.unlink()
    return file


def _checked(section: NodeSection) -> dict[str, Any]:
    values = dict(section.values)
    where = f"{section.source}: [[nodes]] {section.match!r}"
    try:
        if "user" in values:
            check_user(values["user"])
    except ValueError as error:
        raise SettingsError(f"{where}: {error}") from None
    if not 0 < values.get("port", 22) < 65536:
        raise SettingsError(f"{where}: port {values['port']} is not between 1 and 65535")
    if not _JUMP.match(values.get("proxy_jump", "none")):
        raise SettingsError(f"{where}: proxy_jump {values['proxy_jump']!r} is no list of hosts")
    if values.get("host_keys", "ask") not in _CHECKING:
        raise SettingsError(f"{where}: host_keys must be one of {', '.join(_CHECKING)}")
    return values


def config_text(matched: Sequence[tuple[NodeSet, dict[str, Any]]], own: str) -> str:
    """The configuration file; every name in it has passed the border check, so no line can be more than it is."""
    lines = ["# Made by clusterdeck from the [[nodes]] sections of its settings; changes are lost."]
    taken = NodeSet()
    for nodes, values in matched:
        names = [check_node(name) for name in nodes - taken]
        taken.update(nodes)
        if not names:
            continue
        lines.append(f"Host {' '.join(names)}")
        lines += [f"    {keyword} {value}" for keyword, value in ssh_words(values).items()]
    lines += ["Host *"]
    if own != "none":
        lines += [f'Include "{os.path.expanduser(own)}"', 'Include "/etc/ssh/ssh_config"']
    return "\n".join(lines) + "\n"


def ssh_words(values: Mapping[str, Any]) -> dict[str, str]:
    """What a section sets that is SSH's matter: keyword -> value, in the words of ssh_config."""
    return {keyword: _as_ssh(key, values[key]) for key, keyword in _SSH_KEYWORDS.items() if key in values}


def _as_ssh(key: str, value: Any) -> str:
    if key == "host_keys":
        return _CHECKING[value]
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(max(1, round(value))) if key == "connect_timeout" else str(value)
