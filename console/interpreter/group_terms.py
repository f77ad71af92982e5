"""Groups in a node expression that do not exist: told, where ClusterShell takes them for empty.

`@all!@maintenence` would otherwise be all nodes, for one wrong letter.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from ..exits import ExitCode
from ..session.node_expressions import STATE_WORDS
from ..session.service import Service
from .context import CommandError

_OPERATORS = re.compile(r"([,!&^\s]+)(?![^\[]*\])")
_LOOKS_LIKE_NODES = re.compile(r"@(?!run:|rc:)[A-Za-z0-9._-]*[0-9\[][^@:]*\Z")


def checked(session: Service, expression: str, argument: str = "", *, or_nodes: bool = True) -> str:
    """The expression, fit to be resolved. Raises CommandError for a group that is not there.

    As at clush's prompt, `@node[1-4]` may also be nodes if there is no such group and or_nodes is set (a word without
    a number is a mistyped group, not a node), and `@@web` is the group web.
    """
    if expression.startswith("@@"):
        expression = expression[1:]
    parts = _OPERATORS.split(expression)
    for place, term in enumerate(parts):
        if not term.startswith("@") or not _is_missing(session, term):
            continue
        if or_nodes and place == 0 and _LOOKS_LIKE_NODES.match(term):
            parts[0] = term[1:]
            continue
        offset = sum(len(part) for part in parts[:place])
        near = ", ".join(_near(session, term[1:]))
        remedy = f"did you mean {near}?" if near else ":groups lists them"
        raise CommandError(f"there is no group {term}", remedy, code=ExitCode.REFUSED, argument=argument, offset=offset)
    return "".join(parts)


def _is_missing(session: Service, term: str) -> bool:
    name = term[1:]
    if name in STATE_WORDS or name.startswith(("run:", "rc:", "*")) or not name:
        return False
    if session.selection.find_saved(name) is not None or name in session.settings.group_sets:
        return False
    if session.resolve(term):
        return False
    # It stands for nothing: a group that exists may, one that nobody knows may not.
    return name.rpartition(":")[2] not in set(_listed(session, name))


def _listed(session: Service, name: str) -> Iterator[str]:
    """Groups of the source; of a source that cannot list them, every name counts as known."""
    resolver = session.resolver
    source, colon, group = name.rpartition(":")
    try:
        yield from resolver.grouplist(source if colon else None)
    except Exception:  # group sources fail in their own ways, and a listing is only for the message's sake
        yield group


def _near(session: Service, name: str) -> list[str]:
    known = [*_listed(session, name), *session.selection.saved, *session.settings.group_sets]
    return [f"@{found}" for found in difflib.get_close_matches(name, known, 2, 0.6)]
