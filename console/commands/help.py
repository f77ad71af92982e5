"""Help, notes, and the way out."""

from __future__ import annotations

from ..exits import ExitCode
from ..frontend import Confirmation, Document, View
from ..interpreter.context import CommandError, Context, Outcome
from ..language.spec import Argument, Command, CommandSpec, Kind, Option
from ..manuals.reference import command_help, overview


def help_(context: Context, command: Command) -> Outcome:
    """`:help [COMMAND]`."""
    words = [word.removeprefix(":") for word in command.many("command")]
    if not words:
        if context.front_end.open_view(View.HELP):
            return Outcome()
        return context.show(Document("commands", tuple(overview(context.registry)), data=True))
    spec = context.registry.find(words)
    if spec is None:
        near = context.registry.nearest(" ".join(words)) or context.registry.nearest(words[0])
        remedy = "did you mean " + " or ".join(f":{word}" for word in near) + "?" if near else ":help lists them"
        raise CommandError(f"there is no command :{words[0]}", remedy, code=ExitCode.USAGE, argument="command")
    return context.show(Document(f":{spec.word}", tuple(command_help(spec)), data=True))


def leave(context: Context, command: Command) -> Outcome:
    """`:quit`, `quit`; asks where runs are alive."""
    if context.dry_run:
        return context.tell("would end the console")
    alive = context.session.runs.running
    if alive and context.front_end.interactive and not command.has("force"):
        lines = tuple(f"#{run.id} {run.line}" for run in alive[:10])
        count = "1 run is alive: stop it" if len(alive) == 1 else f"{len(alive)} runs are alive: stop them"
        question = Confirmation(f"{count} and leave?", lines)
        if not context.front_end.confirm(question):
            return context.tell("staying")
    context.front_end.leave(ExitCode.OK)
    return Outcome(leave=True)


def note(_context: Context, _command: Command) -> Outcome:
    """`# ...` and empty lines."""
    return Outcome()


SPECS = (
    CommandSpec(
        "help.show", "help", "help: Show", "list the commands, or explain one", help_,
        arguments=(Argument("command", Kind.WORD, "a command's name", required=False, repeat=True),),
        examples=((":help shell", ""), (":help timer cancel", "")),
        keys=("f1",),
    ),
    CommandSpec(
        "session.quit", "quit", "session: Leave", "leave; asks if runs are alive", leave,
        aliases=("q", "exit"),
        options=(Option("force", ("-f", "--force"), Kind.FLAG, "stop what runs without asking"),),
        examples=((":quit", ""), (":quit -f", "")),
        keys=("q",),
        hands=("quit",),
    ),
    CommandSpec(
        "session.note", "note", "session: Note", "do nothing: a comment", note,
        arguments=(Argument("text", Kind.LINE, "anything", required=False, raw=True),), hands=("# TEXT",), hidden=True,
    ),
)  # fmt: skip
