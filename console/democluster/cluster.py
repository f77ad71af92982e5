"""The demo cluster seen from the process that wants one: start it, find its files, end it."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .plan import CONNECT_TIMEOUT, fold, make_groups, make_plan
from .sweep import kill_strays

_READY_TIMEOUT = 30.0
_END_TIMEOUT = 10.0


class DemoClusterError(RuntimeError):
    """The server process did not come up; the message says what it said."""


class DemoCluster:
    """A running demo cluster of `count` nodes, in a private temporary folder that goes with it.

    As a context manager it is started on the way in and ended on the way out; call `wait_ready` before nodes are
    reached, as late as you like. A holder that is killed takes it along. faults: whether some nodes are broken on
    purpose.
    Raises ValueError for an impossible count, DemoClusterError when the server does not come up.
    """

    def __init__(self, count: int, *, faults: bool = True) -> None:
        self.plans = make_plan(count, faults=faults)
        self.groups = make_groups(self.plans)
        self._faults = faults
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False

    @property
    def folder(self) -> Path:
        """The private folder (0700)."""
        if self._folder is None:
            raise DemoClusterError("the demo cluster has not been started")
        return self._folder

    @property
    def nodes(self) -> str:
        """All nodes as a folded node set."""
        return fold([plan.number for plan in self.plans])

    @property
    def ssh_config(self) -> Path:
        """A client configuration for `ssh -F`."""
        return self.folder / "ssh_config"

    @property
    def known_hosts(self) -> Path:
        """The nodes' host keys."""
        return self.folder / "known_hosts"

    @property
    def environment(self) -> dict[str, str]:
        """What a console or a ClusterShell tool needs in its environment to work on this cluster, and only on it.

        Settings, history and audit log go to the private folder too: a demo leaves no trace in the user's own.
        """
        return {
            "CLUSTERSHELL_CFGDIR": str(self.folder / "clustershell"),
            "CLUSTERDECK_CLUSH_CONF": "",
            "CLUSTERDECK_CONFIG_DIR": str(self.folder / "config"),
            "CLUSTERDECK_STATE_DIR": str(self.folder / "state"),
            "CLUSTERDECK_CACHE_DIR": str(self.folder / "cache"),
            "CLUSTERDECK_SSH_CONFIG": str(self.ssh_config),
            "CLUSTERDECK_SSH_KNOWN_HOSTS": str(self.known_hosts),
            "CLUSTERDECK_SSH_OPTIONS": f"-F {self.ssh_config}",
            "CLUSTERDECK_SSH_SCP_OPTIONS": f"-F {self.ssh_config}",
            # One of the nodes never answers: a demo should not make anybody wait ten seconds for that.
            "CLUSTERDECK_RUN_CONNECT_TIMEOUT": str(CONNECT_TIMEOUT),
            "CLUSTERDECK_GROUPS_DEFAULT": self.nodes,
        }

    @property
    def pid(self) -> int:
        """The server's process id, 0 when it is not running."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start the server process; returns at once."""
        self._folder = Path(os.path.realpath(tempfile.mkdtemp(prefix="clusterdeck-demo-")))
        (self._folder / "state").mkdir(mode=0o700)
        arguments = [str(self._folder), str(len(self.plans)), "faults" if self._faults else "healthy"]
        with open(self._folder / "server.log", "wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "clusterdeck.console.democluster.server", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # A session of its own: Ctrl-C in the console's terminal is not for the nodes.
                start_new_session=True,
            )

    def wait_ready(self, timeout: float = _READY_TIMEOUT) -> None:
        """Wait at most `timeout` seconds until every node listens and all files are written."""
        process = self._process
        if process is None:
            raise DemoClusterError("the demo cluster has not been started")
        if self._ready:
            return
        assert process.stdout is not None
        deadline = time.monotonic() + timeout
        readable, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        self._ready = bool(readable) and process.stdout.readline() == b"ready\n"
        if not self._ready:
            said = (self.folder / "server.log").read_text(errors="replace").strip().splitlines()
            self.stop()
            raise DemoClusterError(f"the demo cluster did not start: {said[-1] if said else 'no reason given'}")

    def stop(self) -> None:
        """End the server, every command on its nodes, and the folder; may be called twice."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(_END_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        # The server does both itself, unless somebody killed it.
        kill_strays(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> DemoCluster:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
