"""Workers: what a Task runs, one module per way of reaching a node. Every worker class can be imported from here."""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "DistantWorker": "distant",
    "Worker": "base",
    "StreamWorker": "stream",
    "WorkerSimple": "stream",
    "ExecWorker": "exec",
    "WorkerPopen": "popen",
    "WorkerSsh": "ssh",
    "WorkerRsh": "rsh",
    "WorkerPdsh": "pdsh",
    "WorkerParamiko": "paramiko",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{home}", __name__), name)
