"""The job log: one line per job that ended, with GNU parallel's columns, and what `--resume` reads from it."""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

COLUMNS = ("Seq", "Host", "Starttime", "JobRuntime", "Send", "Receive", "Exitval", "Signal", "Command")
_HEADER = "\t".join(COLUMNS) + "\n"


class JobLogError(Exception):
    """The file is no job log or cannot be used; the message names file and line."""


@dataclass(frozen=True, slots=True)
class JobLine:
    """One job: number from 1, node, start (seconds since the epoch), seconds, bytes, exit status, signal, command."""

    number: int
    node: str
    start: float
    runtime: float
    sent: int
    received: int
    exit_status: int
    signal: int
    command: str

    @property
    def succeeded(self) -> bool:
        """Whether it need not be run again."""
        return self.exit_status == 0 and self.signal == 0

    def text(self) -> str:
        """The line for the file; tabs and newlines of a command become blanks."""
        command = self.command.replace("\t", " ").replace("\n", " ").replace("\r", " ")
        node = "".join(c if c.isprintable() and c != "\t" else "?" for c in self.node)
        times = f"{self.start:.3f}\t{self.runtime:10.3f}"
        ends = f"{self.sent}\t{self.received}\t{self.exit_status}\t{self.signal}"
        return f"{self.number}\t{node}\t{times}\t{ends}\t{command}\n"


class JobLog:
    """Appends to a job log, a line at a time, so that it is whole whenever the program ends. JobLogError.

    append: keep what is there (resume); else the file is begun anew.
    """

    def __init__(self, path: str | os.PathLike[str], *, append: bool = False) -> None:
        self.path = Path(path)
        mode = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_APPEND | (0 if append else os.O_TRUNC)
        try:
            # Commands may hold secrets.
            self._file = os.open(self.path, mode, 0o600)
        except OSError as error:
            raise JobLogError(f"job log {self.path}: {error.strerror or error}") from error
        try:
            size = self._whole()
            if size == 0:
                self._write(_HEADER)
        except BaseException:
            self.close()
            raise

    def add(self, line: JobLine) -> None:
        """One more job ended. JobLogError where it cannot be written; then the file is as it was."""
        self._write(line.text())

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _whole(self) -> int:
        """Take away a last line that was cut short; the size of the rest, in bytes."""
        size = at = os.fstat(self._file).st_size
        while at and stat.S_ISREG(os.fstat(self._file).st_mode):
            begin = max(0, at - 65536)
            end = os.pread(self._file, at - begin, begin).rfind(b"\n") + 1
            if end:
                at = begin + end
                break
            at = begin
        if at != size:
            os.ftruncate(self._file, at)
        return at

    def _write(self, text: str) -> None:
        data = memoryview(text.encode("utf-8", "surrogateescape"))
        size = os.fstat(self._file).st_size
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            with contextlib.suppress(OSError):  # it is no file; or part of a line stays
                os.ftruncate(self._file, size)
            raise JobLogError(f"job log {self.path}: {error.strerror or error}") from error


def read_job_log(path: str | os.PathLike[str]) -> dict[int, JobLine]:
    """The last line of each job, by number; {} when there is no file. A line cut short at the end is passed over."""
    try:
        text = Path(path).read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise JobLogError(f"job log {path}: {error.strerror or error}") from error
    lines = text.split("\n")
    if lines[0] and lines[0] + "\n" != _HEADER:
        raise JobLogError(f"job log {path}: the first line is not that of a job log")
    found: dict[int, JobLine] = {}
    for place, line in enumerate(lines[1:], 2):
        if not line:
            continue
        job = _parsed(line)
        if job is not None:
            found[job.number] = job
        elif place < len(lines) - 1:
            raise JobLogError(f"job log {path}, line {place}: not the {len(COLUMNS)} columns of a job log")
    return found


def _parsed(line: str) -> JobLine | None:
    fields = line.split("\t", len(COLUMNS) - 1)
    if len(fields) != len(COLUMNS):
        return None
    try:
        number, start, runtime = int(fields[0]), float(fields[2]), float(fields[3])
        sent, received, status, signal = (int(field) for field in fields[4:8])
    except ValueError:
        return None
    return JobLine(number, fields[1], start, runtime, sent, received, status, signal, fields[8])


def finished_jobs(path: str | os.PathLike[str], *, failed_again: bool) -> set[int]:
    """Numbers of jobs that need not run: all in the log (`--resume`), or those that succeeded (`--resume-failed`)."""
    return {number for number, job in read_job_log(path).items() if job.succeeded or not failed_again}
