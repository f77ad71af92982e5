"""From an expression to a node set: ClusterShell's syntax and groups, own groups, saved sets and results of runs.

| expression                 | nodes                                                        |
|----------------------------|--------------------------------------------------------------|
| `node[1-9]`, `@web`, `@*`  | ClusterShell's node sets and groups.conf, as they are        |
| `@name`                    | a saved set, then an own group of the settings, then a group |
| `@ok @failed @timeout ...` | nodes of the newest run by state; `@bad`: all that went wrong |
| `@rc:2`                    | nodes of the newest run that returned 2                      |
| `@run:12`, `@run:12:failed`, `@run:12:rc:2` | the same of run 12                          |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from ClusterShell.NodeSet import NodeSet, NodeSetException
from ClusterShell.NodeUtils import GroupResolverError, GroupSourceError

from ...engine.names import NameRefusedError, check_node
from ...engine.states import NodeState
from ...engine.text import sanitize_text
from ..runs.run_store import RunStore
from ..runs.runs import Run
from .group_files import loaded_groups

#: Words for the states of a run's nodes; `bad` is every end but ok.
STATE_WORDS: dict[str, tuple[NodeState, ...]] = {
    **{state.word: (state,) for state in NodeState},
    "bad": tuple(state for state in NodeState if state.bad),
}

#: More nodes than this are a slip of the keyboard, and would take the memory of the machine.
MAX_NODES = 1_000_000
_BRACKETS = re.compile(r"\[([^\]]*)\]|[,!&^\s]")
_NAMELESS_SOURCE = re.compile(r"@\s*:")
#: What a group program's command line, which is a shell's, may be given.
_WORD = re.compile(r"[A-Za-z0-9_@.,:/+*%=~\[\]][A-Za-z0-9_@.,:/+*%=~\[\]\-]*\Z")
_RANGE = re.compile(r"\s*(\d+)-(\d+)(?:/(\d+))?", re.ASCII)


class NodeExpressionError(ValueError):
    """An expression that gives no node set. position: column of the wrong part, from 0, or None."""

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


class DeckResolver:
    """Answers ClusterShell's parser: our own names first, then groups.conf."""

    def __init__(
        self,
        runs: RunStore,
        saved: Callable[[str], NodeSet | None],
        own: Callable[[str], str | None],
        groups: Callable[[], Any] = loaded_groups,
    ) -> None:
        self._runs = runs
        self._saved = saved
        self._own = own
        self._groups = groups

    def group_nodes(self, group: str, namespace: str | None = None) -> list[str]:
        """Node names, or expressions of nodes, of one group."""
        _check_word(group)
        return _checked(self._group_nodes(group, namespace))

    def _group_nodes(self, group: str, namespace: str | None) -> list[str]:
        if namespace == "run":
            return self._of_run(group)
        if namespace == "rc":
            return self._of_last(f"rc:{group}")
        if not namespace:
            if group in STATE_WORDS:
                return self._of_last(group)
            saved = self._saved(group)
            if saved is not None:
                return [str(saved)] if len(saved) else []
            own = self._own(group)
            if own is not None:
                return [own]
        return list(self._groups().group_nodes(group, namespace))

    def all_nodes(self, namespace: str | None = None) -> list[str]:
        """What `@*` means."""
        return _checked(list(self._groups().all_nodes(namespace)))

    def grouplist(self, namespace: str | None = None) -> list[str]:
        """Names of the groups of a source."""
        return list(self._groups().grouplist(namespace))

    def has_node_groups(self, namespace: str | None = None) -> bool:
        """Whether the source can tell a node's groups."""
        return bool(self._groups().has_node_groups(namespace))

    def node_groups(self, node: str, namespace: str | None = None) -> list[str]:
        """Groups of a node."""
        _check_word(node)
        return list(self._groups().node_groups(node, namespace))

    @property
    def default_source_name(self) -> str:
        """The name of the default group source."""
        return str(self._groups().default_source_name)

    def _of_run(self, group: str) -> list[str]:
        number, _, what = group.partition(":")
        run = self._runs.find(int(number)) if number.isascii() and number.isdigit() and len(number) < 10 else None
        if run is None:
            more = "; those of earlier sessions are still being read" if self._runs.reading else ""
            raise NodeExpressionError(f"there is no run {number!r}{more}")
        return self._part(run, what)

    def _of_last(self, what: str) -> list[str]:
        run = newest(self._runs)
        if run is None:
            raise NodeExpressionError(f"@{what} is of the newest run, and there is none yet")
        return self._part(run, what)

    def _part(self, run: Run, what: str) -> list[str]:
        with self._runs.lock:
            if not what:
                found = run.nodes
            elif what in STATE_WORDS:
                found = run.node_set(*STATE_WORDS[what])
            elif what.startswith("rc:") and what[3:].lstrip("-").isdigit():
                found = run.nodes_with_rc(int(what[3:]))
            else:
                words = " ".join(STATE_WORDS)
                raise NodeExpressionError(f"a run has no nodes called {what!r}: use {words} or rc:N")
            return [str(found)] if len(found) else []


