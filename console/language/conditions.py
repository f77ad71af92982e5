"""Conditions on a run: `ok>=95%`, `failed==0`, `rc:2<=1`, `out:/active/==all`, `@failed`, joined by `and`.

| left side                              | counts                                            |
|----------------------------------------|---------------------------------------------------|
| `ok failed timeout unreachable aborted lost` | nodes in that state                         |
| `bad`                                  | nodes that did not end ok                         |
| `nodes`                                | all nodes of the run                              |
| `rc:N`                                 | nodes that returned N                             |
| `out:/REGEX/`                          | nodes with a line in which it is found            |
| `groups`                               | different answers                                 |
| `lines`                                | lines of output from all nodes                    |

Of a map of the queue, jobs are counted in place of nodes: `ok failed timeout lost aborted bad`.

The right side is a number, a share of the run's nodes (`95%`) or `all`. A node set alone holds when it is not empty,
`out:/REGEX/` alone when it is found on a node.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ...engine.patterns import BoundedPattern, compile_pattern
from ...engine.states import NodeState
from ..runs.runs import Run

_STATES = ("ok", "failed", "timeout", "unreachable", "aborted", "lost", "bad")
_COUNTED = (*_STATES, "nodes", "groups", "lines")
_OUTPUT = re.compile(r"out:/(?P<regex>(?:\\.|[^/\\])*)/")
_AND = re.compile(r"\s+and\s+|\s*,\s+")
_RC = re.compile(r"rc:\d{1,3}\Z", re.ASCII)
_COMPARISON = re.compile(
    rf"(?P<left>[a-z]+|rc:\d{{1,3}}|{_OUTPUT.pattern})\s*(?P<sign>>=|<=|==|!=|=|<|>)"
    r"\s*(?:(?P<number>\d{1,9}(?:\.\d+)?)(?P<share>%)?|all)\Z"
)
#: Lines looked at in one go.
_CHUNK = 500
_SIGNS: dict[str, Callable[[float, float], bool]] = {
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    "==": lambda a, b: a == b,
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
}


@dataclass(frozen=True, slots=True)
class Tally:
    """What a map came to. jobs: how many ended in which way, by the words of conditions."""

    total: int
    jobs: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A count of a run against a number. number None: all nodes; share: the number is a percentage of the nodes."""

    left: str
    sign: str
    number: float | None
    share: bool

    def holds(self, run: Run | Tally) -> tuple[bool, str]:
        """Whether it holds, and the count that decided it. Raises ValueError for what cannot be counted of a map."""
        total = run.total if isinstance(run, Tally) else len(run.names)
        count = _jobs(run, self.left) if isinstance(run, Tally) else _count(run, self.left)
        number = float(total) if self.number is None else self.number
        wanted = number * total / 100 if self.share else number
        # Shares are compared as they are, not rounded: 95% of 10 nodes are 9.5, so nine are not enough.
        return _SIGNS[self.sign](count, wanted), f"{self.left} is {count} of {total}"


@dataclass(frozen=True, slots=True)
class NotEmpty:
    """A node set that holds at least one node, or (negated) none."""

    expression: str
    negated: bool = False


Condition = Comparison | NotEmpty


def read_condition(text: str) -> tuple[Condition, ...]:
    """The parts of a condition, all of which must hold. Raises ValueError naming the part that is wrong."""
    return tuple(_read_part(part) for part in _parts(text.strip()))


def _parts(text: str) -> list[str]:
    """The text cut at `and` and at commas, but not inside of a regular expression."""
    whole = [match.span() for match in _OUTPUT.finditer(text)]
    parts: list[str] = []
    start = 0
    for cut in _AND.finditer(text):
        if not any(begin < cut.start() < end for begin, end in whole):
            parts.append(text[start : cut.start()])
            start = cut.end()
    return [*parts, text[start:]]


