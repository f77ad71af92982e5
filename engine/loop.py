"""Engine: the loop of one Task. It has clients started (launcher.py), watches over their timeouts and cleans up.

Everything here runs in the Task's thread, except `submit` and the few properties that say so.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from .client import ClientState, EngineClient
from .errors import (
    EngineAbortException,
    EngineAlreadyRunningError,
    EngineException,
    EngineIllegalOperationError,
    EngineNotSupportedError,
    EngineTimeoutException,
)
from .fanout import FANOUT_DEFAULT, FANOUT_UNLIMITED
from .launcher import Launcher
from .ports import EnginePort
from .reactor import Deadline, Reactor, best_backend
from .spawn import Reaper
from .timers import EngineTimer

__all__ = [
    "FANOUT_DEFAULT",
    "FANOUT_UNLIMITED",
    "Engine",
    "EngineAbortException",
    "EngineAlreadyRunningError",
    "EngineException",
    "EngineIllegalOperationError",
    "EngineNotSupportedError",
    "EngineTimeoutException",
    "EngineTimer",
]

#: Seconds that the end of a run waits for killed processes to be gone.
_REAP_PATIENCE = 1.0

#: The same when the engine is closed: after that nobody would reap them.
_LAST_PATIENCE = 10.0


class Engine:
    """Drives clients, timers and ports over one Reactor.

    name: "auto", "epoll", "poll" or "select" (KeyError otherwise). info: reads a value of the Task's info. debug:
    takes a line for the Task's `print_debug`. own_thread: whether the caller is in the Task's thread.
    """

    identifier = "auto"

    def __init__(
        self,
        name: str,
        info: Callable[[str], Any],
        debug: Callable[[str], None],
        own_thread: Callable[[], bool],
    ) -> None:
        self.identifier = best_backend(name)
        self.info = info
        self.debug = debug
        self.in_own_thread = own_thread
        self.running = False
        self.holding = False
        self._reactor: Reactor | None = None
        self._reaper: Reaper | None = None
        self._inbox: deque[Callable[[], None]] = deque()
        #: Clients that are not DONE, in the order of scheduling.
        self._clients: dict[EngineClient, None] = {}
        self._launcher = Launcher(info, self._begin)
        self._timers: dict[EngineTimer, None] = {}
        #: Every port that is not closed, and whether the loop has taken it up.
        self._ports: dict[EnginePort, bool] = {}
        self._new_ports: list[EnginePort] = []
        #: Non-autoclose clients, timers and ports: what a run waits for.
        self._keepers = 0

    # -- parts

    @property
    def reactor(self) -> Reactor:
        """The reactor; made at the first use, so that an idle Task holds no descriptor."""
        if self._reactor is None:
            self._reactor = Reactor(self.identifier)
        return self._reactor

    @property
    def reaper(self) -> Reaper:
        """Who waits for the ends of processes."""
        if self._reaper is None:
            self._reaper = Reaper(self.reactor)
        return self._reaper

    def submit(self, call: Callable[[], None]) -> None:
        """Have `call` called in the Task's thread at the next turn, or at the start of the next run; any thread."""
        self._inbox.append(call)
        reactor = self._reactor
        if reactor is not None:
            reactor.wake()

    @property
    def has_mail(self) -> bool:
        """Whether submitted calls wait; any thread."""
        return bool(self._inbox)

    # -- clients

    def add(self, client: EngineClient) -> None:
        """Schedule a client."""
        client.engine = self
        self._clients[client] = None
        self._launcher.add(client)
        if not client.autoclose:
            self._keepers += 1

    def ready(self, client: EngineClient) -> None:
        """A client that was preparing may be started as soon as there is a slot."""
        self._launcher.ready(client)

    def postpone(self, client: EngineClient) -> bool:
        """Start a client again when another has ended; False if none runs. See ClientEngine."""
        return self._launcher.postpone(client)

    def kill(self, client: EngineClient, timed_out: bool = False) -> None:
        """Stop a client in whatever state; it reports its own end. timed_out: as its time is over."""
        if client.state is not ClientState.DONE:
            client.kill(timed_out)

    def finished(self, client: EngineClient) -> None:
        """A client is over: forget it and let its worker close."""
        if self._clients.pop(client, self) is self:
            return
        if not client.autoclose:
            self._keepers -= 1
        self._launcher.over(client)
        client.worker._on_client_closed(client)

    def hold_output(self, flag: bool) -> None:
        """flag: stop reading the output of all clients (True), or go on with it."""
        if flag == self.holding:
            return
        self.holding = flag
        for client in list(self._clients):
            if client.state is ClientState.RUNNING:
                client.hold(flag)

    def _begin(self, client: EngineClient) -> None:
        """For the launcher: start a client, within its timeout."""
        timeout = client.timeout
        if timeout is not None and timeout > 0:
            client.deadline = self.reactor.call_later(timeout, lambda: self.kill(client, True))
        client.start()
        if timeout == 0 and client.state is ClientState.RUNNING:
            self.kill(client, True)

    # -- timers

    def add_timer(self, timer: EngineTimer, due: float | None = None) -> None:
        """Take up a timer that is to fire at `due`, seconds of the monotonic clock (default: by its delay from now).

        Raises EngineIllegalOperationError for one that was taken up before. An invalidated one is left alone.
        """
        if timer.attached:
            raise EngineIllegalOperationError(f"{timer!r} was added to an engine before")
        if not timer.is_valid():
            return
        if due is None:
            due = time.monotonic() + timer.fire_delay
        self._timers[timer] = None
        if not timer.autoclose:
            self._keepers += 1
        timer.attach(self, due)

    def remove_timer(self, timer: EngineTimer) -> None:
        """Let a timer go: it never fires again."""
        timer.invalidate()

    def arm(self, when: float, callback: Callable[[], None]) -> Deadline:
        """For EngineTimer: call `callback` at `when`, seconds of the monotonic clock."""
        return self.reactor.call_at(when, callback)

    def timer_gone(self, timer: EngineTimer) -> None:
        """For EngineTimer: this timer will not fire again."""
        if self._timers.pop(timer, self) is not self and not timer.autoclose:
            self._keepers -= 1

    def keeps_running(self) -> bool:
        """Whether anything is left that the run waits for."""
        return self._keepers > 0

    # -- ports

    def make_port(self, handler: Any | None, autoclose: bool, qlimit: int) -> EnginePort:
        """A port that is not taken up yet; from any thread. handler, autoclose, qlimit: see EnginePort."""
        port = EnginePort(self, handler, autoclose, qlimit)
        self._ports[port] = False
        return port

    def add_port(self, port: EnginePort) -> None:
        """Take up a port; its handler's ev_port_start is called at the next turn."""
        if port.closed:
            return
        self._ports[port] = True
        if not port.autoclose:
            self._keepers += 1
        self._new_ports.append(port)

    def port_gone(self, port: EnginePort) -> None:
        """For EnginePort: this port was closed, in any thread."""
        if self.in_own_thread() or not self.running:
            self._forget_port(port)
        else:
            self.submit(lambda: self._forget_port(port))

    def _forget_port(self, port: EnginePort) -> None:
        if self._ports.pop(port, False) and not port.autoclose:
            self._keepers -= 1

    # -- running

    def run(self, timeout: float | None, may_end: Callable[[], bool]) -> None:
        """Run until no non-autoclose client, timer or port is left and `may_end()` agrees.

        timeout: seconds, None = no limit. Raises EngineTimeoutException, EngineAbortException, or what a handler
        raised; all clients and timers are gone then, too; EngineAlreadyRunningError in a handler.
        """
        if self.running:
            raise EngineAlreadyRunningError("the engine runs already")
        self.running = True
        limit = None if timeout is None else self.reactor.call_later(timeout, _out_of_time)
        try:
            self._loop(may_end)
        except BaseException as error:
            self.clear(isinstance(error, EngineTimeoutException), error)
            raise
        finally:
            if limit is not None:
                limit.cancel()
            self._end_of_run()
            self.running = False

    def _loop(self, may_end: Callable[[], bool]) -> None:
        # Made before the inbox is looked at: what is submitted from now on finds something to wake.
        reactor = self.reactor
        inbox = self._inbox
        launcher = self._launcher
        while True:
            # As many as there are now: a sender that never rests must not starve the descriptors.
            for _ in range(len(inbox)):
                inbox.popleft()()
            if self._new_ports:
                ports, self._new_ports = self._new_ports, []
                for port in ports:
                    port.start()
            if launcher.has_waiting:
                launcher.start()
            if self._keepers == 0:
                self._kill_all(False, None)
                if self._keepers == 0 and may_end():
                    return
                continue
            reactor.turn(0.0 if inbox or self._new_ports or launcher.can_start() else None)

    def clear(self, timed_out: bool, error: BaseException | None = None) -> None:
        """Kill all clients (timed_out: as their time is over) and timers.

        What handlers raise meanwhile is noted on `error`, and otherwise dropped.
        """
        self._kill_all(timed_out, error)
        for timer in list(self._timers):
            timer.invalidate()
        self._launcher.clear()

    def _kill_all(self, timed_out: bool, error: BaseException | None) -> None:
        # Handlers that are told may schedule more: those go as well when an error unwinds the loop.
        while self._clients:
            for client in list(self._clients):
                try:
                    self.kill(client, timed_out)
                except EngineAbortException:
                    if error is None:
                        raise
                except BaseException as late:
                    if error is None:
                        raise
                    error.add_note(f"while cleaning up after it, a handler raised {late!r}")
                    self._clients.pop(client, None)
            if error is None:
                return

    def _end_of_run(self) -> None:
        for timer in list(self._timers):
            timer.invalidate()
        self._launcher.run_ended()
        if self._reaper is not None:
            self._reaper.sweep(_REAP_PATIENCE)

    def close_ports(self) -> None:
        """Close every port: senders that wait learn it."""
        for port in list(self._ports):
            port.close()
        self._new_ports.clear()

    def close(self) -> None:
        """Give the descriptors back; the engine makes new ones if it is used again."""
        if self._reaper is not None:
            self._reaper.sweep(_LAST_PATIENCE)
        reactor, self._reactor, self._reaper = self._reactor, None, None
        if reactor is not None:
            reactor.close()


def _out_of_time() -> None:
    raise EngineTimeoutException(f"the time given to the run is over ({time.strftime('%H:%M:%S')})")
