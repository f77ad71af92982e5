"""What counts for one node, and where it comes from: the settings, their `[[nodes]]` sections and ssh_config."""

from __future__ import annotations

import os
from collections.abc import Callable

from ClusterShell.NodeSet import NodeSet

from ...engine.names import check_node
from ...engine.ssh.config import ConfigError, SshConfig
from ..settings.settings import NODE_KEYS, NodeSection, Settings, SettingsError, as_toml
from .launch import ssh_overrides
from .node_sections import NodeSections, ssh_words

#: Settings that count for every node.
_SETTINGS = ("user", "connect_timeout", "timeout", "worker", "fanout", "sudo")
#: The same said twice: in ssh_config, which counts unless it says 0, and in the settings.
_KEEPALIVE = ("serveraliveinterval", "ssh.keepalive")
DEFAULT = "default"

#: Name of a setting (with a dot) or keyword of ssh_config, value, where it was set.
Row = tuple[str, str, str]


class NodeSettings:
    """Explains nodes; the files of SSH are read once. The console thread only: a `match` may ask a group program.

    resolve: makes a node set of an expression.
    """

    def __init__(self, settings: Settings, resolve: Callable[[str], NodeSet]) -> None:
        self._settings = settings
        self._sections = NodeSections(settings.nodes, resolve)
        self._read: dict[NodeSection | None, SshConfig] = {}
        #: What the files of SSH hold that does not count.
        self.warnings: list[str] = []

    def explain(self, node: str) -> list[Row]:
        """What counts for a node: what was set first, then the defaults.

        Raises SettingsError, and ValueError for what cannot be a node's name.
        """
        check_node(node)
        section = self._sections.section_of(node)
        rows = [self._setting(name, section) for name in _SETTINGS] + self._ssh(node, section)
        # How long connecting may take is said by run.connect_timeout; where nobody has set it, by ssh_config.
        where = {name: place for name, _value, place in rows}
        theirs = where["run.connect_timeout"] == DEFAULT and where["connecttimeout"] != DEFAULT
        rows = [row for row in rows if row[0] != ("run.connect_timeout" if theirs else "connecttimeout")]
        theirs = any(name == _KEEPALIVE[0] and value not in ("", "0") for name, value, _place in rows)
        if not theirs:
            rows.append((_KEEPALIVE[1], as_toml(self._settings.ssh.keepalive), self._settings.source(_KEEPALIVE[1])))
            rows = [row for row in rows if row[0] != _KEEPALIVE[0]]
        return sorted(rows, key=lambda row: row[2] == DEFAULT)

    def _setting(self, name: str, section: NodeSection | None) -> Row:
        values = dict(section.values) if section is not None else {}
        if section is not None and name in NODE_KEYS and name in values:
            return f"run.{name}", as_toml(values[name]), _place(section)
        return f"run.{name}", as_toml(self._settings.get(f"run.{name}")), self._settings.source(f"run.{name}")

    def _ssh(self, node: str, section: NodeSection | None) -> list[Row]:
        places = self._places(section)
        try:
            config = self._config(section)
            found = config.explain(node)
        except ConfigError as error:
            raise SettingsError(str(error)) from error
        self.warnings += [text for text in config.warnings if text not in self.warnings]
        return [
            (key, value, places.get(key, where) if where == "command line" else where) for key, value, where in found
        ]

    def _words(self, section: NodeSection | None) -> list[tuple[str, str, str]]:
        """Keywords that go before those of any file: (keyword, value, where it is from); later ones win."""
        settings = self._settings
        words: list[tuple[str, str, str]] = []
        if settings.run.user:
            words.append(("User", settings.run.user, f"run.user: {settings.source('run.user')}"))
        if settings.source("ssh.host_keys") != DEFAULT:
            checking = ssh_words({"host_keys": settings.ssh.host_keys})
            words += [(*item, f"ssh.host_keys: {settings.source('ssh.host_keys')}") for item in checking.items()]
        if section is not None:
            words += [(*item, _place(section)) for item in ssh_words(dict(section.values)).items()]
        words += [(*item, "settings: ssh.*") for item in ssh_overrides(settings.ssh).items()]
        return words

    def _places(self, section: NodeSection | None) -> dict[str, str]:
        return {keyword.lower(): where for keyword, _, where in self._words(section)}

    def _config(self, section: NodeSection | None) -> SshConfig:
        if section not in self._read:
            settings = self._settings
            path = os.path.expanduser(settings.ssh.config) if settings.source("ssh.config") != DEFAULT else None
            overrides = {keyword: value for keyword, value, _ in self._words(section)}
            self._read[section] = SshConfig(path, overrides=overrides)
        return self._read[section]


def _place(section: NodeSection) -> str:
    return f"{section.source}: [[nodes]] {section.match!r}"