def _read_part(part: str) -> Condition:
    negated = part.startswith("not ")
    bare = part.removeprefix("not ").strip()
    if bare.startswith("@") and " " not in bare:
        return NotEmpty(bare, negated)
    pattern = _OUTPUT.match(bare)
    if pattern is not None:
        _compiled(bare[: pattern.end()])
        if pattern.end() == len(bare):
            return Comparison(bare, "==" if negated else ">", 0.0, share=False)
    found = _COMPARISON.match(bare)
    if found is None or negated:
        raise ValueError(f"{part!a} is not a condition: write ok>=95%, failed==0, out:/word/ or @failed")
    left = found["left"]
    if pattern is None and left not in _COUNTED and not left.startswith("rc:"):
        raise ValueError(f"{left!a} cannot be counted: use {', '.join(_COUNTED)}, rc:N or out:/REGEX/")
    if found["share"] and left in ("groups", "lines"):
        raise ValueError(f"{part!a}: {left} are not nodes, so a share of the nodes says nothing")
    number = float(found["number"]) if found["number"] else None
    if found["share"] and number is not None and number > 100:
        raise ValueError(f"{part!a}: {number:g}% is more than all nodes")
    return Comparison(left, found["sign"], number, bool(found["share"]))


def _compiled(left: str) -> BoundedPattern:
    """The pattern of `out:/REGEX/`. Raises ValueError."""
    try:
        return compile_pattern(left.removeprefix("out:/")[:-1].replace("\\/", "/"))
    except ValueError as error:
        raise ValueError(f"{left!a} cannot be looked for: {error}") from None


def _jobs(tally: Tally, left: str) -> int:
    if left not in tally.jobs:
        raise ValueError(f"{left} cannot be counted of a map: use {', '.join(tally.jobs)}")
    return tally.jobs[left]


def _count(run: Run, left: str) -> int:
    if left.startswith("out:"):
        pattern = _compiled(left)
        return sum(_is_found(run, number, pattern) for number in range(len(run.names)))
    with run.lock:
        if left.startswith("rc:"):
            return len(run.nodes_with_rc(int(left[3:])))
        if left == "nodes":
            return len(run.names)
        if left == "groups":
            return len([group for group in run.groups() if group.line_count])
        if left == "lines":
            return run.lines_total
        if left == "bad":
            return sum(run.count(state) for state in NodeState if state.bad)
        return run.count(NodeState[left.upper()])


def _is_found(run: Run, number: int, pattern: BoundedPattern) -> bool:
    """Whether a line of a node has a match. Without the run's lock: lines may have to be read from a disk."""
    start, count = 0, run.line_count(number)
    while start < count:
        lines = run.lines(number, start, min(start + _CHUNK, count))
        if any(pattern.search(line.text) for line in lines):
            return True
        start += _CHUNK
    return False


def judge(text: str, run: Run | Tally | None, empty: Callable[[str], bool]) -> tuple[bool, str]:
    """Whether a condition holds, and what decided it. empty: whether a node-set expression stands for no node.

    Raises ValueError where it cannot be read, or compares a run where there is none.
    """

    def verdict(part: Condition) -> tuple[bool, str]:
        if isinstance(part, NotEmpty):
            nothing = empty(part.expression)
            return nothing == part.negated, f"{part.expression} is {'empty' if nothing else 'not empty'}"
        if run is None:
            raise ValueError("there is no run to compare with yet")
        return part.holds(run)

    return _all(map(verdict, read_condition(text)))


def _all(verdicts: Iterable[tuple[bool, str]]) -> tuple[bool, str]:
    """Whether all hold, and what decided it."""
    reasons: list[str] = []
    for holds, reason in verdicts:
        if not holds:
            return False, reason
        reasons.append(reason)
    return True, ", ".join(reasons)


# -- conditions on one run alone, for timers


def read_until(text: str) -> tuple[Comparison, ...]:
    """A condition that a single run decides: node sets may only be results of it (`@failed`, `@rc:2`).

    Raises ValueError naming the part that is wrong.
    """
    return tuple(part if isinstance(part, Comparison) else _of_result(part) for part in read_condition(text))


def _of_result(part: NotEmpty) -> Comparison:
    word = part.expression.removeprefix("@")
    if word not in _STATES and not _RC.match(word):
        near = difflib.get_close_matches(word, _STATES, 1)
        remedy = f"did you mean @{near[0]}?" if near else f"use @rc:N or one of {', '.join(f'@{s}' for s in _STATES)}"
        raise ValueError(f"{part.expression!a} is no result of a round: {remedy}")
    return Comparison(word, "==" if part.negated else ">", 0.0, share=False)


def judge_round(text: str, run: Run) -> tuple[bool, str]:
    """Whether a condition as `read_until` takes them holds for an ended run, and what decided it."""
    return _all(part.holds(run) for part in read_until(text))
