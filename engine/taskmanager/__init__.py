"""A queue of tasks that survives the loss of the workers that take them.

The names in `__all__` are loaded when they are first used, so that importing this package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import (
        QueueFull,
        RemoteError,
        StaleTask,
        StoreUnavailable,
        TaskCancelled,
        TaskLost,
        TaskManagerTermination,
        TaskRaisedException,
        UnknownProcess,
        UnknownTask,
    )
    from .manager import TaskManager
    from .processes import ManagerProcess, MasterProcess, SlaveProcess, WorkerProcess
    from .tasks import TaskOptions, TaskState

_HOMES = {
    "TaskManager": "manager",
    "ManagerProcess": "processes",
    "MasterProcess": "processes",
    "SlaveProcess": "processes",
    "WorkerProcess": "processes",
    "TaskOptions": "tasks",
    "TaskState": "tasks",
    "QueueFull": "errors",
    "RemoteError": "errors",
    "StaleTask": "errors",
    "StoreUnavailable": "errors",
    "TaskCancelled": "errors",
    "TaskLost": "errors",
    "TaskManagerTermination": "errors",
    "TaskRaisedException": "errors",
    "UnknownProcess": "errors",
    "UnknownTask": "errors",
}

__all__ = [
    "ManagerProcess",
    "MasterProcess",
    "QueueFull",
    "RemoteError",
    "SlaveProcess",
    "StaleTask",
    "StoreUnavailable",
    "TaskCancelled",
    "TaskLost",
    "TaskManager",
    "TaskManagerTermination",
    "TaskOptions",
    "TaskRaisedException",
    "TaskState",
    "UnknownProcess",
    "UnknownTask",
    "WorkerProcess",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{home}", __name__), name)
