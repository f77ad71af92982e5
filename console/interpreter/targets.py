"""Which nodes a command is for, and how it is to run: the options that several commands share."""

from __future__ import annotations

import re

from ClusterShell.NodeSet import NodeSet

from ...engine.text import sanitize_text
from ..exits import ExitCode
from ..language.spec import Command, Kind, Option
from ..language.values import read_variable
from ..runs.options import RunOptions
from ..session.node_expressions import newest
from .context import CommandError, Context
from .group_terms import checked

NODES = Option("nodes", ("-w", "--nodes"), Kind.NODES, "run on these nodes instead of the selection", "NODES", True)
EXCLUDE = Option("exclude", ("-x", "--exclude"), Kind.NODES, "leave these nodes out", "NODES", True)
FANOUT = Option("fanout", ("-f", "--fanout"), Kind.COUNT, "nodes at a time", "N")
TIMEOUT = Option(
    "timeout", ("-t", "--timeout"), Kind.DURATION, "seconds for the command on a node; 0 = no limit", "SEC"
)
CONNECT = Option("connect_timeout", ("--connect-timeout",), Kind.DURATION, "seconds to connect to a node", "SEC")
WORKER = Option("worker", ("-R", "--worker"), Kind.WORKER, "how nodes are reached: paramiko, ssh, exec ...", "WORKER")
USER = Option("user", ("-l", "--user"), Kind.USER, "log in as this user", "USER")
SUDO = Option("sudo", ("--sudo",), Kind.FLAG, "run through sudo")
BATCH = Option("batch", ("--batch",), Kind.BATCHES, "waves of nodes: 1,10%,rest", "SIZES")
STOP_AT = Option("stop_at", ("--stop-at",), Kind.SHARE, "bad nodes that stop further waves: 3 or 2%", "N|N%")
RETRIES = Option("retries", ("--retries",), Kind.COUNT, "further attempts on nodes that end badly", "N")
STDERR = Option("stderr", ("-E", "--stderr"), Kind.FLAG, "keep stderr apart from stdout")
PTY = Option("pty", ("--pty",), Kind.FLAG, "give the command a terminal")
ENVIRONMENT = Option("env", ("-e", "--env"), Kind.VARIABLE, "set a variable for the command", "NAME=VALUE", True)
DRY_RUN = Option("dry_run", ("--dry-run",), Kind.FLAG, "show the nodes and the command, touch nothing")
BACKGROUND = Option("background", ("--background",), Kind.FLAG, "in a macro: do not wait for its end")
OF_RUN = Option("run", ("-r", "--run"), Kind.RUN, "the run to look at instead of the last", "RUN")

TARGETS = (NODES, EXCLUDE)
RUN_OPTIONS = (
    *TARGETS, FANOUT, TIMEOUT, CONNECT, WORKER, USER, SUDO, BATCH, STOP_AT, RETRIES, STDERR, PTY, ENVIRONMENT, DRY_RUN,
    BACKGROUND,
)  # fmt: skip


def resolve(context: Context, expression: str, argument: str = "") -> NodeSet:
    """The nodes of an expression; `argument` gets the caret if it is wrong. Raises CommandError.

    In a macro the results of "the last run" are those of its own last run, whatever timers ran since.
    """
    if context.script is not None and context.script.last is not None:
        expression = _LAST_RUN.sub(rf"@run:{context.script.last}:\1", expression)
    try:
        return context.session.resolve(checked(context.session, expression, argument))
    except CommandError:
        raise
    except (ValueError, LookupError, OSError) as error:
        offset = getattr(error, "position", None) or 0
        raise CommandError(sanitize_text(str(error)), code=ExitCode.USAGE, argument=argument, offset=offset) from error


