"""Finished runs on disk: `:runs` across restarts, within a quota, the oldest going first.

A run is a folder `NUMBER-TIME-PID` with `run.json` (what, where, states, times) and `output` (the nodes' bytes, one
after the other). Written in a thread of its own, so that neither the screen nor the engine waits for the disk.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet

from ...engine.states import Failure, FailureKind, NodeState
from ..language.redact import redact
from ..runs.disk_writer import DiskWriter
from ..runs.events import STDERR, STDOUT, NodeChange, NodesChanged, RunFinished
from ..runs.options import RunOptions
from ..runs.output import OutputLimits
from ..runs.runs import Run
from ..settings import paths
from .recipe import read_recipe, write_recipe

#: Bytes of one node that are written; the rest is counted.
_NODE_LIMIT = 8 * 1024 * 1024
#: A run may have one part in so many of the quota: a giant one must not push all others out.
_SHARE = 4
#: Runs that may wait for the disk; fewer than a session keeps, so that none is forgotten before it is written.
_BACKLOG = 100
_FORMAT = 1
#: Runs of earlier sessions that a session reads, newest first, and bytes of their `run.json` files.
_READ_RUNS = 100
_READ_LIMIT = 4 * 1024 * 1024


class ArchiveFile:
    """The `output` file of a run on disk, as a spool that is only read; opened for each read, so it holds nothing."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def append(self, _data: bytes | bytearray) -> int | None:
        """Nothing is added to a run that has ended."""
        return None

    def read(self, offset: int, size: int) -> bytes:
        """What was written there; b"" when the file is gone."""
        try:
            with self._file.open("rb") as file:
                file.seek(offset)
                return file.read(size)
        except OSError:
            return b""

    def held(self, _offset: int, _size: int) -> bytes | None:
        """Nothing is in memory."""
        return None

    def close(self) -> None:
        """Nothing to give back."""


