"""Payloads of the stores that outlive the process: JSON text, nothing that could run when it is read."""

from __future__ import annotations

import json
from typing import Any

from ..tasks import Failure


def _plain(value: Any) -> Any:
    if isinstance(value, Failure):
        return {"type_name": value.type_name, "message": value.message, "traceback": value.traceback}
    raise TypeError(f"{type(value).__name__} is no JSON value: this queue keeps numbers, text, lists and dictionaries")


_encoder = json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=_plain)


def dumps(value: Any) -> str:
    """JSON text of a payload. TypeError or ValueError when it has no exact one; tuples become lists."""
    return _encoder.encode(value)


def loads(text: Any) -> Any:
    """The payload again."""
    return json.loads(text)
