"""Processes looked at while they come and go: one that ends under the look is not there, it is never an error."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable

import psutil


def descendants(pid: int, wanted: Callable[[list[str]], bool] = bool) -> list[psutil.Process]:
    """What process `pid` has started, and what those have, whose command line is wanted; [] when it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [each for each in psutil.Process(pid).children(recursive=True) if _is(each, wanted)]
    return []


def everywhere(wanted: Callable[[list[str]], bool]) -> list[psutil.Process]:
    """Every process of this machine whose command line is wanted and that still runs."""
    return [each for each in psutil.process_iter() if _is(each, wanted)]


def runs(process: psutil.Process) -> bool:
    """Whether it still runs.

    A zombie does not: it only waits for a parent, which in a container may be one that never asks.
    """
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def wait_gone(processes: Iterable[psutil.Process], timeout: float) -> list[str]:
    """Wait until none of these runs any more; the command lines of those that still do after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    left = list(processes)
    while left := [process for process in left if runs(process)]:
        if time.monotonic() > deadline:
            return [command_line(process) for process in left]
        time.sleep(0.02)
    return []


def command_line(process: psutil.Process) -> str:
    """Its words, as far as they can still be read."""
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline()) or process.name()
    return "(gone)"


def _is(process: psutil.Process, wanted: Callable[[list[str]], bool]) -> bool:
    """A zombie has no words."""
    with contextlib.suppress(psutil.Error):
        words = process.cmdline()
        return bool(words) and wanted(words)
    return False
