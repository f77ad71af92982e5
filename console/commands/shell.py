"""Commands that run something: on nodes, on this host, again on the nodes that failed."""

from __future__ import annotations

from ClusterShell.NodeSet import NodeSet

from ...engine.states import NodeState
from ...engine.text import sanitize_text
from ..exits import ExitCode
from ..frontend import Document, Editing
from ..interpreter.context import CommandError, Context, Outcome
from ..interpreter.safety import check
from ..interpreter.targets import (
    BACKGROUND,
    DRY_RUN,
    NODES,
    OF_RUN,
    RUN_OPTIONS,
    foreseen,
    is_unknown,
    resolve,
    run_options,
    targets,
)
from ..language.spec import Argument, Command, CommandSpec, Danger, Kind, Option
from ..runs.runs import Run
from ..session.waves import plan_waves, spread

#: Words of `:retry` and the states they stand for.
RETRY_STATES: dict[str, tuple[NodeState, ...]] = {
    "failed": (NodeState.FAILED,),
    "timeout": (NodeState.TIMEOUT,),
    "unreachable": (NodeState.UNREACHABLE,),
    "lost": (NodeState.LOST,),
    "aborted": (NodeState.ABORTED,),
    "bad": tuple(state for state in NodeState if state.bad),
}


def begun(context: Context, run: Run, *, background: bool = False) -> Outcome:
    """The outcome of a command that began a run; a macro remembers what runs in the background."""
    if background and context.script is not None:
        context.script.background.add(run.id)
    return Outcome(runs=(run.id,))


def preview(context: Context, action: str, nodes: str, lines: str, waves: str = "") -> Outcome:
    """What `--dry-run` shows instead of doing it. nodes: the folded set with its count."""
    rows = [f"nodes    {nodes}", *([f"waves    {waves}"] if waves else [])]
    rows += [f"{action:8} {line}" for line in lines.splitlines()]
    return context.show(Document("dry run", tuple(sanitize_text(row) for row in rows), data=True))


def shell(context: Context, command: Command) -> Outcome:
    """`:shell`, bare lines and `@group CMD`."""
    text = command.get("command")
    options = run_options(command)
    if context.dry_run:
        return preview(context, "run", foreseen(context, command), text, _waves(context, command))
    nodes = targets(context, command)
    if options.dry_run:
        return preview(context, "run", f"{nodes} ({len(nodes)})", text, _waves(context, command))
    run = context.session.shell(text, nodes, options, lambda: check(context, "run on", nodes, text))
    return begun(context, run, background=command.has("background"))


def _waves(context: Context, command: Command) -> str:
    """The waves of a dry run, and what stops them; as they are written where the nodes are not known yet."""
    options = run_options(command)
    if options.batch is None:
        return ""
    count = None if is_unknown(context, command) else len(targets(context, command))
    waves = options.batch if count is None else spread(count, plan_waves(count, options.batch))
    return waves if options.stop_at is None else f"{waves}; none begins after {options.stop_at} bad ones"


def local(context: Context, command: Command) -> Outcome:
    """`!CMD`."""
    text = command.get("command")
    if context.dry_run:
        return preview(context, "local", "this host", text)
    return begun(context, context.session.local(text))


def find_run(context: Context, number: int | None, argument: str = "run") -> Run:
    """The run with that number, or the newest one. Raises CommandError."""
    runs = context.session.runs
    run = runs.last if number is None else runs.find(number)
    if run is None:
        if number is None:
            earlier = ":runs lists those of earlier sessions, by number" if any(runs) else "type a command first"
            raise CommandError("there is no run yet", earlier)
        remedy = "runs of earlier sessions are still being read" if runs.reading else ":runs lists them"
        raise CommandError(f"there is no run #{number}", remedy, code=ExitCode.USAGE, argument=argument)
    return run


def retry(context: Context, command: Command) -> Outcome:
    """`:retry [failed|timeout|unreachable|...]`."""
    words = command.many("states") or ["bad"]
    if context.dry_run:
        return preview(context, "retry", "(known when it plays)", ", ".join(words))
    run = find_run(context, command.number("run"))
    states = tuple(dict.fromkeys(state for word in words for state in RETRY_STATES[word]))
    if run.kind == "local":
        raise CommandError(f"#{run.id} ran on this host", "type the line again")
    if run.ended is None:
        raise CommandError(f"#{run.id} still runs", f":wait {run.id} or :abort {run.id} first")
    with context.session.runs.lock:
        nodes = run.node_set(*states)
    if not nodes:
        return context.tell(f"#{run.id}: no node to retry ({', '.join(words)})")
    if command.has("dry_run"):
        return preview(context, "retry", f"{nodes} ({len(nodes)})", run.line)
    return _repeated(context, run, nodes, command, "retry on", retry=True)


