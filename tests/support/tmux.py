"""A program in a real terminal: tmux on a socket of its own, driven by keys and read as text."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_POLL = 0.03


class TmuxError(RuntimeError):
    """tmux is missing or refused; the message says which."""


class Tmux:
    """One tmux server with one pane of `columns` x `rows`, in which `argv` runs.

    cwd: where the program starts. When it ends the pane stays, with its last screen. Use as a context manager.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        columns: int = 80,
        rows: int = 24,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        program = shutil.which("tmux")
        if program is None:
            raise TmuxError("tmux is missing: `apt-get install tmux`")
        # Not pytest's own folder: the path of a socket may have about 100 bytes.
        self._folder = tempfile.TemporaryDirectory(prefix="deck-tmux-")
        self._base = [program, "-S", f"{self._folder.name}/socket", "-f", os.devnull]
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("TMUX")}
        self._environment |= {"TERM": "xterm-256color", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"} | dict(
            environment or {}
        )
        self.started = time.monotonic()
        # The first command starts the server; remain-on-exit must be set before the program can end.
        self._tmux(
            *("start-server", ";", "set-option", "-g", "remain-on-exit", "on", ";"),
            *(
                "set-option",
                "-g",
                "default-terminal",
                "tmux-256color",
                ";",
                "set-option",
                "-s",
                "escape-time",
                "0",
                ";",
            ),
            *("new-session", "-d", "-x", str(columns), "-y", str(rows), "-c", str(cwd or Path.cwd()), shlex.join(argv)),
        )

    def __enter__(self) -> Tmux:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._base, *arguments],
            capture_output=True,
            text=True,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            timeout=20,
            check=False,
        )
        if done.returncode:
            raise TmuxError(f"tmux {shlex.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def close(self) -> None:
        """End the tmux server and what runs in it (a hang-up, as when a terminal window is closed)."""
        with contextlib.suppress(TmuxError):  # it may have gone already
            self._tmux("kill-server")
        self._folder.cleanup()

    def send(self, text: str) -> None:
        """Type this text."""
        self._tmux("send-keys", "-l", "--", text)

    def key(self, *names: str) -> None:
        """Press keys by tmux's names: "Enter", "C-c", "F1", "Up"."""
        self._tmux("send-keys", "--", *names)

    def line(self, text: str) -> None:
        """Type a line and press Enter."""
        self.send(text)
        self.key("Enter")

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size."""
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def screen(self) -> str:
        """What the terminal shows now, without trailing blanks."""
        return self._tmux("capture-pane", "-p").rstrip()

    def coloured_screen(self) -> str:
        """What the terminal shows now, with its colour sequences."""
        return self._tmux("capture-pane", "-p", "-e")

    @property
    def pid(self) -> int:
        """Process id of the program."""
        return int(self._ask("#{pane_pid}"))

    @property
    def exit_status(self) -> int | None:
        """The program's exit status, None while it runs, 128 + N when signal N ended it."""
        dead, status, number = self._ask("#{pane_dead};#{pane_dead_status};#{pane_dead_signal}").split(";")
        if dead != "1":
            return None
        if not (status or number):
            # The terminal is closed, but tmux has not waited for the process yet; tmux 3.3 now and then misses its
            # signal altogether. The end of any other child makes it look again.
            self._tmux("run-shell", "true")
            return None
        return int(status) if status else 128 + int(number or 0)

    def _ask(self, question: str) -> str:
        return self._tmux("display-message", "-p", question).strip()

    def wait_for(self, wanted: str | re.Pattern[str] | Callable[[str], object], timeout: float = 20.0) -> str:
        """Wait until the screen contains a text, matches a pattern or satisfies a function; returns the screen.

        Raises AssertionError with the last screen after `timeout` seconds, or when the program has ended before.
        """
        deadline = time.monotonic() + timeout
        while True:
            ended = self.exit_status is not None
            shown = self.screen()
            if _matches(wanted, shown):
                return shown
            if ended or time.monotonic() > deadline:
                why = f"the program ended ({self.exit_status})" if ended else f"not seen within {timeout:g} s"
                raise AssertionError(f"{wanted!r}: {why}; the screen was:\n{shown}")
            time.sleep(_POLL)  # a terminal has no event to wait for

    def wait_exit(self, timeout: float = 20.0) -> int:
        """Wait until the program has ended; returns its status."""
        deadline = time.monotonic() + timeout
        while (status := self.exit_status) is None:
            if time.monotonic() > deadline:
                raise AssertionError(f"still running after {timeout:g} s; the screen was:\n{self._last_words()}")
            time.sleep(_POLL)
        return status

    def _last_words(self) -> str:
        """The screen; then, of a Python program started with `-X faulthandler`, where its threads are."""
        shown = self.screen()
        os.kill(self.pid, signal.SIGABRT)
        deadline = time.monotonic() + 5
        while self.exit_status is None and time.monotonic() < deadline:
            time.sleep(_POLL)
        return f"{shown}\n{self._tmux('capture-pane', '-p', '-S', '-500').strip()}"


def _matches(wanted: str | re.Pattern[str] | Callable[[str], object], shown: str) -> bool:
    if isinstance(wanted, str):
        return wanted in shown
    if isinstance(wanted, re.Pattern):
        return wanted.search(shown) is not None
    return bool(wanted(shown))
