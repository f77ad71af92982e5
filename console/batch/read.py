"""From parsed arguments to a BatchRequest and the settings it overrides."""

from __future__ import annotations

import argparse
import os
import stat
import sys
from collections.abc import Callable
from typing import Any

from ..language.values import read_batches, read_share, read_variable
from ..runs.options import RunOptions
from ..settings.clush_conf import MARK
from ..settings.overrides import read_overrides
from ..settings.settings import Settings
from .request import BatchRequest
from .targets import TargetOptions

#: What a login without a command is: the user's own shell, which reads the lines that come on standard input.
LOGIN_SHELL = "exec $SHELL -l"
#: What settings say about the programs ssh and scp.
_SSH_WORDS = ("options", "path", "scp_path", "scp_options")


class UsageError(Exception):
    """Options that do not go together; the text says which."""


def read_flags(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings that the options give, by name, for the topmost layer. Raises SettingsError."""
    flags: dict[str, Any] = {}
    if arguments.groupsconf:
        flags["groups.file"] = arguments.groupsconf
    # As with clush, the loudest of them counts, and -O has the last word.
    for given, level in (
        (arguments.quiet, 0),
        (arguments.verbose, min(3, 1 + arguments.verbose)),
        (arguments.debug, 3),
    ):
        if given:
            flags["batch.verbosity"] = level
    if arguments.max_rc:
        flags["batch.max_rc"] = True
    return flags | read_overrides(arguments.overrides)


def read_request(arguments: argparse.Namespace, settings: Settings) -> BatchRequest:
    """The request, as its options and the settings have it. Raises UsageError."""
    copy = "back" if arguments.rcopy is not None else "out" if arguments.copy is not None else ""
    words = _files(arguments) if copy else _after_dashes(arguments.command)
    _check(arguments, copy, words)
    sources, destination = _copy_places(copy, words, arguments.dest)
    batch = settings.batch
    return BatchRequest(
        targets=read_targets(arguments),
        command="" if copy else _command(arguments, words, settings),
        sources=sources,
        destination=destination,
        copy=copy,
        options=_run_options(arguments, copy, _worker(arguments, settings)),
        gather=arguments.gather or arguments.gather_all,
        line_mode=arguments.line_mode,
        diff=arguments.diff,
        labels=arguments.labels,
        regroup=arguments.regroup,
        group_base=arguments.group_base,
        axis=arguments.axis,
        quiet=batch.verbosity <= 0,
        verbose=max(0, batch.verbosity - 1),
        max_rc=batch.max_rc,
        node_count=batch.node_count and batch.verbosity > 0,
        color=arguments.color,
        out_folder=arguments.out_folder,
        err_folder=arguments.err_folder,
        stdin=not arguments.nostdin,
        password_prompt=batch.password_prompt and not copy,
        json=arguments.json,
        json_lines=arguments.json_lines,
        raw=arguments.raw,
        progress=sys.stderr is not None and sys.stderr.isatty() and (arguments.progress or batch.verbosity > 0),
        confirmed=arguments.confirm,
        dry_run=arguments.dry_run,
    )


def wants_prompt(arguments: argparse.Namespace) -> bool:
    """Whether the line only names nodes and a terminal is there: clush opens its prompt then, and so do we."""
    return (
        not (arguments.copy is not None or arguments.rcopy is not None or arguments.nostdin or arguments.dry_run)
        and not _after_dashes(arguments.command)
        and sys.stdin is not None
        and sys.stdin.isatty()
        and sys.stdout.isatty()
    )


def apply_options(arguments: argparse.Namespace, settings: Settings) -> Settings:
    """The settings with what the options say about every run, for a prompt; the same object."""
    given = {
        "run.fanout": arguments.fanout or None,
        "run.timeout": _seconds(arguments.timeout),
        "run.connect_timeout": _seconds(arguments.connect_timeout),
        "run.worker": _worker(arguments, settings),
        "run.user": arguments.user,
        "run.sudo": arguments.sudo or None,
        "ssh.options": arguments.ssh_options,
        "screen.color": arguments.color,
    }
    for name, value in given.items():
        if value is not None:
            settings.set(name, value, "flag")
    return settings


def _command(arguments: argparse.Namespace, words: list[str], settings: Settings) -> str:
    """What the nodes get. Raises UsageError where there is nothing to run."""
    prefix = settings.batch.command_prefix
    command = " ".join(words)
    if words and not command.strip():
        # A script's "$COMMAND" that was never set. It must neither pass for done nor give its input to a shell.
        raise UsageError("the command is empty: is a variable of your script not set?")
    if not words:
        worker = _worker(arguments, settings) or settings.run.worker
        if arguments.nostdin or not _lines_come() or arguments.remote == "no" or worker == "exec":
            raise UsageError("no command to run (for a prompt: clusterdeck repl -w NODES)")
        command = LOGIN_SHELL
    return f"{prefix} {command}" if prefix else command


def _lines_come() -> bool:
    """Whether standard input is a pipe, a file or a socket: somebody has put something there on purpose."""
    return sys.stdin is not None and not stat.S_ISCHR(os.fstat(sys.stdin.fileno()).st_mode)


def _check(arguments: argparse.Namespace, copy: str, words: list[str]) -> None:
    """Raise UsageError for what does not go together."""
    if arguments.topology:
        raise UsageError("--topology: there are no gateways here; for a tree of them use clush")
    if arguments.copy is not None and arguments.rcopy is not None:
        raise UsageError("--copy and --rcopy do not go together")
    if copy and not words:
        raise UsageError("--[r]copy option requires at least one argument")
    if arguments.diff and arguments.line_mode:
        raise UsageError("--diff and -L do not go together")
    if arguments.json and arguments.json_lines:
        raise UsageError("--json and --jsonl do not go together")
    for name in ("pick", "retries", "fanout"):
        if (getattr(arguments, name) or 0) < 0:
            raise UsageError(f"--{name} must not be negative")


def read_targets(arguments: argparse.Namespace) -> TargetOptions:
    """What the options say about nodes."""
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


def _worker(arguments: argparse.Namespace, settings: Settings) -> str | None:
    """The worker that the line asks for; None: the settings' one.

    Words for the ssh program, as options or in a clush.conf, are for the worker that calls it: so did clush, and what
    they say must not be lost.
    """
    if arguments.worker or settings.source("run.worker") != "default":
        return str(arguments.worker) if arguments.worker else None
    sources = [settings.source(f"ssh.{key}") for key in _SSH_WORDS if settings.get(f"ssh.{key}")]
    return "ssh" if arguments.ssh_options or any(source == "flag" or MARK in source for source in sources) else None


def _run_options(arguments: argparse.Namespace, copy: str, worker: str | None) -> RunOptions:
    ssh = arguments.ssh_options
    return RunOptions(
        fanout=arguments.fanout or None,
        timeout=_seconds(arguments.timeout),
        connect_timeout=_seconds(arguments.connect_timeout),
        worker=worker,
        user=arguments.user,
        stderr=not arguments.gather_all,
        sudo=arguments.sudo,
        pty=arguments.pty,
        environment=_variables(arguments.environment),
        batch=_read("--batch", arguments.batch, read_batches),
        stop_at=_read("--stop-at", arguments.stop_at, read_share),
        retries=arguments.retries,
        preserve=arguments.preserve,
        remote=arguments.remote == "yes",
        flat=copy == "back",
        infos=(("ssh_options", ssh), ("scp_options", ssh)) if ssh else (),
    )


def _read(option: str, value: str | None, read: Callable[[str], object]) -> str | None:
    """The value as it is. Raises UsageError where it cannot be read: now, and not after connections were made."""
    try:
        if value is not None:
            read(value)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None
    return value


def _variables(words: list[str]) -> tuple[tuple[str, str], ...]:
    try:
        return tuple(read_variable(word) for word in words)
    except ValueError as error:
        raise UsageError(f"-e: {error}") from None


def _seconds(given: float | None) -> float | None:
    """A negative limit is none, as with clush."""
    return None if given is None else max(0.0, given)


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
