"""Finds what looks like a secret in a command line, so that it never reaches a history, a macro or a log.

What is typed at a password prompt never gets here; this is for secrets that stand in the line itself. It errs on the
side of taking out too much.
"""

from __future__ import annotations

import re

# Every repetition is bounded: lines come from anywhere, and an unbounded one makes some of them take minutes.
_NAMES = (
    r"(?:password|passwd|passphrase|passcode|secret|token|(?:api|access|private)[_-]?key|credentials?"
    r"|(?<![A-Za-z])(?:pass|pwd))"
)
_VALUE = r"(?P<value>'[^']{0,4096}'|\"(?:[^\"\\]|\\.){0,4096}\"|[^\s'\";|&)]{1,4096})"

_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # PASSWORD=x, --password=x, "password": x, -Dtoken=x
        rf"{_NAMES}[A-Za-z0-9_-]{{0,32}}[\"']?\s{{0,4}}(?:=|:(?!//))\s{{0,4}}{_VALUE}",
        # --password x, -password x
        rf"(?<=\s)--?[a-z0-9-]{{0,32}}?{_NAMES}\s{{1,4}}(?!-){_VALUE}",
        # Authorization: Bearer x
        rf"\b(?:bearer|basic)\s{{1,4}}{_VALUE}",
        # scheme://user:x@host
        r"(?<=://)[^\s:/@]{1,128}:(?P<value>[^\s@/]{1,512})@",
        # curl -u user:x, wget --user
        r"(?<=\s)(?:-u|--user|--proxy-user)[\s=]{0,4}[^\s:]{1,128}:(?P<value>[^\s'\"]{1,4096})",
        # sshpass -p x
        rf"\bsshpass\s{{1,4}}-p\s{{0,4}}{_VALUE}",
        # mysql -px
        r"\b(?:mysql|mysqldump|mysqladmin|mariadb)\b[^|;&]{0,256}?\s-p(?P<value>[^\s'\"]{1,4096})",
        # echo x | passwd --stdin, echo user:x | chpasswd
        rf"\becho\s{{1,4}}(?:-n\s{{1,4}})?{_VALUE}\s{{0,4}}\|\s{{0,4}}"
        r"(?:sudo\s{1,4}(?:-\S{1,32}\s{1,4}){0,4})?(?:passwd|chpasswd|sudo\s{1,4}-S)",
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
