"""Slow looks in a thread of their own: the task queue and the node groups, for views that show them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...engine.text import sanitize_text
from ...widgets.queue_view import QueueProcess, QueueSnapshot, QueueTask

#: Seconds between two looks at the queue while it is on show or used.
LOOK = 1.0
_STATES = {"done": "finished", "lost": "failed"}


def look_at_queue(service: Any, version: int) -> QueueSnapshot:
    """The queue as it is now; may wait for a store on another machine."""
    status = service.status()
    now = time.time()
    tasks = []
    for row in service.tasks(limit=2_000):
        info = row.info
        word = _STATES.get(info.state.word, info.state.word)
        since = info.ended or info.started or info.added
        way = [f"added {_ago(now, info.added)}"]
        if info.started:
            way.append(f"handed out {_ago(now, info.started)}, attempt {info.attempt}, to {info.owner}")
        if info.losses:
            way.append(f"given back {info.losses} times by what held it")
        if info.ended:
            way.append(f"{info.state.word} {_ago(now, info.ended)}")
        where = f"process {info.owner}" if info.owner is not None else ""
        tasks.append(
            QueueTask(info.id, info.tag, word, where, max(0.0, now - since), max(1, info.attempt),
                      sanitize_text(row.command), tuple(way))
        )  # fmt: skip
    counts: dict[str, dict[str, int]] = {}
    for word, table in (("waiting", status.waiting), ("running", status.running), ("finished", status.finished)):
        for tag, count in table.items():
            counts.setdefault(tag, {})[word] = count
    processes = [
        QueueProcess(
            str(process.id), sanitize_text(str(process.info or "")), process.silent, f"{process.running} tasks"
        )
        for process in status.processes
    ]
    return QueueSnapshot(version, tasks, processes, counts)


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
