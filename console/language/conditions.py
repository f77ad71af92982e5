"""Conditions on a run: `ok>=95%`, `failed==0`, `rc:2<=1`, `groups==1`, `@failed`, joined by `and`.

| left side                              | counts                                            |
|----------------------------------------|---------------------------------------------------|
| `ok failed timeout unreachable aborted lost` | nodes in that state                         |
| `bad`                                  | nodes that did not end ok                         |
| `nodes`                                | all nodes of the run                              |
| `rc:N`                                 | nodes that returned N                             |
| `groups`                               | different answers                                 |
| `lines`                                | lines of output from all nodes                    |

The right side is a number, a share of the run's nodes (`95%`) or `all`. A node set alone holds when it is not empty.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ...engine.states import NodeState
from ..runs.runs import Run

_COUNTED = ("ok", "failed", "timeout", "unreachable", "aborted", "lost", "bad", "nodes", "groups", "lines")
_COMPARISON = re.compile(
    r"(?P<left>[a-z]+|rc:\d{1,3})\s*(?P<sign>>=|<=|==|!=|=|<|>)\s*(?:(?P<number>\d{1,9}(?:\.\d+)?)(?P<share>%)?|all)\Z"
)
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
class Comparison:
    """A count of a run against a number. number None: all nodes; share: the number is a percentage of the nodes."""

    left: str
    sign: str
    number: float | None
    share: bool

    def holds(self, run: Run) -> tuple[bool, str]:
        """Whether it holds, and the count that decided it."""
        total = len(run.names)
        count = _count(run, self.left)
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
    parts = re.split(r"\s+and\s+|\s*,\s+", text.strip())
    return tuple(_read_part(part) for part in parts)


def _read_part(part: str) -> Condition:
    negated = part.startswith("not ")
    bare = part.removeprefix("not ").strip()
    if bare.startswith("@") and " " not in bare:
        return NotEmpty(bare, negated)
    found = _COMPARISON.match(bare)
    if found is None or negated:
        raise ValueError(f"{part!a} is not a condition: write ok>=95%, failed==0 or @failed")
    left = found["left"]
    if left not in _COUNTED and not left.startswith("rc:"):
        raise ValueError(f"{left!a} cannot be counted: use {', '.join(_COUNTED)} or rc:N")
    if found["share"] and left in ("groups", "lines"):
        raise ValueError(f"{part!a}: {left} are not nodes, so a share of the nodes says nothing")
    number = float(found["number"]) if found["number"] else None
    return Comparison(left, found["sign"], number, bool(found["share"]))


def _count(run: Run, left: str) -> int:
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


def judge(text: str, run: Run | None, empty: Callable[[str], bool]) -> tuple[bool, str]:
    """Whether a condition holds, and what decided it. empty: whether a node-set expression stands for no node.

    Raises ValueError where it cannot be read, or compares a run where there is none.
    """
    reasons: list[str] = []
    for part in read_condition(text):
        if isinstance(part, NotEmpty):
            nothing = empty(part.expression)
            holds, reason = nothing == part.negated, f"{part.expression} is {'empty' if nothing else 'not empty'}"
        elif run is None:
            raise ValueError("there is no run to compare with yet")
        else:
            holds, reason = part.holds(run)
        if not holds:
            return False, reason
        reasons.append(reason)
    return True, ", ".join(reasons)
