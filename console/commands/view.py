"""Commands that change what is seen."""

from __future__ import annotations

from ..exits import ExitCode
from ..frontend import View
from ..interpreter.context import CommandError, Context, Outcome
from ..language.spec import Argument, Command, CommandSpec, Danger, Kind

#: Views that stand for themselves; the others need to know which run or node.
_VIEWS = tuple(view.value for view in (View.PANES, View.GATHERED, View.FAILURES, View.QUEUE, View.RUNS, View.LOG))
_NEXT = {"both": "gathered", "gathered": "live", "live": "gathered"}


def view(context: Context, command: Command) -> Outcome:
    """`:view NAME`."""
    name = command.get("view")
    if not context.front_end.open_view(name):
        remedy = "here :gather, :failed, :runs and :queue status show the same as text"
        raise CommandError("views belong to the full-screen console", remedy, code=ExitCode.USAGE, argument="view")
    return Outcome()


def output(context: Context, command: Command) -> Outcome:
    """`=`, `:output live|gathered|both`."""
    now = str(context.session.settings.get("screen.output"))
    mode = command.get("mode") or _NEXT[now]
    context.session.set_option("screen.output", mode)
    words = {
        "live": "lines as they arrive",
        "gathered": "identical answers together, at the end",
        "both": "lines as they arrive, then identical answers together",
    }
    return context.tell(f"output: {words[mode]}")


SPECS = (
    CommandSpec(
        "view.open", "view", "view: Open", "open a view of the full-screen console", view,
        arguments=(Argument("view", Kind.CHOICE, "which one", choices=_VIEWS),),
        examples=((":view failures", ""),),
    ),
    CommandSpec(
        "view.output", "output-mode", "view: Output of runs", "what the plain prompt shows of a run", output,
        help="Without a word, switch between gathered and live output, as `=` does in clush.",
        arguments=(
            Argument("mode", Kind.CHOICE, "what to show", required=False, choices=("live", "gathered", "both")),
        ),
        examples=((":output-mode gathered", "no live lines"), (":output-mode both", "")),
        danger=Danger.CHANGES,
        hands=("=",),
    ),
)  # fmt: skip
