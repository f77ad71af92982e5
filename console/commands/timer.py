"""Commands on timers: later, or again and again."""

from __future__ import annotations

from ...engine.text import sanitize_text
from ..exits import ExitCode
from ..frontend import Document, View
from ..interpreter.context import CommandError, Context, Outcome
from ..interpreter.safety import check
from ..interpreter.targets import CONNECT, FANOUT, SUDO, TARGETS, TIMEOUT, USER, WORKER, foreseen, run_options, targets
from ..language.spec import Argument, Command, CommandSpec, Danger, Kind, Option
from ..language.values import show_duration
from .documents import bounded, table
from .shell import preview

_ONCE = Option("once", ("--once",), Kind.FLAG, "run once, that much later")
_COUNT = Option("count", ("-n", "--count"), Kind.COUNT, "stop after that many rounds", "N")
_UNTIL = Option("until", ("--until",), Kind.UNTIL, "stop after the first round for which this holds", "CONDITION")
_SHORTEST = 0.1


def timer(context: Context, command: Command) -> Outcome:
    """`:timer 30s CMD`, `:timer --once 5m CMD`."""
    interval = command.duration("interval") or 0.0
    once, count, until = command.has("once"), command.number("count"), command.get("until") or None
    text = command.get("command")
    if interval < _SHORTEST:
        message = f"{show_duration(interval)} is too short"
        raise CommandError(message, f"at least {_SHORTEST}s", code=ExitCode.USAGE, argument="interval")
    if once and (count or until):
        raise CommandError("--once says it all", "leave --count and --until out", code=ExitCode.USAGE, argument="once")
    when = f"in {show_duration(interval)}" if once else f"every {show_duration(interval)}"
    if context.dry_run:
        return preview(context, when, foreseen(context, command), text)
    nodes = targets(context, command)
    delay, repeat = (interval, None) if once else (0.0, interval)
    options = run_options(command)
    info = context.session.timer(
        delay, repeat, text, nodes, options, count, until, lambda: check(context, f"run {when} on", nodes, text)
    )
    return context.tell(f"timer {info.id}: {when} on {sanitize_text(str(nodes))}: {sanitize_text(text)}")


def timers(context: Context, _command: Command) -> Outcome:
    """`:timers`."""
    if context.front_end.open_view(View.TIMERS):
        return Outcome()
    rows = []
    for info in context.session.timers():
        when = f"every {show_duration(info.interval)}" if info.interval else f"once, after {show_duration(info.delay)}"
        when += f" until {info.until}" if info.until else ""
        rounds = f"{info.rounds}" + (f" of {info.count}" if info.count else "")
        state = "active" if info.active else info.reason or "ended"
        last = f"#{info.last_run}" if info.last_run is not None else "-"
        row = (str(info.id), when, rounds, str(info.missed), last, state, str(info.nodes), info.command)
        rows.append([sanitize_text(cell) for cell in row])
    if not rows:
        return context.show(Document.of("no timers", data=True))
    header = ("timer", "when", "rounds", "missed", "last", "state", "nodes", "command")
    return context.show(Document("timers", bounded(table(rows, header)), data=True))


def cancel(context: Context, command: Command) -> Outcome:
    """`:timer cancel N`."""
    if context.dry_run:
        return context.tell(f"would cancel timer {command.get('timer')}")
    known = {info.id: info for info in context.session.timers() if info.active}
    wanted = sorted(known) if command.get("timer") == "all" else [command.number("timer") or 0]
    for one in wanted:
        if one not in known:
            message = f"there is no active timer {one}"
            raise CommandError(message, ":timers lists them", code=ExitCode.USAGE, argument="timer")
    for one in wanted:
        context.session.cancel_timer(one)
    return context.tell(f"cancelled: {', '.join(map(str, wanted))}" if wanted else "no timer is active")


SPECS = (
    CommandSpec(
        "timer.start",
        "timer",
        "timer: Start",
        "run a command every so often, or once later",
        timer,
        help=(
            "The first round begins at once, the next ones at the interval; a round that would begin while the one "
            "before still runs is left out and counted as missed. After each round you are told which nodes ended or "
            "answered otherwise than in the one before. --until takes results of a round (@failed, @rc:2), counts "
            "(ok==all, timeout>=3) and what the nodes wrote (out:/REGEX/), as :expect does; quote it if it has blanks."
        ),
        aliases=("every",),
        arguments=(
            Argument("interval", Kind.DURATION, "30s, 5m, 1h30m"),
            Argument("command", Kind.COMMAND, "the command, as the remote shell gets it", raw=True),
        ),
        options=(_ONCE, _COUNT, _UNTIL, *TARGETS, FANOUT, TIMEOUT, CONNECT, WORKER, USER, SUDO),
        examples=(
            (":timer 30s uptime", "every 30 seconds on the selection"),
            (":timer --once 5m -- systemctl restart app", "once, in five minutes"),
            (":timer --until @failed 10s -- curl -sf localhost/health", "until a node fails"),
            (":timer --until out:/done/==all 5s -- tail -n1 job.log", "until all nodes wrote it"),
        ),
        danger=Danger.TOUCHES,
        subwords=("cancel", "list"),
    ),
    CommandSpec("timer.list", "timers", "timer: List", "list timers", timers, aliases=("timer list",)),
    CommandSpec(
        "timer.cancel",
        "timer cancel",
        "timer: Cancel",
        "stop a timer",
        cancel,
        arguments=(Argument("timer", Kind.TIMER, "its number, or all", choices=("all",)),),
        examples=((":timer cancel 1", ""), (":timer cancel all", "")),
        danger=Danger.ENDS,
    ),
)