def newest(runs: Iterable[Run]) -> Run | None:
    """The run that `@ok`, `@failed` and the like are of: the newest of this session over nodes."""
    return next((run for run in reversed(list(runs)) if run.kind != "local" and not run.restored), None)


def _checked(expressions: list[str]) -> list[str]:
    """What a group gave, unless it is far too large: a group program may say anything."""
    for expression in expressions:
        check_size(expression)
    return expressions


def check_size(expression: str) -> None:
    """Raise NodeExpressionError for ranges of too many nodes, which the parser would expand and the machine die of."""
    total, product = 0, 1
    for match in _BRACKETS.finditer(expression):
        if match[1] is None:
            total, product = total + product, 1
            continue
        product *= max(1, sum(_range_size(part) for part in match[1].split(",")))
        if total + product > MAX_NODES:
            raise NodeExpressionError(f"too many nodes: at most {MAX_NODES}", match.start())


def _range_size(part: str) -> int:
    match = _RANGE.match(part)
    if match is None:
        return 1
    if max(map(len, match.groups(default=""))) > 18:
        return MAX_NODES + 1
    return max(0, int(match[2]) - int(match[1])) // max(1, int(match[3] or 1)) + 1


def _check_word(name: str) -> None:
    """Refuse a group's or node's name that a shell could take for more. Raises NodeExpressionError."""
    if not _WORD.match(name):
        raise NodeExpressionError(f"group {name!a} refused: use letters, digits and _ . : / @ + - in names of groups")


def parse_nodes(expression: str, resolver: Any) -> NodeSet:
    """The node set of an expression, every name checked. Raises NodeExpressionError; may wait for group programs."""
    try:
        check_size(expression)
        nameless = _NAMELESS_SOURCE.search(expression)
        if nameless is not None:
            # What is left of "@$SOURCE:*" where the variable is not set: every node, where one group was meant.
            raise NodeExpressionError("a group source without a name: was a variable empty?", nameless.start())
        nodes = NodeSet(expression, resolver=resolver)
        if len(nodes) > MAX_NODES:
            raise NodeExpressionError(f"{len(nodes)} nodes are too many: at most {MAX_NODES}")
        for node in nodes:
            check_node(node)
    except NodeExpressionError as error:
        if error.position is None:
            error.position = _position(expression, str(error))
        raise
    except NameRefusedError as error:
        raise NodeExpressionError(str(error)) from None
    except (NodeSetException, GroupResolverError, GroupSourceError, RecursionError, OSError) as error:
        part = str(getattr(error, "part", "") or "")
        position = expression.find(part) if part and part in expression else None
        raise NodeExpressionError(_message(error), position) from error
    return nodes


def _message(error: Exception) -> str:
    if isinstance(error, RecursionError) or "maximum recursion depth" in str(error):
        return "groups that contain each other"
    if type(error).__name__ == "GroupResolverSourceError":
        return f"unknown group source {sanitize_text(str(error))!r}"
    if type(error).__name__ == "GroupSourceNoUpcall":
        source = getattr(error, "group_source", None)
        return f"the group source {getattr(source, 'name', '?')!r} cannot tell this ({sanitize_text(str(error))})"
    return sanitize_text(str(error)) or type(error).__name__


def _position(expression: str, message: str) -> int | None:
    quoted = message.split("'")[1] if message.count("'") >= 2 else ""
    return expression.find(quoted) if quoted and quoted in expression else None
