"""Commands that copy files: out to the nodes, and back from them."""

from __future__ import annotations

import os
from pathlib import Path

from ...engine.text import sanitize_text
from ..exits import ExitCode
from ..interpreter.context import CommandError, Context, Outcome
from ..interpreter.safety import check
from ..interpreter.targets import (
    BACKGROUND,
    CONNECT,
    DRY_RUN,
    FANOUT,
    TARGETS,
    TIMEOUT,
    USER,
    WORKER,
    foreseen,
    run_options,
    targets,
)
from ..language.spec import Argument, Command, CommandSpec, Danger, Kind, Option
from .shell import begun, preview

_PRESERVE = Option("preserve", ("-p", "--preserve"), Kind.FLAG, "keep times and modes")
_FLAT = Option("flat", ("--flat",), Kind.FLAG, "write DEST/NAME.NODE instead of DEST/NODE/NAME")
_OPTIONS = (*TARGETS, FANOUT, TIMEOUT, CONNECT, WORKER, USER, _PRESERVE)


def copy(context: Context, command: Command) -> Outcome:
    """`:copy SRC... DEST`."""
    sources = [os.path.expanduser(path) for path in command.many("source")]
    dest = command.get("dest")
    if context.dry_run:
        return preview(context, "copy", foreseen(context, command), f"{' '.join(sources)} -> {dest}")
    for source in sources:
        if not os.path.exists(source):  # Path.exists raises for a name that no file can have
            message = f"there is no {source!a} on this host"
            raise CommandError(message, "nothing was copied", code=ExitCode.USAGE, argument="source")
    nodes = targets(context, command)
    options = run_options(command)
    if options.dry_run:
        return preview(context, "copy", f"{nodes} ({len(nodes)})", f"{' '.join(sources)} -> {dest}")
    action = f"copy {' '.join(sources)} to {dest} on"
    run = context.session.copy(sources, dest, nodes, options, lambda: check(context, action, nodes))
    return begun(context, run, background=command.has("background"))


def rcopy(context: Context, command: Command) -> Outcome:
    """`:rcopy SRC DEST`."""
    source, dest = command.get("source"), os.path.expanduser(command.get("dest"))
    if context.dry_run:
        return preview(context, "rcopy", foreseen(context, command), f"{source} -> {dest}")
    nodes = targets(context, command)
    options = run_options(command)
    if options.dry_run:
        return preview(context, "rcopy", f"{nodes} ({len(nodes)})", f"{source} -> {dest}")

    def agree() -> None:
        check(context, f"copy {source} from", nodes)
        _make_folder(dest)

    run = context.session.rcopy([source], dest, nodes, options, agree)
    return begun(context, run, background=command.has("background"))


def _make_folder(dest: str) -> None:
    try:
        Path(dest).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = sanitize_text(f"cannot make the folder {dest}: {error.strerror or error}")
        raise CommandError(message, "name another one", argument="dest") from error


SPECS = (
    CommandSpec(
        "copy.out",
        "copy",
        "copy: To nodes",
        "copy files or directories to nodes",
        copy,
        aliases=("cp",),
        arguments=(
            Argument("source", Kind.LOCAL_PATH, "file or directory on this host", repeat=True),
            Argument("dest", Kind.REMOTE_PATH, "where to on the nodes"),
        ),
        options=(*_OPTIONS, DRY_RUN, BACKGROUND),
        examples=(
            (":copy /etc/motd /etc/", "to the selected nodes"),
            (":copy -p -w @web site/ /srv/www", "a directory, with times and modes"),
        ),
        danger=Danger.TOUCHES,
    ),
    CommandSpec(
        "copy.back",
        "rcopy",
        "copy: From nodes",
        "copy a file or directory back, into DEST/NODE/",
        rcopy,
        aliases=("rcp",),
        arguments=(
            Argument("source", Kind.REMOTE_PATH, "file or directory on the nodes"),
            Argument("dest", Kind.LOCAL_PATH, "folder on this host"),
        ),
        options=(*_OPTIONS, _FLAT, DRY_RUN, BACKGROUND),
        examples=(
            (":rcopy /var/log/syslog logs", "logs/NODE/syslog"),
            (":rcopy --flat /etc/fstab .", "fstab.NODE"),
        ),
        danger=Danger.TOUCHES,
    ),
)
