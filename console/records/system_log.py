"""A copy of the audit log in the system's log, where the account that is being audited cannot change it."""

from __future__ import annotations

import json
import syslog
from collections.abc import Mapping
from typing import Any

#: Bytes of one message; system logs cut what is longer, each at another place.
_LIMIT = 4096
#: Characters of a text that stay where a message would be longer.
_TEXT = 512


class SystemLog:
    """Sends records to syslog, facility authpriv, as JSON. It is not told whether they arrive; any thread."""

    def __init__(self) -> None:
        syslog.openlog("clusterdeck", syslog.LOG_PID, syslog.LOG_AUTHPRIV)

    def send(self, record: Mapping[str, Any]) -> None:
        """One record; long texts are cut, which the audit log itself never does."""
        syslog.syslog(syslog.LOG_NOTICE, message(record))


def message(record: Mapping[str, Any]) -> str:
    """A record as one line of printable ASCII within the limit."""
    text = json.dumps(record, ensure_ascii=True)
    if len(text) <= _LIMIT:
        return text
    # Quoting makes some characters six times as long: counted as they are written.
    short = {key: _cut(value) if isinstance(value, str) else value for key, value in record.items()}
    text = json.dumps(short, ensure_ascii=True)
    if len(text) <= _LIMIT:
        return text
    plain = {key: value for key, value in short.items() if not isinstance(value, dict | list)}
    return json.dumps({**plain, "cut": True}, ensure_ascii=True)[:_LIMIT]


def _cut(text: str) -> str:
    shown = text
    while len(json.dumps(shown)) > _TEXT:
        shown = shown[: max(0, len(shown) * _TEXT // len(json.dumps(shown)) - 1)]
    return text if shown == text else f"{shown}..."
