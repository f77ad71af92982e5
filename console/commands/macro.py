"""Macros: record, play, list, edit; and the lines that make sense in one."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ...engine.text import sanitize_text
from ..exits import ExitCode
from ..frontend import Confirmation, Document, Editing
from ..interpreter.context import CommandError, Context, Outcome
from ..interpreter.safety import check
from ..interpreter.targets import (
    CONNECT,
    FANOUT,
    OF_RUN,
    SUDO,
    TARGETS,
    TIMEOUT,
    USER,
    WORKER,
    foreseen,
    run_options,
    targets,
)
from ..language.spec import Argument, Command, CommandSpec, Danger, Kind, Option
from ..language.values import read_assignment, read_wait, show_duration
from ..macros import store as macro_store
from ..macros.macros import SUFFIX, MacroError, parse_macro
from ..macros.player import Player, error_document, judge_now
from ..settings import paths
from .documents import bounded
from .shell import preview

#: Cells of a macro's parameter above which what it is for stands out of line.
_WIDE = 36
_LIMIT = Option("limit", ("--timeout",), Kind.DURATION, "give up after that long", "DURATION")


def record(context: Context, command: Command) -> Outcome:
    """`:record NAME`."""
    recorder = context.recorder
    if recorder.active:
        raise CommandError(f"{recorder.name} is being recorded", ":stop ends it", code=ExitCode.USAGE)
    name = command.get("name")
    file = paths.macros_dir() / f"{name}{SUFFIX}"
    if os.path.lexists(file):
        message = f"there is a macro {name} already"
        raise CommandError(message, f"another name, or remove {file}", code=ExitCode.USAGE, argument="name")
    selection = context.selection
    recorder.start(name, file, f"{selection.folded} ({len(selection)})" if selection else "")
    return context.tell(f"recording {name}: every line that works is kept; :stop ends it")


def stop(context: Context, _command: Command) -> Outcome:
    """`:stop`."""
    recorder = context.recorder
    if not recorder.active:
        raise CommandError("nothing is being recorded", ":record NAME begins", code=ExitCode.USAGE)

    def is_bad(number: int) -> bool:
        run = context.session.runs.get(number)
        return run is not None and len(run.bad_nodes()) > 0

    try:
        file, count, secrets = recorder.stop(is_bad)
    except OSError as error:
        raise CommandError(sanitize_text(f"cannot write {recorder.file}: {error.strerror or error}")) from error
    text = f"{file}: {count} line{'s' * (count != 1)}"
    if secrets:
        text += f"; {secrets} value{'s' * (secrets != 1)} that looked secret became parameters"
    return context.tell(sanitize_text(text))


def play(context: Context, command: Command) -> Outcome:
    """`:play FILE [k=v...] [--dry-run]`."""
    given: dict[str, str] = {}
    for text in command.many("values"):
        name, value = read_assignment(text)
        if name in given:
            raise CommandError(f"{name} is given twice", code=ExitCode.USAGE, argument="values")
        given[name] = value
    name = command.get("file")
    if name == macro_store.STDIN and (context.front_end.interactive or context.script is not None):
        remedy = "write :play FILE"
        raise CommandError("standard input is where lines are typed", remedy, code=ExitCode.USAGE, argument="file")
    try:
        macro, file = macro_store.load(name, context.registry)
        dry_run = command.has("dry_run") or context.dry_run
        player = Player(context, macro, given, dry_run=dry_run)
        if not dry_run:
            macro_store.agree(macro, file, context.front_end)
        return player.play()
    except MacroError as error:
        context.front_end.show(error_document(error.explain()))
        return Outcome(ExitCode.USAGE, failed=True)


def list_macros(context: Context, _command: Command) -> Outcome:
    """`:macros`."""
    lines: list[str] = []
    for name, file in macro_store.known().items():
        try:
            macro, _ = macro_store.load(str(file), context.registry)
        except (CommandError, MacroError) as error:
            lines.append(f"{name}: not usable: {error.text}")
            continue
        lines.append(f"{name}: {macro.summary}" if macro.summary else name)
        given = [f"{one.name}={'...' if one.default is None else one.default}" for one in macro.parameters]
        # Not one table: a value may be a whole command, and would tear all rows apart.
        width = max((len(text) for text in given if len(text) <= _WIDE), default=0)
        lines += (f"  {text:{width}}  {one.help}".rstrip() for text, one in zip(given, macro.parameters, strict=True))
    if not lines:
        return context.tell(f"no macros: :record NAME makes one in {sanitize_text(str(paths.macros_dir()))}")
    return context.show(Document("macros", bounded([sanitize_text(line) for line in lines]), data=True))


def edit(context: Context, command: Command) -> Outcome:
    """`:macros edit NAME`."""
    name = command.get("name")
    file = paths.macros_dir() / f"{name}{SUFFIX}"
    source = macro_store.known().get(name)
    text = source.read_text("utf-8") if source is not None else f"# {name}: what it does\n"
    if not isinstance(context.front_end, Editing) or not context.front_end.interactive:
        raise CommandError("there is no editor here", f"edit {file} with your own", code=ExitCode.USAGE)
    edited = context.front_end.edit(text, SUFFIX)
    if edited is None or (edited == text and source == file):
        return context.tell("nothing was changed")
    _write(file, edited)
    try:
        parse_macro(edited, file.name, context.registry)
    except MacroError as error:
        # It is kept all the same: losing what was written would be worse than a macro that does not play yet.
        lines = tuple(sanitize_text(line) for line in error.explain())
        return context.show(Document("saved, but it does not play yet", lines, "warning"))
    return context.tell(sanitize_text(f"{file} is saved"))


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        paths.write_private(file, text)
    except OSError as error:
        raise CommandError(sanitize_text(f"cannot write {file}: {error.strerror or error}")) from error


# -- lines of macros


def wait(context: Context, command: Command) -> Outcome:
    """`:wait [RUN|DURATION] [--timeout D]`."""
    limit = command.duration("limit")
    run, seconds = read_wait(command.get("what")) if command.has("what") else (None, None)
    if context.dry_run:
        return context.tell(f"would wait for {command.get('what') or 'everything that runs'}")
    if seconds is not None:
        if not context.executor.pause(seconds):
            return Outcome(ExitCode.INTERRUPTED, failed=True)
        return Outcome()
    if run is not None and context.session.runs.get(run) is None:
        raise CommandError(f"there is no run #{run}", ":runs lists them", code=ExitCode.USAGE, argument="what")
    wanted = [run] if run is not None else [one.id for one in context.session.runs.running if one.kind != "timer"]
    deadline = None if limit is None else time.monotonic() + limit
    for number in wanted:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if not context.executor.wait(number, left):
            late = f"#{number} still runs after {command.get('limit')}"
            context.tell("stopped waiting" if context.executor.stopping else late, level="warning")
            return Outcome(ExitCode.EXPECTATION_FAILED, failed=True)
    return _ended_well(context, wanted)


def _ended_well(context: Context, numbers: list[int]) -> Outcome:
    """A macro's background runs that were waited for count like any other line."""
    script = context.script
    if script is None:
        return Outcome()
    background = [number for number in numbers if number in script.background]
    script.background.difference_update(background)
    return Outcome(runs=tuple(background))


