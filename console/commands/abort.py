"""Stopping runs, or only some of their nodes."""

from __future__ import annotations

from collections.abc import Iterator

from ...engine.states import NodeState
from ...engine.text import sanitize_text
from ..exits import ExitCode
from ..interpreter.context import CommandError, Context, Outcome
from ..interpreter.targets import NODES, resolve
from ..language.spec import Argument, Command, CommandSpec, Danger, Kind
from .shell import find_run


def abort(context: Context, command: Command) -> Outcome:
    """`:abort [RUN|all] [-w NODES]`."""
    which = command.get("run")
    number = None if which in ("", "all") else command.number("run")
    expression = command.nodes("nodes")
    nodes = None if expression is None else resolve(context, expression, "nodes")
    if context.dry_run:
        return context.tell(f"would abort {f'#{number}' if number else 'all runs'}")
    if number is not None and find_run(context, number).ended is not None:
        message = f"run #{number} has ended"
        raise CommandError(message, "nothing is left to stop", code=ExitCode.USAGE, argument="run")
    if which == "" and number is None:
        # One word stops what the operator looks at: the newest run that is still alive.
        running = context.session.runs.running
        number = running[-1].id if running else None
        if number is None:
            return context.tell("nothing runs")
    if nodes is not None and not any(name in nodes for name in _alive(context, number)):
        return context.tell("nothing runs on these nodes")
    touched = context.session.abort(number, nodes)
    if not touched:
        return context.tell("nothing runs on these nodes" if nodes is not None else "nothing runs")
    where = f" on {sanitize_text(str(nodes))}" if nodes is not None else ""
    return context.tell(f"aborted{where}: {', '.join(f'#{run}' for run in touched)}; what was gathered stays")


def _alive(context: Context, number: int | None) -> Iterator[str]:
    """Nodes on which a run (None: any) has not ended."""
    for run in context.session.runs.running:
        if number in (None, run.id):
            yield from (name for node, name in enumerate(run.names) if not NodeState(run.states[node]).finished)


SPECS = (
    CommandSpec(
        "run.abort",
        "abort",
        "run: Abort",
        "stop a run, or only some of its nodes; what was gathered stays",
        abort,
        aliases=("kill",),
        arguments=(
            Argument(
                "run", Kind.RUN, "its number, or all; the newest one if left out", required=False, choices=("all",)
            ),
        ),
        options=(NODES,),
        examples=((":abort", "the newest run"), (":abort 12 -w node7", "only on node7"), (":abort all", "everything")),
        danger=Danger.ENDS,
        keys=("k",),
    ),
)
