"""A real ssh-agent of a test's own."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator


@contextlib.contextmanager
def ssh_agent(path: str) -> Iterator[subprocess.Popen[bytes]]:
    """An agent without keys that listens on this socket; killed at the end."""
    with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 20
            while not _listens(path):  # the file is there before anybody listens
                assert time.monotonic() < deadline, f"no agent listens on {path}"
                time.sleep(0.01)
            yield process
        finally:
            process.kill()


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
        probe.connect(path)
        return True
    return False
