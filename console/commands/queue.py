"""Commands on the task queue: commands that wait for a free slot of any node."""

from __future__ import annotations

import json
from collections.abc import Collection
from contextlib import closing, nullcontext
from typing import Any

from ...engine.taskmanager.jobs import JobState
from ...engine.taskmanager.slots import DEFAULT_TAG
from ...engine.taskmanager.tasks import TaskState
from ...engine.text import sanitize_text
from ..exits import ExitCode
from ..frontend import Document, View
from ..interpreter.context import CommandError, Context, Outcome
from ..interpreter.targets import EXCLUDE, NODES
from ..language.spec import Argument, Command, CommandSpec, Danger, Kind, Option
from ..language.values import show_duration
from ..queue.backend import Backend, LocalBackend, RemoteBackend
from ..queue.jobs import PAUSED, MapJob
from .documents import bounded, table
from .queue_map import MAP_OPTIONS, RETRIABLE, TAG, follow, map_, unquoted, wait, waits
from .queue_nodes import KEEP, leave, many
from .queue_serve import SLOTS, WORKER_OPTIONS, serve, served_elsewhere, workers

_JSON = Option("json", ("--json",), Kind.FLAG, "a JSON value for a Python worker's do_TAG, not a command")
#: A job that took too long is a failed task.
_ENDS = {TaskState.FAILED: (JobState.FAILED, JobState.TIMEOUT), TaskState.LOST: (JobState.LOST,)}
_WORDS = {"failed": (TaskState.FAILED,), "lost": (TaskState.LOST,), "all": (TaskState.FAILED, TaskState.LOST)}


def backend(context: Context) -> closing[RemoteBackend] | nullcontext[Backend]:
    """The queue that this session's commands are about."""
    path = served_elsewhere(context)
    if path:
        return closing(RemoteBackend(path))
    passing = not context.session.settings.queue.store and not context.queue.used
    if passing and context.alone and context.script is None:
        message = "no queue is served, and one in memory would end with this command"
        raise CommandError(message, "clusterdeck queue serve -w NODES makes one; or name a store in queue.store")
    return nullcontext(LocalBackend(context.queue))


def add(context: Context, command: Command) -> Outcome:
    """`:queue add -- CMD`."""
    text, tag, retriable = command.get("command"), command.get("tag", DEFAULT_TAG), command.has("retriable")
    parameters = _parameters(text) if command.has("json") else None
    text = text if command.has("json") else unquoted(text)
    if context.dry_run:
        return context.tell(sanitize_text(f"would queue {text}"))
    with backend(context) as queue:
        if command.has("json"):
            task = queue.request(tag, parameters, retriable=retriable)
        else:
            (task,) = queue.add([text], tag=tag, retriable=retriable)
        look = queue.look()
    who = ":queue workers --module MODULE" if command.has("json") else ":queue join NODES"
    trouble = f"; {PAUSED}" if look.paused else "" if look.workers else f"; nobody works for the queue yet: {who}"
    return context.tell(f"queued: {task}{trouble}")


