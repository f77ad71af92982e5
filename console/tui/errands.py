"""Slow looks in a thread of their own: the task queue and the node groups, for views that show them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...engine.text import sanitize_text
from ...widgets.queue_snapshot import LATE, QueueProcess, QueueSnapshot, QueueTask, QueueWorker

#: Seconds between two looks at the queue while it is on show, and while it only changes.
LOOK = 1.0
GLANCE = 3.0
#: Tasks that are looked at.
TASKS = 2_000
_STATES = {"done": "finished"}


def look_at_queue(service: Any) -> QueueSnapshot:
    """The queue as it is now; may wait for a store on another machine."""
    version = service.version
    status = service.status()
    now = time.time()
    over = service.ended()
    places = {one.task: one.node for one in over} | {job.task_id: job.node for job in service.running()}
    rows = service.tasks(limit=TASKS)
    tasks = [_task(row, places.get(row.info.id, ""), now, service) for row in rows]
    listed = {task.id for task in tasks}
    # What ended well is no longer in the queue when its result was taken, as maps do at once.
    ended = [_ended(one, now, service) for one in over if one.task not in listed]
    counts: dict[str, dict[str, int]] = {}
    for word, table in (("waiting", status.waiting), ("running", status.running), ("finished", status.finished)):
        for tag, count in table.items():
            counts.setdefault(tag, {})[word] = count
    if len(rows) < TASKS:
        _tell_ends(counts, tasks, ended)
    pools = {
        "queue": service.nodes(),
        "Python": service.worker_nodes(),
        **{f"map {number}": nodes for number, nodes in service.maps.nodes().items()},
    }
    workers = [
        QueueWorker(sanitize_text(node.name), node.state, node.slots, node.running, node.done, node.failed + node.lost,
                    _trouble(node), pool)
        for pool, nodes in pools.items()
        for node in nodes
    ]  # fmt: skip
    slots: Counter[str] = Counter()
    for nodes in pools.values():
        slots.update({node.name: node.slots for node in nodes})
    processes = [
        QueueProcess(str(one.id), _place(one.info), one.silent, f"{one.running} task{'' if one.running == 1 else 's'}",
                     late=one.period is not None and one.silent > LATE)
        for one in _alive(status.processes, slots)
    ]  # fmt: skip
    maps = [_map(job) for job in service.maps.all()]
    return QueueSnapshot(version, [*tasks, *ended[:TASKS]], processes, counts, workers, maps, _notes(service, status))


def _notes(service: Any, status: Any) -> list[str]:
    """Why tasks wait, where it is not for a free slot, and what to do about it."""
    if status.paused:
        return ["paused: no task begins until :queue resume"]
    own = tuple(f".map{number}" for number in service.maps.nodes())  # these have brought nodes of their own
    waits = any(count and not tag.endswith(own) for tag, count in status.waiting.items())
    others = any("node" not in one.info if isinstance(one.info, dict) else True for one in status.processes)
    if waits and not (service.nodes() or service.worker_nodes() or others or service.is_shared):
        return ["nobody takes the waiting tasks: :queue join NODES"]
    return []


def _tell_ends(counts: dict[str, dict[str, int]], tasks: Sequence[QueueTask], ended: Sequence[QueueTask]) -> None:
    """Tell among the finished ones of each tag those that did not end well, and add those that the queue forgot."""
    for task in tasks:
        if task.state in ("failed", "lost", "cancelled"):
            states = counts.setdefault(task.tag, {})
            states["finished"] = max(0, states.get("finished", 0) - 1)
            states[task.state] = states.get(task.state, 0) + 1
    for task in ended:
        states = counts.setdefault(task.tag, {})
        states[task.state] = states.get(task.state, 0) + 1


def _alive(processes: Sequence[Any], slots: Counter[str]) -> list[Any]:
    """All but the idle slots of maps that ended: they are kept for a retry, and nobody waits to hear of them."""
    left = slots.copy()
    alive = []
    for one in sorted(processes, key=lambda one: (one.running == 0, -one.id)):
        node = str(one.info["node"]) if isinstance(one.info, dict) and "node" in one.info else ""
        if not node or one.running or left[node] > 0:
            alive.append(one)
            left[node] -= 1
    return sorted(alive, key=lambda one: one.id)


def _task(row: Any, node: str, now: float, service: Any) -> QueueTask:
    info = row.info
    word = _STATES.get(info.state.word, info.state.word)
    since = info.ended or info.started or info.added
    way = [f"added {_ago(now, info.added)}"]
    if info.started:
        to = f", to process {info.owner}" if info.owner is not None else ""
        way.append(f"handed out {_ago(now, info.started)}, attempt {info.attempt}{to}")
    way += [f"{step.text}, {_ago(now, step.at)}" for step in service.way_of(info.id)]
    if info.losses:
        way.append(f"given back {info.losses} {'time' if info.losses == 1 else 'times'}: what held it went away")
    if info.ended:
        way.append(f"{info.state.word} {_ago(now, info.ended)}")
    way += [f"  {line}" for line in service.result_lines(info.id)]
    where = node or (f"process {info.owner}" if info.owner is not None else "")
    age = max(0.0, now - since)
    return QueueTask(info.id, info.tag, word, where, age, max(1, info.attempt), sanitize_text(row.command), tuple(way))


def _ended(one: Any, now: float, service: Any) -> QueueTask:
    """A task that the queue has forgotten, as it was known here."""
    steps = service.way_of(one.task)
    way = [*(f"{step.text}, {_ago(now, step.at)}" for step in steps), *(f"  {line}" for line in one.lines)]
    tag = one.task.rpartition("_")[0]
    word = _STATES.get(one.state.value, one.state.value)
    word = "failed" if word == "timeout" else word
    began = sum(1 for step in steps if step.text.startswith("began"))
    return QueueTask(one.task, tag, word, one.node, max(0.0, now - one.at), max(1, began), one.command, tuple(way))


def _place(info: Any) -> str:
    """Where a process works, from what it said of itself: a node and a slot, or whatever it is."""
    if isinstance(info, dict) and "node" in info:
        return sanitize_text(f"{info['node']} slot {info.get('slot', '?')}")
    return sanitize_text(str(info or ""))


def _trouble(node: Any) -> str:
    """Why a node takes no tasks, and when it is tried again."""
    again = f", next try in {node.retry_in:.0f} s" if node.retry_in > 0 else ""
    return sanitize_text(f"{node.reason}{again}") if node.reason or again else ""


def _map(job: Any) -> str:
    from ..queue.jobs import counts  # the queue's engine; only who queues needs it

    return sanitize_text(f"map {job.number}: {counts(job.run.progress())}  {job.template}")


def _ago(now: float, at: float) -> str:
    return f"{max(0, int(now - at))} s ago"


def known_groups(names: Callable[[], Mapping[str, Sequence[str]]]) -> Mapping[str, Sequence[str]]:
    """Groups with their nodes; none when the groups cannot be read."""
    try:
        return names()
    except Exception:  # group programs fail in their own ways; the tree is an option, not a duty
        return {}


class Errand:
    """Runs a look in a thread, one at a time, and hands the answer over. UI thread only, but for the look itself."""

    def __init__(self, look: Callable[[], Any], done: Callable[[Any], None], call: Callable[..., None]) -> None:
        self._look = look
        self._done = done
        self._call = call
        self._running = False
        self._at = 0.0

    def maybe(self, now: float, interval: float = LOOK) -> None:
        """Look, unless one is under way or the last was less than `interval` seconds ago."""
        if not self._running and now - self._at >= interval:
            self._running, self._at = True, now
            threading.Thread(target=self._run, name="clusterdeck-look", daemon=True).start()

    def _run(self) -> None:
        answer: Any = None
        try:
            answer = self._look()
        except Exception as error:  # told where it would be shown
            answer = error
        self._call(lambda: self._finish(answer))

    def _finish(self, answer: Any) -> None:
        self._running = False
        self._done(answer)
