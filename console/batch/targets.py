"""Which nodes a batch command is for: `-w -x -a -g -X --hostfile --pick`, with clush's meaning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet, NodeSetException

from ..session.node_expressions import NodeExpressionError, check_size
from ..session.service import Service


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """What the command line says about nodes; every field may be given several times."""

    nodes: Sequence[str] = ()
    exclude: Sequence[str] = ()
    all_nodes: bool = False
    groups: Sequence[str] = ()
    exclude_groups: Sequence[str] = ()
    host_files: Sequence[str] = ()
    pick: int = 0
    source: str | None = None


class NoGroupError(NodeExpressionError):
    """A group that does not exist: `-x @typo` must not mean that nothing is left out."""


def targets(options: TargetOptions, session: Service) -> NodeSet:
    """The nodes. Raises NodeExpressionError (NoGroupError), or OSError (a host file that cannot be read)."""

    def resolve(expression: str) -> NodeSet:
        if "@" in expression:
            _check_groups(session, expression)
        return session.resolve(expression)

    prefix = f"{options.source}:" if options.source else ""

    def of(expression: str) -> NodeSet:
        return resolve(in_source(expression, options.source))

    found = NodeSet()
    for expression in options.nodes:
        found.update(of(expression))
    for file in options.host_files:
        for word in read_host_file(Path(file)):
            found.update(of(word))
    if options.all_nodes:
        found.update(resolve(f"@{prefix}*"))
    for group in _names(options.groups):
        found.update(resolve(f"@{_qualified(group, prefix)}"))
    for expression in options.exclude:
        found.difference_update(of(expression))
    for group in _names(options.exclude_groups):
        found.difference_update(resolve(f"@{_qualified(group, prefix)}"))
    if options.pick > 0 and len(found) > options.pick:
        import random

        found = NodeSet.fromlist(random.sample(list(found), options.pick))
    return found


def _check_groups(session: Service, expression: str) -> None:
    from ..interpreter.context import CommandError  # only where groups are named
    from ..interpreter.group_terms import checked

    try:
        checked(session, expression, or_nodes=False)
    except CommandError as error:
        near = f": {error.remedy}" if error.remedy.startswith("did") else ""
        raise NoGroupError(f"{error.message}{near}") from None


def _names(groups: Sequence[str]) -> list[str]:
    """The groups' names, which are written as node sets are: `web,db`, `rack[1-4]`. Raises NodeExpressionError."""
    return [name for group in groups for name in _words(group)]


def _words(group: str) -> Iterator[str]:
    check_size(group)
    try:
        yield from NodeSet(group, resolver=RESOLVER_NOGROUP)
    except NodeSetException as error:
        raise NodeExpressionError(f"-g {group}: {error}") from None


def _qualified(group: str, prefix: str) -> str:
    return group if ":" in group else prefix + group


def in_source(expression: str, source: str | None) -> str:
    """The expression with every group that names no source taken from `source`."""
    if not source or "@" not in expression:
        return expression
    pieces = expression.split("@")
    return pieces[0] + "".join(
        "@" + (piece if ":" in _group_word(piece) else f"{source}:{piece}") for piece in pieces[1:]
    )


def _group_word(text: str) -> str:
    for position, character in enumerate(text):
        if character in ",!&^ \t":
            return text[:position]
    return text


def read_host_file(file: Path) -> list[str]:
    """The node sets of a file: words separated by spaces and line ends; `#` begins a comment.

    Raises OSError, and NodeExpressionError where the file is not text.
    """
    try:
        text = file.read_text("utf-8")
    except UnicodeDecodeError:
        raise NodeExpressionError(f"{file} is not a text file") from None
    return [word for line in text.splitlines() for word in line.split("#", 1)[0].split()]
