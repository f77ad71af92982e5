"""A manager that asks and workers that answer: `do_TAG` methods over a queue (the original's MasterSlave).

Manager and workers may be threads of one process (memory, SQLite) or processes on many machines (Redis).
"""

from __future__ import annotations

import contextlib
import itertools
import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from .errors import StaleTask, StoreUnavailable, TaskManagerTermination, UnknownProcess
from .manager import TaskManager
from .tasks import Failure

#: Seconds between pings when nothing else is said (the original's figure).
DEFAULT_PERIOD = 120.0
#: Shared items that a worker keeps; the oldest one goes first.
ITEMS_KEPT = 64
_STATE = "__clusterdeck_state__"


class ManagerProcess:
    """Asks for tasks and fetches their results.

    manager: a TaskManager, or where its store is. label: keeps the shared states of several of them apart.
    """

    def __init__(self, manager: TaskManager | str | None = None, label: str = "clusterdeck") -> None:
        self.task_manager = manager if isinstance(manager, TaskManager) else TaskManager(manager)
        self.label = label
        self.process_id = self.task_manager.register_process(info=f"manager {label}")
        self._states = itertools.count(1)
        self._labels: dict[int, list[str]] = {}

    def request_task(self, tag: str, *parameters: Any) -> str:
        """Ask for `do_TAG(*parameters)`; the task id."""
        return self.task_manager.add_task_request(tag, list(parameters), self.process_id)

    def retrieve_result(
        self, tag: str | None = None, timeout: float | None = None
    ) -> tuple[str | None, str | None, Any]:
        """The next result (of a tag): (task id, tag, result), all None when there will be none any more.

        Raises TaskRaisedException for a task that failed, TimeoutError.
        """
        try:
            if tag is None:
                return self.task_manager.get_any_result(timeout)
            task_id, result = self.task_manager.get_result_with_tag(tag, timeout)
        except TaskManagerTermination:
            return None, None, None
        return task_id, tag, result

    def set_global_state(self, **items: Any) -> int:
        """Keep items for all workers; the number of this state, each its own."""
        state = next(self._states)
        labels = {f"{self.label}_{self.process_id}_{state}_{name}": value for name, value in items.items()}
        self.task_manager.store_data(**labels)
        self._labels[state] = list(labels)
        return state

    def global_state_value(self, state: int, name: str) -> dict[str, str]:
        """What to pass as a parameter so that the worker gets the item itself, fetched once per worker. KeyError."""
        label = f"{self.label}_{self.process_id}_{state}_{name}"
        if label not in self._labels.get(state, ()):
            raise KeyError(name)
        return {_STATE: label}

    def delete_global_state(self, state: int) -> None:
        """Forget a state. KeyError."""
        for label in self._labels.pop(state):
            self.task_manager.delete_data(label)

    def shutdown(self, timeout: float = 10.0) -> bool:
        """Terminate (drain) and wait until the workers have left; whether they all did.

        Those that have not after `timeout` seconds (killed ones that promised no pings never would) are given up.
        """
        changed = threading.Event()
        end_of_telling = self.task_manager.subscribe(lambda _event: changed.set())
        end = time.monotonic() + timeout
        try:
            self.task_manager.terminate()
            while True:
                changed.clear()
                left = [each.id for each in self.task_manager.processes() if each.id != self.process_id]
                wait = min(end - time.monotonic(), self.task_manager.next_deadline())
                if not left or end <= time.monotonic():
                    break
                changed.wait(max(wait, 0.001))
        finally:
            end_of_telling()
        for process_id in [*left, self.process_id]:
            self.task_manager.unregister_process(process_id)
        return not left

    requestTask = request_task  # noqa: N815 - the original's names
    retrieveResult = retrieve_result  # noqa: N815
    setGlobalState = set_global_state  # noqa: N815
    deleteGlobalState = delete_global_state  # noqa: N815


