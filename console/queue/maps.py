"""The maps of a session: one command over many items each, on slots of their own or of the nodes that joined."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...engine.taskmanager.driver import SlotDriver
from ...engine.taskmanager.jobs import JobEvent, JobState, NodeView
from ...engine.taskmanager.mapping import RETRIED, MapOptions, MapRun
from ...engine.text import sanitize_text
from ..language.redact import redact
from ..runs.events import Notice
from ..session.service import Service
from .jobs import MapJob, QueueError, folded

#: Maps whose slots are kept so that they can be retried.
KEPT = 20


class Maps:
    """Begins maps, finds and retries them. Methods from any thread, but never from a listener of theirs.

    joined: the slots of the nodes that joined. driver: makes slots of their own for some tags.
    """

    def __init__(
        self, session: Service, joined: Callable[[], SlotDriver], driver: Callable[[Sequence[str]], SlotDriver]
    ) -> None:
        self._session = session
        self._joined = joined
        self._driver = driver
        self._lock = threading.Lock()
        self._maps: dict[int, MapJob] = {}
        self._last = 0

    def begin(
        self, template: str, items: Sequence[str], slots: Mapping[str, int] | None, options: MapOptions
    ) -> MapJob:
        """One command over many items. slots: nodes of its own; None: the nodes that joined.

        Raises ValueError (TemplateError too) and JobLogError before anything is queued.
        """
        with self._lock:
            self._last += 1
            number = self._last
        own = slots is not None
        where = dict(slots) if slots is not None else {view.name: view.slots for view in self._joined().nodes()}
        content: dict[str, Any] = {"map": number, "command": redact(template), "items": len(items)}
        self._session.note("queue map", {**content, "nodes": folded(where)})
        if own:
            options = replace(options, tag=f"{options.tag}.map{number}")
        driver = self._driver((options.tag,)) if own else self._joined()
        try:
            run = MapRun(driver, template, items, options, self._listener(number))
        except BaseException:
            if own:
                driver.close()
            raise
        job = MapJob(number, template, len(items), where, run, driver, own)
        with self._lock:
            self._maps[number] = job
            old = self._old()
        run.start()
        if slots is not None:
            driver.add_nodes(slots)
        for each in old:  # not under the lock: that waits for the map's thread, which may be telling us something
            each.close(forget=True)
        return job

    def _listener(self, number: int) -> Callable[[JobEvent], None]:
        def heard(event: JobEvent) -> None:
            job = self._maps.get(number)
            if event.final and job is not None:
                # Later: the run counts this event only after its listeners heard it.
                job.driver.post(lambda: self._tell_end(job))

        return heard

    def _tell_end(self, job: MapJob) -> None:
        if job.told or not job.finished:
            return
        job.told = True
        progress = job.run.progress()
        bad = progress.failed + progress.timeout + progress.lost
        self._session.tell(Notice("warning" if bad or progress.halted else "info", sanitize_text(job.summary())))

    def all(self) -> list[MapJob]:
        """All maps that are still known, oldest first."""
        with self._lock:
            return list(self._maps.values())

    def find(self, number: int | None) -> MapJob:
        """The map with that number, or the newest. Raises QueueError."""
        with self._lock:
            job = self._maps.get(self._last if number is None else number)
        if job is None:
            raise QueueError("there is no map yet" if number is None else f"there is no map {number}")
        return job

    def nodes(self) -> dict[int, list[NodeView]]:
        """The nodes of maps that have slots of their own: map -> nodes."""
        return {job.number: job.driver.nodes() for job in self.all() if job.own and not job.finished}

    def retry(self, job: MapJob, ends: Sequence[JobState] = RETRIED, tasks: Iterable[str] | None = None) -> int:
        """Run the jobs of a map that ended so (tasks: only these) once more; how many."""
        told, job.told = job.told, False
        count = job.run.retry(ends, tasks)
        if not count:
            job.told = told
        return count

    def _old(self) -> list[MapJob]:
        """Take out what is over and older than the maps that are kept. The caller holds the lock."""
        over = [job for job in self._maps.values() if job.finished]
        return [self._maps.pop(job.number) for job in over[: max(0, len(self._maps) - KEPT)]]

    def close(self) -> None:
        """End them; tasks that run go back, or are lost if they may not run twice. Idempotent."""
        with self._lock:
            maps, self._maps = self._maps, {}
        for job in maps.values():
            job.close()
