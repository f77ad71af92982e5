"""Ends every process that a demo node's commands left behind, by a mark in their environment.

Killing process groups would miss what has made a session of its own (`setsid`, daemons).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

_ROUNDS = 20


def kill_strays(folder: Path) -> int:
    """SIGKILL whatever carries DEMO_CLUSTER=folder in its environment; returns how many were killed.

    Repeated until none is found, because a process may fork while it is being looked for.
    """
    killed: set[int] = set()
    for _ in range(_ROUNDS):
        found = [pid for pid in _marked(f"DEMO_CLUSTER={folder}") if pid != os.getpid()]
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if not set(found) - killed:
            break
        killed.update(found)
    return len(killed)


def _marked(mark: str) -> Iterator[int]:
    if os.path.isdir("/proc/self"):
        wanted = mark.encode()
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                # Other users' processes cannot be read, and are none of ours.
                with contextlib.suppress(OSError), open(f"/proc/{entry}/environ", "rb") as environment:
                    if wanted in environment.read().split(b"\0"):
                        yield int(entry)
        return
    answer = subprocess.run(["ps", "axEww", "-o", "pid=,command="], capture_output=True, text=True, check=False)
    for line in answer.stdout.splitlines():
        pid, _, rest = line.strip().partition(" ")
        if mark in rest.split() and pid.isdigit():
            yield int(pid)
