"""Machine-readable output: one document at the end (`--json`), or one object per line as it happens (`--jsonl`)."""

from __future__ import annotations

import json
from typing import Any

from ...engine.states import NodeState
from ..language.redact import redact
from ..runs.events import (
    STREAM_NAMES,
    NodesChanged,
    NodesRestarted,
    OutputArrived,
    RunFinished,
    RunStarted,
    SessionEvent,
)
from ..runs.run_files import FORMAT, json_pieces
from ..runs.runs import Run
from .writer import Writer


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _dumps(value: Any) -> str:
    # ASCII only: what a node sent reaches no terminal as it is, not even from a file that somebody looks at.
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


class JsonDocument:
    """`--json`: everything, once, at the end."""

    def __init__(self, run: Run, writer: Writer) -> None:
        self._run = run
        self._writer = writer

    def shown(self, event: SessionEvent) -> None:
        """Nothing before the end."""

    def finished(self) -> None:
        """Print the document."""
        for piece in json_pieces(self._run, redact):
            self._writer.text(piece)


class JsonLines:
    """`--jsonl`: an object per line of output and per end of a node, as it happens."""

    def __init__(self, run: Run, writer: Writer) -> None:
        self._run = run
        self._writer = writer

    def shown(self, event: SessionEvent) -> None:
        """Print what happened."""
        names = self._run.names
        match event:
            case OutputArrived(chunks=chunks):
                for chunk in chunks:
                    stream = STREAM_NAMES[chunk.stream]
                    for line in chunk.data.split(b"\n")[:-1]:
                        self._put("output", node=names[chunk.node], stream=stream, line=_text(line))
            case NodesChanged(changes=changes):
                for change in changes:
                    if change.state.finished:
                        reason = {"reason": change.failure.reason} if change.failure is not None else {}
                        node = names[change.node]
                        self._put("end", node=node, state=change.state.word, rc=change.rc, **reason)
            case NodesRestarted(nodes=nodes, attempt=attempt):
                for number in nodes:
                    self._put("retry", node=names[number], attempt=attempt)
            case RunStarted():
                run = self._run
                self._put(
                    "start", format=FORMAT, run=run.id, kind=run.kind, command=redact(run.command), nodes=str(run.nodes)
                )
            case RunFinished(stopped=stopped):
                counts = {state.word: self._run.count(state) for state in NodeState if self._run.count(state)}
                self._put("finish", run=self._run.id, stopped=stopped, counts=counts)
            case _:
                pass

    def finished(self) -> None:
        """Everything was printed as it happened."""

    def _put(self, what: str, **content: Any) -> None:
        self._writer.text(_dumps({"event": what, **content}) + "\n")
