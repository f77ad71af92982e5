"""The options of `clusterdeck run`: clush's usual ones, with the same letters and meaning, and our own."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ... import __version__

EXAMPLES = """\
examples:
  clusterdeck run -w node[1-9] uname -r              one line per node, as it arrives
  clusterdeck run -w @web -b uptime                  identical answers together
  clusterdeck run -a -x node7 -L df -h /             node after node
  clusterdeck run -w node[1-9] --diff cat /etc/fstab what differs
  clusterdeck run -w @web --copy nginx.conf --dest /etc/nginx/
  clusterdeck run -w @web --batch 1,10%,rest --stop-at 2% --sudo -- systemctl restart nginx
  clusterdeck run -w @web --json uptime | jq .counts
"""


def join_values(parser: argparse.ArgumentParser, words: Sequence[str]) -> list[str]:
    """The words with values that begin with a dash joined to their options: `-o -oPort=22` as `-o-oPort=22`.

    argparse would take such a value for an option; for clush it is one. The command's own words stay as they are.
    """
    joined: list[str] = []
    rest = list(words)
    copying = False
    while rest and rest[0] != "--" and (copying or rest[0].startswith("-")):
        word = rest.pop(0)
        copying = copying or word in ("-c", "--copy", "--rcopy")  # options may follow the files
        joined.append(word)
        if rest and word.startswith("-") and _wants_value(parser, word):
            value = rest.pop(0)
            if value.startswith("-"):
                joined[-1] += f"={value}" if word.startswith("--") else value
            else:
                joined.append(value)
    return joined + rest


def _wants_value(parser: argparse.ArgumentParser, word: str) -> bool:
    """Whether the next word is this option's value."""
    known = parser._option_string_actions
    if word.startswith("--"):
        found = {id(action): action for name, action in known.items() if name.startswith(word)}
        action = known.get(word) or (next(iter(found.values())) if len(found) == 1 else None)
        return action is not None and action.nargs is None
    # The first letter that takes a value takes the rest of the word, if there is one.
    takes = [place for place, letter in enumerate(word) if (a := known.get(f"-{letter}")) and a.nargs is None]
    return bool(takes) and takes[0] == len(word) - 1


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add all options of `run`."""
    _add_targets(parser.add_argument_group("nodes"))
    _add_output(parser.add_argument_group("output"))
    _add_copy(parser.add_argument_group("copies"))
    _add_connection(parser.add_argument_group("connections"))
    _add_course(parser.add_argument_group("course"))
    parser.add_argument("--version", action="version", version=f"clusterdeck {__version__}")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="the command, or files to copy")


def _add_targets(group: argparse._ArgumentGroup) -> None:
    group.add_argument("-w", dest="nodes", action="append", default=[], metavar="NODES", help="run on these nodes")
    group.add_argument("-x", dest="exclude", action="append", default=[], metavar="NODES", help="but not on these")
    group.add_argument("-a", "--all", dest="all_nodes", action="store_true", help="run on all nodes of the groups")
    group.add_argument(
        "-g", "--group", dest="groups", action="append", default=[], metavar="GROUP", help="run on this group"
    )
    group.add_argument(
        "-X", dest="exclude_groups", action="append", default=[], metavar="GROUP", help="but not on this group"
    )
    group.add_argument(
        "--hostfile", "--machinefile", dest="host_files", action="append", default=[], metavar="FILE",
        help="file with nodes, one or more per line",
    )  # fmt: skip
    group.add_argument("--pick", type=int, default=0, metavar="N", help="N of the nodes, at random")
    group.add_argument("-s", "--groupsource", dest="source", metavar="SOURCE", help="group source to use")
    group.add_argument("--topology", metavar="FILE", help=argparse.SUPPRESS)
    group.add_argument("--groupsconf", metavar="FILE", help="another groups.conf")


def _add_output(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("-b", "--dshbak", dest="gather", action="store_true", help="gather: identical answers once")
    add("-B", dest="gather_all", action="store_true", help="like -b, with stderr")
    add("-L", dest="line_mode", action="store_true", help="no header blocks: lines in the order of nodes; -bL: live")
    add("-N", dest="labels", action="store_false", help="no labels before lines")
    add("-S", "--maxrc", dest="max_rc", action="store_true", help="exit with the largest return code")
    add("-r", "--regroup", action="store_true", help="fold node sets into groups")
    add("-G", "--groupbase", dest="group_base", action="store_true", help="groups without their source's name")
    add("--axis", metavar="RANGESET", help="fold along these axes only")
    add("--diff", action="store_true", help="show what differs between answers")
    add("--outdir", dest="out_folder", metavar="DIR", help="stdout into a file per node")
    add("--errdir", dest="err_folder", metavar="DIR", help="stderr into a file per node")
    add("--json", action="store_true", help="one JSON document at the end")
    add("--jsonl", dest="json_lines", action="store_true", help="a JSON object per line and event, as it happens")
    add("--raw", action="store_true", help="output byte for byte, only to files and pipes")
    add("--color", choices=("auto", "always", "never"), help="colours (also: NO_COLOR)")
    add("-P", "--progress", action="store_true", help="show progress on stderr")
    add("-q", "--quiet", action="store_true", help="only what matters")
    add("-v", "--verbose", action="count", default=0, help="more")
    add("-d", "--debug", action="store_true", help="most: worker, limits, steps of connecting, states of nodes")


def _add_copy(group: argparse._ArgumentGroup) -> None:
    group.add_argument("-c", "--copy", nargs="*", metavar="PATH", help="copy files or directories to the nodes")
    group.add_argument("--rcopy", nargs="*", metavar="PATH", help="copy files or directories from the nodes")
    group.add_argument("--dest", metavar="PATH", help="where to; by default the same place")
    group.add_argument("-p", dest="preserve", action="store_true", help="keep times and modes")


def _add_connection(group: argparse._ArgumentGroup) -> None:
    group.add_argument("-R", "--worker", metavar="WORKER", help="paramiko, ssh, rsh, pdsh, exec or a module")
    group.add_argument("-l", "--user", metavar="USER", help="log in as")
    group.add_argument("-f", "--fanout", type=int, metavar="N", help="nodes at a time")
    group.add_argument(
        "-t", "--connect_timeout", "--connect-timeout", type=float, metavar="SEC", help="limit for connecting"
    )
    group.add_argument(
        "-u", "--command_timeout", "--timeout", dest="timeout", type=float, metavar="SEC",
        help="limit for the command on a node",
    )  # fmt: skip
    group.add_argument("-o", "--options", dest="ssh_options", metavar="OPTIONS", help="options for ssh")
    group.add_argument(
        "-O", "--option", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="any setting"
    )
    group.add_argument("-m", "--mode", metavar="MODE", help="run mode of clush.conf")
    group.add_argument("--conf", metavar="FILE", help="another clush.conf")
    group.add_argument("-n", "--nostdin", action="store_true", help="do not read standard input")
    group.add_argument("--remote", choices=("yes", "no"), default="yes", help="no: run on this machine, once per node")


def _add_course(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--pty", action="store_true", help="give the command a terminal")
    group.add_argument(
        "-e", "--env", dest="environment", action="append", default=[], metavar="NAME=VALUE",
        help="set a variable for the command",
    )  # fmt: skip
    group.add_argument("--batch", metavar="SIZES", help="in waves of nodes: 1,10%%,rest")
    group.add_argument("--stop-at", metavar="COUNT", help="no more waves after so many bad nodes: 3 or 2%%")
    group.add_argument("--retries", type=int, default=0, metavar="N", help="try bad nodes again, N times")
    group.add_argument("--sudo", action="store_true", help="run the command through sudo")
    group.add_argument("--confirm", type=int, metavar="N", help="agree to run on N nodes, protected ones among them")
    group.add_argument("--dry-run", action="store_true", help="show nodes and command, run nothing")
