"""What a session refuses before anything runs."""

from __future__ import annotations

import os

from ClusterShell.NodeSet import NodeSet

from ...engine.defaults import WORKER_NAMES, load_worker_class
from ...engine.names import check_node
from ..settings.settings import Settings
from .launch import RunSpec, check_exec, remote_command
from .waves import plan_waves, stop_threshold


class UnknownWorkerError(ValueError):
    """Nodes cannot be reached by a worker of that name; the text says which names there are. Nothing was run."""


class RefusedError(Exception):
    """The session will not run this; the text says why and what to change. Nothing was run."""


def check_spec(spec: RunSpec, nodes: NodeSet | None, settings: Settings) -> None:
    """Let a run pass, or raise RefusedError, or ValueError for what cannot be read or is no node's name."""
    options = spec.options
    if options.dry_run:
        raise RefusedError("a dry run is not handed to the engine")
    if spec.kind in ("copy", "rcopy"):
        if not spec.sources or not all(spec.sources):
            raise RefusedError("nothing to copy: name a file or a directory")
        _check_names(spec.sources)
    elif not spec.command.strip():
        raise RefusedError("an empty command is not run")
    if nodes is None:
        return
    if not len(nodes):
        raise RefusedError("no nodes: select some, or name them with -w")
    if settings.safety.read_only:
        raise RefusedError("the session is read-only (:set safety.read_only false)")
    for node in nodes:
        check_node(node)
    plan_waves(len(nodes), options.batch)
    stop_threshold(len(nodes), options.stop_at)
    workers = {worker for worker, _ in _ways(spec, settings)}
    for worker in sorted(workers):
        check_worker(worker)
    # The exec worker finds out about a wrong % when the command starts, which is too late: that ends the engine.
    local = "exec" in workers or not options.remote
    if spec.kind == "shell":
        remote_command(spec.command, options, sudo=False)
        if local:
            check_exec(spec.command)
    elif local:
        check_exec(*spec.sources, spec.destination)


def _check_names(sources: tuple[str, ...]) -> None:
    """Of two sources that arrive under one name, only one would be left."""
    seen: dict[str, str] = {}
    for source in sources:
        other = seen.setdefault(os.path.basename(source.rstrip("/")), source)
        if other is not source:
            raise RefusedError(f"{other!a} and {source!a} would arrive under one name: copy them one after the other")


def _ways(spec: RunSpec, settings: Settings) -> list[tuple[str, bool]]:
    """For each part of the nodes: by which worker they are reached, and whether through sudo."""
    options, run = spec.options, settings.run
    return [
        (options.worker or values.get("worker") or run.worker, options.sudo or values.get("sudo", run.sudo))
        for values, _ in spec.parts or (({}, ()),)
    ]


def check_worker(name: str) -> None:
    """Raise UnknownWorkerError where no worker has that name. A name that is not ours is imported as a module."""
    if name.lower() in WORKER_NAMES:
        return
    try:
        load_worker_class(name)
    except ImportError as error:
        raise UnknownWorkerError(str(error)) from None
    except Exception as error:  # a module of somebody's own may raise anything
        raise UnknownWorkerError(f"the worker module {name!r} cannot be loaded: {error}") from error


def advice(spec: RunSpec, settings: Settings) -> list[str]:
    """What an operator should know before a run that has passed `check_spec`; each a line."""
    if spec.kind != "shell":
        return []
    ways = _ways(spec, settings)
    terminal = _lacking("gives_terminal", [worker for worker, _sudo in ways if spec.options.pty])
    password = _lacking("answers_sudo", [worker for worker, sudo in ways if sudo])
    return [
        f"no terminal is given over the worker {worker}: the command runs without one (-R paramiko gives one)"
        for worker in terminal
    ] + [
        f"sudo cannot ask for a password over the worker {worker}: it fails where it needs one "
        "(-R paramiko asks once for all nodes; NOPASSWD in sudoers needs none)"
        for worker in password
    ]


def _lacking(ability: str, workers: list[str]) -> list[str]:
    """Those of the workers that have not this attribute; paramiko has them all, and need not be loaded for that."""
    return [name for name in sorted({*workers} - {"paramiko"}) if not getattr(load_worker_class(name), ability)]
