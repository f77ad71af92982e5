"""Task: one thread's commands, copies, timers and ports, run together, and their results."""

from __future__ import annotations

import itertools
import sys
import threading
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar, cast

from ClusterShell.NodeSet import NodeSet

from .client import check_timeout
from .defaults import DEFAULTS
from .errors import (
    AlreadyRunningError,
    EngineAbortException,
    EngineAlreadyRunningError,
    EngineClientError,
    EngineTimeoutException,
    TaskError,
    TaskException,
    TaskMsgTreeError,
    TimeoutError,  # noqa: A004  (the name is part of the interface)
)
from .events import EventHandler
from .fanout import FANOUT_UNLIMITED
from .gather import MsgTree
from .lifecycle import RunState
from .loop import Engine
from .ports import EnginePort
from .registry import REGISTRY, thread_of
from .results import Results
from .taskresults import TaskResults
from .tasksettings import TaskSettings
from .tasksubmission import TaskSubmission
from .timers import EngineTimer
from .workers.base import Worker
from .workers.popen import WorkerPopen

#: What scripts get of ClusterShell's module Task by a star import, and use.
__all__ = [
    "DEFAULTS",
    "FANOUT_UNLIMITED",
    "AlreadyRunningError",
    "EngineAbortException",
    "EngineAlreadyRunningError",
    "EngineClientError",
    "EnginePort",
    "EngineTimeoutException",
    "EngineTimer",
    "EventHandler",
    "MsgTree",
    "NodeSet",
    "Task",
    "TaskError",
    "TaskException",
    "TaskMsgTreeError",
    "TimeoutError",
    "WorkerPopen",
    "task_cleanup",
    "task_self",
    "task_terminate",
    "task_wait",
]

ExceptHook = Callable[[type[BaseException], BaseException, TracebackType | None], None]
_R = TypeVar("_R")
_numbers = itertools.count(1)


