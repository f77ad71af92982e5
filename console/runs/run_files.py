"""Runs written down: a file per node, or one text as JSON, JSON lines, CSV or Markdown.

Any thread but the pump's: the run store's lock is held while something is chosen, never while a disk is waited for.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ...engine.names import file_name
from ...engine.states import NodeState
from ...engine.text import sanitize_text
from .events import STDERR, STDOUT, STREAM_NAMES
from .runs import Run

_CHUNK_LINES = 500


def save(run: Run, folder: Path, *, overwrite: bool = False, raw: bool = False) -> int:
    """Write FOLDER/NODE.out, and FOLDER/NODE.err where a node wrote to stderr; returns the number of files.

    raw: the bytes as the node sent them; else text that passed the gate. Nothing is written through a symbolic link.
    Raises OSError; FileExistsError where a file is there and `overwrite` is not set.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for number, name in enumerate(run.names):
        streams = [STDOUT, STDERR] if run.output.stream_digest(number, STDERR) else [STDOUT]
        for stream in streams:
            pieces = _raw(run, number, stream) if raw else _clean(run, number, stream)
            suffix = "out" if stream == STDOUT else "err"
            write(folder / f"{file_name(name)}.{suffix}", pieces, overwrite=overwrite)
            count += 1
    return count


def _lines(run: Run, number: int) -> Iterator[Any]:
    for start in range(0, run.line_count(number), _CHUNK_LINES):
        yield from run.lines(number, start, start + _CHUNK_LINES)


def _raw(run: Run, number: int, stream: int) -> Iterator[bytes]:
    with run.lock:
        return run.output.pieces(number, stream)


def _clean(run: Run, number: int, stream: int) -> Iterator[bytes]:
    name = STREAM_NAMES[stream]
    for line in _lines(run, number):
        if line.stream == name:
            yield line.text.encode() + b"\n"


def write(file: Path, pieces: bytes | Iterator[bytes], *, overwrite: bool = False) -> None:
    """Write a file of the operator in one step: mode by the umask, never through a symbolic link. Raises OSError."""
    if not overwrite and os.path.lexists(file):
        raise FileExistsError(17, "it is there already", str(file))
    temporary = file.with_name(f".{file.name[:200]}.{os.getpid()}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(temporary, flags, 0o666), "wb") as stream:
            for piece in [pieces] if isinstance(pieces, bytes) else pieces:
                stream.write(piece)
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _facts(run: Run, number: int) -> dict[str, Any]:
    elapsed = run.elapsed(number, run.started if run.ended is None else run.ended)
    return {
        "run": run.id,
        "node": run.names[number],
        "state": NodeState(run.states[number]).word,
        "rc": run.rc(number),
        "reason": run.reason(number) or None,
        "seconds": None if elapsed is None else round(elapsed, 3),
    }


def _text(run: Run, number: int, name: str) -> Iterator[str]:
    """One stream's text in pieces: lines with their ends between them, as many at a time as fit in memory."""
    between = ""
    for start in range(0, run.line_count(number), _CHUNK_LINES):
        found = run.excerpt(number, start, start + _CHUNK_LINES).raw()
        lines = [line.decode("utf-8", "replace") for stream, line in found if STREAM_NAMES[stream] == name]
        if lines:
            yield between + "\n".join(lines)
            between = "\n"


#: What becomes of a run's line before it is written down: secrets are taken out of it.
Told = Callable[[str], str]


#: The format of JSON documents and of JSON lines, as docs/programs.md describes it: grows when a field changes or goes.
FORMAT = 1


def json_pieces(run: Run, told: Told = str) -> Iterator[str]:
    """The whole run as one JSON object; control characters are escaped.

    Piece by piece, as all formats: the outputs of a thousand nodes need not fit in memory at once.
    """
    head = {
        "format": FORMAT,
        "run": run.id,
        "line": told(run.command),
        "kind": run.kind,
        "created": run.created,
        "seconds": None if run.ended is None else round(run.ended - run.started, 3),
        "counts": {state.word: run.count(state) for state in NodeState if run.count(state)},
    }
    yield json.dumps(head, indent=1).removesuffix("\n}") + ',\n "nodes": ['
    for number in range(len(run.names)):
        facts = json.dumps(_facts(run, number), indent=1).removesuffix("\n}").replace("\n", "\n  ")
        yield f"{',' if number else ''}\n  {facts}"
        yield from _json_texts(run, number, ",\n   ")
        yield "\n  }"
    yield "\n ]\n}\n"


def _json_texts(run: Run, number: int, between: str) -> Iterator[str]:
    for name in STREAM_NAMES:
        yield f'{between}"{name}": "'
        for piece in _text(run, number, name):
            yield json.dumps(piece)[1:-1]
        yield '"'


def jsonl_pieces(run: Run, _told: Told = str) -> Iterator[str]:
    """A JSON object per node and line."""
    for number in range(len(run.names)):
        yield json.dumps(_facts(run, number)).removesuffix("}")
        yield from _json_texts(run, number, ", ")
        yield "}\n"


def csv_pieces(run: Run, _told: Told = str) -> Iterator[str]:
    """A row per node. Cells that a spreadsheet would take for a formula get an apostrophe in front."""
    yield _csv_row(["run", "node", "state", "rc", "reason", "seconds", *STREAM_NAMES])
    for number in range(len(run.names)):
        texts = ("".join(_text(run, number, name)) for name in STREAM_NAMES)
        yield _csv_row([_cell(value) for value in (*_facts(run, number).values(), *texts)])


def _csv_row(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _cell(value: object) -> str:
    text = "" if value is None else sanitize_text(str(value))
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t") and not text.lstrip("+-").isdigit() else text


def markdown_pieces(run: Run, told: Told = str) -> Iterator[str]:
    """Gathered answers, to be pasted into a ticket."""
    counts = ", ".join(f"{state.word} {run.count(state)}" for state in NodeState if run.count(state))
    yield f"### #{run.id} {_inline(told(run.line))}\n\n{counts}\n"
    with run.lock:
        groups = [(group.folded, len(group.members), group.excerpt(0, group.line_count)) for group in run.groups()]
    for folded, members, excerpt in groups:
        body = [line.text for line in excerpt()]
        fence = "```"
        while any(line.lstrip().startswith(fence) for line in body):
            fence += "`"
        yield "\n".join(("", f"**{_inline(folded)}** ({members})", "", fence, *body, fence, ""))


def _inline(text: str) -> str:
    """A code span that the text itself cannot end."""
    marks = "`"
    while marks in text:
        marks += "`"
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{marks}{space}{text}{space}{marks}"


FORMATS: dict[str, Callable[[Run, Told], Iterator[str]]] = {
    "json": json_pieces,
    "jsonl": jsonl_pieces,
    "csv": csv_pieces,
    "md": markdown_pieces,
}
