"""The audit log: who ran what where with which result, one JSON object per line, 0600, each line chained to the last.

`chain` of a line is the BLAKE2b-256 of the line before it, so that a line taken out or changed later shows
(`verify_chain`). Several consoles of one user may write to one log: each line is written under a lock.
"""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...engine.states import NodeState
from ..language.redact import redact
from ..runs.digest import blake2b
from ..runs.runs import Run
from ..settings import paths
from ..settings.settings import Settings

_PIECE = 64 * 1024


class AuditError(OSError):
    """The audit log cannot be written, and the settings demand it."""


class AuditLog:
    """Writes the log of one session.

    settings: what runs do where their options do not say, and whether a line that cannot be written raises AuditError;
    otherwise `warn` hears of the first failure only. copy: gets every record that was written.
    """

    def __init__(
        self,
        file: Path,
        settings: Settings,
        warn: Callable[[str], None],
        copy: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        self._file = file
        self._run_settings = settings.run
        self._copy = copy
        self._required = settings.records.audit_required
        self._warn = warn
        self._warned = False
        self._session = f"{int(time.time())}-{os.getpid()}"

    def submitted(self, run: Run) -> None:
        """A run is about to start. Raises AuditError if it must not without a record."""
        options = run.options
        record: dict[str, Any] = {
            "event": "run",
            "run": run.id,
            "kind": run.kind,
            "command": redact(run.command),
            "nodes": str(run.nodes),
            "count": len(run.names),
            **_who(),
            "sudo": options.sudo or (run.kind != "local" and self._run_settings.sudo),
        }
        for key in ("worker", "user", "batch", "stop_at"):
            value = getattr(options, key) or (run.kind != "local" and getattr(self._run_settings, key, None))
            if value:
                record[key] = value
        if run.kind in ("copy", "rcopy"):
            record["destination"] = redact(os.path.abspath(run.destination) if run.kind == "rcopy" else run.destination)
        if run.retry_of is not None:
            record["retry_of"] = run.retry_of
        if run.timer is not None:
            record["timer"] = run.timer
        self.write(record)

    def finished(self, run: Run) -> None:
        """A run ended. Never raises: what has run has run, and there is nothing left to refuse."""
        self.write_end(self.end_of(run))

    def end_of(self, run: Run) -> Mapping[str, Any]:
        """The record of a run's end, at the time of now, for `write_end`; touches no disk."""
        codes = {str(rc): run.fold(numbers) for rc, numbers in run.return_codes().items()}
        bad = {state.word: str(run.node_set(state)) for state in NodeState if state.bad and run.count(state)}
        bad.pop("failed", None)
        return {
            "time": _now(),
            "event": "end",
            "run": run.id,
            "seconds": round((run.ended or run.started) - run.started, 3),
            "counts": {state.word: run.count(state) for state in NodeState if run.count(state)},
            "rc": codes,
            "bytes": run.output.bytes_total,
            **bad,
        }

    def write_end(self, record: Mapping[str, Any]) -> None:
        """Write down how a run ended. Never raises."""
        try:
            self.write(record)
        except AuditError as error:
            self._warn(str(error))

    def note(self, what: str, **content: Any) -> None:
        """Something else that belongs into the log, such as an accepted host key."""
        self.write({"event": what, **content, **_who()})

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one line. Raises AuditError where that fails and is required."""
        record = {"time": _now(), "session": self._session, **record}
        try:
            self._append(record)
            if self._copy is not None:
                self._copy(record)
        except OSError as error:
            reason = f"the audit log {self._file} cannot be written: {error.strerror or error}"
            if self._required:
                raise AuditError(reason) from error
            if not self._warned:
                self._warned = True
                self._warn(reason)

    def _append(self, record: Mapping[str, Any]) -> None:
        descriptor = paths.private_file(self._file, os.O_RDWR | os.O_APPEND)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            size = os.fstat(descriptor).st_size
            last, ended = _last_line(descriptor, size)
            chain = blake2b(last, digest_size=32).hexdigest() if size else ""
            line = json.dumps({**record, "chain": chain}, ensure_ascii=True) + "\n"
            data = line.encode() if ended else b"\n" + line.encode()
            if os.write(descriptor, data) != len(data):
                # Half a line would take the next one with it.
                os.ftruncate(descriptor, size)
                raise OSError(28, "no space left on the device")
        finally:
            os.close(descriptor)


def _last_line(descriptor: int, size: int) -> tuple[bytes, bool]:
    """The last line of a file of `size` bytes, without its end, and whether it has one."""
    tail = b""
    # A line may name a hundred thousand nodes, so it may be longer than one piece.
    while b"\n" not in tail[:-1] and len(tail) < size:
        start = max(0, size - len(tail) - _PIECE)
        tail = os.pread(descriptor, size - len(tail) - start, start) + tail
    ended = not tail or tail.endswith(b"\n")
    return tail.removesuffix(b"\n").rpartition(b"\n")[2], ended


def verify_chain(file: Path) -> int | None:
    """The number of the first line that does not follow from the one before it; None when all do. Raises OSError."""
    previous = ""
    with file.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            try:
                chain = json.loads(line)["chain"]
            except (ValueError, KeyError, TypeError):
                return number
            if number > 1 and chain != previous:
                return number
            previous = blake2b(line.rstrip(b"\n"), digest_size=32).hexdigest()
    return None


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + "Z"


def _who() -> dict[str, Any]:
    """Whose doing it is, and from where."""
    source = os.environ.get("SSH_CONNECTION", "").partition(" ")[0]
    return {"who": _user(), "uid": os.getuid(), "from": source or "local"}


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