def _parameters(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        remedy = 'a list is passed one by one: [3, "a"]; null is no parameter'
        raise CommandError(f"no JSON: {error}", remedy, code=ExitCode.USAGE, argument="command") from None


def status(context: Context, _command: Command) -> Outcome:
    """`:queue`."""
    if context.front_end.open_view(View.QUEUE):
        return Outcome()
    with backend(context) as queue:
        look = queue.look()
    rows = [(tag, *map(str, counts)) for tag, counts in look.counts.items() if any(counts)]
    lines = table(rows, ("tag", "waiting", "running", "finished")) if rows else ["the queue is empty"]
    if not look.workers:
        lines.append("nobody works for it: :queue join NODES")
    if look.paused:
        lines.append(f"{PAUSED}; what runs goes on")
    if look.ends:
        lines.append("it ends once everything is done and fetched; :queue drain --undo keeps it")
    shown = [
        (row.id, row.state, show_duration(round(row.age)), row.where or "-", f"x{row.attempts}", row.command)
        for row in look.tasks
    ]
    lines += ["", *table(shown, ("task", "state", "since", "where", "tries", "command"))] if shown else []
    return context.show(Document("queue", bounded(sanitize_text(line) for line in lines), data=True))


def drain(context: Context, command: Command) -> Outcome:
    """`:queue drain [NODES]`."""
    if command.nodes("expression") is not None:
        return leave(context, command)
    undo = command.has("undo")
    if context.dry_run:
        return context.tell("would let the queue go on" if undo else "would end the queue once it is empty")
    with backend(context) as queue:
        queue.drain(undo=undo)
    return context.tell("the queue goes on" if undo else "the queue ends once everything is done and fetched")


def pause(context: Context, _command: Command) -> Outcome:
    """`:queue pause`."""
    return _pause(context, True, "the queue is paused: no task begins until :queue resume, what runs goes on")


def resume(context: Context, _command: Command) -> Outcome:
    """`:queue resume`."""
    return _pause(context, False, "the queue goes on")


def _pause(context: Context, paused: bool, text: str) -> Outcome:
    if context.dry_run:
        return context.tell("would pause the queue" if paused else "would let the queue go on")
    with backend(context) as queue:
        queue.pause(paused)
    return context.tell(text)


def cancel(context: Context, command: Command) -> Outcome:
    """`:queue cancel TASK...|all`, `:queue cancel --map N`."""
    wanted = command.many("task")
    if context.dry_run:
        return context.tell(f"would cancel {' '.join(wanted) or 'a map'}")
    if command.has("map"):
        job = context.queue.maps.find(command.number("map"))
        job.run.cancel()
        return context.tell(f"map {job.number}: cancelled; running jobs are ended")
    if not wanted:
        raise CommandError("nothing is named", "give ids of tasks, all, or --map N", code=ExitCode.USAGE)
    with backend(context) as queue:
        if wanted == ["all"]:
            wanted = [row.id for row in queue.look().tasks if row.state in ("waiting", "running")]
        done = [task for task in wanted if queue.cancel(task)]
    left = [task for task in wanted if task not in done]
    text = f"cancelled: {many(len(done), 'task')}"
    if left:
        text += f"; over already, or never there: {' '.join(left)}"
    context.tell(sanitize_text(text), level="warning" if left else "info")
    return Outcome() if done or not wanted else Outcome(ExitCode.ERROR, failed=True)


def retry(context: Context, command: Command) -> Outcome:
    """`:queue retry [TASK...|failed|lost|all]`, `--map N`."""
    wanted = command.many("task") or ["all"]
    if context.dry_run:
        return context.tell(f"would retry {' '.join(wanted)}")
    number = command.number("map")
    if number is None and not command.has("task") and context.script is not None:
        number = context.script.map  # the operator's own tasks are none of a macro's business
    if number is not None:
        job = context.queue.maps.find(number)
        count = context.queue.maps.retry(job)
        context.tell(f"map {job.number}: {many(count, 'job')} once more{_fetched(job)}", level=_level(count))
        return _follow(context, [job] if count else [])
    states = [state for word in wanted for state in _WORDS.get(word, ())]
    named = [word for word in wanted if word not in _WORDS]
    maps = context.queue.maps
    # By name also of maps that go on, and first: the rest of a finished map is not to take them along.
    theirs = {job: {task for task in named if job.run.has(task)} for job in maps.all()}
    again = [(job, maps.retry(job, tasks=tasks)) for job, tasks in theirs.items() if tasks]
    again += [(job, maps.retry(job, _ends(states))) for job in maps.all() if states and job.finished]
    with backend(context) as queue:
        count = sum(jobs for _, jobs in again)
        count += queue.retry_all(states) if states else 0
        count += sum(queue.retry(task) for task in named if not any(task in tasks for tasks in theirs.values()))
    if named and not count:
        shown = sanitize_text(" ".join(named))
        context.tell(f"nothing to retry: {shown} did not end badly, or is not there", level="warning")
        return Outcome(ExitCode.ERROR, failed=True)
    context.tell(f"{many(count, 'task')} once more", level=_level(count))
    return _follow(context, list({job.number: job for job, jobs in again if jobs}.values()))


def _ends(states: Collection[TaskState]) -> list[JobState]:
    """The ends of jobs that these states of tasks stand for."""
    return [end for state in states for end in _ENDS[state]]


def _level(count: int) -> str:
    return "info" if count else "warning"


def _fetched(job: MapJob) -> str:
    """What is said where jobs that did not end well could not be tried again."""
    progress = job.run.progress()
    left = progress.failed + progress.timeout + progress.lost
    return f"; the results of {left} were taken (:queue results), run these anew" if left else ""


def _follow(context: Context, jobs: list[MapJob]) -> Outcome:
    """Wait for maps that go on, where commands wait for maps; the worst of what they came to."""
    found = Outcome()
    for job in jobs if waits(context) else ():
        outcome = follow(context, job)
        found = found if found.failed and not outcome.failed else outcome
        if outcome.code == ExitCode.INTERRUPTED:
            break
    return found


def results(context: Context, command: Command) -> Outcome:
    """`:queue results`: take what is finished."""
    if context.dry_run:
        return context.tell("would show results")
    with backend(context) as queue:
        found = queue.results(command.number("limit") or 1000)
    if not found:
        return context.show(Document.of("no results are waiting", data=True))
    lines: list[str] = []
    for task, state, what, output in found:
        lines.append(sanitize_text(f"{task}  {state}  {what}").replace("\n", " "))
        lines += [f"  {line}" for line in sanitize_text(output).splitlines()]
    return context.show(Document("results", bounded(lines), data=True))


_TASK = Argument("task", Kind.TASK, "ids, or all", required=False, repeat=True, choices=("all",))
_MAP = Option("map", ("--map",), Kind.MAP, "a whole map", "N")

SPECS = (
    CommandSpec(
        "queue.status", "queue", "queue: Status", "show the task queue", status,
        help=(
            ":queue map runs a command once per item on every free slot, and :queue wait waits for it. :queue add "
            "queues one command for the nodes that :queue join has let work, or a task for Python functions that "
            ":queue workers has started on nodes; :queue leave ends either, :queue nodes lists them. :queue results, "
            ":queue retry and :queue cancel are about tasks. :queue serve lets other processes of yours use it. Where "
            "it is kept is the setting queue.store: in memory, in a file, or in Redis for several consoles."
        ),
        subwords=("add", "map", "wait", "cancel", "results", "retry", "status", "join", "leave", "pause", "resume",
                  "drain", "workers", "nodes", "serve"),
        aliases=("queue status",),
    ),
    CommandSpec(
        "queue.map", "queue map", "queue: Map", "run a command once per item, on every free slot", map_,
        help=(
            "Each free slot takes the next item over the kept connections. {} in the command becomes the item, as one "
            "word; also {.} {/} {//} {/.} (without ending, its name, its folder, both), {#} the number, {%} the slot, "
            "{node}. Without any, the item is put at the end. A command that is one quoted word is unquoted. With -w, "
            "or on the selection if no node has joined, the map has slots of its own. A node that is lost gives its "
            "jobs back if they surely did not start or are --retriable; else they are lost, shown, and adopted when it "
            "comes back. Without an operator the command waits for the end and shows outputs."
        ),
        arguments=(Argument("command", Kind.COMMAND, "CMD {} ::: a b c", raw=True),),
        options=(NODES, EXCLUDE, *MAP_OPTIONS),
        examples=(
            (":queue map -w @web -j 4 -- gzip {} ::: a.log b.log", ""),
            (":queue map -w @web \"gzip {}; ls -l {}.gz\" ::: a.log", "quoted as for a shell"),
            (":queue map --from list --joblog log --halt fail=5% -- ./job {}", "a line of the file each"),
            (":queue map --from list --joblog log --resume-failed -- ./job {}", "only what did not succeed"),
        ),
        danger=Danger.TOUCHES,
    ),
    CommandSpec(
        "queue.wait", "queue wait", "queue: Wait", "wait for a map and show its outputs", wait,
        arguments=(Argument("map", Kind.MAP, "its number; the newest if left out", required=False),),
        examples=((":queue wait", ""),),
    ),
    CommandSpec(
        "queue.add", "queue add", "queue: Add", "queue a command for the next free slot", add,
        arguments=(Argument("command", Kind.COMMAND, "the command", raw=True),), options=(TAG, RETRIABLE, _JSON),
        examples=(
            (":queue add -- make -C /src test", ""),
            (":queue add -T square --json -- [3]", "for a Python worker that has do_square"),
        ),
        danger=Danger.TOUCHES,
    ),
    CommandSpec(
        "queue.pause", "queue pause", "queue: Pause", "begin no more tasks for now; what runs goes on", pause,
        help=(
            "Of all tags and maps, on all nodes and workers, also those of other consoles on one store. Tasks may be "
            "added, cancelled and retried meanwhile. A queue in a file or in Redis stays paused when its console ends."
        ),
        examples=((":queue pause", ""),), danger=Danger.CHANGES,
    ),
    CommandSpec(
        "queue.resume", "queue resume", "queue: Resume", "let a paused queue go on", resume,
        examples=((":queue resume", ""),), danger=Danger.CHANGES,
    ),
    CommandSpec(
        "queue.drain", "queue drain", "queue: Drain", "end the queue once it is empty, or let nodes take no more tasks",
        drain,
        help=(
            "With nodes, as :queue leave. Without, what waits is still done and what is done still fetched; then a "
            "process that only serves the queue ends, and so do worker processes that ask for more."
        ),
        arguments=(Argument("expression", Kind.NODES, "node[1-4], @group ...", required=False),),
        options=(KEEP, Option("undo", ("--undo",), Kind.FLAG, "the queue goes on after all")),
        examples=((":queue drain", ""), (":queue drain --undo", ""), (":queue drain node7 --keep", "")),
        danger=Danger.CHANGES,
    ),
    CommandSpec(
        "queue.workers", "queue workers", "queue: Python workers", "let Python functions on nodes work for the queue",
        workers,
        help=(
            "Starts `clusterdeck worker` on the nodes, over the kept connections, with modules that are there: a "
            "function do_TAG runs the tasks with that tag. A node that is lost gives its tasks back and is tried "
            "again. :queue leave ends them. A process without an operator works until it is interrupted."
        ),
        options=(NODES, EXCLUDE, *WORKER_OPTIONS, SLOTS),
        examples=(
            (":queue workers -w @compute --module my.tasks -j 8", ""),
            (":queue workers -w n1 --module ./t.py --program ~/venv/bin/clusterdeck", ""),
        ),
        danger=Danger.TOUCHES,
    ),
    CommandSpec(
        "queue.cancel", "queue cancel", "queue: Cancel", "end tasks, waiting or running", cancel,
        arguments=(_TASK,), options=(_MAP,),
        examples=((":queue cancel all", ""), (":queue cancel --map 1", "what waits of it, and what runs")),
        danger=Danger.ENDS,
    ),
    CommandSpec(
        "queue.results", "queue results", "queue: Results", "show and take what is finished", results,
        options=(Option("limit", ("-n", "--limit"), Kind.COUNT, "at most that many", "N"),),
        examples=((":queue results", ""), (":queue results -n 20", "")), danger=Danger.CHANGES,
    ),
    CommandSpec(
        "queue.retry", "queue retry", "queue: Retry", "run failed and lost tasks once more", retry,
        help=(
            "In a macro, right behind a map and without words, the jobs of that map; the macro waits for them, and the "
            "next line may judge how they end."
        ),
        arguments=(
            Argument("task", Kind.TASK, "ids, failed, lost or all", required=False, repeat=True, choices=tuple(_WORDS)),
        ),
        options=(_MAP,),
        examples=((":queue retry", ""), (":queue retry lost", ""), (":queue retry --map 1", "")), danger=Danger.TOUCHES,
    ),
    CommandSpec(
        "queue.serve", "queue serve", "queue: Serve", "let other processes of yours use the queue", serve,
        help="A process without an operator serves until it is interrupted: clusterdeck queue serve -w @web.",
        arguments=(Argument("path", Kind.LOCAL_PATH, "the socket; in the state folder if left out", required=False),),
        options=(NODES, EXCLUDE, SLOTS, *WORKER_OPTIONS),
        examples=((":queue serve -w @compute -j 4", "nodes that work for what others add"),), danger=Danger.TOUCHES,
    ),
)  # fmt: skip
