"""`clusterdeck queue ...` from the shell: served over a socket, shared over Redis, Python workers on real nodes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterdeck.console.cli import QUEUE_WORDS, main
from clusterdeck.console.commands.catalogue import default_registry
from clusterdeck.console.exits import ExitCode
from clusterdeck.tests.engine_taskmanager.conftest import RedisServer
from clusterdeck.tests.support.sshd import Sshd

PROGRAM = f"{sys.executable} -m clusterdeck"


class Shell:
    """Runs `clusterdeck queue` with a configuration of its own."""

    def __init__(self, folder: Path, ssh_config: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            **{f"CLUSTERDECK_{name}_DIR": str(folder / name.lower()) for name in ("STATE", "CONFIG", "CACHE")},
            "CLUSTERDECK_SSH_CONFIG": str(ssh_config),
            "XDG_RUNTIME_DIR": str(folder),
        }
        self.started: list[subprocess.Popen[str]] = []

    def __call__(self, *words: str, code: int = ExitCode.OK) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "clusterdeck", "queue", *words],
            env=self.environment, capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def start(self, *words: str, until: str) -> subprocess.Popen[str]:
        """A command that stays; returns when it has said `until`."""
        process = subprocess.Popen(
            [sys.executable, "-m", "clusterdeck", "queue", *words],
            env=self.environment, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        self.started.append(process)
        assert process.stderr is not None
        for line in process.stderr:
            if until in line:
                return process
        raise AssertionError(f"it ended without {until!r}")

    def end(self, process: subprocess.Popen[str], number: int = signal.SIGTERM) -> int:
        """Ask it to end; its exit code."""
        process.send_signal(number)
        code = process.wait(30)
        if process.stderr is not None:
            process.stderr.close()
        return code

    def results(self, count: int, *words: str) -> str:
        """What `queue results` shows until it has shown so many."""
        text = ""
        end = time.monotonic() + 60
        while sum(text.count(f"  {state}  ") for state in ("done", "failed")) < count:
            assert time.monotonic() < end, text
            text += self("results", *words)
        return text


@pytest.fixture
def shell(tmp_path: Path, sshd: Sshd) -> Iterator[Shell]:
    shell = Shell(tmp_path, sshd.config)
    yield shell
    for process in shell.started:
        if process.poll() is None:
            shell.end(process, signal.SIGKILL)


def test_a_served_queue_is_used_and_ends_in_order(shell: Shell) -> None:
    assert "no queue is served" in shell("add", "--", "true", code=ExitCode.ERROR)
    server = shell.start("serve", "-w", "node[1-2]", until="served at")
    assert "no task begins until" in shell("pause")
    text = shell("add", "--", "echo it runs; exit 3")
    assert "queued: shell_0; the queue is paused: :queue resume lets it go on" in text
    assert "goes on" in shell("resume")
    text = shell.results(1)
    assert "(exit status 3 on node" in text
    assert "it runs" in text
    assert "another manager serves" in shell("serve", code=ExitCode.ERROR)
    assert "over already" in shell("cancel", "shell_0", code=ExitCode.ERROR)
    assert "another process serves" in shell("workers", "-w", "node1", "-m", "json", code=ExitCode.ERROR)
    assert shell.end(server) == ExitCode.TERMINATED
    assert not list((shell.folder / "state").glob("*.sock"))
    # What a killed one leaves behind is no queue.
    server = shell.start("serve", until="served at")
    assert shell.end(server, signal.SIGKILL) == -signal.SIGKILL
    assert "no queue is served" in shell(code=ExitCode.ERROR)
    assert shell.end(shell.start("serve", until="served at"), signal.SIGINT) == ExitCode.INTERRUPTED


def test_consoles_share_a_queue_in_redis(shell: Shell, redis_server: RedisServer) -> None:
    shell.environment["CLUSTERDECK_QUEUE_STORE"] = redis_server.address
    shell.environment["CLUSTERDECK_QUEUE_NAME"] = f"shell{os.getpid()}-{time.monotonic_ns()}"
    module = shell.folder / "tasks_here.py"
    module.write_text("def do_square(number): return {'square': number * number}\n")
    shell("add", "--", "echo from the first; exit 1")
    shell("add", "-T", "square", "--json", "--", "[7]")
    workers = shell.start("workers", "-w", "node1", "-m", str(module), "--program", PROGRAM, until="node1 (1)")
    slots = shell.start("serve", "-w", "node2", str(shell.folder / "q.sock"), until="served at")
    text = shell.results(2)
    assert '{"square": 49}' in text
    assert "from the first" in text
    assert "map 1: done 2 of 2" in shell("map", "-w", "node3", "--", "echo", "{}", ":::", "a", "b")
    for process in (workers, slots):
        assert shell.end(process) == ExitCode.TERMINATED
    assert "nobody works for it" in shell()


@pytest.mark.parametrize(
    "words",
    [
        ["echo {}; echo 'of {#}'", ":::", "a", "b"],
        ["--", "echo {}; echo 'of {#}'", ":::", "a", "b"],
        ["--", "echo", "{};", "echo", "'of {#}'", ":::", "a", "b"],
    ],
)
def test_a_command_is_the_same_however_the_shell_hands_it_over(shell: Shell, words: list[str]) -> None:
    text = shell("map", "-w", "node1", *words)
    assert "done 2 of 2" in text
    assert {"a", "b", "of 1", "of 2"} <= set(text.splitlines())


def test_workers_that_cannot_work_end_the_command(shell: Shell) -> None:
    text = shell("workers", "-w", "node[1-3]", "-m", "no_such_module", "--program", PROGRAM, code=ExitCode.ERROR)
    assert "'no_such_module' cannot be loaded" in text
    assert "no worker could be started" in text


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["-O", "queue.store=postgres://x", "queue"], ExitCode.USAGE, "use memory://, sqlite:///path"),
        (["-O", "queue.store=redis://db.example.org", "queue"], ExitCode.USAGE, "rediss://"),
        (["-O", "queue.store=sqlite://", "queue"], ExitCode.USAGE, "sqlite:///relative/path"),
        (["-O", "queue.store=sqlite:////proc/none/x", "queue"], ExitCode.USAGE, "No such file"),
        (["-O", "queue.socket=/nonexistent/q", "queue"], ExitCode.USAGE, "no queue is served at /nonexistent/q"),
        (["queue", "serve", "/nonexistent/q"], ExitCode.ERROR, "No such file"),
        (["queue", "add"], ExitCode.USAGE, "command"),
        (["queue", "add", "--json", "--", "[1"], ExitCode.USAGE, "no JSON"),
        (["queue", "workers", "-w", "node1"], ExitCode.USAGE, "--module"),
        (["queue", "map", "--", "true"], ExitCode.USAGE, "no items"),
        (["queue", "map", "--halt", "often", "--", "true", ":::", "a"], ExitCode.USAGE, "fail=5%"),
        (["queue", "map", "--resume", "--", "true", ":::", "a"], ExitCode.USAGE, "--joblog"),
        (["queue", "drain", "node1"], ExitCode.USAGE, "no such node works"),
        (["queue", "wait"], ExitCode.USAGE, "no map"),
        (["queue", "--help"], ExitCode.OK, "runs a command once per item"),
        (["queue", "map", "--help"], ExitCode.OK, "--joblog FILE"),
    ],
)
def test_what_is_wrong_is_said(
    words: list[str],
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name in ("STATE", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"CLUSTERDECK_{name}_DIR", str(tmp_path / name.lower()))
    returned = main(words)
    said = "".join(capfd.readouterr())
    assert (returned, message in said) == (code, True), said
    assert "Traceback" not in said


def test_a_drained_queue_ends_when_all_is_done_and_fetched(shell: Shell) -> None:
    server = shell.start("serve", until="served at")
    shell("add", "-T", "double", "--json", "--", "21")
    assert "it ends once" in shell("drain") + shell()
    assert "goes on" in shell("drain", "--undo")
    assert "it ends once" not in shell()
    shell("drain")
    (shell.folder / "doubling.py").write_text("def do_double(number): return 2 * number\n")
    words = [sys.executable, "-m", "clusterdeck", "worker", "--socket", str(shell.folder / "state" / "queue.sock")]
    worker = subprocess.Popen([*words, str(shell.folder / "doubling.py")], env=shell.environment)
    assert "42" in shell.results(1)
    assert server.wait(60) == ExitCode.OK
    assert server.stderr is not None
    assert "the queue is empty and ends" in server.stderr.read()
    server.stderr.close()
    assert worker.wait(60) in (0, 1)


def test_the_words_of_the_shell_are_commands() -> None:
    known = {name for spec in default_registry() for name in (spec.word, *spec.aliases)}
    assert {f"queue {word}" for word in QUEUE_WORDS} <= known
