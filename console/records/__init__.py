"""What is written down: the audit log, and finished runs on disk."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from ..runs.disk_writer import DiskWriter
from ..runs.runs import Run
from ..settings import paths
from ..settings.settings import Settings
from .audit import AuditError, AuditLog

if TYPE_CHECKING:
    from .archive import RunArchive

__all__ = ["AuditError", "AuditLog", "Records", "open_records"]


class Records:
    """What a session tells: `submitted` before a run, `finished` after it.

    writer: the thread in which the audit log is written, so that the end of a run never waits for the disk; without
    one (nobody looks at a screen) everything is written at once. warn: hears of what was not written when it closed.
    """

    def __init__(
        self,
        audit: AuditLog | None,
        archive: RunArchive | None = None,
        writer: DiskWriter | None = None,
        warn: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.audit = audit
        self.archive = archive
        self._writer = writer
        self._warn = warn
        self._closed = False

    def submitted(self, run: Run) -> None:
        """Waits until it is written; raises AuditError where the run must not happen without a record."""
        if self.audit is not None:
            self._write(partial(self.audit.submitted, run))

    def finished(self, run: Run) -> None:
        """In the pump's thread, which does not wait where there is a writer."""
        if self.audit is not None and self._writer is not None:
            # The ends that wait are no more than the runs that were under way: the next `submitted` waits for them.
            self._writer.submit(partial(self.audit.write_end, self.audit.end_of(run)))
        elif self.audit is not None:
            self.audit.finished(run)
        if self.archive is not None:
            self.archive.add(run)

    def note(self, what: str, content: Mapping[str, Any]) -> None:
        """Something that is no run (a job of the queue); any thread. Raises AuditError as `submitted` does."""
        if self.audit is not None:
            self._write(partial(self.audit.note, what, **content))

    def trusted(self, keys: Sequence[Any]) -> None:
        """Host keys that the operator accepted; any thread."""
        if self.audit is not None:
            accepted = [{"node": key.node, "type": key.type, "fingerprint": key.fingerprint} for key in keys]
            self._write(partial(self.audit.note, "host keys accepted", keys=accepted))

    def close(self) -> None:
        """Finish what is being written; idempotent. Before the runs are forgotten. A disk that hangs is given up."""
        if self._closed:
            return
        self._closed = True
        left = 0 if self._writer is None else self._writer.close()
        if left:
            self._warn(f"records that the audit log lacks, as the disk does not answer: {left}")
        left = 0 if self.archive is None else self.archive.close()
        if left:
            self._warn(f"runs that are not kept, as the disk does not answer: {left}")

    def _write(self, job: Callable[[], None]) -> None:
        """After all that was to be written before; raises what the job raises."""
        if self._writer is None:
            job()
        else:
            self._writer.call(job)


@contextmanager
def open_records(
    settings: Settings, *, interactive: bool, warn: Callable[[str], None] | None = None
) -> Iterator[Records]:
    """The records that the settings ask for. warn: hears of what cannot be written (stderr by default).

    Raises AuditError where the audit log is required and its folder cannot be had.
    """
    tell = warn or (lambda text: print(f"clusterdeck: {text}", file=sys.stderr))  # noqa: T201
    audit = None
    if settings.records.audit:
        try:
            audit = AuditLog(paths.audit_file(), settings, tell, _copy(settings))
        except OSError as error:
            if settings.records.audit_required:
                raise AuditError(str(error)) from error
            tell(f"no audit log: {error}")
    archive = _archive(settings, tell) if interactive and settings.records.keep_runs else None
    records = Records(audit, archive, DiskWriter("audit") if interactive else None, tell)
    try:
        yield records
    finally:
        records.close()


def _copy(settings: Settings) -> Callable[[Mapping[str, Any]], None] | None:
    if not settings.records.syslog:
        return None
    from .system_log import SystemLog

    return SystemLog().send


def _archive(settings: Settings, tell: Callable[[str], None]) -> RunArchive | None:
    from .archive import RunArchive  # interactive sessions only

    try:
        return RunArchive(paths.runs_dir(), settings.records.runs_quota, tell)
    except OSError as error:
        tell(f"runs are not kept on disk: {error}")
        return None
