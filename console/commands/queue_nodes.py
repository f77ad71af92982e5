"""Commands on the nodes that work for the task queue: they join, leave and are looked at."""

from __future__ import annotations

from ...engine.text import sanitize_text
from ..exits import ExitCode
from ..frontend import Document
from ..interpreter.context import CommandError, Context, Outcome
from ..interpreter.safety import check
from ..interpreter.targets import resolve
from ..language.spec import Argument, Command, CommandSpec, Danger, Kind, Option
from .documents import bounded, table
from .queue_serve import SLOTS, stay, tell_pause

_EXPRESSION = Argument("expression", Kind.NODES, "node[1-4], @group ...")
KEEP = Option("keep", ("--keep",), Kind.FLAG, "keep them in the list")


def many(count: int, what: str) -> str:
    """A number of things in words."""
    return f"{count} {what}{'s' * (count != 1)}"


def join(context: Context, command: Command) -> Outcome:
    """`:queue join NODES [-j N]`."""
    nodes = resolve(context, command.nodes("expression") or "", "expression")
    slots = command.number("slots") or context.session.settings.queue.slots
    if context.dry_run:
        return context.tell(sanitize_text(f"would let {nodes} work for the queue, {slots} tasks at a time"))
    if not nodes:
        raise CommandError("no node to join", ":groups lists groups", code=ExitCode.REFUSED, argument="expression")
    if context.alone and context.script is None and not context.queue.is_shared:
        raise CommandError("the queue of this process would end with it", "clusterdeck queue serve -w NODES keeps one")
    check(context, "run queued commands on", nodes)
    context.queue.join(dict.fromkeys(nodes, slots))
    context.tell(sanitize_text(f"{nodes} ({len(nodes)}): {slots} task{'s' * (slots != 1)} at a time each"))
    tell_pause(context)
    return stay(context) if context.alone and context.script is None else Outcome()


def leave(context: Context, command: Command) -> Outcome:
    """`:queue leave NODES`."""
    nodes = resolve(context, command.nodes("expression") or "", "expression")
    drain = command.has("keep")
    if context.dry_run:
        return context.tell(sanitize_text(f"would let {nodes} take no more tasks"))
    gone = context.queue.leave(list(nodes), drain=drain)
    if not gone:
        message = f"{sanitize_text(str(nodes))}: no such node works for the queue"
        raise CommandError(message, ":queue nodes lists them", code=ExitCode.USAGE, argument="expression")
    return context.tell(sanitize_text(f"{many(len(gone), 'node')} will get no more tasks; what runs there goes on"))


def nodes(context: Context, _command: Command) -> Outcome:
    """`:queue nodes`."""
    groups = {
        "": context.queue.nodes(),
        "queue (Python)": context.queue.worker_nodes(),
        **{f"map {n}": views for n, views in context.queue.maps.nodes().items()},
    }
    rows = [
        (view.name, whose or "queue", view.state, f"{view.running}/{view.slots}", str(view.done), str(view.failed),
         str(view.lost), view.reason + (f", again in {view.retry_in:.0f}s" if view.retry_in else ""))
        for whose, views in groups.items()
        for view in views
    ]  # fmt: skip
    if not rows:
        return context.show(Document.of("no node works for the queue: :queue join NODES, :queue workers", data=True))
    header = ("node", "works for", "state", "running", "done", "failed", "lost", "")
    lines = table([[sanitize_text(cell) for cell in row] for row in rows], header)
    return context.show(Document("nodes of the queue", bounded(lines), data=True))


SPECS = (
    CommandSpec(
        "queue.join", "queue join", "queue: Nodes join", "let nodes work for the queue", join,
        arguments=(_EXPRESSION,), options=(SLOTS,), examples=((":queue join @web -j 4", "four tasks at a time each"),),
        danger=Danger.TOUCHES,
    ),
    CommandSpec(
        "queue.leave", "queue leave", "queue: Nodes leave", "let nodes take no more tasks; what runs goes on", leave,
        arguments=(_EXPRESSION,), options=(KEEP,), examples=((":queue leave node7", ""),), danger=Danger.CHANGES,
    ),
    CommandSpec("queue.nodes", "queue nodes", "queue: Nodes", "list the nodes that work for the queue", nodes),
)  # fmt: skip
