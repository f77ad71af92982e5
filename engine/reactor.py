"""The ground floor of the event loop: descriptors, deadlines and a way to be woken, nothing else.

One thread owns a Reactor and calls every method of it, except `call_soon_threadsafe` and `wake`, which any thread
may call. What the descriptors mean, and how many commands may run, is decided above (loop.py, ssh/).
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import itertools
import os
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE

#: Backends by the names that scripts use in `set_default("engine", name)`, best first.
BACKENDS: dict[str, str] = {"epoll": "EpollSelector", "poll": "PollSelector", "select": "SelectSelector"}

#: FD_SETSIZE of the C library, which is fixed when Python is built.
_SELECT_BOUND = 1024

#: Cancelled deadlines are swept out of the heap when it has grown to twice what the last sweep left, and this at least.
_SWEEP_AT = 512


class Deadline:
    """A callback at a moment of the monotonic clock; `cancel()` is idempotent and free."""

    __slots__ = ("callback", "when")

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Never call the callback; allowed at any time, also after it was called."""
        self.callback = None

    @property
    def active(self) -> bool:
        """Whether the callback is still to come."""
        return self.callback is not None


class Reactor:
    """Waits for descriptors and deadlines and calls back; see the module's text for the thread rule.

    name: "auto", "epoll", "poll" or "select"; a backend that the host lacks falls back to the next best.
    Raises KeyError for any other name.
    """

    def __init__(self, name: str = "auto") -> None:
        self.identifier = best_backend(name)
        self._selector: selectors.BaseSelector = getattr(selectors, BACKENDS[self.identifier])()
        self._watched: dict[int, Callable[[int], None]] = {}
        #: Descriptors that the backend refuses because they are always ready (regular files under epoll).
        self._always: dict[int, int] = {}
        self._deadlines: list[tuple[float, int, Deadline]] = []
        self._sweep_at = _SWEEP_AT
        self._sequence = itertools.count()
        self._soon: deque[Callable[[], None]] = deque()
        self._waking = False
        #: A signal's handler may wake while its thread holds it, so the same thread may take it again.
        self._wake_lock = threading.RLock()
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_reader, False)
        os.set_blocking(self._wake_writer, False)
        self.watch(self._wake_reader, READ, self._drain_wake)

    @property
    def closed(self) -> bool:
        """Whether `close()` was called."""
        return self._wake_reader < 0

    # -- descriptors

    @property
    def descriptor_bound(self) -> int | None:
        """Descriptor numbers from here on cannot be watched; None: all can be."""
        return _SELECT_BOUND if self.identifier == "select" else None

    def check_number(self, fd: int) -> None:
        """Raise OSError (EMFILE) for a descriptor that cannot be watched: it is as if none were left."""
        bound = self.descriptor_bound
        if bound is not None and fd >= bound:
            raise OSError(errno.EMFILE, f"no descriptor below {bound} is left for select(): use poll or epoll")

    def watch(self, fd: int, events: int, callback: Callable[[int], None]) -> None:
        """Call `callback(mask)` whenever `fd` is ready for one of `events` (READ, WRITE or both).

        Raises KeyError if it is watched already, ValueError for a bad descriptor, and as `check_number`.
        """
        self.check_number(fd)
        try:
            self._selector.register(fd, events, callback)
        except PermissionError:
            self._always[fd] = events
        self._watched[fd] = callback

    def change(self, fd: int, events: int, callback: Callable[[int], None]) -> None:
        """Wait for other events on a watched descriptor; `events` must not be 0 (use `unwatch`)."""
        if fd in self._always:
            self._always[fd] = events
        else:
            self._selector.modify(fd, events, callback)
        self._watched[fd] = callback

    def unwatch(self, fd: int) -> None:
        """Forget a descriptor (before it is closed); unknown ones are ignored."""
        if self._watched.pop(fd, None) is None:
            return
        if self._always.pop(fd, None) is None:
            self._selector.unregister(fd)

    # -- time

    def call_at(self, when: float, callback: Callable[[], None]) -> Deadline:
        """Call back once at `when`, in seconds of `time.monotonic()`."""
        heap = self._deadlines
        if len(heap) >= self._sweep_at:
            heap[:] = [entry for entry in heap if entry[2].callback is not None]
            heapq.heapify(heap)
            self._sweep_at = max(_SWEEP_AT, 2 * len(heap))
        deadline = Deadline(when, callback)
        heapq.heappush(heap, (when, next(self._sequence), deadline))
        return deadline

    def call_later(self, delay: float, callback: Callable[[], None]) -> Deadline:
        """Call back once, `delay` seconds from now."""
        return self.call_at(time.monotonic() + delay, callback)

    # -- from other threads

    def call_soon_threadsafe(self, callback: Callable[[], None]) -> None:
        """Call back in the owner's thread at its next turn; from any thread, in order."""
        self._soon.append(callback)
        self.wake()

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call back at the end of this turn or in the next one; the owner's thread only."""
        self._soon.append(callback)

    def wake(self) -> None:
        """End a wait that is under way, or the next one; from any thread, harmless on a closed reactor."""
        if self._waking:
            return
        self._waking = True
        with self._wake_lock:
            # Not after `close`: the number could be another file's by then.
            if self._wake_writer >= 0:
                with contextlib.suppress(OSError):
                    os.write(self._wake_writer, b"\0")

    def _drain_wake(self, _mask: int) -> None:
        # The flag goes last: a wake-up before it falls writes nothing, and what it announced is served in this turn.
        # The other way round its byte could be read here while the flag stays up, and no later wake-up would write.
        with contextlib.suppress(BlockingIOError):
            while len(os.read(self._wake_reader, 4096)) == 4096:
                pass
        self._waking = False

    # -- one turn

    def turn(self, timeout: float | None = None) -> None:
        """Wait at most `timeout` seconds (None: until something happens), then call what is due, once each.

        A deadline or `call_soon` made during the turn is served in the next one, so a callback that re-arms itself
        cannot starve the rest. Exceptions of callbacks go to the caller; the other callbacks then come next turn.
        """
        watched = self._watched
        for key, mask in self._selector.select(self._wait(timeout)):
            # A callback earlier in this round may have closed this descriptor, and the number may be another's now.
            callback = watched.get(key.fd)
            if callback == key.data and callback is not None:
                callback(mask)
        if self._always:
            for fd, mask in list(self._always.items()):
                if fd in self._always:
                    watched[fd](mask)
        self._call_due()
        for _ in range(len(self._soon)):
            self._soon.popleft()()

    def _wait(self, timeout: float | None) -> float | None:
        if self._soon or self._always:
            return 0.0
        heap = self._deadlines
        while heap and heap[0][2].callback is None:
            heapq.heappop(heap)
        if not heap:
            return timeout
        due = max(0.0, heap[0][0] - time.monotonic())
        return due if timeout is None else min(due, timeout)

    def _call_due(self) -> None:
        heap = self._deadlines
        if not heap or heap[0][0] > (now := time.monotonic()):
            return
        due: list[Deadline] = []
        while heap and heap[0][0] <= now:
            due.append(heapq.heappop(heap)[2])
        for position, deadline in enumerate(due):
            callback, deadline.callback = deadline.callback, None
            if callback is not None:
                try:
                    callback()
                except BaseException:
                    for late in due[position + 1 :]:
                        heapq.heappush(heap, (late.when, next(self._sequence), late))
                    raise

    def close(self) -> None:
        """Give all descriptors of the reactor itself back; watched ones stay open. Idempotent."""
        if self._wake_reader < 0:
            return
        self._selector.close()
        os.close(self._wake_reader)
        self._wake_reader = -1
        with self._wake_lock:
            writer, self._wake_writer = self._wake_writer, -1
            os.close(writer)


def best_backend(name: str) -> str:
    """The backend that `name` means on this host: itself if it exists, else the best one that does.

    Raises KeyError for a name that is not one of auto, epoll, poll, select.
    """
    if name != "auto" and name not in BACKENDS:
        raise KeyError(f"unknown engine {name!r}: use auto, {', '.join(BACKENDS)}")
    order = list(BACKENDS) if name == "auto" else [name, *(other for other in BACKENDS if other != name)]
    for candidate in order:
        if hasattr(selectors, BACKENDS[candidate]):
            return candidate
    raise KeyError(f"no usable engine on this host (asked for {name!r})")
