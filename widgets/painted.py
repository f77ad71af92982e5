"""One line of output as painted pieces: its stream's style or the node's own colours, and the matches of a search."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from rich.segment import Segment
from rich.style import Style

from ..engine.sgr import Span, styled_line
from .cells import safe
from .look import Look
from .node_colours import node_colours, style_of
from .search import Search
from .views import OutputLine

#: A longer line is painted without its colours.
_COLOURED_BYTES = 8 * 1024


def painted(
    output: OutputLine, look: Look, search: Search, hit: Style, shift: int, room: int, *, changed: bool = False
) -> list[Segment]:
    """The pieces of a line from its character `shift` on, not much more than `room` cells of them.

    hit: the style of matches. changed: the line was not there in the round before.
    """
    if not output.here:
        return [Segment(output.text, look.quiet)]
    plain = look["changed"] if changed else look["stderr"] if output.stream == "stderr" else look.text
    stop = shift + room + 1
    if output.coloured and node_colours() and not changed and len(output.coloured) <= _COLOURED_BYTES:
        spans = [(span.text, style_of(span.style, look, plain)) for span in _spans(output.coloured)]
    elif not search:  # nearly every line
        return [Segment(safe(output.text)[shift:stop], plain)]
    else:
        spans = [(safe(output.text), plain)]
    if not search:
        return _cut(spans, shift, stop)
    matches = search.spans("".join(text for text, _ in spans))
    return _cut(_laid_over(spans, matches, hit), shift, stop)


@lru_cache(512)
def _spans(line: bytes) -> tuple[Span, ...]:
    return tuple(Span(safe(span.text), span.style) for span in styled_line(line))


def _cut(spans: Sequence[tuple[str, Style]], start: int, stop: int) -> list[Segment]:
    """The characters `start` to `stop` of some spans."""
    pieces: list[Segment] = []
    at = 0
    for text, style in spans:
        part = text[max(0, start - at) : max(0, stop - at)]
        if part:
            pieces.append(Segment(part, style))
        at += len(text)
        if at >= stop:
            break
    return pieces


def _laid_over(
    spans: Sequence[tuple[str, Style]], matches: Sequence[tuple[int, int]], hit: Style
) -> list[tuple[str, Style]]:
    """The spans cut at the matches, which get a style of their own."""
    pieces: list[tuple[str, Style]] = []
    at = 0
    for text, style in spans:
        end = at + len(text)
        done = at
        for start, stop in matches:
            start, stop = max(start, at), min(stop, end)
            if start < stop:
                pieces += [(text[done - at : start - at], style), (text[start - at : stop - at], hit)]
                done = stop
        pieces.append((text[done - at :], style))
        at = end
    return pieces
