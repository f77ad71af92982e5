"""A program on a pseudo terminal, every byte that it writes kept: what really reaches an operator's terminal."""

from __future__ import annotations

import contextlib
import os
import subprocess
import termios
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyte


class PtyRecorder:
    """Runs `argv` on a terminal of `columns` x `rows`. Use as a context manager; leaving kills what still runs."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        columns: int = 80,
        rows: int = 24,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self._size = (columns, rows)
        self._master, slave = os.openpty()
        termios.tcsetwinsize(slave, (rows, columns))
        # Opening the terminal as a session leader makes it the controlling one, without code between fork and exec.
        script = 'exec <"$1" >"$1" 2>&1; shift; exec "$@"'
        try:
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", script, "sh", os.ttyname(slave), *argv],
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env={**os.environ, "TERM": "xterm-256color", **(environment or {})},
                cwd=cwd,
                start_new_session=True,
            )
        finally:
            os.close(slave)
        self._data = bytearray()
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, name="pty-recorder", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                chunk = os.read(self._master, 65536)
            except OSError:  # EIO: nobody has the terminal open any more
                chunk = b""
            with self._changed:
                self._data += chunk
                self._ended = not chunk
                self._changed.notify_all()
            if not chunk:
                return

    @property
    def data(self) -> bytes:
        """Everything written so far."""
        with self._changed:
            return bytes(self._data)

    def send(self, data: bytes) -> None:
        """Type these bytes."""
        os.write(self._master, data)

    def wait_for(self, wanted: bytes, timeout: float = 20.0, start: int = 0) -> int:
        """Wait until `wanted` has been written, at or after position `start`; returns the position after it."""
        with self._changed:
            found = self._changed.wait_for(lambda: wanted in self._data[start:] or self._ended, timeout)
            place = self._data.find(wanted, start)
            if place < 0:
                why = "the program ended" if found else f"not written within {timeout:g} s"
                raise AssertionError(f"{wanted!r}: {why}; written: {bytes(self._data[-2000:])!r}")
            return place + len(wanted)

    def screen(self) -> list[str]:
        """The rows that a terminal would show now."""
        screen = pyte.Screen(*self._size)
        pyte.ByteStream(screen).feed(self.data)
        return [row.rstrip() for row in screen.display]

    def wait(self, timeout: float = 20.0) -> int:
        """Wait for the program's end and its last byte; returns its status."""
        status = self.process.wait(timeout)
        self._reader.join(timeout)
        return status

    def close(self) -> None:
        """Kill the program if it still runs, and let go of the terminal."""
        if self.process.poll() is None:
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, 9)
            self.process.wait()
        self._reader.join(5)
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def __enter__(self) -> PtyRecorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
