"""`:queue map` and what waits for it: one command over many items."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path

from ...engine.taskmanager.halt import parse_halt
from ...engine.taskmanager.joblog import JobLogError
from ...engine.taskmanager.jobs import JobState
from ...engine.taskmanager.mapping import MapOptions
from ...engine.taskmanager.runtimes import parse_timeout
from ...engine.taskmanager.slots import DEFAULT_TAG
from ...engine.taskmanager.template import Template, TemplateError, Values
from ...engine.text import sanitize_text
from ..exits import ExitCode
from ..frontend import Document
from ..interpreter.context import CommandError, Context, Outcome
from ..interpreter.safety import check
from ..interpreter.targets import targets
from ..language.spec import Command, Kind, Option
from ..language.tokens import LanguageError, token_at
from ..queue.jobs import PAUSED, MapJob, QueueError
from .documents import bounded

TAG = Option("tag", ("-T", "--tag"), Kind.TAG, "the lane of the queue (shell)", "TAG")
RETRIABLE = Option("retriable", ("--retriable",), Kind.FLAG, "may run again where a node was lost in the middle")
FROM = Option("from", ("--from", "-a"), Kind.LOCAL_PATH, "a file with an item per line; - is standard input", "FILE")
MAP_OPTIONS = (
    Option("slots", ("-j", "--slots"), Kind.COUNT, "jobs at a time on each node", "N"),
    FROM,
    TAG,
    RETRIABLE,
    Option(
        "timeout",
        ("-t", "--timeout"),
        Kind.TEXT,
        "seconds for a job, or a share of the median",
        "SEC|N%",
        choices=("60", "300%"),
    ),
    Option(
        "halt",
        ("--halt",),
        Kind.TEXT,
        "when to stop",
        "RULE",
        choices=("fail=5%", "now,fail=1", "soon,done=100"),
    ),
    Option("joblog", ("--joblog",), Kind.LOCAL_PATH, "a line per job, with GNU parallel's columns", "FILE"),
    Option("resume", ("--resume",), Kind.FLAG, "leave out the jobs of the job log"),
    Option("resume_failed", ("--resume-failed",), Kind.FLAG, "leave out only those that succeeded"),
    Option("background", ("--background",), Kind.FLAG, "do not wait for the end, in a macro or without an operator"),
    Option("dry_run", ("--dry-run",), Kind.FLAG, "show the commands, queue nothing"),
)

#: A file of items may be that large, bytes.
_MAX_FILE = 256 * 1024 * 1024
#: Seconds without any usable node after which a map that nobody watches is given up.
GIVE_UP = 60.0
#: Seconds between two looks for outputs while a map is waited for.
_GLANCE = 0.1


def map_(context: Context, command: Command) -> Outcome:
    """`:queue map [-w NODES] [--slots 4] -- CMD {} ::: FILES`."""
    template, items = _items(context, command)
    options = _options(command)
    if context.dry_run or command.has("dry_run"):
        return _preview(context, template, items)
    slots = _slots(context, command, template)
    try:
        job = context.queue.maps.begin(template, items, slots, options)
    except (TemplateError, JobLogError) as error:
        raise CommandError(sanitize_text(str(error)), code=ExitCode.USAGE, argument="command") from error
    places = slots or {view.name: view.slots for view in context.queue.nodes()}
    slot_count = sum(places.values())
    jobs, slot_word, node_word = ("" if n == 1 else "s" for n in (len(items), slot_count, len(places)))
    where = f"{slot_count} slot{slot_word} of {len(places)} node{node_word}"
    context.tell(f"map {job.number}: {len(items)} job{jobs} on {where}")
    if command.has("background") or not waits(context):
        if context.script is not None:
            context.script.background_maps.add(job.number)
        return Outcome()
    return follow(context, job)


def waits(context: Context) -> bool:
    """Whether commands wait for the maps that they begin: in macros, and where nobody is there to look later."""
    return context.script is not None or not context.front_end.interactive


def _items(context: Context, command: Command) -> tuple[str, list[str]]:
    template, mark, tail = command.get("command").partition(" ::: ")
    template = unquoted(template)
    try:
        items = shlex.split(tail) if mark else []
    except ValueError as error:
        message = f"the items after ::: cannot be read ({error})"
        raise CommandError(message, "quote them as in a shell", code=ExitCode.USAGE, argument="command") from None
    if command.has("from"):
        items += _read_items(context, command.get("from"))
    if not items and not command.has("from"):
        remedy = "write CMD {} ::: a b c, or --from FILE"
        raise CommandError("there are no items", remedy, code=ExitCode.USAGE, argument="command")
    return template, items


def unquoted(text: str) -> str:
    """A command without the quotes around it, where it is one quoted word: `"echo {}; sleep 1"`.

    A shell takes these quotes away before GNU parallel sees them, so they are the prompt's here; left in place, they
    would name a program with blanks in its name.
    """
    text = text.strip()
    if not text.startswith(("'", '"')):
        return text
    try:
        word = token_at(text, 0)
    except LanguageError:
        return text  # the node's shell says what it thinks of it
    return word.text if word is not None and word.end == len(text) else text


def _read_items(context: Context, name: str) -> list[str]:
    if name == "-" and context.front_end.interactive:
        remedy = "name a file"
        raise CommandError("standard input is where lines are typed", remedy, code=ExitCode.USAGE, argument="from")
    try:
        if name == "-":
            data = sys.stdin.buffer.read(_MAX_FILE + 1)
        else:
            with Path(os.path.expanduser(name)).open("rb") as stream:
                data = stream.read(_MAX_FILE + 1)
    except OSError as error:
        message = sanitize_text(f"cannot read {name}: {error.strerror or error}")
        raise CommandError(message, code=ExitCode.USAGE, argument="from") from error
    if len(data) > _MAX_FILE:
        raise CommandError(f"{name!a} is larger than {_MAX_FILE} bytes", code=ExitCode.USAGE, argument="from")
    try:
        return [line for line in data.decode().split("\n") if line]
    except UnicodeDecodeError:
        raise CommandError(f"{name!a} is not UTF-8 text", code=ExitCode.USAGE, argument="from") from None


def _options(command: Command) -> MapOptions:
    try:
        timeout = parse_timeout(command.get("timeout") or None)
    except ValueError as error:
        raise CommandError(sanitize_text(str(error)), code=ExitCode.USAGE, argument="timeout") from None
    try:
        halt = parse_halt(command.get("halt") or None)
    except ValueError as error:
        raise CommandError(sanitize_text(str(error)), code=ExitCode.USAGE, argument="halt") from None
    if (command.has("resume") or command.has("resume_failed")) and not command.has("joblog"):
        message = "only a job log knows what was done"
        raise CommandError(message, "give it with --joblog FILE", code=ExitCode.USAGE, argument="resume")
    joblog = os.path.expanduser(command.get("joblog")) if command.has("joblog") else None
    return MapOptions(
        tag=command.get("tag", DEFAULT_TAG),
        retriable=command.has("retriable"),
        timeout=timeout,
        halt=halt,
        joblog=joblog,
        resume=command.has("resume"),
        resume_failed=command.has("resume_failed"),
    )


def _slots(context: Context, command: Command, template: str) -> dict[str, int] | None:
    """The map's own nodes with their slots; None: those that have joined. Asks what must be asked."""
    if not command.has("nodes") and context.queue.nodes():
        return None
    nodes = targets(context, command)
    check(context, "run jobs on", nodes, template)
    return dict.fromkeys(nodes, command.number("slots") or context.session.settings.queue.slots)


