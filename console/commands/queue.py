"""Commands on the task queue: commands that wait for a free slot of any node."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ...engine.taskmanager.tasks import TaskState
from ...engine.text import sanitize_text
from ..documents import bounded, table
from ..exits import ExitCode
from ..frontend import Document, View
from ..queue import DEFAULT_TAG, QueueError, expand, split_items
from .context import CommandError, Context, Outcome
from .spec import Argument, Command, CommandSpec, Danger, Kind, Option

_TAG = Option("tag", ("-T", "--tag"), Kind.NAME, "the lane it waits in (shell)", "TAG")
_RETRIABLE = Option("retriable", ("--retriable",), Kind.FLAG, "may be run again where a node was lost in the middle")
_MAX_FILE = 64 * 1024 * 1024


def add(context: Context, command: Command) -> Outcome:
    """`:queue add -- CMD`."""
    text = command.get("command")
    if context.dry_run:
        return context.tell(sanitize_text(f"would queue {text}"))
    tag = command.get("tag", DEFAULT_TAG)
    task = context.queue.add(text, tag=tag, retriable=command.has("retriable"))
    return context.tell(f"queued: {task}")


def map_(context: Context, command: Command) -> Outcome:
    """`:queue map [-a FILE] -- CMD {} ::: a b c`."""
    text = command.get("command")
    try:
        template, items = split_items(text)
        if command.has("items"):
            items += _items_of(Path(os.path.expanduser(command.get("items"))))
    except QueueError as error:
        raise CommandError(str(error), code=ExitCode.USAGE, argument="command") from None
    if not items:
        remedy = "write CMD {} ::: a b c, or give a file of lines with -a"
        raise CommandError("there are no items", remedy, code=ExitCode.USAGE, argument="command")
    commands = expand(template, items)
    if context.dry_run or command.has("dry_run"):
        return context.show(Document("dry run", bounded(sanitize_text(line) for line in commands), data=True))
    tag = command.get("tag", DEFAULT_TAG)
    ids = context.queue.add_many(commands, tag=tag, retriable=command.has("retriable"))
    return context.tell(f"queued: {len(ids)} tasks, {ids[0]} to {ids[-1]}")


def _items_of(file: Path) -> list[str]:
    try:
        with file.open("rb") as stream:
            data = stream.read(_MAX_FILE + 1)
    except OSError as error:
        message = sanitize_text(f"cannot read {file}: {error.strerror or error}")
        raise CommandError(message, code=ExitCode.USAGE, argument="items") from error
    if len(data) > _MAX_FILE:
        raise QueueError(f"the file of items is larger than {_MAX_FILE} bytes")
    return [line for line in data.decode("utf-8", "surrogateescape").splitlines() if line]


def status(context: Context, _command: Command) -> Outcome:
    """`:queue`."""
    if context.front_end.open_view(View.QUEUE):
        return Outcome()
    now = context.queue.status()
    tags = sorted({*now.waiting, *now.running, *now.finished})
    rows = [[tag, *(str(part.get(tag, 0)) for part in (now.waiting, now.running, now.finished))] for tag in tags]
    lines = table(rows, ("tag", "waiting", "running", "finished")) if rows else ["the queue is empty"]
    if rows and not now.processes:
        lines.append("no node takes part yet: tasks wait")
    for row in context.queue.tasks((TaskState.LEASED, TaskState.WAITING), 200):
        age = f"{max(0.0, time.time() - (row.info.started or row.info.added)):.0f}s"
        lines.append(sanitize_text(f"{row.info.id}  {row.info.state.word}  {age}  {row.command}"))
    return context.show(Document("queue", bounded(lines), data=True))


def cancel(context: Context, command: Command) -> Outcome:
    """`:queue cancel TASK...|all`."""
    wanted = command.many("task")
    if context.dry_run:
        return context.tell(f"would cancel {' '.join(wanted)}")
    if wanted == ["all"]:
        return context.tell(f"{context.queue.cancel_all()} tasks cancelled")
    done = [task for task in wanted if context.queue.cancel(task)]
    left = [task for task in wanted if task not in done]
    text = f"cancelled: {' '.join(done) or 'none'}"
    if left:
        text += f"; not any more: {' '.join(left)}"
    return context.tell(sanitize_text(text), level="warning" if left else "info")


def retry(context: Context, command: Command) -> Outcome:
    """`:queue retry [TASK...|failed|lost|all]`."""
    wanted = command.many("task") or ["all"]
    if context.dry_run:
        return context.tell(f"would retry {' '.join(wanted)}")
    words = {"failed": (TaskState.FAILED,), "lost": (TaskState.LOST,), "all": (TaskState.FAILED, TaskState.LOST)}
    count = 0
    for word in wanted:
        if word in words:
            count += context.queue.retry_all(words[word])
        else:
            count += context.queue.retry(word)
    return context.tell(f"{count} tasks queued once more")


def results(context: Context, command: Command) -> Outcome:
    """`:queue results`: take what is finished."""
    if context.dry_run:
        return context.tell("would show results")
    found = context.queue.collect(command.number("limit") or 1000)
    if not found:
        return context.show(Document.of("no results are waiting", data=True))
    lines: list[str] = []
    for text, outcome in found:
        lines.append(sanitize_text(f"{outcome.task_id}  {outcome.state.word}  {text}"))
        shown = outcome.failure.message if outcome.failure is not None else outcome.value
        if isinstance(shown, dict):
            shown = shown.get("stdout", shown)
        lines += [f"  {line}" for line in sanitize_text(str(shown)).splitlines()] if shown not in (None, "") else []
    return context.show(Document("results", bounded(lines), data=True))


_TASK = Argument("task", Kind.TASK, "its id, or all", repeat=True)

SPECS = (
    CommandSpec(
        "queue.status", "queue", "queue: Status", "show the task queue", status,
        subwords=("add", "map", "cancel", "results", "retry", "status"), aliases=("queue status",), keys=("4",),
    ),
    CommandSpec(
        "queue.add", "queue add", "queue: Add", "queue a command for the next free slot", add,
        arguments=(Argument("command", Kind.COMMAND, "the command", raw=True),), options=(_TAG, _RETRIABLE),
        examples=((":queue add -- make -C /src test", ""),), danger=Danger.TOUCHES,
    ),
    CommandSpec(
        "queue.map", "queue map", "queue: Map", "queue a command once per item", map_,
        help="{} in the command becomes the item, as one word; without it the item is put at the end.",
        arguments=(Argument("command", Kind.COMMAND, "CMD {} ::: a b c", raw=True),),
        options=(
            Option("items", ("-a", "--items"), Kind.LOCAL_PATH, "a file with an item per line", "FILE"),
            _TAG, _RETRIABLE, Option("dry_run", ("--dry-run",), Kind.FLAG, "show the commands, queue nothing"),
        ),
        examples=((":queue map -- convert {} {}.png ::: a.svg b.svg", ""), (":queue map -a list -- ./job", "")),
        danger=Danger.TOUCHES,
    ),
    CommandSpec("queue.cancel", "queue cancel", "queue: Cancel", "cancel tasks that wait", cancel,
                arguments=(_TASK,), danger=Danger.ENDS),
    CommandSpec(
        "queue.results", "queue results", "queue: Results", "show and take what is finished", results,
        options=(Option("limit", ("-n", "--limit"), Kind.COUNT, "at most that many", "N"),), danger=Danger.CHANGES,
    ),
    CommandSpec(
        "queue.retry", "queue retry", "queue: Retry", "queue failed and lost tasks once more", retry,
        arguments=(Argument("task", Kind.TASK, "ids, failed, lost or all", required=False, repeat=True),),
        danger=Danger.TOUCHES,
    ),
)  # fmt: skip
