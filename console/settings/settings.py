"""Every setting, typed, with its default and its meaning; config.py fills them from files, environment and flags.

A setting's full name is `section.key`; the key alone is enough where it is unique. Sizes are bytes and may be
written `64KiB`, `1MiB`, `2GiB`; times are seconds.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field, fields
from typing import Any


class SettingsError(ValueError):
    """A setting that does not exist or cannot have that value; the text names both and the remedy."""


# No slots, comparison or repr: what dataclasses write for them is start-up time of every `clusterdeck run`.
def _setting(default: Any, text: str, *, choices: tuple[str, ...] = (), low: float | None = None) -> Any:
    return field(default=default, metadata={"text": text, "choices": choices, "low": low})


@dataclass(eq=False, repr=False)
class RunSettings:
    """How commands run where the line does not say."""

    fanout: int = _setting(64, "nodes at a time", low=1)
    connect_timeout: float = _setting(10.0, "seconds to connect to a node and log in; 0 = no limit", low=0)
    timeout: float = _setting(0.0, "seconds for a command on a node; 0 = no limit", low=0)
    worker: str = _setting("paramiko", "how nodes are reached: paramiko, ssh, rsh, pdsh, exec or a module")
    user: str = _setting("", "remote user; empty = what ~/.ssh/config or the system says")
    sudo: bool = _setting(False, "run every command through sudo")
    stderr: bool = _setting(False, "keep stderr apart from stdout")


@dataclass(eq=False, repr=False)
class SshSettings:
    """SSH: what the paramiko worker does, and the words for the external programs."""

    config: str = _setting("~/.ssh/config", "the OpenSSH configuration file that is honoured")
    host_keys: str = _setting(
        "ask", "unknown host keys: ask, refuse, or accept-new", choices=("ask", "refuse", "accept-new")
    )
    known_hosts: str = _setting("~/.ssh/known_hosts", "the file that new host keys are written to")
    agent: bool = _setting(True, "use the keys of the SSH agent")
    agent_forwarding: bool = _setting(False, "forward the agent to nodes (a node's root can then use your keys)")
    password: bool = _setting(True, "ask for a password where keys do not do")
    connecting: int = _setting(32, "connections that are being made at a time", low=1)
    keepalive: float = _setting(30.0, "seconds between keep-alives on kept connections; 0 = none", low=0)
    options: str = _setting("", "options for the ssh program (worker ssh)")
    path: str = _setting("", "the ssh program (worker ssh); empty = ssh")
    scp_path: str = _setting("", "the scp program (worker ssh); empty = scp")
    scp_options: str = _setting("", "options for the scp program (worker ssh)")


@dataclass(eq=False, repr=False)
class RshSettings:
    """The words for the programs of the worker rsh."""

    path: str = _setting("", "the rsh program; empty = rsh")
    options: str = _setting("", "options for the rsh program")
    rcp_path: str = _setting("", "the rcp program; empty = rcp")
    rcp_options: str = _setting("", "options for the rcp program; empty = those of rsh")


@dataclass(eq=False, repr=False)
class BatchSettings:
    """What `clusterdeck run` prints and how it ends, where its options do not say."""

    verbosity: int = _setting(1, "0 = quiet (-q), 1, 2 = more (-v), 3 = most (-d)", low=0)
    max_rc: bool = _setting(False, "exit with the largest return code of the nodes (-S)")
    node_count: bool = _setting(True, "the number of nodes beside their names, where answers are gathered")
    command_prefix: str = _setting("", "words before every command, such as `nice -n 19`")
    password_prompt: bool = _setting(
        False, "ask for a password and give it to every command as its first line of input"
    )


@dataclass(eq=False, repr=False)
class LimitSettings:
    """What outputs may cost."""

    node_memory: int = _setting(1024**2, "bytes of one node's output kept in memory, per run", low=64 * 1024)
    run_memory: int = _setting(192 * 1024**2, "bytes of one run's output kept in memory", low=1024**2)
    total_memory: int = _setting(256 * 1024**2, "bytes of all runs' output kept in memory", low=1024**2)
    run_spool: int = _setting(4 * 1024**3, "bytes of one run's output on disk before it is cut and counted", low=0)
    total_spool: int = _setting(8 * 1024**3, "bytes of all runs' output on disk", low=0)
    pending_output: int = _setting(8 * 1024**2, "bytes not yet shown above which nodes are held back", low=64 * 1024)
    runs: int = _setting(200, "runs kept in a session", low=1)


@dataclass(eq=False, repr=False)
class SafetySettings:
    """What keeps a slip from becoming an outage."""

    confirm_above: int = _setting(50, "nodes above which an interactive command asks first; 0 = never", low=0)
    protected: str = _setting("", "node set that always needs typed confirmation")
    read_only: bool = _setting(False, "refuse every command that reaches nodes")
    dangerous: str = _setting("", "further verbs that always ask first, such as `rm -r`, separated by commas")


@dataclass(eq=False, repr=False)
class RecordSettings:
    """What is written down."""

    audit: bool = _setting(True, "write every run to the audit log")
    audit_required: bool = _setting(False, "do not run what cannot be written to the audit log")
    syslog: bool = _setting(False, "send what is written to the audit log to syslog, too (facility authpriv)")
    keep_runs: bool = _setting(True, "keep interactive runs on disk for `:runs` after a restart")
    runs_quota: int = _setting(512 * 1024**2, "bytes of runs on disk; the oldest go first", low=0)
    history_size: int = _setting(10_000, "lines of the prompt's history", low=0)


@dataclass(eq=False, repr=False)
class ScreenSettings:
    """The full-screen console."""

    theme: str = _setting("", "colour theme; empty = the default one")
    keymap: str = _setting("default", "preset of keys: default, vi, emacs or tmux-safe")
    editing: str = _setting("emacs", "keys of the prompt", choices=("emacs", "vi"))
    animation: str = _setting("auto", "animations; auto = none over SSH", choices=("auto", "none", "full"))
    color: str = _setting("auto", "colours", choices=("auto", "always", "never"))
    output: str = _setting(
        "both", "what the plain prompt shows of a run: live lines, gathered answers, or both",
        choices=("live", "gathered", "both"),
    )  # fmt: skip
    node_colors: bool = _setting(True, "show the colours that nodes give their output")
    ascii: bool = _setting(False, "draw with ASCII characters only")
    refresh: float = _setting(30.0, "screen updates per second", low=1)


@dataclass(eq=False, repr=False)
class QueueSettings:
    """The task queue."""

    store: str = _setting(
        "", "where it is kept: empty = in memory, sqlite:///FILE, redis://..., rediss://..., unix://..."
    )
    name: str = _setting("default", "which of the queues on a Redis or Valkey server")
    allow_plain: bool = _setting(
        False, "permit redis:// to another host: no TLS, anybody in between can read and write"
    )
    socket: str = _setting("", "socket of a queue that another process serves; empty = a queue of one's own")
    slots: int = _setting(1, "tasks at a time on a node", low=1)


@dataclass(eq=False, repr=False)
class GroupSettings:
    """Node groups beside those of ClusterShell's groups.conf."""

    default: str = _setting("", "expression for the selection at the start; empty = none")
    file: str = _setting("", "another groups.conf; empty = ClusterShell's own")


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
        """(full name, value as TOML, source, meaning) of every setting, in order."""
        return [(name, as_toml(self.get(name)), self.source(name), describe(name)) for name in setting_names()]


