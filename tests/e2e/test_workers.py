"""`clusterdeck run -R WORKER` from outside, over a real OpenSSH server: each way of reaching nodes, one outcome."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from clusterdeck.tests.support.sshd import Sshd


@pytest.mark.parametrize("worker", ["paramiko", "ssh", "pdsh", "exec"])
@pytest.mark.parametrize("stdin", ["closed", "given"])
def test_every_worker_runs_a_command(sshd: Sshd, tmp_path: Path, worker: str, stdin: str) -> None:
    if (worker, stdin) == ("pdsh", "given"):
        return  # pdsh gives its nodes no input
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CLUSTERDECK_")}
    environment = kept | {
        "CLUSTERDECK_STATE_DIR": str(tmp_path / "state"),
        "CLUSTERDECK_CONFIG_DIR": str(tmp_path / "config"),
        "CLUSTERDECK_SSH_CONFIG": str(sshd.config),
        "CLUSTERDECK_SSH_OPTIONS": f"-F {sshd.config}",
        "PDSH_SSH_ARGS": f"-F {sshd.config} -l%u %h",
        "PDSH_RCMD_TYPE": "ssh",
    }
    command = "cat; exit 3" if stdin == "given" else 'echo "$WORD"; exit 3'
    options = ["-e", "WORD=hello"]
    if (worker, stdin) == ("paramiko", "closed"):
        command, options = f"test -t 1 && {command}", [*options, "--pty"]
    done = subprocess.run(
        [sys.executable, "-m", "clusterdeck", "run", "-w", "node[1-2]", "-R", worker, *options, "-S", "-b", command],
        env=environment,
        input="hello\n" if stdin == "given" else "",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "---------------\nnode[1-2] (2)\n---------------\nhello\n", done.stderr
    assert done.returncode == 3
    assert "internal error" not in done.stderr


def test_a_worker_that_does_not_exist_is_no_success(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "clusterdeck", "run", "-w", "node1", "-R", "nosuchworker", "-S", "true"],
        env={**os.environ, "CLUSTERDECK_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "nosuchworker" in done.stderr
