"""Whether something was left behind: threads, descriptors, child processes."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import time
from collections.abc import Iterator

import psutil

from clusterdeck.tests.support.processes import command_line


def _threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.is_alive()}


def _descriptors() -> dict[int, str]:
    found: dict[int, str] = {}
    for name in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []:
        with contextlib.suppress(OSError):
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
    return found


def _children() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


@contextlib.contextmanager
def no_leaks(*, descriptors: bool = True, settle: float = 20.0) -> Iterator[None]:
    """Fail when threads, child processes or (descriptors=True) open descriptors remain that were not there before.

    What ends by itself within `settle` seconds is no leak.
    """
    threads, fds, children = _threads(), _descriptors(), _children()
    yield
    deadline = time.monotonic() + settle
    while True:
        gc.collect()
        left = [f"thread {thread.name!r}" for thread in _threads() - threads]
        left += [f"process {child.pid} {command_line(child)}" for child in _children() - children]
        if descriptors:
            left += [f"descriptor {fd} -> {what}" for fd, what in _descriptors().items() if fds.get(fd) != what]
        if not left:
            return
        if time.monotonic() > deadline:
            raise AssertionError("left behind: " + "; ".join(sorted(left)))
        time.sleep(0.02)
