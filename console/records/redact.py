"""Secrets that an operator typed into a command, made unreadable before anything is written down."""

from __future__ import annotations

import re

_WORD = r"(?:pass(?:word|wd|phrase)?|secret|token|api[-_]?key|credentials?)"
_VALUE = r"""(?:"[^"]*"|'[^']*'|[^\s;|&"']+)"""
_PATTERNS = (
    # --password VALUE, --password=VALUE, -password VALUE
    re.compile(rf"(--?[a-z0-9-]*{_WORD}[a-z0-9-]*(?:\s+|=))({_VALUE})", re.IGNORECASE),
    # PASSWORD=VALUE, db_password: VALUE
    re.compile(rf"(\b[a-z0-9_]*{_WORD}[a-z0-9_]*\s*[=:]\s*)({_VALUE})", re.IGNORECASE),
    # scheme://user:VALUE@host
    re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)([^\s@/]+)(?=@)", re.IGNORECASE),
    # sshpass -pVALUE, mysql -pVALUE
    re.compile(rf"(\b(?:sshpass|mysql|mysqldump|mysqladmin)\b[^|;&]*?\s-p\s?)({_VALUE})", re.IGNORECASE),
    # Authorization: Bearer VALUE
    re.compile(rf"(\b(?:bearer|basic)\s+)({_VALUE})", re.IGNORECASE),
)
MASK = "***"


def redact(text: str) -> str:
    """The text with everything that looks like a secret replaced by `***`; better too much than too little."""
    for pattern in _PATTERNS:
        text = pattern.sub(lambda match: match.group(1) + MASK, text)
    return text
