"""Strings that are commands, options or placeholders where somebody takes them for more than a value.

Each makes the file `pwned` in the current folder if a shell or a program obeys it.
"""

from __future__ import annotations

import itertools
from typing import Any

_BEFORE = ("", "n1", "@n1", "a b", "'", '"', "'n1'", "\\", "%h", "%%h", "${HOME}", "-", "--", "\u00e9", "n1.example")
_RUN = (
    ";>pwned",
    ";>pwned;",
    "&>pwned",
    "|>pwned",
    "||>pwned",
    "&&>pwned",
    "\n>pwned\n",
    "\r\n>pwned",
    "$(>pwned)",
    "`>pwned`",
    "';>pwned;'",
    '";>pwned;"',
    '"$(>pwned)"',
    "<(>pwned)",
    ">pwned",
    "\\\n>pwned",
    "');>pwned;('",
    "}>pwned;{",
    "\x00;>pwned",
    "\x1b;>pwned",
)
_OPTIONS = (
    "-oProxyCommand=>pwned",
    "-oProxyCommand=touch\tpwned",
    "-oPermitLocalCommand=yes",
    "-oLocalCommand=>pwned",
    "-Fpwned",
    "-Epwned",
    "-opwned",
    "--output=pwned",
    "-tpwned",
    "-Spwned",
    "-",
    "--",
    "-w-oProxyCommand=>pwned",
    "^pwned",
    "%h%h%h",
    "%hosts",
    "%n",
    "%rank",
    "%{hosts}",
    "{node}",
    "{}",
    "{//}",
    "{{}}",
    "{name:raw}",
    "$GROUP",
    "$NODE",
    "../pwned",
    "/tmp/../pwned",
    "~root",
    "~;>pwned",
    "*",
    "?",
    "!>pwned",
    "#;>pwned",
)


def attacks() -> list[str]:
    return [*(before + run for before, run in itertools.product(_BEFORE, _RUN)), *_OPTIONS]


class Ends:
    """How nodes ended."""

    def __init__(self) -> None:
        self.ends: dict[str, Any] = {}

    def ev_end(self, worker: Any, node: str, end: Any) -> None:
        self.ends[node] = end
