"""What a session refuses before anything runs."""

from __future__ import annotations

from ClusterShell.NodeSet import NodeSet

from ...engine.names import check_node
from ..settings.settings import Settings
from .launch import RunSpec, check_exec, remote_command
from .waves import plan_waves, stop_threshold


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
    workers = {options.worker or values.get("worker") or settings.run.worker for values, _ in spec.parts or (({}, ()),)}
    # The exec worker finds out about a wrong % when the command starts, which is too late: that ends the engine.
    local = "exec" in workers or not options.remote
    if spec.kind == "shell":
        remote_command(spec.command, options, sudo=False)
        if local:
            check_exec(spec.command)
    elif local:
        check_exec(*spec.sources, spec.destination)