class WorkerProcess:
    """Takes tasks whose tag it has a `do_TAG` for, and stores what they return or raise.

    Subclass it with `do_TAG` methods, or give `functions` by tag. Parameters that came as a list are passed one by one.
    watchdog_period: seconds between its pings (from a thread, while `run` runs); None: no pings.
    """

    def __init__(
        self,
        manager: TaskManager | str,
        *,
        watchdog_period: float | None = DEFAULT_PERIOD,
        info: Any = None,
        functions: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        self.task_manager = manager if isinstance(manager, TaskManager) else TaskManager(manager)
        self.watchdog_period = watchdog_period
        self.info = info
        self.process_id: int | None = None
        self._functions = dict(functions or {})
        for name in dir(type(self)):
            if name.startswith("do_") and len(name) > 3:
                self._functions.setdefault(name[3:], getattr(self, name))
        if not self._functions:
            raise ValueError("a worker needs do_TAG methods or functions")
        self._items: dict[str, Any] = {}
        self._over = threading.Event()

    def run(self) -> None:
        """Work until the manager terminates or `stop` is called; then leave. Runs in the caller's thread."""
        self.process_id = self.task_manager.register_process(self.watchdog_period, self.info)
        pinger = threading.Thread(target=self._ping, name="worker-ping", daemon=True)
        if self.watchdog_period is not None:
            pinger.start()
        try:
            while not self._over.is_set():
                self._turn()
        except TaskManagerTermination:
            pass
        finally:
            self._over.set()
            if self.watchdog_period is not None:
                pinger.join()
            with contextlib.suppress(StoreUnavailable):  # then its silence tells
                self.task_manager.unregister_process(self.process_id)

    def stop(self) -> None:
        """Leave after the task at hand, at the latest a second later when idle; from any thread."""
        self._over.set()

    def _turn(self) -> None:
        try:
            taken = self.task_manager.get_task(tuple(self._functions), self.process_id, timeout=1.0)
        except TimeoutError:
            return
        except UnknownProcess:
            self.process_id = self.task_manager.register_process(self.watchdog_period, self.info)
            return
        task_id, tag, parameters = taken
        try:
            result = call_task(self._functions[tag], self._resolved(parameters))
        except Exception as error:
            failure: Failure | None = Failure.of(error)
        except BaseException:  # the worker is being ended, not the task: another one shall have it
            with contextlib.suppress(StaleTask):
                self.task_manager.return_task(task_id)
            raise
        else:
            failure = None
        # A late result is dropped: the task is somebody else's by now.
        with contextlib.suppress(StaleTask):
            if failure is None:
                try:
                    self.task_manager.store_result(task_id, result)
                except (TypeError, ValueError) as error:
                    self.task_manager.store_exception(task_id, error)
            else:
                self.task_manager.store_exception(task_id, failure)

    def _resolved(self, parameters: Any) -> Any:
        """Parameters with references to shared state replaced by the items."""
        if not isinstance(parameters, (list, tuple)):
            return parameters
        return [self._item(each[_STATE]) if isinstance(each, dict) and _STATE in each else each for each in parameters]

    def _item(self, label: str) -> Any:
        if label not in self._items:
            item = self.task_manager.retrieve_data(label)
            while len(self._items) >= ITEMS_KEPT:
                del self._items[next(iter(self._items))]
            self._items[label] = item
        return self._items[label]

    def _ping(self) -> None:
        assert self.watchdog_period is not None
        while not self._over.wait(self.watchdog_period if self.watchdog_period < math.inf else None):
            process_id = self.process_id
            if process_id is not None:
                # Given up: `_turn` finds that out by itself and registers again. The store is away: it may come back
                # before this worker is given up.
                with contextlib.suppress(UnknownProcess, StoreUnavailable):
                    self.task_manager.ping(process_id)


def call_task(function: Callable[..., Any], parameters: Any) -> Any:
    """`do_TAG(*parameters)` for a list, `do_TAG()` for None, `do_TAG(parameters)` for anything else."""
    if isinstance(parameters, (list, tuple)):
        return function(*parameters)
    return function() if parameters is None else function(parameters)


MasterProcess = ManagerProcess
SlaveProcess = WorkerProcess
