"""Ctrl-Z: this process and whatever stands between it and the shell (make, a script) stop; `fg` takes them up again.

Not the whole process group, as prompt_toolkit does: a child that is just being made shares the group, and one that is
stopped between fork and exec keeps its parent's thread in the kernel for ever. Then the parent never counts as
stopped, the shell never hears of it, and the terminal hangs.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

#: What to say where Ctrl-Z cannot work.
NO_SHELL = "There is no shell to go back to: the console is all that runs in this terminal."


def wrappers() -> list[int] | None:
    """Processes of this job above this one, nearest first; None where no shell could take the job up again."""
    group, session = os.getpgid(0), os.getsid(0)
    found: list[int] = []
    parent: int | None = os.getppid()
    while parent is not None:
        try:
            if os.getpgid(parent) != group:
                return found if os.getsid(parent) == session else None
        except OSError:
            return None  # an orphan, or a parent outside this namespace
        found.append(parent)
        parent = _parent_of(parent)
    return found


def _parent_of(process: int) -> int | None:
    """None where the system does not tell."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None


def stop(above: list[int]) -> None:
    """Stop those processes and this one; returns when the shell has continued it. The terminal must be restored."""
    for process in above:
        with suppress(OSError):
            os.kill(process, signal.SIGTSTP)
    # To this thread: it must not go on for a moment, as it may when the signal is the whole process's.
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