def until(context: Context, command: Command) -> Outcome:
    """`:until [-w NODES] [--every 5s] [--timeout 10m] -- CMD`."""
    text = command.get("command")
    every, limit = command.duration("every") or 5.0, command.duration("limit") or 600.0
    if context.dry_run:
        action = f"until ok, every {show_duration(every)}, at most {show_duration(limit)}:"
        return preview(context, action, foreseen(context, command), text)
    left = targets(context, command)
    check(context, "run on", left, text)
    deadline = time.monotonic() + limit
    while True:
        run = context.session.shell(text, left, run_options(command))
        if not context.executor.wait(run.id, max(0.0, deadline - time.monotonic())):
            context.session.abort(run.id)
            context.executor.wait(run.id, 10.0)
        left = run.bad_nodes() if run.ended is not None else left
        if not left:
            return context.tell(f"#{run.id}: ok on all nodes")
        now = time.monotonic()
        if now + every >= deadline or context.executor.stopping:
            shown = sanitize_text(f"{left} ({len(left)}) not ok after {show_duration(limit)}")
            context.tell(shown, level="error")
            return Outcome(ExitCode.EXPECTATION_FAILED, failed=True)
        context.executor.pause(every)


def expect(context: Context, command: Command) -> Outcome:
    """`:expect ok>=95%`."""
    condition = command.get("condition")
    if context.dry_run:
        return context.tell(f"would expect {condition}")
    holds, reason = judge_now(context, condition, command.number("run"))
    if holds:
        return context.tell(sanitize_text(f"{condition}: {reason}"))
    context.tell(sanitize_text(f"expected {condition}, but {reason}"), level="error")
    return Outcome(ExitCode.EXPECTATION_FAILED, failed=True)


