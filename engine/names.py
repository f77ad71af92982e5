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
    """A file name for a checked node name: no separator, no leading dot, the same name for the same node."""
    safe = _NOT_IN_FILE_NAMES.sub("_", node)
    return "_" + safe[1:] if safe.startswith(".") else safe
