"""What every demo node is like, decided by its number alone so that two runs of the demo look the same."""

from __future__ import annotations

import enum
from dataclasses import dataclass

#: More than this and one Python process becomes the bottleneck, which says nothing about clusterdeck.
MAX_NODES = 500
#: Seconds a client waits for one of the nodes; short, because one of them never answers.
CONNECT_TIMEOUT = 4
_COMMON_KERNEL = "6.1.0-18-amd64"
_OLD_KERNEL = "5.10.0-28-amd64"
_SLOW_SECONDS = 0.6
#: Below this many nodes none is unreachable: a demo of two nodes should still show two answers.
_FAULTS_FROM = 6


class Fault(enum.Enum):
    """Why a node cannot be worked on, if so."""

    NONE = "none"
    REFUSED = "refuses connections"
    SILENT = "accepts the connection and never says a word"
    AUTHENTICATION = "does not know the demo's key"


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node: its name, what it answers, how slowly (seconds before each command), and its fault."""

    number: int
    kernel: str
    latency: float
    nginx: str
    fault: Fault

    @property
    def name(self) -> str:
        """`demo1`, `demo2`, ..."""
        return f"demo{self.number}"


def make_plan(count: int, *, faults: bool = True) -> list[NodePlan]:
    """Plans of demo1..demoN. faults: whether the last three of six or more nodes are unreachable on purpose.

    Raises ValueError for a count outside 1..MAX_NODES.
    """
    if not 1 <= count <= MAX_NODES:
        raise ValueError(f"a demo cluster has 1 to {MAX_NODES} nodes, not {count}")
    return [_node(number, count, faults) for number in range(1, count + 1)]


def _node(number: int, count: int, faults: bool) -> NodePlan:
    fault = Fault.NONE
    if faults and count >= _FAULTS_FROM:
        broken = {count - 2: Fault.REFUSED, count - 1: Fault.SILENT, count: Fault.AUTHENTICATION}
        fault = broken.get(number, Fault.NONE)
    return NodePlan(
        number=number,
        kernel=_OLD_KERNEL if number % 6 == 4 else _COMMON_KERNEL,
        latency=_SLOW_SECONDS if number % 8 == 5 else 0.0,
        nginx="failed" if number % 9 == 7 else "active",
        fault=fault,
    )


def make_groups(plans: list[NodePlan]) -> dict[str, str]:
    """Group name to folded node set: all, web (first half), db, gpu (quarters), slow, and broken."""
    count = len(plans)
    half, three_quarters = -(-count // 2), -(-count * 3 // 4)
    members = {
        "all": list(range(1, count + 1)),
        "web": list(range(1, half + 1)),
        "db": list(range(half + 1, three_quarters + 1)),
        "gpu": list(range(three_quarters + 1, count + 1)),
        "slow": [plan.number for plan in plans if plan.latency],
        "broken": [plan.number for plan in plans if plan.fault is not Fault.NONE],
    }
    return {name: fold(numbers) for name, numbers in members.items() if numbers}


def fold(numbers: list[int]) -> str:
    """Ascending numbers as a node set: [1, 2, 5] is `demo[1-2,5]`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number])
    ranges = ",".join("-".join(map(str, run)) for run in runs)
    return f"demo{ranges}" if len(numbers) == 1 else f"demo[{ranges}]"


#: For `clusterdeck demo --help`; a test holds it against `make_plan`.
DESCRIPTION = """\
What the nodes are like (the same in every demo; 24 nodes as the example):
  hostname, uname  answer for the node; every sixth (demo4, 10, 16, 22) runs an older kernel
  systemctl        `systemctl is-active nginx`: failed on every ninth (demo7, 16), active elsewhere
  slow             every eighth (demo5, 13, 21) waits 0.6 s before each command
  unreachable      of six or more nodes the last three: demo22 refuses connections, demo23 accepts and
                   stays silent, demo24 does not know the key
  files            every node works in a folder of its own; copies arrive there, absolute paths included
  groups           @all  @web (first half)  @db  @gpu (a quarter each)  @slow  @broken
"""
