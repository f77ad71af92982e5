"""How long completion takes at 10,000 nodes: `python tests/bench/bench_completion.py`. The bound is 50 ms.

Prints, per line, the slowest and the median of many tries, in milliseconds; exits with 1 where the bound is broken.
"""

from __future__ import annotations

import statistics
import sys
import time

from clusterdeck.console.commands.catalogue import default_registry
from clusterdeck.console.completion.completion import complete
from clusterdeck.console.completion.names import Names
from clusterdeck.console.runs.options import RunOptions
from clusterdeck.tests.support.fake_session import Answered, FakeSession

NODES = 10_000
TRIES = 50
BOUND = 50.0

LINES = (
    "", ":", ":ga", ":gthr", ":shell --", ":shell -w ", ":shell -w @", ":shell -w node", ":shell -w node9999",
    ":shell -w zzz", ":shell -w node1,node2,node3!@g1", ":nodes @g", "@", "+node5", ":out node12", ":diff node1 node2",
    "upt", "systemc", ":copy /usr/lib/", "!ls /usr/bin/", ":set ", ":show ", ":play ", ":help ", ":timer ",
)  # fmt: skip


def main() -> int:
    """Measure; the exit code."""
    session = FakeSession(lambda _command, _node: Answered("x"))
    nodes = session.resolve(f"node[1-{NODES}]")
    for _ in range(20):
        session.shell("uptime", nodes, RunOptions())
    names = Names(tuple(nodes), tuple((f"g{number}", "") for number in range(500)))
    registry = default_registry()
    print(f"{NODES} nodes, 500 groups, 20 runs of {NODES} nodes; milliseconds of {TRIES} tries")
    print(f"{'first':>8} {'median':>8} {'worst':>8}  candidates  line")
    worst = 0.0
    for line in LINES:
        times: list[float] = []
        found = 0
        for _ in range(TRIES):
            begun = time.perf_counter()
            found = len(complete(line, len(line), session, registry, names))
            times.append((time.perf_counter() - begun) * 1000)
        worst = max(worst, *times)
        print(f"{times[0]:8.2f} {statistics.median(times):8.2f} {max(times):8.2f}  {found:10}  {line!r}")
    print(f"worst of all: {worst:.2f} ms (bound {BOUND:g} ms)")
    return int(worst > BOUND)


if __name__ == "__main__":
    sys.exit(main())