def targets(context: Context, command: Command) -> NodeSet:
    """The nodes that a command is for: -w, else the selection; less -x. Raises CommandError where there are none."""
    expression = command.nodes("nodes")
    nodes = context.selection.current if expression is None else resolve(context, expression, "nodes")
    if not nodes:
        if expression is None:
            remedy = "select some: :nodes EXPR or @GROUP" + ("" if context.front_end.interactive else ", or -w NODES")
            raise CommandError("no nodes are selected", remedy, code=ExitCode.REFUSED)
        message = f"{sanitize_text(expression)} stands for no node"
        raise CommandError(message, ":groups lists groups", code=ExitCode.REFUSED, argument="nodes")
    left_out = command.nodes("exclude")
    if left_out is not None:
        nodes = nodes - resolve(context, left_out, "exclude")
        if not nodes:
            raise CommandError("-x leaves no node", "widen the selection", code=ExitCode.REFUSED, argument="exclude")
    return nodes


_LAST_RUN = re.compile(r"@(ok|failed|timeout|unreachable|lost|aborted|bad|rc:\d+)(?![A-Za-z0-9_:.-])")
_ONE_RUN = re.compile(r"@run:(\d{1,9})(?::[a-z]+(?::\d+)?)?")


def names_last_run(expression: str) -> bool:
    """Whether an expression is about results of the last run, whichever that is when it is looked at."""
    return _LAST_RUN.search(expression) is not None


#: Sets that are known only once the runs before have really been made.
_RESULTS = re.compile(r"@(?:ok|failed|timeout|unreachable|lost|aborted|bad|rc:|run:)")


def foreseen(context: Context, command: Command) -> str:
    """The nodes that a command would be for, as a dry run of a macro can know them: a folded set with its count, or
    the expression where only the real run will tell. Raises CommandError where it can never be right."""
    if is_unknown(context, command):
        unknown = context.script.unknown if context.script is not None else ""
        return sanitize_text(f"{command.nodes('nodes') or unknown} (known when it plays)")
    nodes = targets(context, command)
    return sanitize_text(f"{nodes} ({len(nodes)})")


def is_unknown(context: Context, command: Command) -> bool:
    """Whether only the real run will tell which nodes a command is for."""
    expression = command.nodes("nodes")
    if expression is not None:
        return only_known_later(context, expression)
    return context.script is not None and bool(context.script.unknown)


def only_known_later(context: Context, expression: str) -> bool:
    """Whether a dry run cannot know what an expression stands for."""
    return context.dry_run and _RESULTS.search(expression) is not None


def lasting_label(context: Context, expression: str) -> str:
    """How a selection made of an expression may be called from now on; empty: by its nodes alone.

    `@ok` means other nodes after the next run, but what was selected stays: its name is then `@run:12:ok`. Results of
    a run that goes on may still change, so they give no name at all.
    """
    if expression.startswith("@"):
        expression = checked(context.session, expression)  # `@@web` is called @web, and `@node1` may be a node
    if not expression.startswith("@"):
        return ""
    runs = context.session.runs
    last = context.script.last if context.script is not None else None
    if last is None and (run := newest(runs)) is not None:
        last = run.id
    lasting = _LAST_RUN.sub(rf"@run:{last}:\1", expression)
    if "@run:" not in lasting:
        return expression
    named = _ONE_RUN.fullmatch(lasting)
    run = runs.get(int(named[1])) if named is not None else None
    return lasting if run is not None and run.ended is not None else ""


def run_options(command: Command) -> RunOptions:
    """The run options of a command; those it does not know stay as the settings say."""
    return RunOptions(
        fanout=command.number("fanout"),
        timeout=command.duration("timeout"),
        connect_timeout=command.duration("connect_timeout"),
        worker=command.get("worker") or None,
        user=command.get("user") or None,
        stderr=command.has("stderr"),
        sudo=command.has("sudo"),
        batch=command.get("batch") or None,
        stop_at=command.get("stop_at") or None,
        retries=command.number("retries") or 0,
        environment=tuple(read_variable(pair) for pair in command.many("env")),
        pty=command.has("pty"),
        preserve=command.has("preserve"),
        flat=command.has("flat"),
        dry_run=command.has("dry_run"),
    )