def again(context: Context, command: Command) -> Outcome:
    """`:again [RUN]`: the same command on the same nodes."""
    expression = command.nodes("nodes")
    if context.dry_run:
        which = command.get("run") or "(the last run)"
        return preview(context, "again", foreseen(context, command) if expression else "(those of the run)", which)
    run = find_run(context, command.number("run"))
    if run.kind == "local":
        return begun(context, context.session.repeat(run, run.nodes))
    nodes = run.nodes.copy() if expression is None else resolve(context, expression, "nodes")
    if not nodes:
        raise CommandError("no node to run on", "give nodes with -w", code=ExitCode.REFUSED)
    return _repeated(context, run, nodes, command, _ACTIONS.get(run.kind, "run on"))


#: What the safety rail calls it.
_ACTIONS = {"copy": "copy to", "rcopy": "copy from"}


def _repeated(
    context: Context, run: Run, nodes: NodeSet, command: Command, action: str, *, retry: bool = False
) -> Outcome:
    text = run.command if run.kind in ("shell", "timer") else ""
    new = context.session.repeat(run, nodes, retry=retry, agree=lambda: check(context, action, nodes, text))
    return begun(context, new, background=command.has("background"))


def edit(context: Context, command: Command) -> Outcome:
    """`:edit [LINE]`: write a line, or many, in $EDITOR and run it."""
    if not isinstance(context.front_end, Editing) or not context.front_end.interactive:
        raise CommandError("there is no editor here", "type the line", code=ExitCode.USAGE)
    if context.script is not None:
        raise CommandError("a macro cannot edit", ":macros edit NAME edits one", code=ExitCode.USAGE)
    number = command.number("run")
    begin = command.get("text") or (context.last_line if number is None else find_run(context, number).command)
    text = context.front_end.edit(begin, ".sh")
    if text is None or not text.strip():
        return context.tell("nothing is run")
    line = text.rstrip("\n")
    context.front_end.remember(line)
    return context.executor.execute(line)


SPECS = (
    CommandSpec(
        "run.shell",
        "shell",
        "run: Shell command",
        "run a shell command on nodes",
        shell,
        help=(
            "A line without a colon is the same on the current selection. What follows the options (or --) goes to "
            "the shell of the node byte for byte: quotes, $ and pipes are the remote shell's."
        ),
        aliases=("sh", "run"),
        arguments=(Argument("command", Kind.COMMAND, "the command, as the remote shell gets it", raw=True),),
        options=RUN_OPTIONS,
        examples=(
            ("uname -r", "on the selected nodes"),
            ("@web systemctl is-active nginx", "on the group web, the selection stays"),
            (":shell -w @web -x node7 -t 30 -- df -h /", "other nodes, 30 seconds each"),
            (":shell --batch 1,10%,rest --stop-at 2% -- systemctl restart app", "in waves, stopped by failures"),
        ),
        danger=Danger.TOUCHES,
        hands=("COMMAND", "@NODES COMMAND"),
    ),
    CommandSpec(
        "run.local",
        "local",
        "run: Command on this host",
        "run a command on this host",
        local,
        arguments=(Argument("command", Kind.LOCAL_COMMAND, "the command for the local shell", raw=True),),
        examples=(("!ping -c1 node7", "from here"),),
        danger=Danger.TOUCHES,
        hands=("!COMMAND",),
    ),
    CommandSpec(
        "run.retry",
        "retry",
        "run: Retry on failed nodes",
        "run the last command again where it did not end well",
        retry,
        help="Without words all nodes that did not end OK; --run takes another run than the last.",
        arguments=(
            Argument("states", Kind.CHOICE, "which nodes", required=False, repeat=True, choices=tuple(RETRY_STATES)),
        ),
        options=(OF_RUN, BACKGROUND, DRY_RUN),
        examples=((":retry timeout", "only where it timed out"), (":retry --run 12", "another run than the last")),
        danger=Danger.TOUCHES,
        keys=("r",),
    ),
    CommandSpec(
        "run.edit",
        "edit",
        "run: Edit and run",
        "write a line, or many, in $EDITOR and run it",
        edit,
        help=(
            "Begins with the line given, with that of a run, or with the last one that did something or was not "
            "understood. An empty file runs nothing; what is run can be recalled with Up. The line being typed is "
            "edited with Ctrl-X Ctrl-E, a macro with :macros edit."
        ),
        arguments=(Argument("text", Kind.LINE, "what to begin with", required=False, raw=True),),
        options=(Option("run", ("-r", "--run"), Kind.RUN, "begin with the line of this run", "RUN"),),
        examples=((":edit", "the last line once more, changed"), (":edit -r 12", "the line of run #12")),
        danger=Danger.TOUCHES,
    ),
    CommandSpec(
        "run.again",
        "again",
        "run: Run again",
        "run the same command again on the same nodes",
        again,
        arguments=(Argument("run", Kind.RUN, "the last run if left out", required=False),),
        options=(NODES,),
        examples=((":again 12", "run #12 once more"), (":again -w @new", "the last command on other nodes")),
        danger=Danger.TOUCHES,
        keys=("R",),
    ),
)
