"""What happens to nodes in tests of slots and workers."""

from __future__ import annotations

import contextlib

import psutil

from clusterdeck.tests.support.sshd import Sshd


def cut(server: Sshd) -> None:
    """Cut every connection; the commands live on, as they do when a network goes."""
    for process in server.sessions():
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.name().startswith("sshd"):
                process.kill()
