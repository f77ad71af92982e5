"""The Task engine: nodes, commands and bytes; no screen.

`from clusterdeck.engine import task_self, EventHandler, NodeSet, ...`: every public name, each imported at its first
use, so that importing this package costs next to nothing. The names and their behaviour are those that
ClusterShell users know.
"""

from __future__ import annotations

import importlib
from typing import Any

#: Public names by the module that defines them.
_MODULES: dict[str, tuple[str, ...]] = {
    ".task": ("Task", "task_cleanup", "task_self", "task_terminate", "task_wait"),
    ".errors": (
        "AlreadyRunningError",
        "EngineAbortException",
        "EngineAlreadyRunningError",
        "EngineClientEOF",
        "EngineClientError",
        "EngineClientException",
        "EngineClientNotSupportedError",
        "EngineException",
        "EngineIllegalOperationError",
        "EngineNotSupportedError",
        "EngineTimeoutException",
        "TaskError",
        "TaskException",
        "TaskMsgTreeError",
        "TimeoutError",
        "WorkerBadArgumentError",
        "WorkerError",
        "WorkerException",
    ),
    ".events": ("EventHandler",),
    ".gather": ("MODE_DEFER", "MODE_SHIFT", "MODE_TRACE", "MsgTree", "MsgTreeElem"),
    ".states": ("Failure", "FailureKind", "NodeEnd", "NodeState"),
    ".workers.base": ("FANOUT_DEFAULT", "FANOUT_UNLIMITED", "Worker"),
    ".workers.distant": ("DistantWorker",),
    ".workers.stream": ("StreamWorker", "WorkerSimple"),
    ".workers.exec": ("ExecWorker",),
    ".workers.popen": ("WorkerPopen",),
    ".workers.ssh": ("WorkerSsh",),
    ".workers.rsh": ("WorkerRsh",),
    ".workers.pdsh": ("WorkerPdsh",),
    ".workers.paramiko": ("WorkerParamiko",),
    ".client": ("EngineClient",),
    ".loop": ("Engine",),
    ".ports": ("EnginePort",),
    ".timers": ("EngineTimer",),
    ".engines": ("EngineEPoll", "EnginePoll", "EngineSelect"),
    ".defaults": ("DEFAULTS", "Defaults"),
    "ClusterShell.NodeSet": ("NodeSet", "NodeSetException", "NodeSetParseError"),
    "ClusterShell.RangeSet": ("RangeSet",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

#: A star import leaves the one out that would import paramiko.
__all__ = sorted(set(_HOMES) - {"WorkerParamiko"})


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