def _preview(context: Context, template: str, items: list[str]) -> Outcome:
    try:
        made = Template(template)
        lines = [made.render(Values(item, number, 1, "NODE")) for number, item in enumerate(items, 1)]
    except TemplateError as error:
        raise CommandError(sanitize_text(str(error)), code=ExitCode.USAGE, argument="command") from error
    return context.show(Document("dry run", bounded(sanitize_text(line) for line in lines), data=True))


def wait(context: Context, command: Command) -> Outcome:
    """`:queue wait [MAP]`."""
    if context.dry_run:
        return context.tell("would wait for the map")
    try:
        job = context.queue.maps.find(command.number("map"))
    except QueueError as error:
        raise CommandError(str(error), ":queue map begins one", code=ExitCode.USAGE, argument="map") from None
    return follow(context, job)


def follow(context: Context, job: MapJob) -> Outcome:
    """Show outputs as jobs end, until the map is over or the operator stops waiting; what runs goes on then."""

    job.told = True
    if context.script is not None:
        context.script.background_maps.discard(job.number)
    away = _Away(context, job)

    def look() -> bool:
        _show_results(context)
        away.look()
        return job.finished

    done = context.executor.wait_until(look, None, lambda seconds: job.run.wait(min(seconds, _GLANCE)))
    _show_results(context)
    progress = job.run.progress()
    bad = progress.failed + progress.timeout + progress.lost
    context.tell(sanitize_text(job.summary()), level="warning" if bad or progress.halted else "info")
    if not done:
        return Outcome(ExitCode.INTERRUPTED, failed=True, map=job.number)
    failed = bool(bad or progress.halted)
    return Outcome(ExitCode.EXPECTATION_FAILED if failed else ExitCode.OK, failed=failed, map=job.number)


class _Away:
    """Tells what a map waits for: a pause, nodes. Without an operator it gives up when none is left for too long."""

    def __init__(self, context: Context, job: MapJob) -> None:
        self._context = context
        self._job = job
        self._told: set[str] = set()
        self._next = 0.0
        self._none_since: float | None = None
        self._paused = False

    def look(self) -> None:
        """To be called often; looks once per second."""
        now = time.monotonic()
        if now < self._next or self._job.finished:
            return
        self._next = now + 1.0
        if self._context.queue.manager.paused:
            if not self._paused:
                self._context.tell(PAUSED, level="warning")
            self._paused, self._none_since = True, None
            return
        self._paused = False
        views = self._job.driver.nodes()
        for view in views:
            if view.state in ("down", "resting") and view.name not in self._told:
                self._told.add(view.name)
                text = sanitize_text(f"{view.name} takes no jobs: {view.reason}").replace("\n", " ")
                self._context.tell(text, level="warning")
        if any(view.state not in ("down", "resting") for view in views):
            self._none_since = None
        elif self._none_since is None:
            self._none_since = now
        elif now - self._none_since > GIVE_UP and not self._context.front_end.interactive:
            self._context.tell(f"no node could be used for {GIVE_UP:.0f} s: given up", level="error")
            self._job.run.cancel()


def _show_results(context: Context) -> None:
    """Outputs as data; what did not end well is named in a line of its own. What went well in silence is counted."""
    for result in context.queue.results.take():
        title = sanitize_text(f"{result.node}: {result.command}: {result.state.value}").replace("\n", " ")
        lines = bounded(sanitize_text((result.output + result.error).decode("utf-8", "replace")).splitlines())
        bad = result.state is not JobState.DONE
        if lines:
            context.show(Document(lines[0] if bad else title, lines, data=True))
        if bad:
            why = f" (rc {result.rc})" if result.rc else f" ({sanitize_text(result.reason)})" if result.reason else ""
            context.tell(f"{title}{why}".replace("\n", " "), level="warning")
