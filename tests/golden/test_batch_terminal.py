"""`clusterdeck run` on a terminal: passwords are asked for there once, and lines with nodes only open the prompt."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from clusterdeck.console.exits import ExitCode
from clusterdeck.tests.support.sshd import Sshd
from clusterdeck.tests.support.terminal import PtyRecorder

#: Asks as sudo -S does, and takes the password "right" only.
_SUDO = """#!/usr/bin/env python3
import os, sys
assert sys.argv[1:3] == ["-S", "-p"] and sys.argv[4] == "--", sys.argv
for attempt in range(3):
    os.write(2, sys.argv[3].encode())
    line = b""
    while (c := os.read(0, 1)) not in (b"", b"\\n"):
        line += c
    os.write(2, b"\\n")
    if line == b"right":
        os.execv(sys.argv[5], sys.argv[5:])
sys.exit(1)
"""


@pytest.fixture
def nodes(tmp_path: Path, make_sshd: Callable[..., Sshd]) -> Sshd:
    """A server whose account has a `sudo` that asks for a password."""
    program = tmp_path / "bin" / "sudo"
    program.parent.mkdir()
    program.write_text(_SUDO)
    program.chmod(0o755)
    return make_sshd(SetEnv=f"PATH={program.parent}:/usr/bin:/bin")


def words(server: Sshd, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "clusterdeck", "run", "-O", f"ssh.config={server.config}", "-w", "node[1-3]", *more,
    ]  # fmt: skip


def test_the_password_is_asked_once_and_not_shown(nodes: Sshd, tmp_path: Path) -> None:
    # Output goes to a file and input comes from one: the terminal is asked all the same.
    script = '"$@" <"$0.in" >"$0.out"; echo "code $?"'
    base = tmp_path / "run"
    base.with_suffix(".in").write_text("input\n")
    argv = ["/bin/sh", "-c", script, str(base), *words(nodes, "--sudo", "-b", "cat; echo done")]
    with PtyRecorder(argv) as terminal:
        terminal.wait_for(b"password for")
        terminal.wait_for(b"): ")
        terminal.send(b"right\n")
        terminal.wait_for(b"code 0")
        assert terminal.wait() == 0
        shown = terminal.data
    assert b"right" not in shown
    assert shown.count(b"password for") == 1
    assert "input\ndone\n" in base.with_suffix(".out").read_text()


def test_a_wrong_password_is_tried_on_one_node(nodes: Sshd) -> None:
    with PtyRecorder(words(nodes, "--sudo", "-b", "-S", "echo ran")) as terminal:
        terminal.wait_for(b"): ")
        terminal.send(b"wrong\n")
        assert terminal.wait() == 1  # what sudo returned
        shown = terminal.data
    assert b"ran" not in shown
    assert b"rejected" in shown


def test_without_a_terminal_the_refusal_names_the_remedy(nodes: Sshd) -> None:
    done = subprocess.run(
        words(nodes, "--sudo", "-S", "echo ran"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        start_new_session=True,
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    assert "NOPASSWD" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_mode_gives_the_password_as_the_first_line(tmp_path: Path) -> None:
    conf = tmp_path / "clush.conf"
    conf.write_text("[Main]\n[mode:ask]\npassword_prompt: yes\ncommand_prefix: env X=1\n")
    argv = [sys.executable, "-m", "clusterdeck", "run", "-R", "exec", "-w", "n[1-2]", "-b"]
    argv += ["--conf", str(conf), "-m", "ask", "sh -c 'read word; test \"$word\" = geheim && echo $X yes'"]
    with PtyRecorder(argv) as terminal:
        terminal.wait_for(b"Password: ")
        terminal.send(b"geheim\n")
        terminal.wait_for(b"1 yes")
        assert terminal.wait() == 0
        assert b"geheim" not in terminal.data
    refused = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, start_new_session=True)
    assert refused.returncode == ExitCode.REFUSED
    assert "no terminal" in refused.stderr


def test_only_nodes_on_a_terminal_open_the_prompt(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "clusterdeck", "run", "-R", "exec", "-w", "n[1-3]", "-x", "n2", "-f", "7"]
    with PtyRecorder(argv) as terminal:
        terminal.wait_for(b"n[1,3]")
        terminal.send(b":set fanout\r")
        terminal.wait_for(b"run.fanout = 7  (flag")
        terminal.send(b"echo it is %h\r")
        terminal.wait_for(b"it is n3")
        terminal.wait_for(b"ok 2")  # the run is over, so nothing is asked
        terminal.send(b":quit\r")
        assert terminal.wait() == 0


def test_progress_is_for_terminals_only() -> None:
    argv = [
        sys.executable,
        "-m",
        "clusterdeck",
        "run",
        "-R",
        "exec",
        "-w",
        "n[1-3]",
        "-P",
        "-b",
        "sleep 0.5; echo over",
    ]
    piped = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    assert (piped.returncode, piped.stderr) == (0, "")
    with PtyRecorder(argv) as terminal:
        terminal.wait_for(b"0/3")
        assert terminal.wait() == 0
        # What came at last stands where the progress was.
        assert [line for line in terminal.screen() if line.strip()][:4] == ["-" * 15, "n[1-3] (3)", "-" * 15, "over"]
