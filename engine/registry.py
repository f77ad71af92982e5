"""Which Task belongs to which thread; the functions that scripts reach Tasks by."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .task import Task


class Registry:
    """Tasks by thread; thread-safe."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._tasks: dict[threading.Thread, Task] = {}

    def get(self, thread: threading.Thread) -> Task | None:
        """The thread's Task, if it has one."""
        return self._tasks.get(thread)

    def bind(self, thread: threading.Thread, task: Task) -> None:
        """Remember a Task; those of threads that have ended meanwhile are given up."""
        with self.lock:
            self._tasks[thread] = task
            ended = [(t, old) for t, old in self._tasks.items() if t.ident is not None and not t.is_alive()]
            for gone, _ in ended:
                del self._tasks[gone]
        for _, old in ended:
            old.retire()

    def unbind(self, task: Task) -> None:
        """Forget a Task; idempotent."""
        with self.lock:
            if self._tasks.get(task.thread) is task:
                del self._tasks[task.thread]

    def all(self) -> list[Task]:
        """Every Task there is."""
        with self.lock:
            return list(self._tasks.values())


REGISTRY = Registry()


def thread_of(identifier: int) -> threading.Thread | None:
    """The live thread with that identifier."""
    return next((thread for thread in threading.enumerate() if thread.ident == identifier), None)
