"""`clusterdeck demo`: the console on a cluster that this machine pretends to have."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType

from .argument_parser import Parser
from .democluster.cluster import DemoCluster, DemoClusterError
from .democluster.plan import DESCRIPTION, MAX_NODES
from .exits import ExitCode
from .tui.terminal import unfit

_DEFAULT_NODES = 24
#: What a user may have set on purpose also for a demo; everything else about files is the demo's own.
_USERS_CHOICE = ("CLUSTERDECK_CONFIG_DIR", "CLUSTERDECK_STATE_DIR", "CLUSTERDECK_CACHE_DIR")

_EPILOG = f"""\
{DESCRIPTION}
examples:
  clusterdeck demo                                  the console on demo[1-24]
  clusterdeck demo -n 100                           a bigger one
  clusterdeck demo -- run -w @web -b uname -r       one command, then gone
  clusterdeck demo -- repl                          the plain prompt
  clusterdeck demo --serve-only                     the nodes alone, for other programs and terminals

All of it is real SSH on 127.0.0.1, with keys made for the occasion in a private temporary folder. When the
console ends, however it ends, the nodes, their commands and the folder are gone.
"""


def build_parser() -> argparse.ArgumentParser:
    """The command line of `clusterdeck demo`."""
    parser = Parser(
        prog="clusterdeck demo",
        description="Open the console on a small SSH cluster on this machine's loopback.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    parser.usage = "clusterdeck demo [-h] [-n N] [--healthy] [--serve-only] [-- ARGS...]"
    return parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add its options; the manual and the shell completions have them from here, too."""
    parser.add_argument(
        "-n",
        "--nodes",
        type=int,
        default=_DEFAULT_NODES,
        metavar="N",
        help=f"how many nodes, 1 to {MAX_NODES} (default {_DEFAULT_NODES})",
    )
    parser.add_argument("--healthy", action="store_true", help="no node is unreachable on purpose")
    parser.add_argument(
        "--serve-only", action="store_true", help="only serve; print how to reach the nodes, end with Ctrl-C"
    )


def main(words: Sequence[str], console: Callable[[Sequence[str]], int]) -> int:
    """Run `clusterdeck demo` with these words (those after `demo`); returns the exit status.

    console: the `clusterdeck` command itself, called with the words after `--` when the nodes are there.
    """
    parser = build_parser()
    cut = words.index("--") if "--" in words else len(words)
    options, arguments = parser.parse_args(words[:cut]), words[cut + 1 :]
    if options.serve_only and arguments:
        parser.error("--serve-only takes no arguments for the console")
    try:
        cluster = DemoCluster(options.nodes, faults=not options.healthy)
    except ValueError as error:
        parser.error(str(error))
    if not (arguments or options.serve_only) and (problem := unfit()):
        print(f"clusterdeck demo: {problem}", file=sys.stderr)  # noqa: T201
        return int(ExitCode.NO_TERMINAL)
    try:
        with cluster:
            if options.serve_only:
                cluster.wait_ready()
                return _serve(cluster)
            return _console(cluster, arguments, console)
    except DemoClusterError as error:
        print(f"clusterdeck demo: {error}", file=sys.stderr)  # noqa: T201
        return int(ExitCode.ERROR)


def _console(cluster: DemoCluster, arguments: Sequence[str], console: Callable[[Sequence[str]], int]) -> int:
    # First of all: ClusterShell looks at its environment when it is imported.
    given = {name: os.environ[name] for name in _USERS_CHOICE if name in os.environ}
    os.environ.update(cluster.environment | given)
    if not arguments:
        importlib.import_module(".tui.launch", __package__)  # while the nodes start, in their own process
    cluster.wait_ready()
    return console(arguments)


def _serve(cluster: DemoCluster) -> int:
    def leave(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    lines = [f"export {name}={shlex.quote(value)}" for name, value in cluster.environment.items()]
    lines.append(f"# {cluster.nodes} on 127.0.0.1: ssh -F {shlex.quote(str(cluster.ssh_config))} demo1")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    sys.stderr.write("serving; Ctrl-C ends the nodes and removes their folder\n")
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()
    return int(ExitCode.OK)
