"""`--outdir` and `--errdir`: a file per node, named after it, with the raw bytes it sent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from ...engine.names import file_name
from ..runs.events import NodesRestarted, OutputArrived, SessionEvent
from ..runs.runs import Run

#: Files that are open at a time, so that 10,000 nodes do not need 10,000 descriptors.
_OPEN = 128


class NodeFiles:
    """Writes one stream of every node to `folder/NODE`; every node gets a file, if only an empty one.

    Raises OSError where the folder or a file cannot be made.
    """

    def __init__(self, run: Run, folder: Path, stream: int) -> None:
        self._run = run
        self._folder = folder
        self._stream = stream
        self._open: dict[int, BinaryIO] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._names = [file_name(name) for name in run.names]
        for number in range(len(run.names)):
            os.close(self._opened(number, os.O_CREAT | os.O_TRUNC))

    def shown(self, event: SessionEvent) -> None:
        """Write output as it arrives; a node that is tried again begins anew."""
        if isinstance(event, OutputArrived):
            for chunk in event.chunks:
                if chunk.stream == self._stream:
                    self._file(chunk.node).write(chunk.data)
        elif isinstance(event, NodesRestarted):
            for number in event.nodes:
                self._file(number).truncate(0)

    def finished(self) -> None:
        """Close all files."""
        for file in self._open.values():
            file.close()
        self._open.clear()

    def _file(self, number: int) -> BinaryIO:
        file = self._open.pop(number, None)
        if file is None:
            if len(self._open) >= _OPEN:
                self._open.pop(next(iter(self._open))).close()
            file = os.fdopen(self._opened(number, os.O_APPEND), "ab")
        self._open[number] = file
        return file

    def _opened(self, number: int, flags: int) -> int:
        """The node's file. Others may write to the folder: never through a link of theirs, and into no pipe."""
        careful = os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        return os.open(self._folder / self._names[number], careful | flags, 0o666)
