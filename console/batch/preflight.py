"""Before a batch run begins: doubtful words are told, the plan of `--dry-run` is shown, protected nodes are kept."""

from __future__ import annotations

import os

from ClusterShell.NodeSet import NodeSet

from ...engine.text import sanitize_text
from ..session.checks import RefusedError
from ..session.node_expressions import NodeExpressionError
from ..session.session import Session
from ..session.waves import plan_waves, spread
from ..settings.settings import Settings, SettingsError
from .request import BatchRequest
from .writer import Writer


def worker_of(request: BatchRequest, settings: Settings) -> str:
    """The worker that a request runs over."""
    return request.options.worker or settings.run.worker


def warn(request: BatchRequest, settings: Settings, writer: Writer) -> None:
    """Tell what looks like a mistake, and goes on."""
    if request.quiet:
        return
    # `-w node[1-3]` without quotes is a file's name where one is called `node1`: the shell wrote that instead.
    for letter, expressions in (("w", request.targets.nodes), ("x", request.targets.exclude)):
        for text in expressions:
            if "[" not in text and "," not in text and os.path.exists(text):
                writer.narrate(f"-{letter} {text}: a file has that name; did the shell expand it? (quote it)")
    words = dict(request.options.infos).get("ssh_options")
    if words and worker_of(request, settings) == "paramiko":
        writer.narrate(f"-o {words}: not for the worker paramiko, which reads ssh_config; -R ssh takes it")


def show_plan(request: BatchRequest, settings: Settings, writer: Writer, nodes: NodeSet) -> None:
    """Print what would be done."""
    waves = spread(len(nodes), plan_waves(len(nodes), request.options.batch))
    what = request.command if not request.copy else f"copy {' '.join(request.sources)} -> {request.destination}"
    worker = worker_of(request, settings)
    for line in (f"nodes: {nodes} ({len(nodes)})", f"command: {what}", f"worker: {worker}", f"waves: {waves}"):
        writer.text(f"{sanitize_text(line)}\n")
    writer.flush()


def check_protected(request: BatchRequest, settings: Settings, session: Session, nodes: NodeSet) -> None:
    """Protected nodes need the number of nodes said, as an operator would have to type it.

    Raises RefusedError, and SettingsError where the rail itself is not in order.
    """
    expression = settings.safety.protected
    if not expression.strip() or request.confirmed == len(nodes):
        return
    try:
        meant = session.resolve(expression)
    except NodeExpressionError as error:
        raise SettingsError(f"safety.protected ({expression}): {error}") from None
    if not len(meant):
        # A group that is not there is empty for ClusterShell; a mistyped rail must not stand open.
        raise SettingsError(f"safety.protected ({expression}) names no node: set it right, or to nothing")
    protected = meant & nodes
    if len(protected):
        raise RefusedError(f"{protected} is protected: --confirm {len(nodes)} runs on all {len(nodes)} nodes")


def check_copy(request: BatchRequest) -> None:
    """Raise OSError where the files or the folder of a copy are not here."""
    if request.copy == "out":
        for source in request.sources:
            if not os.path.exists(source):
                raise FileNotFoundError(2, f'file "{source}" not found')
    elif request.copy == "back" and request.destination and not os.path.isdir(request.destination):
        raise NotADirectoryError(20, f'directory "{request.destination}" not found')
