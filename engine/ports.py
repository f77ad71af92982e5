"""EnginePort: the thread-safe way of sending something to a Task."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol


class PortHost(Protocol):
    """The loop, as a port sees it."""

    def submit(self, call: Callable[[], None]) -> None:
        """Have `call` called in the Task's thread, at the next turn of a run."""

    def in_own_thread(self) -> bool: ...

    def port_gone(self, port: EnginePort) -> None: ...


class _Message:
    __slots__ = ("content", "taken")

    def __init__(self, content: Any) -> None:
        self.content = content
        self.taken = False


class EnginePort:
    """A mailbox of a Task: any thread sends, `handler.ev_msg(port, msg)` is called in the Task's thread, in order.

    Made by `Task.port()`; host is the Task's loop. qlimit: messages that may wait; then senders of other threads
    block. A port without `autoclose` keeps its Task running until it is removed or the Task is aborted. Raises
    ValueError for a qlimit that is not positive. The semantic is that of ClusterShell's EnginePort.
    """

    def __init__(self, host: PortHost, handler: Any | None, autoclose: bool, qlimit: int) -> None:
        if qlimit <= 0:
            raise ValueError(f"port_qlimit must be a positive number of messages, not {qlimit!r}")
        self.eh = handler
        self.autoclose = autoclose
        self.qlimit = qlimit
        self._host = host
        self._queue: deque[_Message] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._started = False

    @property
    def closed(self) -> bool:
        """Whether messages are refused; thread-safe."""
        return self._closed

    def msg(self, send_msg: Any, send_once: bool = False) -> bool:
        """Send the object `send_msg`; from any thread. True = it was taken; False = the port is closed.

        Blocks until the Task takes the message (before `ev_msg` runs), and while the queue is full. send_once: do
        not wait for the taking. In the Task's own thread nothing is waited for, as that would be for ever.
        """
        own = self._host.in_own_thread()
        message = _Message(send_msg)
        with self._changed:
            while not self._closed and not own and len(self._queue) >= self.qlimit:
                self._changed.wait()
            if self._closed:
                return False
            self._queue.append(message)
        self._host.submit(self.deliver)
        if send_once or own:
            return True
        with self._changed:
            while not message.taken and not self._closed:
                self._changed.wait()
            return message.taken

    def msg_send(self, send_msg: Any) -> bool:
        """Send the object `send_msg` without waiting for its taking; from any thread. False = the port is closed.

        Blocks while the queue is full, but for the Task's own thread.
        """
        return self.msg(send_msg, send_once=True)

    # -- for the loop, in the Task's thread

    def start(self) -> None:
        """Taken up by the loop: tells the handler, once."""
        if self._started or self._closed:
            return
        self._started = True
        hook = getattr(self.eh, "ev_port_start", None)
        if hook is not None:
            hook(self)

    def deliver(self) -> None:
        """Hand the oldest message to the handler; one is submitted per message, so that order and fairness hold."""
        if self._closed:
            return
        self.start()
        with self._changed:
            if not self._queue:
                return
            message = self._queue.popleft()
            message.taken = True
            self._changed.notify_all()
        hook = getattr(self.eh, "ev_msg", None)
        if hook is not None:
            hook(self, message.content)

    def close(self) -> None:
        """Refuse messages from now on; what waits is dropped and its senders learn it. Idempotent, any thread."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._queue.clear()
            self._changed.notify_all()
        self._host.port_gone(self)
