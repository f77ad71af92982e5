"""Runs as plain text: what front ends without views show. All text comes out of the run model, which is clean.

Hold the run store's lock while a document is made of a run that is not ended.
"""

from __future__ import annotations

import difflib
import itertools
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from ...engine.states import NodeState, without_name
from ...engine.text import sanitize_text
from ...widgets.views import OutputLine, RunView
from ..frontend import Document
from ..language.values import show_duration

#: Lines of a document; what is left out is counted. Whole outputs are for `:save`.
MAX_LINES = 5000
_RULE = "-" * 15


def bounded(lines: Iterable[str], limit: int = MAX_LINES) -> tuple[str, ...]:
    """At most `limit` lines, with a last one that tells how many more there are."""
    rows = iter(lines)
    taken = list(itertools.islice(rows, limit))
    more = sum(1 for _ in rows)
    if more:
        taken.append(f"({more} more lines; :save DIR writes all of them)")
    return tuple(taken)


def table(rows: Sequence[Sequence[str]], header: Sequence[str] = ()) -> list[str]:
    """Rows as left-aligned columns; the last column is not padded."""
    every = [header, *rows] if header else list(rows)
    if not every:
        return []
    widths = [max(len(row[column]) for row in every) for column in range(len(every[0]) - 1)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in every
    ]


def headline(run: RunView) -> str:
    """One line about a run: `#12 uname -r   ok 120, failed 5   3s`."""
    counts = ", ".join(f"{state.word} {run.count(state)}" for state in NodeState if run.count(state))
    seconds = (time.monotonic() if run.ended is None else run.ended) - run.started
    return f"#{run.id} {run.line}   {counts}   {show_duration(round(seconds, 1))}"


def gathered(run: RunView) -> Document:
    """Identical answers together, largest group first, then what went wrong."""
    return Document(headline(run), bounded(_gathered(run)), data=True)


def _gathered(run: RunView) -> Iterator[str]:
    for group in run.groups():
        if group.line_count:
            yield _RULE
            yield f"{group.folded} ({len(group.members)})"
            yield _RULE
            yield from _output(group.line_count, group.lines)
    yield from problems(run)


def _output(count: int, lines: Callable[[int, int], list[OutputLine]]) -> Iterator[str]:
    for start in range(0, count, 500):
        for line in lines(start, min(start + 500, count)):
            yield line.text


def problems(run: RunView) -> list[str]:
    """A line per kind of failure, with its nodes; empty when all is well."""
    found: dict[str, list[int]] = {}
    for number, value in enumerate(run.states):
        state = NodeState(value)
        if not state.bad:
            continue
        # Nodes with the same reason share a line.
        reason = without_name(run.reason(number), sanitize_text(run.names[number]))
        rc = run.rc(number)
        label = f"{state.symbol} {state.word}"
        if reason:
            label += f": {reason}"
        elif state is NodeState.FAILED and rc is not None:
            label += f": rc {rc}"
        found.setdefault(label, []).append(number)
    return [f"{run.fold(numbers)} ({len(numbers)}): {label}" for label, numbers in found.items()]


def failures(run: RunView, states: Sequence[NodeState], title: str) -> Document:
    """The nodes in any of the states: a folded line per reason, then the set that the next command can use."""
    wanted = frozenset(states)
    numbers = [number for number, value in enumerate(run.states) if NodeState(value) in wanted]
    if not numbers:
        return Document.of(f"#{run.id}: no node {title}", data=True)
    lines = [line for line in problems(run) if any(f" {state.symbol} {state.word}" in line for state in states)]
    return Document(f"#{run.id} {title}: {run.fold(numbers)} ({len(numbers)})", bounded(lines), data=True)


def node_output(run: RunView, node: int) -> Document:
    """All that one node wrote."""
    state = NodeState(run.states[node])
    rc = run.rc(node)
    name = sanitize_text(run.names[node])
    title = f"#{run.id} {name}: {state.word}" + (f" (rc {rc})" if rc else "")
    reason = run.reason(node)
    lines = _output(run.line_count(node), partial(run.lines, node))
    return Document(f"{title}: {reason}" if reason else title, bounded(lines), data=True)


def run_list(runs: Iterable[RunView], *, reading: bool = False) -> Document:
    """All runs, oldest first. reading: those of earlier sessions are not all here yet."""
    more = ("runs of earlier sessions are still being read",) if reading else ()
    rows = []
    for run in runs:
        counts = ", ".join(f"{state.word} {run.count(state)}" for state in NodeState if run.count(state))
        begun = time.strftime("%H:%M:%S", time.localtime(run.created))
        seconds = "running" if run.ended is None else show_duration(round(run.ended - run.started, 1))
        rows.append((f"#{run.id}", begun, run.kind, seconds, counts, run.line))
    if not rows:
        return Document.of("".join(more) or "no runs yet", data=True)
    header = ("run", "begun", "kind", "took", "nodes", "line")
    return Document("runs", (*more, *bounded(table(rows, header))), data=True)


