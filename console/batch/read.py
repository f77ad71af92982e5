"""From parsed arguments to a BatchRequest and the settings it overrides."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from ..runs.options import RunOptions
from ..settings.settings import SettingsError, nearest, setting_names
from .request import BatchRequest
from .targets import TargetOptions

#: Keys of clush.conf, as `-O` may give them, and what they are here; None: known, without a meaning for us.
CLUSH_KEYS: dict[str, str | None] = {
    "fanout": "run.fanout",
    "connect_timeout": "run.connect_timeout",
    "command_timeout": "run.timeout",
    "color": "screen.color",
    "ssh_user": "run.user",
    "ssh_path": "ssh.path",
    "ssh_options": "ssh.options",
    "scp_path": "ssh.scp_path",
    "scp_options": "ssh.scp_options",
    "worker": "run.worker",
    "fd_max": None,
    "history_size": None,
    "confdir": None,
    "command_prefix": None,
    "password_prompt": None,
    "rsh_path": None,
    "rsh_options": None,
    "rcp_path": None,
    "rcp_options": None,
}
_YES = frozenset({"yes", "true", "on", "1"})
_NO = frozenset({"no", "false", "off", "0"})


class UsageError(Exception):
    """Options that do not go together; the text says which."""


def read_arguments(arguments: argparse.Namespace) -> tuple[BatchRequest, dict[str, Any]]:
    """The request and the settings given as flags. Raises UsageError and SettingsError."""
    flags, own = _overrides(arguments.overrides)
    copy = "back" if arguments.rcopy is not None else "out" if arguments.copy is not None else ""
    words = _files(arguments) if copy else _after_dashes(arguments.command)
    _check(arguments, copy, words)
    sources, destination = _copy_places(copy, words, arguments.dest)
    verbosity = own.get("verbosity", 1) + arguments.verbose + 2 * arguments.debug
    request = BatchRequest(
        targets=_targets(arguments),
        command=" ".join(words),
        sources=sources,
        destination=destination,
        copy=copy,
        options=_run_options(arguments, copy),
        gather=arguments.gather or arguments.gather_all,
        line_mode=arguments.line_mode,
        diff=arguments.diff,
        labels=arguments.labels,
        regroup=arguments.regroup,
        group_base=arguments.group_base,
        axis=arguments.axis,
        quiet=arguments.quiet or verbosity <= 0,
        verbose=max(0, verbosity - 1),
        max_rc=arguments.max_rc or own.get("maxrc", False),
        node_count=own.get("node_count", True) and verbosity > 0,
        code_count=verbosity > 0,
        color=arguments.color,
        out_folder=arguments.out_folder,
        err_folder=arguments.err_folder,
        stdin=not arguments.nostdin,
        json=arguments.json,
        json_lines=arguments.json_lines,
        raw=arguments.raw,
        progress=sys.stderr is not None and sys.stderr.isatty() and (arguments.progress or not arguments.quiet),
        confirmed=arguments.confirm,
        dry_run=arguments.dry_run,
    )
    return request, flags


def _check(arguments: argparse.Namespace, copy: str, words: list[str]) -> None:
    """Raise UsageError for what does not go together."""
    if copy and not words:
        raise UsageError("--[r]copy option requires at least one argument")
    if not copy and not " ".join(words).strip():
        raise UsageError("no command to run (for a prompt: clusterdeck repl -w NODES)")
    if arguments.diff and arguments.line_mode:
        raise UsageError("--diff and -L do not go together")
    if arguments.json and arguments.json_lines:
        raise UsageError("--json and --jsonl do not go together")
    for name in ("pick", "retries"):
        if getattr(arguments, name) < 0:
            raise UsageError(f"--{name} must not be negative")


def _targets(arguments: argparse.Namespace) -> TargetOptions:
    return TargetOptions(
        arguments.nodes,
        arguments.exclude,
        arguments.all_nodes,
        arguments.groups,
        arguments.exclude_groups,
        arguments.host_files,
        arguments.pick,
        arguments.source,
    )


def _run_options(arguments: argparse.Namespace, copy: str) -> RunOptions:
    ssh = arguments.ssh_options
    return RunOptions(
        fanout=arguments.fanout,
        timeout=arguments.timeout,
        connect_timeout=arguments.connect_timeout,
        worker=arguments.worker,
        user=arguments.user,
        stderr=not arguments.gather_all,
        sudo=arguments.sudo,
        batch=arguments.batch,
        stop_at=arguments.stop_at,
        retries=arguments.retries,
        preserve=arguments.preserve,
        remote=arguments.remote == "yes",
        flat=copy == "back",
        infos=(("ssh_options", ssh), ("scp_options", ssh)) if ssh else (),
    )


def _after_dashes(words: list[str]) -> list[str]:
    return words[1:] if words[:1] == ["--"] else words


def _files(arguments: argparse.Namespace) -> list[str]:
    """What is to be copied. Other than after a command, options may follow the files: they are read as well."""
    files = [*(arguments.copy or []), *(arguments.rcopy or [])]
    while (words := arguments.command) and words[0] != "--":
        first = next((n for n, word in enumerate(words) if word.startswith("-") and word != "-"), len(words))
        files += words[:first]
        arguments.command = []
        if first < len(words):
            arguments.parser.parse_args(words[first:], arguments)
    return files + _after_dashes(arguments.command)


def _copy_places(copy: str, words: list[str], dest: str | None) -> tuple[tuple[str, ...], str]:
    """Sources and destination; without --dest the destination is the place of the first source."""
    if not copy:
        return (), ""
    if dest is not None:
        return tuple(words), dest
    first = os.path.abspath(words[0])
    return tuple(words), os.path.dirname(first)


def _overrides(pairs: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """`-O KEY=VALUE` as settings, and those of clush's keys that are options here (maxrc, node_count, verbosity)."""
    flags: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        key = key.strip()
        if not sign or not key:
            raise SettingsError(f"-O {pair!r} gives no value: write KEY=VALUE")
        if key in ("maxrc", "node_count"):
            if value.lower() not in _YES | _NO:
                raise SettingsError(f"-O {pair!r}: write yes or no")
            own[key] = value.lower() in _YES
        elif key == "verbosity":
            if not value.isdigit():
                raise SettingsError(f"-O {pair!r}: a number is needed")
            own[key] = int(value)
        elif key in CLUSH_KEYS:
            name = CLUSH_KEYS[key]
            if name is not None:
                flags[name] = value
        elif key in setting_names() or "." not in key:
            flags[key] = value
        else:
            raise SettingsError(f"-O {pair!r}: unknown setting{nearest(key, setting_names())}")
    return flags, own
