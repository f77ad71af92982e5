"""Commands that look at results: views where the front end has them, documents otherwise; and that keep them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ...engine.states import NodeState
from ...engine.text import sanitize_text
from ..exits import ExitCode
from ..frontend import Document, View
from ..interpreter.context import CommandError, Context, Outcome
from ..interpreter.targets import OF_RUN, resolve
from ..language.redact import redact
from ..language.spec import Argument, Command, CommandSpec, Danger, Kind, Option
from ..language.values import read_number
from ..runs import run_files
from ..runs.runs import Run
from . import documents
from .shell import find_run

_BAD = tuple(state for state in NodeState if state.bad)
_RUN = Argument("run", Kind.RUN, "the last run if left out", required=False)
_NORMALISE = Option("normalise", ("-n", "--normalise"), Kind.FLAG, "leave node names and numbers out of the comparison")


def _show(context: Context, run: Run, build: Callable[[Run], Document]) -> Outcome:
    """Under the lock, for what a running run may change meanwhile: its groups. Lines of a node need none."""
    with context.session.runs.lock:
        document = build(run)
    return context.show(document)


def list_runs(context: Context, _command: Command) -> Outcome:
    """`:runs`."""
    if context.front_end.open_view(View.RUNS):
        return Outcome()
    runs = context.session.runs
    runs.wait_earlier()
    with runs.lock:
        document = documents.run_list(runs, reading=runs.reading)
    return context.show(document)


def show(context: Context, command: Command) -> Outcome:
    """`:show [RUN]`."""
    run = find_run(context, command.number("run"))
    if context.front_end.open_view(View.RUN, run.id):
        return Outcome()
    return _show(context, run, documents.run_details)


def gather(context: Context, command: Command) -> Outcome:
    """`:gather [RUN]`."""
    run = find_run(context, command.number("run"))
    if context.front_end.open_view(View.GATHERED, run.id):
        return Outcome()
    return _show(context, run, documents.gathered)


def failed(context: Context, command: Command) -> Outcome:
    """`:failed [RUN]`."""
    run = find_run(context, command.number("run"))
    if context.front_end.open_view(View.FAILURES, run.id):
        return Outcome()
    return _show(context, run, lambda run: documents.failures(run, _BAD, "failed"))


def timeouts(context: Context, command: Command) -> Outcome:
    """`:timeouts [RUN]`."""
    run = find_run(context, command.number("run"))
    if context.front_end.open_view(View.TIMEOUTS, run.id):
        return Outcome()
    return _show(context, run, lambda run: documents.failures(run, (NodeState.TIMEOUT,), "timed out"))


def _number_of(run: Run, name: str, argument: str) -> int:
    try:
        return list(run.names).index(name)
    except ValueError:
        message = f"{sanitize_text(name)} is not a node of run #{run.id}"
        raise CommandError(message, f":show {run.id} lists them", code=ExitCode.USAGE, argument=argument) from None


def output(context: Context, command: Command) -> Outcome:
    """`:out NODE [RUN]`."""
    run = find_run(context, command.number("run"))
    name = command.get("node")
    if name not in run.names:
        nodes = resolve(context, name, "node")
        if len(nodes) > 1:
            return context.show(_many_outputs(run, [n for n in nodes if n in run.names]))
        name = str(nodes)
    number = _number_of(run, name, "node")
    if context.front_end.open_view(View.OUTPUT, run.id, name):
        return Outcome()
    return context.show(documents.node_output(run, number))


def _many_outputs(run: Run, names: list[str]) -> Document:
    places = {name: number for number, name in enumerate(run.names)}
    lines: list[str] = []
    for name in names:
        one = documents.node_output(run, places[name])
        lines += [one.title, *(f"  {line}" for line in one.lines)]
        if len(lines) > documents.MAX_LINES:
            break
    return Document(f"#{run.id}", documents.bounded(lines), data=True)


def diff(context: Context, command: Command) -> Outcome:
    """`:diff [A B]`: answers of the last run, two of its nodes, or two runs."""
    first, second, normalise = command.get("a"), command.get("b"), command.has("normalise")
    if not first:
        run = find_run(context, command.number("run"))
        if context.front_end.open_view(View.DIFF, run.id):
            return Outcome()
        return _show(context, run, lambda run: documents.diff_groups(run, normalise))
    if not second:
        remedy = "two runs (:diff 11 12), two nodes (:diff node1 node7), or nothing"
        raise CommandError("one thing cannot be compared", remedy, code=ExitCode.USAGE, argument="a")
    if first.removeprefix("#").isdigit() and second.removeprefix("#").isdigit():
        one, two = (find_run(context, read_number(text), name) for text, name in ((first, "a"), (second, "b")))
        if context.front_end.open_view(View.DIFF, one.id, None, two.id):
            return Outcome()
        return _show(context, two, lambda two: documents.diff_runs(one, two, normalise))
    run = find_run(context, command.number("run"))
    left, right = _number_of(run, first, "a"), _number_of(run, second, "b")
    return context.show(documents.diff_nodes(run, left, right, normalise))


def save(context: Context, command: Command) -> Outcome:
    """`:save DIR`: a file per node."""
    run = find_run(context, command.number("run"))
    folder = Path(os.path.expanduser(command.get("folder")))
    if context.dry_run:
        return context.tell(sanitize_text(f"would save run #{run.id} to {folder}"))
    try:
        count = run_files.save(run, folder, overwrite=command.has("overwrite"), raw=command.has("raw"))
    except OSError as error:
        message = sanitize_text(f"cannot write to {folder}: {error.strerror or error}")
        raise CommandError(message, "nothing is overwritten unless you say --overwrite", argument="folder") from error
    return context.tell(sanitize_text(f"#{run.id}: {count} files in {folder}"))


def export_run(context: Context, command: Command) -> Outcome:
    """`:export json|jsonl|csv|md [FILE]`."""
    run = find_run(context, command.number("run"))
    file = command.get("file")
    pieces = run_files.FORMATS[command.get("format")](run, redact)
    if not file:
        return context.show(Document(f"#{run.id}", documents.bounded("".join(pieces).splitlines()), data=True))
    if context.dry_run:
        return context.tell(sanitize_text(f"would write run #{run.id} to {file}"))
    path = Path(os.path.expanduser(file))
    try:
        run_files.write(path, (piece.encode() for piece in pieces), overwrite=command.has("overwrite"))
    except OSError as error:
        message = sanitize_text(f"cannot write {path}: {error.strerror or error}")
        raise CommandError(message, "nothing is overwritten unless you say --overwrite", argument="file") from error
    return context.tell(sanitize_text(f"#{run.id}: {path}"))


_OVERWRITE = Option("overwrite", ("--overwrite",), Kind.FLAG, "replace files that are there")
_RAW = Option("raw", ("--raw",), Kind.FLAG, "the bytes as the nodes sent them, terminal codes included")

SPECS = (
    CommandSpec("runs.list", "runs", "runs: List", "list the runs of this session", list_runs, keys=("5",)),
    CommandSpec(
        "runs.show", "show", "runs: Show", "show what is known of a run", show, arguments=(_RUN,),
        examples=((":show 12", ""),),
    ),
    CommandSpec(
        "runs.output", "out", "runs: Output of a node", "show all that one node wrote", output,
        aliases=("output",),
        arguments=(Argument("node", Kind.NODE, "a node of the run, or several"), _RUN),
        examples=((":out node7", "of the last run"), (":out node7 12", "of run 12")),
    ),
    CommandSpec(
        "runs.gather", "gather", "runs: Gathered answers", "show identical answers together", gather,
        arguments=(_RUN,), examples=((":gather", ""), (":gather 12", "of an earlier run")), keys=("2", "g"),
    ),
    CommandSpec(
        "runs.diff", "diff", "runs: Differences", "compare answers, two nodes, or two runs", diff,
        help="Without words: every answer of the last run against that of the most nodes.",
        arguments=(
            Argument("a", Kind.NODE, "a node, or the number of a run", required=False),
            Argument("b", Kind.NODE, "another one", required=False),
        ),
        options=(OF_RUN, _NORMALISE),
        examples=(
            (":diff", "each answer against the majority"),
            (":diff node1 node7", "two nodes of the last run"),
            (":diff 11 12", "what changed between two runs"),
        ),
        keys=("d",),
    ),
    CommandSpec(
        "runs.failed", "failed", "runs: Failures", "show where it did not end well, and why", failed,
        arguments=(_RUN,), keys=("3",), examples=((":failed", "then :retry, or @failed COMMAND"),),
    ),
    CommandSpec(
        "runs.timeouts", "timeouts", "runs: Timeouts", "show where it timed out", timeouts,
        arguments=(_RUN,), examples=((":timeouts", ""),),
    ),
    CommandSpec(
        "runs.save", "save", "runs: Save", "write a run's output, a file per node", save,
        arguments=(Argument("folder", Kind.LOCAL_PATH, "a folder; made if it is not there"),),
        options=(OF_RUN, _OVERWRITE, _RAW),
        examples=((":save results", "results/NODE.out, and NODE.err where stderr is apart"),),
        danger=Danger.CHANGES,
    ),
    CommandSpec(
        "runs.export", "export", "runs: Export", "give a run as JSON, CSV or Markdown", export_run,
        arguments=(
            Argument("format", Kind.CHOICE, "the format", choices=tuple(run_files.FORMATS)),
            Argument("file", Kind.LOCAL_PATH, "a file; shown if left out", required=False),
        ),
        options=(OF_RUN, _OVERWRITE),
        examples=((":export json run.json", ""), (":export md", "shown, to be pasted into a ticket")),
        danger=Danger.CHANGES,
    ),
)  # fmt: skip
