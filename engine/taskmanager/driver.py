"""The one thread of a slot pool: it waits for ends, news of the queue and deadlines, for all slots of all nodes."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from .errors import StoreUnavailable
from .jobs import JobEvent, NodeView, Runner
from .manager import TaskManager
from .slots import ADOPTION, DEFAULT_TAG, SlotPool

T = TypeVar("T")

#: Longest sleep, seconds: a shared store may have news that got lost with a connection.
LONGEST_SLEEP = 1.0
#: Seconds that `close` waits for nodes to remove what was noted there.
CLEANING = 2.0


class SlotDriver:
    """A SlotPool with its thread; methods may be called from any thread.

    manager, runner, tags, adoption: see SlotPool. Listeners are called in the driver's thread and must be quick. What
    they raise ends nothing: it is kept in `errors`.
    """

    def __init__(
        self,
        manager: TaskManager,
        runner: Runner,
        *,
        tags: Iterable[str] = (DEFAULT_TAG,),
        adoption: float = ADOPTION,
    ) -> None:
        self.manager = manager
        self._runner = runner
        self.errors: list[BaseException] = []
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._listening = threading.Lock()
        self._listeners: tuple[tuple[str | None, Callable[[JobEvent], None]], ...] = ()
        #: Calls that found the store away, to be made again.
        self._again: list[Callable[[], None]] = []
        self._over = False
        self.pool = SlotPool(manager, runner, post=self.post, on_event=self._told, tags=tags, adoption=adoption)
        self._thread = threading.Thread(target=self._run, name="queue-slots", daemon=True)

    def start(self) -> SlotDriver:
        """Begin to work."""
        self._thread.start()
        return self

    def post(self, call: Callable[[], None]) -> None:
        """Run a call in the driver's thread soon."""
        self._inbox.put(call)

    def ask(self, call: Callable[[], T], timeout: float = 30.0) -> T:
        """Run a call in the driver's thread and give what it gives (or raises). TimeoutError."""
        if threading.current_thread() is self._thread:
            return call()
        done = threading.Event()
        found: list[T] = []
        errors: list[BaseException] = []

        def run() -> None:
            try:
                found.append(call())
            except BaseException as error:
                errors.append(error)
            done.set()

        self.post(run)
        if not done.wait(timeout):
            raise TimeoutError("the slot pool does not answer")
        if errors:
            raise errors[0]
        return found[0]

    def listen(self, listener: Callable[[JobEvent], None], run: str | None = None) -> Callable[[], None]:
        """Tell what becomes of the jobs of a run (None: of all); returns what ends it."""
        entry = (run, listener)
        with self._listening:
            self._listeners = (*self._listeners, entry)

        def end() -> None:
            with self._listening:
                self._listeners = tuple(each for each in self._listeners if each is not entry)

        return end

    # -- the pool's methods, from any thread

    def add_nodes(self, slots: Mapping[str, int]) -> None:
        """Nodes join with so many slots each."""
        self.ask(lambda: self.pool.add_nodes(slots))

    def remove_node(self, name: str) -> None:
        """A node leaves after its running jobs. KeyError."""
        self.ask(lambda: self.pool.remove_node(name))

    def drain_node(self, name: str) -> None:
        """A node takes no more jobs. KeyError."""
        self.ask(lambda: self.pool.drain_node(name))

    def nodes(self) -> list[NodeView]:
        """A look at all nodes."""
        return self.ask(self.pool.nodes)

    def cancel_task(self, task_id: str) -> bool:
        """End a task, running or waiting."""
        return self.ask(lambda: self.pool.cancel_task(task_id))

    def retry_lost(self) -> int:
        """Run lost jobs again without waiting for their nodes; how many."""
        return self.ask(self.pool.retry_lost)

    def close(self, timeout: float = 10.0) -> bool:
        """Stop and end running commands (see SlotPool.close). False when `timeout` seconds were not enough."""
        if self._over:
            return True
        self._over = True
        self.post(self.pool.close)
        if self._thread.ident is None:
            self.pool.close()
            return True
        end = time.monotonic() + timeout
        self._thread.join(timeout)
        settled = self._runner.settle(max(0.0, end - time.monotonic()))
        if settled:
            self._runner.clean(self.pool.used_nodes())
            self._runner.settle(min(CLEANING, max(0.0, end - time.monotonic())))
        return settled and not self._thread.is_alive()

    # -- the thread

    def _run(self) -> None:
        while not (self._over and self._inbox.empty()):
            try:
                call = self._inbox.get(timeout=self._pause())
            except queue.Empty:
                again, self._again = self._again, []
                for late in again:
                    self._safely(late)
                self._safely(self._tick)
            else:
                self._safely(call)
                if self.pool.next_deadline() <= 0:
                    self._safely(self._tick)

    def _pause(self) -> float | None:
        """Seconds to sleep when nobody calls, None for ever."""
        most = LONGEST_SLEEP if self.manager.shared or self._again else math.inf
        wait = min(self.pool.next_deadline(), most)
        return None if wait == math.inf else max(wait, 0.001)

    def _tick(self) -> None:
        if not self._over:
            self.pool.tick()

    def _safely(self, call: Callable[[], None]) -> None:
        try:
            call()
        except StoreUnavailable as error:
            self._note(error)
            if call != self._tick and not self._over:
                self._again.append(call)
        except Exception as error:
            self._note(error)

    def _note(self, error: BaseException) -> None:
        self.errors = [*self.errors[-99:], error]

    def _told(self, event: JobEvent) -> None:
        for run, listener in self._listeners:
            if run is None or run == event.run:
                try:
                    listener(event)
                except Exception as error:
                    self._note(error)
