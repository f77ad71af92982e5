"""Which way of printing a request asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ClusterShell.NodeSet import NodeSet, NodeSetException
from ClusterShell.NodeUtils import GroupResolverError, GroupSourceError

from ..runs.events import SessionEvent
from ..runs.runs import Run
from ..session.session import Session
from .modes import Both, ByNode, Diff, Gathered, LineGathered, Live, Names, OutputMode
from .request import BatchRequest
from .writer import Writer


def make_mode(request: BatchRequest, run: Run, writer: Writer, session: Session) -> OutputMode:
    """The mode that the options ask for."""
    if request.json or request.json_lines:
        from .json_modes import JsonDocument, JsonLines

        return JsonDocument(run, writer) if request.json else JsonLines(run, writer)
    names = Names(run, _regroup(request, run, writer, session), count=request.node_count)
    mode: OutputMode
    if request.diff:
        mode = Diff(run, writer, names)
    elif request.line_mode and request.gather:
        return LineGathered(run, writer, names)
    elif request.line_mode:
        mode = ByNode(run, writer)
    elif request.gather:
        mode = Gathered(run, writer, names)
    else:
        return Live(run, writer)
    return Both((Live(run, writer), Quietly(mode))) if request.verbose else mode


class Quietly:
    """A mode whose live part another one already prints."""

    def __init__(self, mode: OutputMode) -> None:
        self._mode = mode

    def shown(self, event: SessionEvent) -> None:
        """Nothing."""

    def finished(self) -> None:
        """The mode's end."""
        self._mode.finished()


def _regroup(
    request: BatchRequest, run: Run, writer: Writer, session: Session
) -> Callable[[Sequence[int]], str] | None:
    if not request.regroup and request.axis is None:
        return None
    source = request.targets.source

    def fold(numbers: Sequence[int]) -> str:
        nodes = NodeSet.fromlist([run.names[number] for number in numbers], resolver=session.resolver)
        if request.axis is not None:
            nodes.fold_axis = axes(request.axis)
        try:
            return str(nodes.regroup(source, noprefix=request.group_base) if request.regroup else nodes)
        except (NodeSetException, GroupResolverError, GroupSourceError) as error:
            # The answers count for more than how their nodes are written.
            writer.narrate(f"nodes are not folded into groups: {error}")
            return run.fold(numbers)

    return fold


def axes(text: str) -> Any:
    """`1`, `1-2`, `1,3` or `-1` as ClusterShell takes them. Raises ValueError."""
    from ClusterShell.RangeSet import RangeSet, RangeSetException

    try:
        if text.startswith("-"):
            return [int(text)]
        return [axis - 1 for axis in RangeSet(text).intiter()]
    except (ValueError, RangeSetException):
        raise ValueError(f"cannot read --axis {text!r}: use 1, 1-2, 1,3 or -1") from None
