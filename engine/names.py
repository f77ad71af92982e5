"""The border check of names that come from outside: nodes, users, and the file names made of them.

A node name from a group program or a command line ends up in argument lists, file names and shell lines, so a name
that could be an option or a command is refused before anything is done with it.
"""

from __future__ import annotations

import re

_NODE = re.compile(r"[A-Za-z0-9._:][A-Za-z0-9._:\-]{0,252}\Z")
_USER = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._@\\\-]{0,127}\Z")
_NOT_IN_FILE_NAMES = re.compile(r"[^A-Za-z0-9._\-]")


class NameRefusedError(ValueError):
    """A name that will not be used; the message names it and says what is allowed."""


def check_node(name: str) -> str:
    """`name`, if it can be a node name (letters, digits, `.`, `_`, `:`, `-`; not first `-`; at most 253 characters).

    Raises NameRefusedError.
    """
    if _NODE.match(name) and name not in (".", ".."):
        return name
    raise NameRefusedError(f"node name {name!a} refused: use letters, digits and . _ : - and do not begin with -")


def check_user(name: str) -> str:
    """`name`, if it can be a login name (letters, digits, `.`, `_`, `@`, `\\`, `-`; not first `-` or `@`).

    Raises NameRefusedError.
    """
    if _USER.match(name):
        return name
    raise NameRefusedError(f"user name {name!a} refused: use letters, digits and . _ @ - and do not begin with -")


def file_name(node: str) -> str:
    """A file name for a checked node name: no separator, no leading dot, and no other node has the same.

    What does not belong in file names is written as in URLs (`fe80::1` becomes `fe80%3A%3A1`): scp, rsync and make take
    a colon for more than a letter.
    """
    safe = _NOT_IN_FILE_NAMES.sub(_quoted, node)
    return "%2E" + safe[1:] if safe.startswith(".") else safe


def _quoted(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogateescape"))
