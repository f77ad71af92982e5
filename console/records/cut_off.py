"""Copies whose console was killed while they ran, as the audit log tells: they begin there and never end."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: What a copy writes to until it is complete (the engine's temporary names).
PATTERN = ".clusterdeck-????????????????"
#: Folders of a destination that are looked into, at most; a copy back may have gone to the root folder.
_MOST_FOLDERS = 10_000


@dataclass(frozen=True, slots=True)
class CutOff:
    """One such copy. kind: "copy" (to the nodes) or "rcopy" (to here); destination: where it went."""

    kind: str
    time: str
    nodes: str
    destination: str

    def remedy(self) -> str:
        """A command that removes what was left: of the own account, and not touched for a day."""
        places = shlex.quote(self.destination or ".")
        if self.kind == "copy":
            # The destination may be the file, and what was left is beside it then.
            above = os.path.dirname(self.destination.rstrip("/"))
            places += f" {shlex.quote(os.path.join(above, ''))}{PATTERN}" if above else f" {PATTERN}"
        owner = f'-user "$(id -un)" -name {shlex.quote(PATTERN)} -cmin +1440'
        return f"find {places} -xdev -type f {owner} -print -delete"


def copies_cut_off(log: Path) -> list[CutOff]:
    """The copies of this log that never ended and whose console is no more, oldest first. Raises OSError."""
    open_: dict[tuple[str, int], CutOff] = {}
    with log.open("rb") as stream:
        for line in stream:
            # Most lines are of other things, and reading them as JSON is what takes time.
            if b'"event": "end"' not in line and b'"destination"' not in line:
                continue
            try:
                record = json.loads(line)
                key = (str(record["session"]), int(record["run"]))
                if record["event"] == "end":
                    open_.pop(key, None)
                elif record["kind"] in ("copy", "rcopy"):
                    words = (record[name] for name in ("kind", "time", "nodes", "destination"))
                    open_[key] = CutOff(*map(str, words))
            except (ValueError, KeyError, TypeError):
                continue
    return [copy for (session, _), copy in open_.items() if not _lives(session)]


def left_here(copy: CutOff) -> Iterator[Path]:
    """What a copy back has left below its destination; looks into a bounded number of folders. Never raises."""
    for number, (folder, _, names) in enumerate(os.walk(copy.destination)):
        if number == _MOST_FOLDERS:
            return
        yield from (Path(folder, name) for name in names if Path(name).match(PATTERN))


def _lives(session: str) -> bool:
    """Whether the process of a session (`SECONDS-PID`) may still be there."""
    pid = session.rpartition("-")[2]
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (ValueError, OverflowError, PermissionError):
        pass
    return True
