"""Candidates for node sets: names of nodes, groups, saved sets and results of runs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...engine.text import clean_text_line
from ..language.tokens import Token
from .candidate import Candidate, Sources, plain

#: Sets that every run leaves, with what is true of their nodes.
RESULTS = {
    "ok": "ended well",
    "failed": "returned another code than 0",
    "timeout": "timed out",
    "unreachable": "could not be reached",
    "lost": "were lost while running",
    "aborted": "were aborted",
    "bad": "did not end well",
}
_OPERATORS = re.compile(r"[,&!^\s](?![^\[]*\])")


def node_sets(token: Token, sources: Sources) -> Iterator[Candidate]:
    """Node sets: the part after the last operator is completed; groups, results and saved sets after `@`."""
    breaks = [match.end() for match in _OPERATORS.finditer(token.text)]
    offset = breaks[-1] if breaks else 0
    part = token.text[offset:]
    # Inside quotes columns do not tell where the part begins: then the whole word is replaced.
    exact = token.end - token.start == len(token.text)
    start = token.start + offset if exact else token.start
    before = "" if exact else token.text[:offset]
    if not part or part.startswith("@"):
        for name, description in _group_rows(sources):
            if name.startswith(part):
                yield Candidate(before + name, start, clean_text_line(name), clean_text_line(description))
    if not part.startswith("@"):
        yield from _node_names(part, before, start, sources)


def _group_rows(sources: Sources) -> Iterator[tuple[str, str]]:
    session = sources.session
    for name, text in session.selection.saved.items():
        yield f"@{name}", f"saved: {text}"
    last = session.runs.last
    if last is not None:
        for word, description in RESULTS.items():
            yield f"@{word}", description
    for group, description in sources.names.groups:
        yield f"@{group}", description or "group"
    yield "@*", f"all {len(sources.names.nodes)} known nodes" if sources.names.nodes else "all nodes"
    if last is not None:
        for run in reversed(list(session.runs)):
            yield f"@run:{run.id}:", run.line


def _node_names(part: str, before: str, start: int, sources: Sources) -> Iterator[Candidate]:
    seen: set[str] = set()
    last = sources.session.runs.last
    for origin, names in (("", sources.names.nodes), ("of the last run", () if last is None else last.names)):
        for name in names:
            if name.startswith(part) and name not in seen:
                seen.add(name)
                yield Candidate(before + name, start, clean_text_line(name), origin)


def run_nodes(token: Token, sources: Sources) -> Iterator[Candidate]:
    run = sources.session.runs.last
    if run is not None:
        yield from plain(((name, "") for name in run.names), token)


def groups(token: Token, sources: Sources) -> Iterator[Candidate]:
    """Groups by their names, without the `@`."""
    yield from plain(sources.names.groups, token)


def saved_sets(token: Token, sources: Sources) -> Iterator[Candidate]:
    """Saved node sets by their names."""
    yield from plain(sources.session.selection.saved.items(), token)
