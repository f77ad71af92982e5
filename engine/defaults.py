"""What a Task starts with: the values of a Defaults object, and worker classes by their names.

`DEFAULTS` and `Defaults` are ClusterShell's own, so that its configuration files and scripts that change them count.
"""

from __future__ import annotations

import importlib
from typing import Any

from ClusterShell.Defaults import DEFAULTS, Defaults

__all__ = ["DEFAULTS", "Defaults", "initial_defaults", "initial_info", "load_worker_class"]

#: Worker names of our own; any other name is a module that has WORKER_CLASS.
WORKER_NAMES = ("exec", "paramiko", "pdsh", "popen", "rsh", "ssh")

_DEFAULT_KEYS = (
    "stderr",
    "stdin",
    "stdout_msgtree",
    "stderr_msgtree",
    "engine",
    "port_qlimit",
    "auto_tree",
    "local_workername",
    "distant_workername",
)
_INFO_KEYS = ("debug", "print_debug", "fanout", "grooming_delay", "connect_timeout", "command_timeout")
#: Older ClusterShell releases miss some of the attributes.
_FALLBACKS: dict[str, Any] = {"stdin": True, "auto_tree": True, "port_qlimit": 100}


def load_worker_class(name: str) -> Any:
    """The worker class behind a name: ssh, rsh, pdsh, exec, popen, paramiko, or a module that has WORKER_CLASS.

    Names of ClusterShell's own worker modules mean ours. Raises ImportError that names the value.
    """
    name = str(name)
    short = name.rpartition(".")[2].lower()
    if name.lower() in WORKER_NAMES or (name.startswith("ClusterShell.Worker.") and short in WORKER_NAMES):
        module = importlib.import_module(f"..workers.{short}", __name__)
    else:
        try:
            module = importlib.import_module(name)
        except (ImportError, ValueError, TypeError) as error:
            known = ", ".join(WORKER_NAMES)
            raise ImportError(
                f"unknown worker {name!r}: use {known} or a module with WORKER_CLASS ({error})"
            ) from error
    try:
        return module.WORKER_CLASS
    except AttributeError:
        raise ImportError(f"worker module {name!r} has no WORKER_CLASS") from None


def initial_defaults(defaults: Any) -> dict[str, Any]:
    """A Task's defaults: a copy of the Defaults object's values, and the worker classes that they name."""
    values: dict[str, Any] = {key: getattr(defaults, key, _FALLBACKS.get(key)) for key in _DEFAULT_KEYS}
    values["local_worker"] = load_worker_class(values["local_workername"])
    values["distant_worker"] = load_worker_class(values["distant_workername"])
    return values


def initial_info(defaults: Any) -> dict[str, Any]:
    """A Task's info: a copy of the Defaults object's values."""
    values = {key: getattr(defaults, key) for key in _INFO_KEYS}
    for key in list(getattr(defaults, "_task_info", {})):
        # The configuration file may set ssh_path and the like, which have no fixed list.
        values.setdefault(key, getattr(defaults, key))
    return values