_SECTIONS: dict[str, type] = {
    "run": RunSettings,
    "ssh": SshSettings,
    "rsh": RshSettings,
    "batch": BatchSettings,
    "limits": LimitSettings,
    "safety": SafetySettings,
    "records": RecordSettings,
    "screen": ScreenSettings,
    "queue": QueueSettings,
    "groups": GroupSettings,
}


def sections() -> dict[str, type]:
    """Section names with their classes, in the order of the file."""
    return dict(_SECTIONS)


def setting_names() -> list[str]:
    """Full names of all settings, in order."""
    return [f"{section}.{item.name}" for section, kind in _SECTIONS.items() for item in fields(kind)]


def split_key(key: str) -> tuple[str, str]:
    """Section and name of a full or unique short name; SettingsError names the nearest otherwise."""
    section, dot, name = key.strip().replace("-", "_").partition(".")
    if dot and section in _SECTIONS and name in {item.name for item in fields(_SECTIONS[section])}:
        return section, name
    if not dot:
        homes = [home for home, kind in _SECTIONS.items() if section in {item.name for item in fields(kind)}]
        if len(homes) == 1:
            return homes[0], section
        if homes:
            full = ", ".join(f"{home}.{section}" for home in homes)
            raise SettingsError(f"{key!r} could be any of: {full}")
    raise SettingsError(f"unknown setting {key!r}{nearest(key, setting_names())}")


def means_node(word: str) -> bool:
    """Whether a word of `config explain` is a node: neither a setting nor a section, and not near to one of them."""
    home, dot, _ = word.strip().replace("-", "_").partition(".")
    if home in _SECTIONS or home in {name.rpartition(".")[2] for name in setting_names()}:
        return False
    known = setting_names()
    if not dot:
        known = [*_SECTIONS, *(name.rpartition(".")[2] for name in known)]
    # No setting has a digit in its name, while most nodes have one.
    numbered = re.search(r"[0-9@\[*?]", word) is not None
    return not difflib.get_close_matches(word, known, 1, 0.9 if numbered else 0.7)


def nearest(word: str, known: list[str]) -> str:
    """`; did you mean 'x'?`, or nothing where no known name is near."""
    shorts = {name.rpartition(".")[2]: name for name in known}
    found = difflib.get_close_matches(word, known, 1, 0.6)
    found = found or [shorts[short] for short in difflib.get_close_matches(word.rpartition(".")[2], list(shorts), 1)]
    return f"; did you mean {found[0]!r}?" if found else ""


def describe(name: str) -> str:
    """What a setting means, by its full name."""
    section, key = split_key(name)
    return next(str(item.metadata["text"]) for item in fields(_SECTIONS[section]) if item.name == key)


def choices(name: str) -> tuple[str, ...]:
    """The values that a setting may have; () for any of its type."""
    section, key = split_key(name)
    return next(tuple(item.metadata["choices"]) for item in fields(_SECTIONS[section]) if item.name == key)


def convert(name: str, value: Any) -> Any:
    """`value` as the type of the setting with this full name. Raises SettingsError."""
    section, key = split_key(name)
    item = next(item for item in fields(_SECTIONS[section]) if item.name == key)
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
