"""Finds what looks like a secret in a command line, so that it never reaches a history, a macro or a log.

What is typed at a password prompt never gets here; this is for secrets that stand in the line itself. It errs on the
side of taking out too much.
"""

from __future__ import annotations

import re

_NAMES = r"pass(?:word|wd|phrase|code)?|pwd|secret|token|(?:api|access|secret|private)[_-]?key|credentials?"
_VALUE = r"(?P<value>'[^']*'|\"(?:[^\"\\]|\\.)*\"|[^\s'\";|&)]+)"

_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # PASSWORD=x, --password=x, "password": x, -Dtoken=x
        rf"(?:[A-Za-z0-9_.-]*(?:{_NAMES})[A-Za-z0-9_-]*)[\"']?\s*(?:=|:(?!//))\s*{_VALUE}",
        # --password x, -password x
        rf"(?<=\s)--?(?:[a-z0-9-]*(?:{_NAMES}))\s+(?!-){_VALUE}",
        # Authorization: Bearer x
        rf"(?:bearer|basic)\s+{_VALUE}",
        # scheme://user:x@host
        r"[a-z][a-z0-9+.-]*://[^\s:/@]+:(?P<value>[^\s@/]+)@",
        # curl -u user:x, wget --user
        r"(?<=\s)(?:-u|--user|--proxy-user)[\s=]*[^\s:]+:(?P<value>[^\s'\"]+)",
        # sshpass -p x
        rf"\bsshpass\s+-p\s*{_VALUE}",
        # mysql -px
        r"\b(?:mysql|mysqldump|mysqladmin|mariadb)\b[^|;&]*?\s-p(?P<value>[^\s'\"]+)",
        # echo x | passwd --stdin, echo user:x | chpasswd
        rf"\becho\s+(?:-n\s+)?{_VALUE}\s*\|\s*(?:sudo\s+(?:-\S+\s+)*)?(?:passwd|chpasswd|sudo\s+-S)",
    )
)


def find_secrets(line: str) -> list[tuple[int, int]]:
    """Where values that look secret stand in the line: (start, end) without overlaps, in order.

    >>> find_secrets("mysql --password=tiger -e 'select 1'")
    [(17, 22)]
    """
    found: list[tuple[int, int]] = []
    for pattern in _PATTERNS:
        for match in pattern.finditer(line):
            start, end = match.span("value")
            if line[start:end] and not _harmless(line[start:end]):
                found.append((start, end))
    merged: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _harmless(value: str) -> bool:
    """A variable, a command substitution or a macro's parameter stands for a secret without being one."""
    bare = value.strip("'\"")
    return not bare or bare.startswith("$") or bool(re.fullmatch(r"\{[A-Za-z_][A-Za-z0-9_-]*(?::raw)?\}", bare))


def redact(line: str, mark: str = "***") -> str:
    """The line with every secret replaced by `mark`."""
    for start, end in reversed(find_secrets(line)):
        line = line[:start] + mark + line[end:]
    return line
