"""The test harness's own OpenSSH server keeps what it promises."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from clusterdeck.tests.support.processes import descendants, runs, wait_gone
from clusterdeck.tests.support.sshd import Sshd


def _ssh(server: Sshd, node: str, command: str) -> subprocess.CompletedProcess[str]:
    argv = ["ssh", "-F", str(server.config), node, command]
    return subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30, check=False)


def test_every_node_name_reaches_the_server(sshd: Sshd) -> None:
    for node in ("node1", "node64"):
        answer = _ssh(sshd, node, "echo hello; exit 3")
        assert (answer.stdout, answer.stderr, answer.returncode) == ("hello\n", "", 3)


def test_options_reach_the_server(make_sshd: Callable[..., Sshd]) -> None:
    server = make_sshd(ForceCommand="echo forced")
    assert _ssh(server, "node1", "echo free").stdout == "forced\n"


def test_stop_ends_connections_and_commands(make_sshd: Callable[..., Sshd]) -> None:
    server = make_sshd()
    argv = ["ssh", "-F", str(server.config), "node1", "echo up; exec sleep 1000"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as client:
        try:
            assert client.stdout is not None
            assert client.stdout.readline() == b"up\n"
            # It says so before it becomes `sleep`.
            deadline = time.monotonic() + 20
            while not descendants(server.pid, lambda words: words[0] == "sleep"):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            running = [*server.sessions(), psutil.Process(server.pid)]
            server.stop()
            assert client.wait(60) == 255
        finally:
            client.kill()  # or leaving the block would wait for it
    assert not [process for process in running if runs(process)]


def test_the_server_dies_with_a_killed_owner(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib\n"
        "from clusterdeck.tests.support.sshd import Sshd\n"
        "print(Sshd(pathlib.Path(sys.argv[1])).pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    argv = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        server = psutil.Process(int(owner.stdout.readline()))
        owner.send_signal(signal.SIGKILL)
        owner.wait(60)
        assert wait_gone([server], 30) == []