class RunArchive:
    """Writes runs in the background. warn: hears of the first failure only; any thread.

    When more than _BACKLOG runs wait for the disk, further ones are not kept: nothing else may wait for that.
    """

    def __init__(self, folder: Path, quota: int, warn: Callable[[str], None]) -> None:
        self._folder = folder
        self._quota = quota
        self._warn = warn
        self._warned = False
        self._writer = DiskWriter("run-archive")

    def add(self, run: Run) -> None:
        """Have an ended run written; any thread, never waits."""
        if self._writer.waiting < _BACKLOG:
            self._writer.submit(partial(self._write, run))
        else:
            self._fail("the disk is too slow")

    def close(self) -> int:
        """Finish what is queued; returns how many runs were not written because the disk hangs."""
        return self._writer.close()

    def _write(self, run: Run) -> None:
        try:
            write_run(run, self._folder, self._quota // _SHARE)
            trim(self._folder, self._quota)
        except OSError as error:
            self._fail(error.strerror or str(error))

    def _fail(self, reason: str) -> None:
        if not self._warned:
            self._warned = True
            self._warn(f"runs are not kept on disk: {reason}")


def write_run(run: Run, folder: Path, limit: int = 1 << 62) -> Path:
    """Write one ended run; the folder it is in. Raises OSError; nothing is left behind then.

    limit: bytes of all its nodes' outputs; what is over is counted.

    The run's lock is held while a node's output is chosen, as the pump may move it out of memory meanwhile; never while
    something is read or written, or a disk that hangs would hold up the pump.
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
                result, blocks = _read_node(run, number, file.tell(), limit)
                file.writelines(blocks)
                results.append(result)
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
            "again": write_recipe(run),
        }
        with os.fdopen(paths.private_file(temporary / "run.json", os.O_WRONLY), "w") as text:
            json.dump(content, text)
        temporary.rename(place)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return place


def _read_node(run: Run, number: int, at: int, limit: int) -> tuple[dict[str, Any], list[bytes]]:
    """What is to be told of a node whose output begins `at` in the file, and that output."""
    pieces: list[tuple[int, int, int, int]] = []
    blocks: list[bytes] = []
    written = 0
    with run.lock:
        found = run.output.blocks(number)
    for stream, lines, data in found:
        if written + len(data) > _NODE_LIMIT or at + written + len(data) > limit:
            break
        pieces.append((stream, lines, at + written, len(data)))
        blocks.append(data)
        written += len(data)
    elapsed = run.elapsed(number, run.ended or run.started)
    result = {
        "node": run.names[number],
        "state": int(run.states[number]),
        "rc": run.rc(number),
        "reason": run.reason(number),
        "seconds": elapsed,
        "digests": [run.output.stream_digest(number, stream).hex() for stream in (STDOUT, STDERR)],
        "output": pieces,
        "cut": max(0, run.output.size(number) - written),
    }
    return result, blocks


def kept_places(folder: Path | None = None) -> list[Path]:
    """The folders of the newest runs of earlier sessions, newest first. Raises OSError for an unreadable folder."""
    places = [place for place in (folder or paths.runs_dir()).iterdir() if not place.name.startswith(".")]
    return sorted(places, key=_when, reverse=True)[:_READ_RUNS]


def last_number(places: Sequence[Path]) -> int:
    """The highest number of the runs in these folders, as far as their names tell; 0 if there is none."""
    numbers = (place.name.partition("-")[0] for place in places)
    return max((int(number) for number in numbers if number.isascii() and number.isdigit()), default=0)


def kept_runs(places: Sequence[Path]) -> Iterator[Run]:
    """The runs in these folders, one after the other, each number once; broken ones are left out.

    It ends early where nobody may ever look at all of that: runs over ten thousand nodes are large.
    """
    seen: set[int] = set()
    size = 0
    for place in places:
        try:
            size += (place / "run.json").stat().st_size
            if size > _READ_LIMIT:
                return
            run = restore(place)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
            continue
        if run.id not in seen:
            seen.add(run.id)
            yield run


def _when(place: Path) -> tuple[int, str]:
    """The time in a folder's name."""
    part = place.name.split("-")[1:2]
    return (int(part[0]) if part and part[0].isascii() and part[0].isdigit() else 0, place.name)


def restore(place: Path) -> Run:
    """A run read back from its folder; its output is read when it is looked at. Raises OSError and ValueError."""
    content = json.loads((place / "run.json").read_text("utf-8"))
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise ValueError(f"{place} does not hold a run")
    nodes = NodeSet(str(content["nodes"]), resolver=RESOLVER_NOGROUP)
    kind = str(content["kind"])
    given = None if kind == "local" else nodes
    number = int(content["run"])
    run = Run(number, str(content["line"]), kind, given, RunOptions(), OutputLimits(), ArchiveFile(place / "output"))
    run.restored = True
    read_recipe(run, content.get("again"))
    run.created = float(content["created"])
    run.started = time.monotonic() - (time.time() - run.created)
    over = run.started + float(content["seconds"])
    for position, entry in enumerate(content["results"]):
        if str(entry["node"]) != run.names[position]:
            raise ValueError(f"{place}: its nodes do not fit together")
        _restore_node(run, position, entry, over)
    run.apply(RunFinished(number, over))
    run.regroup()
    run.done.set()
    return run


def _restore_node(run: Run, position: int, entry: Any, over: float) -> None:
    state = NodeState(entry["state"])
    rc, reason, seconds = entry["rc"], str(entry["reason"]), entry["seconds"]
    failure = Failure(FailureKind.INTERNAL, reason) if reason else None
    changes = [NodeChange(position, state, over, None if rc is None else int(rc), failure)]
    if seconds is not None:
        changes.insert(0, NodeChange(position, NodeState.RUNNING, over - float(seconds)))
    run.apply(NodesChanged(run.id, tuple(changes)))
    pieces = [(int(stream), int(lines), int(at), int(size)) for stream, lines, at, size in entry["output"]]
    if any(stream not in (STDOUT, STDERR) or not 0 <= lines <= size <= _NODE_LIMIT or at < 0
           for stream, lines, at, size in pieces):  # fmt: skip
        raise ValueError("a node's output is described wrongly")
    digests = [bytes.fromhex(text) or None for text in entry["digests"]]
    if pieces:
        run.output.restore(position, pieces, (digests[0], digests[1]))


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
