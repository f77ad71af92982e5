"""The sections of the settings: each setting with its type, default, meaning, and what it may be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: When a setting is read, where that is once: a change during a session then comes too late, and `:set` says so.
AT_START = "at the start"
BY_RUN = "by clusterdeck run"
AT_FIRST_USE = "when the queue is first used"


# No slots, comparison or repr: what dataclasses write for them is start-up time of every `clusterdeck run`.
def _setting(
    default: Any, text: str, *, choices: tuple[str, ...] = (), low: float | None = None, read: str = ""
) -> Any:
    """text: begins with the unit (`seconds`, `bytes`) where there is one. read: AT_START or its like; "": each time."""
    return field(default=default, metadata={"text": text, "choices": choices, "low": low, "read": read})


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
    idle: float = _setting(1800.0, "seconds after which a connection that nothing uses is closed; 0 = never", low=0)
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

    verbosity: int = _setting(1, "0 = quiet (-q), 1, 2 = more (-v), 3 = most (-d)", low=0, read=BY_RUN)
    max_rc: bool = _setting(False, "exit with the largest return code of the nodes (-S)", read=BY_RUN)
    node_count: bool = _setting(True, "the number of nodes beside their names, where answers are gathered", read=BY_RUN)
    command_prefix: str = _setting("", "words before every command, such as `nice -n 19`", read=BY_RUN)
    password_prompt: bool = _setting(
        False, "ask for a password and give it to every command as its first line of input", read=BY_RUN
    )


@dataclass(eq=False, repr=False)
class LimitSettings:
    """What outputs may cost."""

    node_memory: int = _setting(
        1024**2, "bytes of one node's output kept in memory, per run", low=64 * 1024, read=AT_START
    )
    run_memory: int = _setting(192 * 1024**2, "bytes of one run's output kept in memory", low=1024**2, read=AT_START)
    total_memory: int = _setting(256 * 1024**2, "bytes of all runs' output kept in memory", low=1024**2, read=AT_START)
    run_spool: int = _setting(4 * 1024**3, "bytes of one run's output on disk before it is cut and counted", low=0)
    total_spool: int = _setting(8 * 1024**3, "bytes of all runs' output on disk", low=0, read=AT_START)
    pending_output: int = _setting(
        8 * 1024**2, "bytes not yet shown above which nodes are held back", low=64 * 1024, read=AT_START
    )
    runs: int = _setting(200, "runs kept in a session", low=1, read=AT_START)


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

    audit: bool = _setting(True, "write every run to the audit log", read=AT_START)
    audit_required: bool = _setting(False, "do not run what cannot be written to the audit log", read=AT_START)
    syslog: bool = _setting(
        False, "send what is written to the audit log to syslog, too (facility authpriv)", read=AT_START
    )
    keep_runs: bool = _setting(True, "keep interactive runs on disk for `:runs` after a restart", read=AT_START)
    runs_quota: int = _setting(512 * 1024**2, "bytes of runs on disk; the oldest go first", low=0, read=AT_START)
    history_size: int = _setting(10_000, "lines of the prompt's history", low=0, read=AT_START)


@dataclass(eq=False, repr=False)
class ScreenSettings:
    """The full-screen console."""

    theme: str = _setting("", "colour theme; empty = the default one", read=AT_START)
    keymap: str = _setting("default", "preset of keys: default, vi, emacs or tmux-safe", read=AT_START)
    editing: str = _setting("emacs", "keys of the prompt", choices=("emacs", "vi"), read=AT_START)
    animation: str = _setting(
        "auto", "animations; auto = none over SSH", choices=("auto", "none", "full"), read=AT_START
    )
    color: str = _setting("auto", "colours", choices=("auto", "always", "never"), read=AT_START)
    output: str = _setting(
        "both", "what the plain prompt shows of a run: live lines, gathered answers, or both",
        choices=("live", "gathered", "both"),
    )  # fmt: skip
    node_colors: bool = _setting(True, "show the colours that nodes give their output", read=AT_START)
    ascii: bool = _setting(False, "draw with ASCII characters only", read=AT_START)
    refresh: float = _setting(30.0, "screen updates per second", low=1, read=AT_START)


@dataclass(eq=False, repr=False)
class QueueSettings:
    """The task queue."""

    store: str = _setting(
        "",
        "where it is kept: empty = in memory, sqlite:///FILE, redis://..., rediss://..., unix://...",
        read=AT_FIRST_USE,
    )
    name: str = _setting("default", "which of the queues on a Redis or Valkey server", read=AT_FIRST_USE)
    allow_plain: bool = _setting(
        False, "permit redis:// to another host: no TLS, anybody in between can read and write", read=AT_FIRST_USE
    )
    socket: str = _setting("", "socket of a queue that another process serves; empty = a queue of one's own")
    slots: int = _setting(1, "tasks at a time on a node", low=1)


@dataclass(eq=False, repr=False)
class GroupSettings:
    """Node groups beside those of ClusterShell's groups.conf."""

    default: str = _setting("", "expression for the selection at the start; empty = none", read=AT_START)
    file: str = _setting("", "another groups.conf; empty = ClusterShell's own", read=AT_START)


#: Section names with their classes, in the order of the file.
SECTIONS: dict[str, type] = {
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
