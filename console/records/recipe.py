"""What it takes to run a run of an earlier session again: its command and options, kept beside its results.

A command that holds a secret is not kept, nor what a command read from standard input; such runs say so when they are
to be repeated.
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from ..language.redact import find_secrets
from ..runs.options import RunOptions
from ..runs.runs import Run

#: Fields of RunOptions that are kept; what is read from standard input is not.
_KEPT = tuple(one for one in dataclasses.fields(RunOptions) if one.name not in ("stdin", "open_stdin", "dry_run"))
_PAIRS = frozenset({"environment", "infos"})


def write_recipe(run: Run) -> dict[str, Any]:
    """JSON data that `read_recipe` takes."""
    options = run.options
    if options.stdin is not None or options.open_stdin:
        return {"lost": "what it read from standard input is not kept"}
    pairs = [f"{name}={value}" for name, value in (*options.environment, *options.infos)]
    if any(find_secrets(text) for text in (run.command, *pairs)):
        return {"lost": "its line held something secret, which is not kept"}
    changed = {
        one.name: value for one in _KEPT if (value := getattr(options, one.name)) != getattr(_DEFAULTS, one.name)
    }
    return {
        "command": run.command,
        "options": changed,
        "sources": [_here(path) for path in run.sources] if run.kind == "copy" else list(run.sources),
        "destination": _here(run.destination) if run.kind == "rcopy" else run.destination,
    }


def _here(path: str) -> str:
    """A path on this host that means the same from another folder; a slash at the end stays."""
    return os.path.abspath(path) + "/" * (path.endswith("/") and path != "/")


def read_recipe(run: Run, data: Any) -> None:
    """Make a restored run one that can be repeated, or note why it cannot. Never raises for what a file may hold."""
    if not isinstance(data, dict):
        run.unrepeatable = "it was recorded by an older version"
        return
    if "lost" in data:
        run.unrepeatable = str(data["lost"])
        return
    try:
        given = {name: _value(name, value) for name, value in data["options"].items()}
        options = RunOptions(**given)
        sources, destination = tuple(map(str, data["sources"])), str(data["destination"])
        command = str(data["command"])
    except (KeyError, TypeError, ValueError, AttributeError):
        run.unrepeatable = "its record cannot be read"
        return
    run.command, run.options, run.sources, run.destination = command, options, sources, destination


def _value(name: str, value: Any) -> Any:
    """One option's value, as it was. Raises ValueError for what no such option can be."""
    default = _BY_NAME.get(name, _UNKNOWN)
    if default is _UNKNOWN:
        raise ValueError(f"there is no option {name}")
    if name in _PAIRS:
        return tuple((str(key), str(text)) for key, text in value)
    kinds: tuple[type, ...] = (type(default),) if default is not None else (str, int, float)
    if not isinstance(value, kinds):
        raise ValueError(f"{name} cannot be {value!r}")
    return value


_DEFAULTS = RunOptions()
_UNKNOWN = object()
_BY_NAME: dict[str, Any] = {one.name: getattr(_DEFAULTS, one.name) for one in _KEPT}
