"""RunState: whether a Task runs, is asked to, is paused or is dead, and waiting for each of these from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable


class RunState:
    """State of a Task's runs. All methods are thread-safe; the Task's thread drives `begin`, `may_end` and `end`."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        #: In a run, from `begin` to `end`.
        self.running = False
        #: The run will take no more mail: who wants something done has to ask for another run.
        self.closing = False
        #: A run was asked for (of a Task with a thread of its own) and has not begun: its timeout.
        self.wanted: tuple[float | None] | None = None
        self.pausing = False
        self.paused = False
        #: The Task was terminated, or its thread ended.
        self.dead = False
        #: Its own thread is to end when idle.
        self.quitting = False

    @property
    def busy(self) -> bool:
        """Whether a run is under way or asked for."""
        return not self.dead and (self.running or self.wanted is not None)

    # -- the Task's thread

    def begin(self) -> None:
        """A run begins."""
        with self.changed:
            self.running = True
            self.closing = False

    def may_end(self, has_mail: Callable[[], bool]) -> bool:
        """Whether the run may end: not while calls wait that other threads submitted."""
        with self.changed:
            if has_mail():
                return False
            self.closing = True
            return True

    def end(self) -> None:
        """The run is over."""
        with self.changed:
            self.running = self.closing = self.pausing = self.paused = False
            self.changed.notify_all()

    def die(self) -> None:
        """There will be no other run."""
        with self.changed:
            self.dead = True
            self.running = False
            self.wanted = None
            self.changed.notify_all()

    def next_run(self) -> tuple[float | None] | None:
        """Block until a run is wanted, and take it (its timeout); None: the thread is to end."""
        with self.changed:
            while self.wanted is None and not self.quitting:
                self.changed.wait()
            if self.quitting:
                return None
            wanted, self.wanted = self.wanted, None
            self.running = True
            return wanted

    def pause(self) -> None:
        """Called by the loop: stay here until `unpause`."""
        with self.changed:
            if not self.pausing:
                return
            self.paused = True
            self.changed.notify_all()
            while self.pausing:
                self.changed.wait()
            self.paused = False
            self.changed.notify_all()

    # -- any thread

    def want(self, timeout: float | None) -> bool:
        """Ask for a run by the Task's own thread; a paused run goes on. False: a run is under way and will do."""
        with self.changed:
            if self.dead or (self.running and not self.closing):
                return False
            self.wanted = (timeout,)
            self.changed.notify_all()
            return True

    def unpause(self) -> bool:
        """Let a paused run go on; whether there was one."""
        with self.changed:
            was, self.pausing = self.pausing, False
            self.changed.notify_all()
            return was

    def ask_pause(self, submit: Callable[[], None]) -> bool:
        """Ask the running loop to pause (`submit` makes it call `pause`); True once it does, False if it ended."""
        with self.changed:
            if not self.running or self.closing or self.dead:
                return False
            self.pausing = True
            submit()
            while self.pausing and not self.paused and self.running:
                self.changed.wait()
            return self.paused

    def wait_idle(self) -> None:
        """Block until no run is under way or asked for."""
        with self.changed:
            while self.busy:
                self.changed.wait()

    def quit(self) -> None:
        """Tell the Task's own thread to end when idle."""
        with self.changed:
            self.quitting = True
            self.changed.notify_all()
