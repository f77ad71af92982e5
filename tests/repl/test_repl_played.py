"""The REPL without a terminal: lines of a pipe, output to files; and what it may import."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest

from clusterdeck.console.exits import ExitCode


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    moved = {f"CLUSTERDECK_{kind}_DIR": str(tmp_path / kind.lower()) for kind in ("CONFIG", "STATE", "CACHE")}
    return {**os.environ, **moved, "LC_ALL": "C.UTF-8"}


COMMAND = [sys.executable, "-m", "clusterdeck", "repl", "-w", "node[1-3]", "-O", "run.worker=exec"]


def play(lines: str, environment: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *options]
    with subprocess.Popen(
        command, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True, env={**environment, "PYTHONFAULTHANDLER": "1"}
    ) as process:
        try:
            out, err = process.communicate(lines, timeout=60)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # says where every thread stands
            out, err = process.communicate()
            pytest.fail(f"still running after 60 s; {out}\n{err}")
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def test_lines_are_played_in_order_each_waiting_for_the_one_before(environment: dict[str, str]) -> None:
    done = play(
        "sleep 0.3; echo first\n# a comment\n\n:shell -w node7 -- echo second %h\n:quit\necho never\n", environment
    )
    assert done.returncode == ExitCode.OK, done.stderr
    assert done.stdout.index("node1: first") < done.stdout.index("node7: second node7")
    assert "never" not in done.stdout


def test_stdout_has_the_answers_and_stderr_what_became_of_them(environment: dict[str, str]) -> None:
    done = play("echo same; exit %n\n", environment, "-O", "screen.output=gathered")
    assert done.stdout == "---------------\nnode[1-3] (3)\n---------------\nsame\n"
    assert "#1 echo same; exit %n" in done.stderr
    assert "node2 (1): x failed: rc 1" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_answers_come_once_and_name_their_node(environment: dict[str, str]) -> None:
    done = play("echo same\n", environment)
    assert sorted(done.stdout.splitlines()) == [f"node{n}: same" for n in (1, 2, 3)]
    both = play("echo same\n", environment, "-O", "screen.output=both").stdout.splitlines()
    assert sorted(both[:3]) == sorted(done.stdout.splitlines())
    assert both[-1] == "same"


def test_failed_nodes_do_not_end_it_but_a_line_that_cannot_be_done_does(environment: dict[str, str]) -> None:
    done = play("false\n:retry\necho still\n:nonsense\necho never\n", environment)
    assert done.returncode == ExitCode.USAGE
    assert "node1: still" in done.stdout
    assert "there is no command :nonsense" in done.stderr
    assert "never" not in done.stdout


def test_nobody_agrees_where_nobody_is_asked(environment: dict[str, str]) -> None:
    done = play("echo touched\n", environment, "-O", "safety.protected=node2")
    assert done.returncode == ExitCode.REFUSED
    assert "touched" not in done.stdout


def test_an_unfinished_last_line_counts_too(environment: dict[str, str]) -> None:
    assert "node3: end" in play("echo end", environment).stdout


def test_timers_that_end_by_themselves_are_waited_for(environment: dict[str, str]) -> None:
    done = play(":timer --count 2 0.1s -w a -- echo counted\n:timer --once 0.1s -w b -- echo later\n", environment)
    assert done.returncode == ExitCode.OK, done.stderr
    said = [re.sub(r"^#\d+ ", "", line) for line in done.stdout.splitlines()]  # numbered where runs overlap
    assert sorted(said) == ["a: counted", "a: counted", "b: later"]
    done = play(":timer 1h -w a -- echo endless\n", environment)
    assert done.returncode == ExitCode.OK
    assert "timer 1 ends here, with the last line" in done.stderr
    assert "timer 1 ended: cancelled" in done.stderr


def test_an_interrupt_ends_the_wait_for_timers(environment: dict[str, str]) -> None:
    with subprocess.Popen(COMMAND, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(":timer --count 9 1h -w a -- echo one\n")
        process.stdin.close()
        assert process.stdout.readline() == "a: one\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == ExitCode.INTERRUPTED


def test_output_of_nodes_passes_the_gate(environment: dict[str, str]) -> None:
    done = play("printf 'a\\033]0;x\\007b\\n'\n", environment)
    assert "node1: ab\n" in done.stdout
    assert "\x1b" not in done.stdout


def test_when_the_reader_goes_away_nothing_else_is_begun(environment: dict[str, str], tmp_path: Path) -> None:
    script = "seq 1000 | sed 's/^/echo /' | \"$@\" 2>err | head -n 2; cat err >&2"
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", *COMMAND],
        capture_output=True, text=True, timeout=60, env=environment, cwd=tmp_path,
    )  # fmt: skip
    assert len(done.stdout.splitlines()) == 2
    assert "Traceback" not in done.stderr


def test_an_interrupt_stops_what_runs_and_is_told_by_the_code(environment: dict[str, str], tmp_path: Path) -> None:
    marker = tmp_path / "begun"
    with subprocess.Popen(COMMAND, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"echo > {marker}; echo out; exec sleep 60\necho never\n")
            process.stdin.flush()
            for _ in range(3):
                assert process.stdout.readline().endswith("out\n")
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == ExitCode.INTERRUPTED
    assert "aborted 3" in err
    assert "never" not in out


def test_neither_textual_nor_an_ssh_library_is_imported(environment: dict[str, str]) -> None:
    script = (
        "import sys\n"
        "from clusterdeck.console.cli import main\n"
        "code = main(['repl', '-w', 'n1', '-O', 'run.worker=exec'])\n"
        "found = {name.partition('.')[0] for name in sys.modules} & {'textual', 'rich', 'paramiko', 'cryptography'}\n"
        "print(code, sorted(found))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], input="echo out\n", capture_output=True, text=True, timeout=60, env=environment
    )
    assert done.stdout.splitlines()[-1] == "0 []", done.stdout + done.stderr
