"""The harness's terminals and leak checks see what happens, and fail where they should."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from pathlib import Path

import pytest

from clusterdeck.tests.support.leaks import no_leaks
from clusterdeck.tests.support.terminal import PtyRecorder
from clusterdeck.tests.support.tmux import Tmux


def test_tmux_types_reads_resizes_and_ends() -> None:
    script = "trap 'echo; stty size' WINCH; stty size; while read -r line; do echo \"<$line>\"; done; exit 5"
    with Tmux(["/bin/bash", "-c", script], columns=90, rows=20) as terminal:
        terminal.wait_for("20 90")
        terminal.line("a; b 'c' #d -e")
        terminal.wait_for("<a; b 'c' #d -e>")
        terminal.resize(100, 30)
        terminal.line("x")
        terminal.wait_for("30 100")
        assert terminal.exit_status is None
        terminal.key("C-d")
        assert terminal.wait_exit() == 5
        with pytest.raises(AssertionError, match="ended"):
            terminal.wait_for(re.compile("never"))


def test_tmux_says_what_was_not_seen() -> None:
    with Tmux(["/bin/sh", "-c", "echo this; read x"]) as terminal:
        terminal.wait_for("this")
        with pytest.raises(AssertionError, match=r"'that': not seen within 0\.2 s; the screen was:\nthis"):
            terminal.wait_for("that", timeout=0.2)


def test_the_recorder_keeps_every_byte() -> None:
    with PtyRecorder(
        ["/bin/sh", "-c", r"printf 'a\033]0;title\007b'; read x; test -t 0; exit 4"], columns=40
    ) as recorder:
        end = recorder.wait_for(b"\x07b")
        assert recorder.data == b"a\x1b]0;title\x07b"
        assert recorder.screen()[0] == "ab"
        recorder.send(b"y\r")
        recorder.wait_for(b"y", start=end)
        assert recorder.wait() == 4


def test_leaks_are_found_and_named(tmp_path: Path) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="forgotten")
    leaked: list[tuple[subprocess.Popen[bytes], int]] = []

    def leak() -> None:
        with no_leaks(settle=0.2):
            thread.start()
            leaked.append((subprocess.Popen(["sleep", "985"]), os.open(tmp_path, os.O_RDONLY)))

    try:
        with pytest.raises(AssertionError) as failure:
            leak()
    finally:
        stop.set()
        thread.join()
        for child, fd in leaked:
            child.kill()
            child.wait()
            os.close(fd)
    message = str(failure.value)
    assert "forgotten" in message
    assert "sleep 985" in message
    assert str(tmp_path) in message
    with no_leaks():
        subprocess.run(["true"], check=True)
