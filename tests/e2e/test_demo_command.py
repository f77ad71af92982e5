"""`clusterdeck demo` as a user starts it: it works, it ends, and nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from clusterdeck.console.democluster.plan import DESCRIPTION
from clusterdeck.tests.support.processes import wait_gone

_DEMO = [sys.executable, "-m", "clusterdeck", "demo"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """TMPDIR of the test's own, so that what is left behind can be seen; no variable of the account's settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CLUSTERDECK_", "CLUSTERSHELL_"))}
    return {**kept, "TMPDIR": str(tmp_path), "HOME": str(tmp_path)}


def _left(tmp_path: Path) -> list[str]:
    return [path.name for path in tmp_path.iterdir() if path.name.startswith("clusterdeck-demo-")]


def _run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*_DEMO, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


def test_the_help_describes_the_nodes(environment: dict[str, str]) -> None:
    done = _run(environment, "--help")
    assert done.returncode == 0
    assert DESCRIPTION in done.stdout


@pytest.mark.parametrize("arguments", [("-n", "0"), ("-n", "9999"), ("--serve-only", "--", "run"), ("stray",)])
def test_wrong_usage_is_said_and_starts_nothing(
    environment: dict[str, str], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = _run(environment, *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "clusterdeck demo" in done.stderr
    assert not _left(tmp_path)


@pytest.mark.parametrize("worker", ["paramiko", "ssh"])
def test_a_batch_command_over_the_demo_gathers_two_answers(
    environment: dict[str, str], tmp_path: Path, worker: str
) -> None:
    done = _run(environment, "-n", "12", "--", "run", "-w", "@all", "-x", "@broken", "-R", worker, "-b", "uname -r")
    assert done.returncode == 0, done.stderr
    rule = "---------------\n"
    assert done.stdout == (f"{rule}demo[1-3,5-9] (8)\n{rule}6.1.0-18-amd64\n{rule}demo4\n{rule}5.10.0-28-amd64\n")
    assert not _left(tmp_path)


def test_the_exit_code_of_the_inner_command_is_the_demos(environment: dict[str, str]) -> None:
    done = _run(environment, "-n", "3", "--", "run", "-w", "demo[1-3]", "-S", "exit 7")
    assert done.returncode == 7, done.stderr


def test_the_broken_nodes_are_told_apart(environment: dict[str, str]) -> None:
    done = _run(environment, "-n", "6", "--", "run", "-w", "@broken", "-S", "true")
    assert done.returncode == 255
    lines = {node: [line for line in done.stderr.splitlines() if node in line] for node in ("demo4", "demo5", "demo6")}
    assert "refused" in " ".join(lines["demo4"])
    assert "no answer" in " ".join(lines["demo5"])
    assert "key rejected" in " ".join(lines["demo6"])


@pytest.fixture
def serving(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """`clusterdeck demo --serve-only`, ready."""
    with subprocess.Popen(
        [*_DEMO, "-n", "2", "--serve-only"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_serving_alone_ends_with_any_signal(
    serving: subprocess.Popen[str], tmp_path: Path, how: signal.Signals
) -> None:
    assert serving.stdout is not None
    told: dict[str, str] = {}
    for line in serving.stdout:
        if line.startswith("#"):
            break
        name, _, value = line.removeprefix("export ").strip().partition("=")
        told[name] = value.strip("'")
    answer = subprocess.run(
        ["ssh", "-F", told["CLUSTERDECK_SSH_CONFIG"], "demo2", "hostname"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=30,
        check=True,
    )
    assert answer.stdout == "demo2\n"
    (server,) = psutil.Process(serving.pid).children()
    serving.send_signal(how)
    assert serving.wait(20) == (-9 if how is signal.SIGKILL else 0)
    assert wait_gone([server], 20) == []
    assert not _left(tmp_path)