def on_failure(context: Context, command: Command) -> Outcome:
    """`:on-failure stop|continue`."""
    if context.script is not None:
        context.script.stop_on_failure = command.get("mode") == "stop"
    return Outcome()


def confirm(context: Context, command: Command) -> Outcome:
    """`:confirm [TEXT]`."""
    text = sanitize_text(command.get("text") or "go on?").strip()
    if context.dry_run:
        return context.tell(f"would ask: {text}")
    selection = context.selection
    lines = (f"nodes   {selection.folded} ({len(selection)})",) if selection else ()
    if not context.front_end.confirm(Confirmation(text, lines, len(selection))):
        raise CommandError(f"not confirmed: {text}", "nothing more is done", code=ExitCode.REFUSED)
    if context.script is not None:
        context.script.agreed = True
    return Outcome()


def say(context: Context, command: Command) -> Outcome:
    """`:say TEXT`."""
    text = sanitize_text(command.get("text"))
    return context.tell(f"would say: {text}" if context.dry_run else text)


def fail(context: Context, command: Command) -> Outcome:
    """`:fail TEXT`: the macro's own judgement, whatever `:on-failure` says."""
    text = sanitize_text(command.get("text"))
    if context.dry_run:
        return context.tell(f"would fail: {text}")
    raise CommandError(text, code=ExitCode.EXPECTATION_FAILED)


def structure(_context: Context, _command: Command) -> Outcome:
    """`:param`, `:if`, `:else`, `:end`: read when the macro is loaded; the player goes by them."""
    return Outcome()


