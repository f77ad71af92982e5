"""Whether something was left behind: threads, descriptors, child processes."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import time
from collections.abc import Iterable, Iterator

import psutil


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
def no_leaks(*, descriptors: bool = True, settle: float = 5.0) -> Iterator[None]:
    """Fail when threads, child processes or (descriptors=True) open descriptors remain that were not there before.

    What ends by itself within `settle` seconds is no leak.
    """
    threads, fds, children = _threads(), _descriptors(), _children()
    yield
    deadline = time.monotonic() + settle
    while True:
        gc.collect()
        left = [f"thread {thread.name!r}" for thread in _threads() - threads]
        left += [f"process {child.pid} {_command(child)}" for child in _children() - children]
        if descriptors:
            left += [f"descriptor {fd} -> {what}" for fd, what in _descriptors().items() if fds.get(fd) != what]
        if not left:
            return
        if time.monotonic() > deadline:
            raise AssertionError("left behind: " + "; ".join(sorted(left)))
        time.sleep(0.02)


def wait_gone(processes: Iterable[psutil.Process], timeout: float) -> list[str]:
    """Wait until none of these runs any more; the command lines of those that still do after `timeout` seconds.

    A zombie is gone: it is only waiting for a parent, which in a container may be one that never asks.
    """
    deadline = time.monotonic() + timeout
    left = list(processes)
    while left := [process for process in left if _runs(process)]:
        if time.monotonic() > deadline:
            return [_command(process) for process in left]
        time.sleep(0.02)
    return []


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _command(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline()) or process.name()
    return "(gone)"