class Task(TaskSettings, TaskResults, TaskSubmission):
    """Runs workers, timers and ports in one thread. The semantic is that of ClusterShell's Task (1.0 to 1.10).

    `Task(thread=t)` is the Task of that thread, made if need be; `Task(thread_id=i)` the same by identifier.
    `Task()` is always a new one with a new thread of its own, which idles until `resume()` and lives until `abort()`.
    defaults: a Defaults object; counts only when the Task is made. Raises KeyError for an unknown engine name and
    ImportError for an unknown worker name in the defaults.

    Thread-safety: every method may be called from any thread. From a thread that is not the Task's, `schedule`,
    `shell`, `copy`, `timer`, `port`, `remove_port`, `set_info` and `abort` take effect in the Task's thread.
    """

    _initialized = False

    def __new__(
        cls, thread: threading.Thread | None = None, defaults: Any = None, thread_id: int | None = None
    ) -> Task:
        """See the class."""
        if thread is None and thread_id is not None:
            thread = _find_thread(thread_id)
        if thread is None:
            return super().__new__(cls)
        with REGISTRY.lock:
            found = REGISTRY.get(thread)
            return super().__new__(cls) if found is None else found

    def __init__(
        self, thread: threading.Thread | None = None, defaults: Any = None, thread_id: int | None = None
    ) -> None:
        if thread is None and thread_id is not None:
            thread = _find_thread(thread_id)
        with REGISTRY.lock:
            if self._initialized:
                return
            self._init_settings(DEFAULTS if defaults is None else defaults)
            self.engine = Engine(self._defaults["engine"], self.info, self.print_debug, self.in_own_thread)
            self._info["engine"] = self.engine.identifier
            self.results = Results(self.records, self.buffer_limit)
            self._state = RunState()
            self._resources: dict[str, Any] = {}
            self._excepthook: ExceptHook | None = None
            self.topology: Any | None = None
            self._owns_thread = thread is None
            if thread is None:
                thread = threading.Thread(target=self._live, name=f"Task-{next(_numbers)}", daemon=False)
            self.thread = thread
            self._initialized = True
            REGISTRY.bind(thread, self)
        if self._owns_thread:
            thread.start()

    def __repr__(self) -> str:
        return f"<Task of {self.thread.name}>"

    def in_own_thread(self) -> bool:
        """Whether the caller is the Task's thread."""
        return threading.current_thread() is self.thread

    def _call(self, call: Callable[[], None]) -> None:
        """Call in the Task's thread: now if this is it, else at its next turn or the start of its next run."""
        if self._state.dead:
            raise TaskError(f"{self!r} was terminated: nothing can be scheduled on it")
        if self.in_own_thread():
            call()
        else:
            self.engine.submit(call)

    # -- parts

    def schedule(self, worker: Worker) -> None:
        """Schedule a worker of the caller's making; any thread. It starts with the next run, or at once in one.

        Raises WorkerError if it is scheduled already, on this Task or another, and TaskError on a terminated Task.
        """
        if self._state.dead:
            raise TaskError(f"{self!r} was terminated: nothing can be scheduled on it")
        worker._set_task(self)
        self._call(worker._schedule)

    def resource(self, name: str, factory: Callable[[], _R]) -> _R:
        """The Task's object of that name, made by `factory` at the first call; the Task's thread only.

        For what outlives a run, such as kept connections. If it has `close`, that is called when the Task dies.
        """
        if name not in self._resources:
            self._resources[name] = factory()
        return cast(_R, self._resources[name])

    def hold_output(self, flag: bool) -> None:
        """Stop reading the output of commands, so that they are pushed back, or go on; the Task's thread only.

        flag: True = stop. Everything else goes on meanwhile. It holds for commands that start later, too. This is ours:
        ClusterShell has no such call.
        """
        self.engine.hold_output(flag)

    # -- running

    def run(self, command: str | float | None = None, **kwargs: Any) -> Any:
        """`run()`: as `resume()`. `run(5)`, `run(timeout=5)`: with a limit in seconds for the whole Task.

        `run("command", ...)`: as `shell` with these keywords (timeout is then per command) and `resume()`; returns
        the worker, and None without a command. Raises what `shell` and `resume` raise.
        """
        if command is None or not isinstance(command, str):
            self.resume(kwargs.get("timeout") if command is None else command)
            return None
        worker = self.shell(command, **kwargs)
        self.resume()
        return worker

    def resume(self, timeout: float | None = None) -> None:
        """Forget the previous results and run until no command, timer or port is left; or go on after `suspend`.

        In the Task's thread it blocks; from another it wakes the Task and returns at once. timeout: seconds, None =
        no limit; when it is over everything is killed and TimeoutError raised. What a handler raises comes out here,
        with everything killed and results kept. Raises AlreadyRunningError in a handler of this Task, ValueError for
        a timeout that is no number, and TaskError on a terminated Task. 0 is no limit, too.
        """
        limit = check_timeout(timeout) or None
        if self.in_own_thread():
            if self._state.dead:
                raise TaskError(f"{self!r} was terminated: it cannot run again")
            if self.engine.running:
                raise AlreadyRunningError(f"{self!r} is running: resume() was called in one of its handlers")
            self._run(limit)
        elif not self._state.unpause() and self._owns_thread:
            self._state.want(limit)

    def _run(self, limit: float | None) -> bool:
        """One run, in the Task's thread; False if it was aborted."""
        self._state.begin()
        self.results.clear()
        try:
            self.engine.run(limit, lambda: self._state.may_end(lambda: self.engine.has_mail))
        except EngineTimeoutException:
            raise TimeoutError(f"{self!r} did not finish within {limit} seconds") from None
        except EngineAbortException as abort:
            self._terminate(abort.kill or self._owns_thread)
            return False
        finally:
            self._state.end()
        return True

    def running(self) -> bool:
        """Whether the Task is in its loop; any thread. A suspended one is."""
        return self.engine.running

    def suspend(self) -> bool:
        """Pause the loop until `resume()`; from another thread. True once it pauses, False if it was not running.

        No event comes meanwhile; commands go on, and their time limits count.
        """
        if self.in_own_thread():
            return False
        return self._state.ask_pause(lambda: self.engine.submit(self._state.pause))

    def join(self) -> None:
        """Wait until the Task's run ends; at once if it is idle, was never resumed or is dead."""
        if not self.in_own_thread():
            self._state.wait_idle()

    @classmethod
    def wait(cls, from_thread: threading.Thread | int | None = None) -> None:
        """`join` every Task except that of `from_thread` (a thread or its identifier)."""
        for task in REGISTRY.all():
            if task.thread is not from_thread and task.thread.ident != from_thread:
                task.join()

    # -- ending

    def abort(self, kill: bool = False) -> None:
        """Drop everything scheduled, kill what runs, forget all results.

        In a handler of the running Task it does not return: the loop is left, and `resume()` returns. kill: also
        unbind the Task from its thread, for good. A Task with a thread of its own is always ended, with its thread;
        from another thread it blocks until that is done. Any thread; a second abort does nothing.
        """
        if self._state.dead:
            if self._owns_thread and not self.in_own_thread():
                self.thread.join()
            return
        if not self.in_own_thread():
            self._abort_from_outside(kill)
        elif self.engine.running:
            raise EngineAbortException(kill)
        else:
            self._terminate(kill)

    def _abort_from_outside(self, kill: bool) -> None:
        state = self._state
        wanted = [True]

        def abort() -> None:
            if wanted[0]:
                wanted[0] = False
                raise EngineAbortException(kill)

        if self._owns_thread:
            state.quit()
            self.engine.submit(abort)
            state.unpause()
            self.thread.join()
            return
        self.engine.submit(abort)
        state.unpause()
        with state.changed:
            while state.running:
                state.changed.wait()
            if wanted[0]:
                # It was idle: nobody else touches it, as runs begin under this lock.
                wanted[0] = False
                self._terminate(kill)

    def _terminate(self, kill: bool) -> None:
        """Drop everything; in the Task's thread, or in another while it is idle."""
        if self._state.dead:
            return
        self.engine.clear(False)
        self.results.clear()
        if kill:
            self.retire()

    def retire(self) -> None:
        """Unbind the Task from its thread and give its descriptors back; what was gathered stays readable."""
        self._state.die()
        self.engine.close_ports()
        resources, self._resources = self._resources, {}
        for resource in resources.values():
            close = getattr(resource, "close", None)
            if close is not None:
                close()
        self.engine.close()
        # Last: who cleans up waits for what is still bound.
        REGISTRY.unbind(self)

    # -- a thread of its own

    def _live(self) -> None:
        """What the Task's own thread does."""
        try:
            while (wanted := self._state.next_run()) is not None:
                if not self._run(*wanted):
                    break
            else:
                self._terminate(True)
        except BaseException:
            kind, error, trace = sys.exc_info()
            assert kind is not None
            assert error is not None
            self.excepthook(kind, error, trace)
        finally:
            self.retire()

    @property
    def excepthook(self) -> ExceptHook:
        """What is called with (type, value, traceback) when an exception ends the Task's own thread."""
        return self.default_excepthook if self._excepthook is None else self._excepthook

    @excepthook.setter
    def excepthook(self, hook: ExceptHook) -> None:
        self._excepthook = hook

    def default_excepthook(
        self, exc_type: type[BaseException], exc_value: BaseException, tb: TracebackType | None
    ) -> None:
        """What `excepthook` is unless it is set: a heading and the traceback on stderr; hooks may call it, too.

        exc_type, exc_value, tb: as sys.excepthook gets them.
        """
        lines = traceback.format_exception(exc_type, exc_value, tb)
        sys.stderr.write(f"Exception in {self.thread.name} (clusterdeck Task):\n{''.join(lines)}")


def _find_thread(identifier: int) -> threading.Thread:
    thread = thread_of(identifier)
    if thread is None:
        raise TaskError(f"no live thread has the identifier {identifier!r}")
    return thread


def task_self(defaults: Any = None) -> Task:
    """The Task of the calling thread, made at the first call; `defaults`, a Defaults object, counts only then.

    Raises KeyError for an unknown engine name and ImportError for an unknown worker name in the defaults.
    """
    return Task(thread=threading.current_thread(), defaults=defaults)


def task_wait() -> None:
    """Wait for the runs of all Tasks but the caller's; those that never ran are not waited for, suspended ones are."""
    Task.wait(threading.current_thread())


def task_terminate() -> None:
    """`Task.abort(kill=True)` of the calling thread's Task: the next `task_self()` is a new one."""
    task_self().abort(kill=True)


def task_cleanup() -> None:
    """Kill every Task of the process, until none is left; from any thread."""
    while tasks := REGISTRY.all():
        # The caller's own comes last: in one of its handlers, aborting it does not return.
        for task in sorted(tasks, key=Task.in_own_thread):
            task.abort(kill=True)