def run_details(run: RunView) -> Document:
    """What is known of a run besides its output."""
    begun = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.created))
    done, total = run.transferred()
    rows = [
        ("line", run.line),
        ("kind", run.kind),
        ("nodes", f"{run.fold(range(len(run.names)))} ({len(run.names)})"),
        ("begun", begun),
        ("lines", str(run.lines_total)),
    ]
    if total:
        rows.append(("copied", f"{done} of {total} bytes"))
    lines = table(rows)
    for state in NodeState:
        numbers = [number for number, value in enumerate(run.states) if value == state]
        if numbers:
            lines.append(f"{state.symbol} {state.word} ({len(numbers)}): {run.fold(numbers)}")
    return Document(headline(run), bounded([*lines, *problems(run)]), data=True)


# -- differences

_NUMBERS = re.compile(r"\d+")


def _texts(count: int, lines: Callable[[int, int], list[OutputLine]], name: str | None) -> list[str]:
    """The lines to compare; `name`: take this node's name and all numbers out first."""
    found = list(itertools.islice(_output(count, lines), MAX_LINES))
    if name is None:
        return found
    short = name.partition(".")[0]
    return [_NUMBERS.sub("#", line.replace(name, "%h").replace(short, "%h")) for line in found]


def _unified(one: list[str], two: list[str], one_name: str, two_name: str) -> list[str]:
    return list(difflib.unified_diff(one, two, one_name, two_name, n=2, lineterm=""))


def diff_groups(run: RunView, normalise: bool = False) -> Document:
    """Every answer against that of the most nodes."""
    groups = run.groups()
    if len(groups) < 2:
        return Document.of(f"#{run.id}: all answers are the same", data=True)
    lines: list[str] = []
    names = [run.names[group.members[0]] if normalise else None for group in groups]
    majority = _texts(groups[0].line_count, groups[0].lines, names[0])
    label = f"{groups[0].folded} ({len(groups[0].members)})"
    for group, name in zip(groups[1:], names[1:], strict=True):
        if len(lines) > MAX_LINES:
            break
        other = _texts(group.line_count, group.lines, name)
        lines += _unified(majority, other, label, f"{group.folded} ({len(group.members)})")
    if not lines:
        return Document.of(f"#{run.id}: answers differ only in names and numbers", data=True)
    return Document(f"#{run.id}: {len(groups)} different answers", bounded(lines), data=True)


def diff_nodes(run: RunView, one: int, two: int, normalise: bool = False) -> Document:
    """Two nodes of a run."""
    texts = []
    for node in (one, two):
        name = run.names[node] if normalise else None
        texts.append(_texts(run.line_count(node), partial(run.lines, node), name))
    names = [sanitize_text(run.names[node]) for node in (one, two)]
    lines = _unified(texts[0], texts[1], names[0], names[1])
    same = f"#{run.id}: {names[0]} and {names[1]} answered the same"
    return Document(f"#{run.id}: {names[0]} and {names[1]}", bounded(lines), data=True) if lines else Document.of(same)


def diff_runs(one: RunView, two: RunView, normalise: bool = False) -> Document:
    """Two runs, node by node; equal changes stand together."""
    places = {name: number for number, name in enumerate(one.names)}
    changes: dict[tuple[str, ...], list[int]] = {}
    missing: list[int] = []
    for number, name in enumerate(two.names):
        before = places.get(name)
        if before is None:
            missing.append(number)
            continue
        label = name if normalise else None
        old = _texts(one.line_count(before), partial(one.lines, before), label)
        new = _texts(two.line_count(number), partial(two.lines, number), label)
        if old != new:
            key = tuple(_unified(old, new, f"#{one.id}", f"#{two.id}"))
            changes.setdefault(key, []).append(number)
    lines: list[str] = []
    for text, numbers in sorted(changes.items(), key=lambda item: -len(item[1])):
        lines += [_RULE, f"{two.fold(numbers)} ({len(numbers)})", _RULE, *text]
    if missing:
        lines.append(f"only in #{two.id}: {two.fold(missing)}")
    title = f"#{one.id} and #{two.id}"
    return (
        Document(title, bounded(lines), data=True) if lines else Document.of(f"{title}: no node answered differently")
    )
