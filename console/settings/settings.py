"""Every setting, typed, with its default and its meaning; config.py fills them from files, environment and flags.

A setting's full name is `section.key`; the key alone is enough where it is unique. Sizes are bytes and may be
written `64KiB`, `1MiB`, `2GiB`; times are seconds.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field, fields
from typing import Any

from .sections import (
    SECTIONS,
    BatchSettings,
    GroupSettings,
    LimitSettings,
    QueueSettings,
    RecordSettings,
    RshSettings,
    RunSettings,
    SafetySettings,
    ScreenSettings,
    SshSettings,
)


class SettingsError(ValueError):
    """A setting that does not exist or cannot have that value; the text names both and the remedy."""


@dataclass(frozen=True, slots=True)
class NodeSection:
    """Settings for some nodes: `[[nodes]]` with `match` and any of user, port, worker, ...; the first match wins."""

    match: str
    values: tuple[tuple[str, Any], ...]
    source: str


#: What a `[[nodes]]` section may set, with its type.
NODE_KEYS: dict[str, type] = {
    "user": str,
    "port": int,
    "worker": str,
    "connect_timeout": float,
    "timeout": float,
    "agent_forwarding": bool,
    "host_keys": str,
    "proxy_jump": str,
    "sudo": bool,
}


@dataclass(eq=False, repr=False)
class Settings:
    """All settings of a session. Set through `set`, so that types are checked and sources are remembered."""

    run: RunSettings = field(default_factory=RunSettings)
    ssh: SshSettings = field(default_factory=SshSettings)
    rsh: RshSettings = field(default_factory=RshSettings)
    batch: BatchSettings = field(default_factory=BatchSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    safety: SafetySettings = field(default_factory=SafetySettings)
    records: RecordSettings = field(default_factory=RecordSettings)
    screen: ScreenSettings = field(default_factory=ScreenSettings)
    queue: QueueSettings = field(default_factory=QueueSettings)
    groups: GroupSettings = field(default_factory=GroupSettings)
    #: Own groups: name -> node set expression (the `[groups.sets]` table).
    group_sets: dict[str, str] = field(default_factory=dict)
    nodes: list[NodeSection] = field(default_factory=list)
    #: Full name -> where its value comes from; names that are missing have their default.
    sources: dict[str, str] = field(default_factory=dict)

    def get(self, key: str) -> Any:
        """A setting's value by full or short name. Raises SettingsError."""
        section, name = split_key(key)
        return getattr(getattr(self, section), name)

    def set(self, key: str, value: Any, source: str = "session") -> None:
        """Set by full or short name; text is converted to the setting's type. Raises SettingsError."""
        section, name = split_key(key)
        setattr(getattr(self, section), name, convert(f"{section}.{name}", value))
        self.sources[f"{section}.{name}"] = source

    def source(self, key: str) -> str:
        """Where a setting's value comes from: a file, a variable, a flag, `session` or `default`."""
        return self.sources.get(".".join(split_key(key)), "default")

    def explain(self) -> list[tuple[str, str, str, str]]:
        """(full name, value as TOML, source, meaning and when it is read) of every setting, in order."""
        return [(name, as_toml(self.get(name)), self.source(name), meaning(name)) for name in setting_names()]


def setting_names() -> list[str]:
    """Full names of all settings, in order."""
    return [f"{section}.{item.name}" for section, kind in SECTIONS.items() for item in fields(kind)]


def split_key(key: str) -> tuple[str, str]:
    """Section and name of a full or unique short name; SettingsError names the nearest otherwise."""
    section, dot, name = key.strip().replace("-", "_").partition(".")
    if dot and section in SECTIONS and name in {item.name for item in fields(SECTIONS[section])}:
        return section, name
    if not dot:
        homes = [home for home, kind in SECTIONS.items() if section in {item.name for item in fields(kind)}]
        if len(homes) == 1:
            return homes[0], section
        if homes:
            full = ", ".join(f"{home}.{section}" for home in homes)
            raise SettingsError(f"{key!r} could be any of: {full}")
    raise SettingsError(f"unknown setting {key!r}{nearest(key, setting_names())}")


def means_node(word: str) -> bool:
    """Whether a word of `config explain` is a node: neither a setting nor a section, and not near to one of them."""
    home, dot, _ = word.strip().replace("-", "_").partition(".")
    if home in SECTIONS or home in {name.rpartition(".")[2] for name in setting_names()}:
        return False
    known = setting_names()
    if not dot:
        known = [*SECTIONS, *(name.rpartition(".")[2] for name in known)]
    # No setting has a digit in its name, while most nodes have one.
    numbered = re.search(r"[0-9@\[*?]", word) is not None
    return not difflib.get_close_matches(word, known, 1, 0.9 if numbered else 0.7)