SPECS = (
    CommandSpec(
        "macro.record", "record", "macro: Record", "record what is typed to a macro", record,
        help="Lines that work are kept, values that look secret become parameters.",
        arguments=(Argument("name", Kind.NAME, "how it is called"),),
        examples=((":record restart-web", "... then type, then :stop"),),
        danger=Danger.CHANGES,
    ),
    CommandSpec("macro.stop", "stop", "macro: Stop recording", "end the recording and write the macro", stop,
                danger=Danger.CHANGES),
    CommandSpec(
        "macro.play", "play", "macro: Play", "play a macro", play,
        help=(
            "A name is looked up in your macros and the examples; a path is taken as it is. Each run is waited for; a "
            "run that fails on a node stops the macro unless the line after it judges it (:expect, :if, :retry; :queue "
            "retry behind a map) or :on-failure continue was said."
        ),
        arguments=(
            Argument("file", Kind.MACRO, "a macro's name or file"),
            Argument("values", Kind.ASSIGNMENT, "parameters", required=False, repeat=True),
        ),
        options=(Option("dry_run", ("--dry-run",), Kind.FLAG, "show node sets and commands, touch nothing"),),
        examples=(
            (":play rolling-restart service=nginx", "an example that comes with clusterdeck"),
            (":play --dry-run ./deploy.deck version=1.2", "what it would do"),
        ),
        danger=Danger.TOUCHES,
    ),
    CommandSpec("macro.list", "macros", "macro: List", "list macros with their parameters", list_macros,
                subwords=("edit",)),
    CommandSpec(
        "macro.edit", "macros edit", "macro: Edit", "edit a macro in $EDITOR", edit,
        arguments=(Argument("name", Kind.MACRO_NAME, "its name; an example is copied first"),),
        examples=((":macros edit rolling-restart", "a copy of the example, in your own folder"),),
        danger=Danger.CHANGES,
    ),
    CommandSpec(
        "macro.wait", "wait", "macro: Wait", "wait for runs, or for some time", wait,
        arguments=(Argument("what", Kind.WAIT, "a run, or a duration; all that runs if left out", required=False),),
        options=(_LIMIT,),
        examples=((":wait", "for everything that runs"), (":wait 30s", ""), (":wait 12 --timeout 5m", "")),
    ),
    CommandSpec(
        "macro.until", "until", "macro: Repeat until ok", "run a command again until it is ok on every node", until,
        arguments=(Argument("command", Kind.COMMAND, "the command, as the remote shell gets it", raw=True),),
        options=(
            Option("every", ("--every",), Kind.DURATION, "pause between two tries (5s)", "DURATION"),
            Option("limit", ("--within",), Kind.DURATION, "give up after that long (10m)", "DURATION"),
            *TARGETS, FANOUT, TIMEOUT, CONNECT, WORKER, USER, SUDO,
        ),
        examples=((":until --every 10s --within 15m -- true", "wait until the nodes are back"),),
        danger=Danger.TOUCHES,
    ),
    CommandSpec(
        "macro.expect", "expect", "macro: Expect", "check the last run's result", expect,
        help="Counts: ok failed timeout unreachable aborted lost bad nodes groups lines rc:N, and out:/REGEX/ for the "
             "nodes that wrote such a line; against a number, a share of the nodes (95%) or all. A node set alone must "
             "not be empty. Several are joined by `and`. Behind a map, jobs are counted: ok failed timeout lost "
             "aborted bad.",
        arguments=(Argument("condition", Kind.CONDITION, "what must hold", raw=True),),
        options=(OF_RUN,),
        examples=(
            (":expect ok>=95%", ""),
            (":expect groups==1 and failed==0", "all answered the same"),
            (":expect out:/^active$/==all", "all wrote this line"),
        ),
    ),
    CommandSpec(
        "macro.on-failure", "on-failure", "macro: On failure", "stop or go on when a line fails", on_failure,
        arguments=(Argument("mode", Kind.CHOICE, "what to do", choices=("stop", "continue")),),
        examples=((":on-failure continue", "failed runs do not end the macro"),), macro_only=True,
    ),
    CommandSpec(
        "macro.confirm", "confirm", "macro: Confirm", "ask before going on", confirm,
        arguments=(Argument("text", Kind.LINE, "what to ask", required=False, raw=True),),
        examples=((":confirm reboot these nodes?", "a No ends the macro"),),
    ),
    CommandSpec(
        "macro.say", "say", "macro: Say", "show a line of text", say,
        arguments=(Argument("text", Kind.LINE, "what to show", raw=True),),
        examples=((":say all nodes are back", ""),),
    ),
    CommandSpec(
        "macro.fail", "fail", "macro: Fail", "end the macro as failed", fail,
        arguments=(Argument("text", Kind.LINE, "why", raw=True),), macro_only=True,
        examples=((":fail the check failed on some nodes", "the exit code is that of a failed :expect"),),
    ),
    CommandSpec(
        "macro.param", "param", "macro: Parameter", "declare a parameter, used as {name}", structure,
        arguments=(
            Argument("name", Kind.PARAMETER, "its name"),
            Argument("default", Kind.TEXT, "without one, a value must be given", required=False),
        ),
        options=(Option("help", ("--help",), Kind.TEXT, "what it is for", "TEXT"),),
        examples=((":param service", "must be given"), (":param wait 30s", "with a default")),
        macro_only=True,
    ),
    CommandSpec(
        "macro.if", "if", "macro: If", "do the lines up to :else or :end only if this holds", structure,
        arguments=(Argument("condition", Kind.CONDITION, "@failed, not @failed, ok>=95%", raw=True),),
        examples=((":if @failed", "... :else ... :end"),),
        macro_only=True,
    ),
    CommandSpec("macro.else", "else", "macro: Else", "otherwise", structure, macro_only=True),
    CommandSpec("macro.end", "end", "macro: End", "end of :if", structure, macro_only=True),
)  # fmt: skip
