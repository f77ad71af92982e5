"""Finished runs on disk: `:runs` across restarts, within a quota, the oldest going first.

A run is a folder `NUMBER-TIME-PID` with `run.json` (what, where, states, times) and `output` (the nodes' bytes, one
after the other). Written in a thread of its own, so that neither the screen nor the engine waits for the disk.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...engine.states import NodeState
from .. import paths
from ..events import STDERR, STDOUT
from ..redact import redact
from ..runs import Run

#: Bytes of one node that are written; the rest is counted.
_NODE_LIMIT = 8 * 1024 * 1024
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class ArchivedNode:
    """One node of a run on disk. output: (stream, offset, size) of its pieces in the run's `output` file."""

    name: str
    state: NodeState
    rc: int | None
    reason: str
    output: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class ArchivedRun:
    """A run of an earlier session. created: seconds since the epoch; seconds: how long it took."""

    folder: Path
    number: int
    line: str
    kind: str
    nodes: str
    created: float
    seconds: float
    counts: dict[str, int]

    def details(self) -> list[ArchivedNode]:
        """The run's nodes. Raises OSError, ValueError (a broken file)."""
        return [_node(entry) for entry in _read(self.folder)["results"]]

    def read(self, node: ArchivedNode, stream: int = STDOUT) -> bytes:
        """What a node said. Raises OSError."""
        with (self.folder / "output").open("rb") as file:
            pieces = []
            for kind, offset, size in node.output:
                if kind == stream:
                    file.seek(offset)
                    pieces.append(file.read(size))
            return b"".join(pieces)


class RunArchive:
    """Writes runs in the background. warn: hears of the first failure only; any thread."""

    def __init__(self, folder: Path, quota: int, warn: Callable[[str], None]) -> None:
        self._folder = folder
        self._quota = quota
        self._warn = warn
        self._warned = False
        self._runs: queue.SimpleQueue[Run | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="run-archive", daemon=True)
        self._thread.start()

    def add(self, run: Run) -> None:
        """Have an ended run written; any thread."""
        self._runs.put(run)

    def close(self, timeout: float = 5.0) -> None:
        """Finish what is queued, for at most `timeout` seconds."""
        self._runs.put(None)
        self._thread.join(timeout)

    def _work(self) -> None:
        while (run := self._runs.get()) is not None:
            try:
                write_run(run, self._folder)
                trim(self._folder, self._quota)
            except OSError as error:
                if not self._warned:
                    self._warned = True
                    self._warn(f"runs are not kept on disk: {error.strerror or error}")


def write_run(run: Run, folder: Path) -> Path:
    """Write one ended run; the folder it is in. Raises OSError; nothing is left behind then.

    The run's lock is held for a node at a time, as the pump may move the run's output out of memory meanwhile.
    """
    name = f"{run.id:06d}-{int(run.created)}-{os.getpid()}"
    place = folder / name
    temporary = folder / f".{name}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(mode=0o700)
    try:
        results = []
        with os.fdopen(paths.private_file(temporary / "output", os.O_WRONLY), "wb") as file:
            for number in range(len(run.names)):
                with run.lock:
                    results.append(_write_node(run, number, file))
        content = {
            "format": _FORMAT,
            "run": run.id,
            "line": redact(run.line),
            "kind": run.kind,
            "nodes": str(run.nodes) if len(run.nodes) else run.names[0],
            "created": run.created,
            "seconds": (run.ended or run.started) - run.started,
            "counts": {state.word: run.count(state) for state in NodeState if run.count(state)},
            "results": results,
        }
        with os.fdopen(paths.private_file(temporary / "run.json", os.O_WRONLY), "w") as text:
            json.dump(content, text)
        temporary.rename(place)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return place


def _write_node(run: Run, number: int, file: Any) -> dict[str, Any]:
    pieces = []
    left = _NODE_LIMIT
    for stream in (STDOUT, STDERR):
        for piece in run.output.pieces(number, stream):
            part = piece[:left]
            if part:
                pieces.append((stream, file.tell(), len(part)))
                file.write(part)
                left -= len(part)
    return {
        "node": run.names[number],
        "state": int(run.states[number]),
        "rc": run.rc(number),
        "reason": run.reason(number),
        "output": pieces,
        "cut": max(0, run.output.size(number) - sum(size for _, _, size in pieces)),
    }


def archived_runs(folder: Path | None = None) -> list[ArchivedRun]:
    """Runs of earlier sessions, oldest first; broken ones are left out. Raises OSError for an unreadable folder."""
    found = []
    for place in sorted((folder or paths.runs_dir()).iterdir(), key=lambda place: place.name.split("-")[1:2]):
        if place.name.startswith(".") or not place.is_dir():
            continue
        try:
            content = _read(place)
            found.append(
                ArchivedRun(
                    place,
                    int(content["run"]),
                    str(content["line"]),
                    str(content["kind"]),
                    str(content["nodes"]),
                    float(content["created"]),
                    float(content["seconds"]),
                    {str(word): int(count) for word, count in content["counts"].items()},
                )
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return sorted(found, key=lambda run: run.created)


def _read(place: Path) -> Any:
    content = json.loads((place / "run.json").read_text("utf-8"))
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise ValueError(f"{place} does not hold a run")
    return content


def _node(entry: Any) -> ArchivedNode:
    try:
        pieces = tuple((int(stream), int(offset), int(size)) for stream, offset, size in entry["output"])
        rc = entry["rc"]
        return ArchivedNode(
            str(entry["node"]),
            NodeState(entry["state"]),
            None if rc is None else int(rc),
            str(entry["reason"]),
            pieces,
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"a node's record is broken: {error}") from None


def trim(folder: Path, quota: int) -> int:
    """Remove the oldest runs until all fit into `quota` bytes; how many went. Half-written leftovers go, too."""
    sizes: list[tuple[float, int, Path]] = []
    now = time.time()
    for place in folder.iterdir():
        with contextlib.suppress(OSError):
            status = place.stat()
            if place.name.startswith("."):
                if now - status.st_mtime > 3600:
                    shutil.rmtree(place, ignore_errors=True)
                continue
            sizes.append((status.st_mtime, sum(file.stat().st_size for file in place.iterdir()), place))
    total = sum(size for _, size, _ in sizes)
    gone = 0
    for _, size, place in sorted(sizes):
        if total <= quota:
            break
        shutil.rmtree(place, ignore_errors=True)
        total -= size
        gone += 1
    return gone
