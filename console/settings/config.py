"""Where settings come from: flag > run mode > environment > project > user > system > clush.conf > default.

| layer       | source                                                              |
|-------------|---------------------------------------------------------------------|
| flag        | options of the command line                                         |
| run mode    | `-m MODE` of the command line: a `[mode:...]` section of clush.conf |
| environment | `CLUSTERDECK_<SECTION>_<KEY>`, such as CLUSTERDECK_RUN_FANOUT       |
| project     | `.clusterdeck.toml` of the current folder, only once it is trusted  |
| user        | `config.toml` in the user's configuration folder                    |
| system      | `/etc/clusterdeck/config.toml`                                      |
| clush.conf  | ClusterShell's `clush.conf`; see clush_conf.py                      |

A file is read only if root or the user owns it and nobody else may write to it or to a folder above it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import paths
from .sections import SECTIONS
from .settings import (
    NODE_KEYS,
    NodeSection,
    Settings,
    SettingsError,
    convert_to,
    describe,
    nearest,
    setting_names,
)
from .settings_file import settings_text
from .trust import TrustError, read_trusted

__all__ = ["PROJECT_FILE", "Settings", "SettingsError", "load_settings", "template", "trust_project"]

PROJECT_FILE = ".clusterdeck.toml"
_PREFIX = "CLUSTERDECK_"
#: Variables with our prefix that are not settings.
_NOT_SETTINGS = frozenset({"CONFIG_DIR", "STATE_DIR", "CACHE_DIR", "SYSTEM_CONFIG", "CLUSH_CONF", "DEBUG"})


def load_settings(
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    project: Path | None = None,
    notices: list[str] | None = None,
    mode: str | None = None,
    clush_conf: Path | None = None,
) -> Settings:
    """All layers put together. Raises SettingsError naming file, key and the nearest known key, or OSError.

    flags: setting name -> value. environment: os.environ by default. project: the folder whose PROJECT_FILE counts
    (current folder by default). notices: gets a line where a project file is there but not trusted. mode: a run mode
    of clush.conf. clush_conf: this file instead of those in the usual places.
    """
    settings = Settings()
    files = paths.clush_conf_files() if clush_conf is None else [clush_conf]
    conf = None
    if mode is not None or any(file.exists() for file in files):
        from .clush_conf import read_clush_conf  # few have one

        conf = read_clush_conf(files)
        conf.apply(settings)
    for file in (paths.system_config_file(), paths.user_config_file()):
        _apply_file(settings, file)
    candidate = (project or Path.cwd()) / PROJECT_FILE
    if candidate.is_file():
        if _is_trusted(candidate):
            _apply_file(settings, candidate)
        elif notices is not None:
            notices.append(f"{candidate} is not used: it is not trusted (clusterdeck config trust)")
    _apply_environment(settings, os.environ if environment is None else environment)
    if conf is not None and mode is not None:
        conf.apply_mode(settings, mode)
    for name, value in (flags or {}).items():
        settings.set(name, value, "flag")
    return settings


def _apply_file(settings: Settings, file: Path) -> None:
    text = settings_text(file)
    if text is None:
        return
    import tomllib  # only when there is a file to read

    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file}: {error}") from None
    except RecursionError:
        raise SettingsError(f"{file}: nested too deeply") from None
    try:
        _apply_table(settings, table, str(file), _section_lines(text))
    except SettingsError as error:
        raise SettingsError(f"{file}: {error}{_line_of(text, str(error))}") from None


def _section_lines(text: str) -> list[int]:
    """The lines on which `[[nodes]]` stands."""
    return [n for n, line in enumerate(text.splitlines(), 1) if re.match(r"\s*\[\[\s*nodes\s*\]\]", line)]


def _apply_table(settings: Settings, table: dict[str, Any], source: str, lines: list[int]) -> None:
    known = SECTIONS
    for section, content in table.items():
        if section == "nodes":
            settings.nodes.extend(_node_sections(content, source, lines))
        elif section not in known:
            raise SettingsError(f"unknown section {section!r}{nearest(section, [*known, 'nodes'])}")
        elif not isinstance(content, dict):
            raise SettingsError(f"{section!r} must be a table: write [{section}]")
        else:
            for key, value in content.items():
                if section == "groups" and key == "sets":
                    settings.group_sets.update(_group_sets(value))
                else:
                    settings.set(f"{section}.{key}", value, source)


def _group_sets(content: Any) -> dict[str, str]:
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise SettingsError('groups.sets must be a table of texts: name = "node[1-3]"')
    return dict(content)


def _node_sections(content: Any, source: str, lines: list[int]) -> list[NodeSection]:
    if not isinstance(content, list):
        raise SettingsError("nodes must be a list of tables: write [[nodes]]")
    found = []
    certain = len(lines) == len(content)  # a text of several lines may hold what looks like a section's head
    for index, section in enumerate(content):
        match = section.get("match") if isinstance(section, dict) else None
        if not isinstance(match, str) or not match.strip():
            raise SettingsError('a [[nodes]] section needs match = "NODES"')
        values = []
        for key, value in section.items():
            if key == "match":
                continue
            if key not in NODE_KEYS:
                raise SettingsError(f"unknown setting 'nodes.{key}'{nearest(key, [*NODE_KEYS, 'match'])}")
            values.append((key, convert_to(NODE_KEYS[key], f"nodes.{key}", value)))
        found.append(NodeSection(match, tuple(values), f"{source}:{lines[index]}" if certain else source))
    return found


def _apply_environment(settings: Settings, environment: Mapping[str, str]) -> None:
    by_variable = {name.upper().replace(".", "_"): name for name in setting_names()}
    for variable in sorted(environment):
        if not variable.startswith(_PREFIX) or variable.removeprefix(_PREFIX) in _NOT_SETTINGS:
            continue
        word = variable.removeprefix(_PREFIX)
        name = by_variable.get(word)
        if name is None:
            known = [_PREFIX + known for known in by_variable]
            raise SettingsError(f"unknown setting in the environment: {variable}{nearest(variable, known)}")
        try:
            settings.set(name, environment[variable], f"environment {variable}")
        except SettingsError as error:
            raise SettingsError(f"{variable}: {error}") from None


def _line_of(text: str, message: str) -> str:
    """` (line 12)` where the quoted key of the message stands in the file; nothing when that is not certain."""
    named = message.count("'") < 2 or " cannot be " in message
    key = (message.split(" ")[0] if named else message.split("'")[1]).rpartition(".")[2]
    lines = [n for n, line in enumerate(text.splitlines(), 1) if line.split("=")[0].strip(" []\"'") == key]
    return f" (line {lines[0]})" if len(lines) == 1 else ""


# -- trust of a project's file


def _trust_file() -> Path:
    return paths.state_dir() / "trusted.json"


def _is_trusted(file: Path) -> bool:
    try:
        remembered = _trusted_files().get(str(file.resolve()))
        # Not a byte is read of what others put into the folder.
        return remembered is not None and remembered == _digest(read_trusted(file))
    except (OSError, TrustError):
        return False


def _trusted_files() -> dict[str, str]:
    """Real path of a project's file -> the hash that was agreed to; none where nothing (legible) is remembered."""
    try:
        known = json.loads(paths.read_private(_trust_file()))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def trust_project(file: Path) -> str:
    """Remember the hash of a project's file, so that it counts until it changes; gives the text that was agreed to.

    Raises OSError or TrustError.
    """
    text = read_trusted(file)
    store = _trust_file()
    known = _trusted_files()
    known[str(file.resolve())] = _digest(text)
    paths.write_private(store, json.dumps(known))
    return text


def template() -> str:
    """A `config.toml` with every setting, its meaning and its default, all commented out."""
    blank = Settings()
    lines = ["# clusterdeck: settings. Every line shows the default; take the # away to change it.", ""]
    section = ""
    for name, value, _source, _meaning in blank.explain():
        home, _, key = name.partition(".")
        if home != section:
            section = home
            lines += ["", f"[{home}]"]
        lines += [f"# {describe(name)}", f"# {key} = {value}"]
    lines += ["", "# Own groups, used as @name:", "# [groups.sets]", '# web = "web[1-9]"', ""]
    lines += ["# Settings for some nodes; the first section that matches wins:", "# [[nodes]]"]
    lines += ['# match = "edge[1-20]"', '# user = "admin"', "# port = 2222", ""]
    return "\n".join(lines)
