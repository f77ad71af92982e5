"""Slow looks in a thread of their own: the task queue and the node groups, for views that show them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...engine.text import sanitize_text
from ...widgets.queue_view import QueueProcess, QueueSnapshot, QueueTask, QueueWorker

#: Seconds between two looks at the queue while it is on show or used.
LOOK = 1.0
_STATES = {"done": "finished", "lost": "failed"}


def look_at_queue(service: Any) -> QueueSnapshot:
    """The queue as it is now; may wait for a store on another machine."""
    version = service.version
    status = service.status()
    now = time.time()
    places = {job.task_id: job.node for job in service.running()}
    tasks = [_task(row, places.get(row.info.id, ""), now, service) for row in service.tasks(limit=2_000)]
    counts: dict[str, dict[str, int]] = {}
    for word, table in (("waiting", status.waiting), ("running", status.running), ("finished", status.finished)):
        for tag, count in table.items():
            counts.setdefault(tag, {})[word] = count
    pools = {
        "queue": service.nodes(),
        "Python": service.worker_nodes(),
        **{f"map {number}": nodes for number, nodes in service.map_nodes().items()},
    }
    workers = [
        QueueWorker(sanitize_text(node.name), node.state, node.slots, node.running, node.done, node.failed + node.lost,
                    _trouble(node), pool)
        for pool, nodes in pools.items()
        for node in nodes
    ]  # fmt: skip
    processes = [
        QueueProcess(str(one.id), _place(one.info), one.silent, f"{one.running} tasks") for one in status.processes
    ]
    maps = [_map(job) for job in service.maps()]
    return QueueSnapshot(version, tasks, processes, counts, workers, maps)


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
        way.append(f"given back {info.losses} times because what held it went away")
    if info.ended:
        way.append(f"{info.state.word} {_ago(now, info.ended)}")
    way += [f"  {line}" for line in service.result_lines(info.id)]
    where = node or (f"process {info.owner}" if info.owner is not None else "")
    age = max(0.0, now - since)
    return QueueTask(info.id, info.tag, word, where, age, max(1, info.attempt), sanitize_text(row.command), tuple(way))


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
    from ..queue.queue import counts  # the queue's engine; only who queues needs it

    return sanitize_text(f"map {job.number}: {job.template}  {counts(job.run.progress())}")


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
