"""Keeps what the operator types at password prompts inside this process: no core dump, no look from outside."""

from __future__ import annotations

import contextlib
import os
import resource
import sys

_PR_SET_DUMPABLE = 4


def no_core_dumps() -> None:
    """From now on a crash writes no core, and other processes of the user can neither attach nor read the memory.

    Where the system cannot do it, nothing is said: it is a second line of defence. CLUSTERDECK_DEBUG leaves the process
    open to debuggers. Programs that are started later get the limit, but not the second part.
    """
    if os.environ.get("CLUSTERDECK_DEBUG"):
        return
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if sys.platform.startswith("linux"):
        import ctypes  # takes time to import, which a batch run does not have

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
