"""`:queue serve` and `:queue workers`: the queue of one process works for others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ClusterShell.NodeSet import NodeSet

from ...engine.text import sanitize_text
from ..exits import ExitCode
from ..interpreter.context import CommandError, Context, Outcome
from ..interpreter.safety import check
from ..interpreter.targets import targets
from ..language.spec import Command, Kind, Option
from ..queue.backend import default_socket, is_served
from ..queue.jobs import PAUSED, QueueError
from ..settings import paths

SLOTS = Option("slots", ("-j", "--slots"), Kind.COUNT, "tasks at a time on each node", "N")
WORKER_OPTIONS = (
    Option("module", ("-m", "--module"), Kind.MODULE, "a Python module on the nodes: dotted, or a .py file", "MODULE",
           repeat=True),
    Option("program", ("--program",), Kind.REMOTE_PATH, "how clusterdeck is called there (clusterdeck)", "PROGRAM"),
)  # fmt: skip
#: Seconds between two looks whether a process that only serves has anything left to do.
_LOOK = 0.5


def served_elsewhere(context: Context) -> str:
    """The socket of the queue that another process serves to commands of the shell; empty if there is none."""
    settings = context.session.settings.queue
    if settings.socket or context.front_end.interactive or context.queue.used or context.queue.is_shared:
        return settings.socket
    served = str(default_socket(paths.state_dir()))
    return served if is_served(served) else ""


def workers(context: Context, command: Command) -> Outcome:
    """`:queue workers -w NODES --module M`."""
    modules = command.many("module")
    if not modules:
        remedy = "--module MODULE names what has the do_TAG functions, as the nodes know it"
        raise CommandError("no module is named", remedy, code=ExitCode.USAGE)
    chosen = targets(context, command)
    slots = command.number("slots") or context.session.settings.queue.slots
    if context.dry_run:
        return context.tell(sanitize_text(f"would start workers for {' '.join(modules)} on {chosen}"))
    alone = not context.front_end.interactive and context.script is None
    if alone and (served := served_elsewhere(context)):
        remedy = f"start the workers where it is served: clusterdeck queue serve -w NODES --module {modules[0]}"
        raise CommandError(sanitize_text(f"another process serves the queue at {served}"), remedy)
    _start_workers(context, command, chosen, slots)
    if not alone:
        return Outcome()
    if context.queue.is_shared:
        return stay(context)
    return _serve_at(context, str(default_socket(paths.state_dir())))


def _start_workers(context: Context, command: Command, chosen: NodeSet, slots: int) -> None:
    modules = command.many("module")
    check(context, f"run functions of {' '.join(modules)} on", chosen)
    context.queue.start_workers(list(chosen), modules, slots, command.get("program") or "clusterdeck")
    each = f"{slots} task{'s' * (slots != 1)} at a time each"
    context.tell(sanitize_text(f"{chosen} ({len(chosen)}): workers for {' '.join(modules)}, {each}"))


def stay(context: Context, wait: Callable[[float], object] | None = None) -> Outcome:
    """A process of its own has nothing else to do: until it is interrupted, drained, or no worker is left to it."""
    reached: list[str] = []
    next_look = 0.0

    def over() -> bool:
        nonlocal next_look
        if time.monotonic() < next_look:
            return False
        next_look = time.monotonic() + _LOOK
        views = context.queue.worker_nodes()
        if views and not context.queue.nodes() and all(view.state == "gone" for view in views):
            reached.append("alone")
        elif context.queue.drained():
            reached.append("drained")
        return bool(reached)

    context.executor.wait_until(over, None, wait or threading.Event().wait)
    if "alone" in reached:
        raise CommandError("no worker could be started", "the lines above say why")
    return context.tell("the queue is empty and ends") if reached else Outcome()


def serve(context: Context, command: Command) -> Outcome:
    """`:queue serve [PATH]`."""
    path = command.get("path") or str(default_socket(paths.state_dir()))
    if context.dry_run:
        return context.tell(sanitize_text(f"would serve the queue at {path}"))
    if command.has("nodes") or command.has("module"):
        chosen = targets(context, command)
        slots = command.number("slots") or context.session.settings.queue.slots
        if command.has("module"):
            _start_workers(context, command, chosen, slots)
        else:
            check(context, "run queued commands on", chosen)
            context.queue.join(dict.fromkeys(chosen, slots))
    return _serve_at(context, path)


def tell_pause(context: Context) -> None:
    """A queue that others work for, or that is kept, may be paused since long ago."""
    if context.queue.manager.paused:
        context.tell(PAUSED, level="warning")


def _serve_at(context: Context, path: str) -> Outcome:
    try:
        server = context.queue.serve(path)
    except QueueError as error:
        raise CommandError(str(error), argument="path") from error
    context.tell(sanitize_text(f"the queue is served at {server.path}, to processes of this user"))
    tell_pause(context)
    if context.front_end.interactive or context.script is not None:
        return Outcome()
    return stay(context, server.wait)
