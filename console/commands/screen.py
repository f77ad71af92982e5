"""Commands that only the full-screen console can do; elsewhere they say so."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from ..exits import ExitCode
from ..interpreter.context import CommandError, Context, Outcome
from ..language.spec import Argument, Command, CommandSpec, Kind


@runtime_checkable
class Acting(Protocol):
    """A front end with actions of its own, named by the ids of their commands."""

    def act(self, command: str, arguments: tuple[str, ...]) -> bool:
        """Do the action; False when it makes no sense where the operator is now."""


def _act(context: Context, command: Command) -> Outcome:
    """Hand the command to the screen, by its id."""
    if context.dry_run:
        return Outcome()
    arguments = tuple(value for _, value in command.arguments)
    if not isinstance(context.front_end, Acting) or not context.front_end.act(command.id, arguments):
        message = f":{command.spec.word} belongs to the full-screen console"
        raise CommandError(message, "start it with: clusterdeck", code=ExitCode.USAGE)
    return Outcome()


SPECS = (
    CommandSpec(
        "view.plot", "plot", "view: Plot numbers", "show the numbers in the answers as pictures", _act,
        help=(
            "A heat map over the nodes, a histogram, and for timers a sparkline per node; space shows the next "
            "picture. Without words the first number of each answer counts."
        ),
        arguments=(
            Argument("regex", Kind.TEXT, "picks the number: its first group", required=False, raw=True),
        ),
        examples=((":plot", "after: cat /proc/loadavg"), (r":plot load average: ([\d.]+)", "after: uptime")),
        screen=True,
    ),
    CommandSpec(
        "view.filter", "filter", "view: Filter", "narrow every view to some nodes", _act,
        help="Words that a node must all pass: node sets, globs, state:failed, rc:2, out:/regex/, /regex/, plain text.",
        arguments=(Argument("words", Kind.FILTER, "the filter; empty ends it", required=False, raw=True),),
        examples=((":filter @web state:failed rc:2", ""), (":filter", "all nodes again")),
        screen=True,
    ),
    CommandSpec(
        "view.theme", "theme", "view: Theme", "change the colours; without a name, the next theme", _act,
        arguments=(Argument("name", Kind.THEME, "dark, light, high-contrast, sixteen, monochrome", required=False),),
        examples=((":theme light", ""),),
        screen=True,
    ),
)  # fmt: skip