def nearest(word: str, known: list[str]) -> str:
    """`; did you mean 'x'?`, or nothing where no known name is near."""
    shorts = {name.rpartition(".")[2]: name for name in known}
    found = difflib.get_close_matches(word, known, 1, 0.6)
    found = found or [shorts[short] for short in difflib.get_close_matches(word.rpartition(".")[2], list(shorts), 1)]
    return f"; did you mean {found[0]!r}?" if found else ""


def _fact(name: str, fact: str) -> Any:
    """What `_setting` was told of a setting."""
    section, key = split_key(name)
    return next(item.metadata[fact] for item in fields(SECTIONS[section]) if item.name == key)


def describe(name: str) -> str:
    """What a setting means, by its full name."""
    return str(_fact(name, "text"))


def read_when(name: str) -> str:
    """When a setting is read, if that is once: AT_START and the like; "" where every use reads it anew."""
    return str(_fact(name, "read"))


def meaning(name: str) -> str:
    """What a setting means, and when it is read where that is once."""
    when = read_when(name)
    return f"{describe(name)}; read {when}" if when else describe(name)


def choices(name: str) -> tuple[str, ...]:
    """The values that a setting may have; () for any of its type."""
    return tuple(_fact(name, "choices"))


def convert(name: str, value: Any) -> Any:
    """`value` as the type of the setting with this full name. Raises SettingsError."""
    section, key = split_key(name)
    item = next(item for item in fields(SECTIONS[section]) if item.name == key)
    result = convert_to(type(item.default), name, value, size=describe(name).startswith("bytes"))
    allowed, low = item.metadata["choices"], item.metadata["low"]
    if allowed and result not in allowed:
        raise SettingsError(f"{name} cannot be {value!r}: use {', '.join(allowed)}{nearest(str(value), list(allowed))}")
    if isinstance(result, int) and result >= 1 << 63:
        raise SettingsError(f"{name} cannot be {value}: that is too large")
    if low is not None and result < low:
        raise SettingsError(f"{name} cannot be {value!r}: at least {low:g} is needed")
    return result


_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


def convert_to(kind: type, name: str, value: Any, *, size: bool = False) -> Any:
    """`value` (of a TOML file, or text) as `kind`; size: a number of bytes, with a unit or without. SettingsError."""
    if kind is bool:
        word = str(value).lower()
        if isinstance(value, bool) or word in _TRUE | _FALSE:
            return word in _TRUE
        raise SettingsError(f"{name} cannot be {value!r}: use true or false")
    if isinstance(value, bool):
        raise SettingsError(f"{name} cannot be {str(value).lower()}: a {'text' if kind is str else 'number'} is needed")
    if kind is str:
        if not isinstance(value, str):
            raise SettingsError(f"{name} cannot be {value!r}: a text in quotes is needed")
        return value
    try:
        if kind is int:
            return _size(value) if size else _count(name, value)
        number = float(value)
    except SettingsError:
        raise
    except (TypeError, ValueError, OverflowError):
        shown = repr(value) if isinstance(value, str | list | dict) else str(value)
        raise SettingsError(f"{name} cannot be {shown}: a number is needed") from None
    if number != number or number in (float("inf"), float("-inf")):
        raise SettingsError(f"{name} cannot be {value!r}: a finite number is needed")
    return number


def _count(name: str, value: Any) -> int:
    if isinstance(value, int):
        return value
    if not isinstance(value, str):
        raise ValueError(value)
    text = value.strip()
    if re.fullmatch(r"\d{1,15}", text, re.ASCII):
        return int(text)
    if re.fullmatch(r"\d{1,15}\s*(?:[kmgt]i?b?|b)", text, re.ASCII | re.IGNORECASE):
        raise SettingsError(f"{name} cannot be {value!r}: it is a count, which has no unit; write the whole number")
    raise ValueError(value)


def _size(value: Any) -> int:
    if isinstance(value, int):
        return value
    match = re.fullmatch(r"(\d{1,15})\s*(?:([kmgt])i?)?b?", str(value).strip().lower(), re.ASCII)
    if match is None or not isinstance(value, str):
        raise ValueError(value)
    return int(match[1]) << 10 * " kmgt".index(match[2] or " ")


def as_toml(value: Any) -> str:
    """A setting's value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'
    return f"{value:g}" if isinstance(value, float) else str(value)
