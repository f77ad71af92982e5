"""The soak: many nodes on a real sshd, a command every second, connections killed at random, for as long as you like.

    python tests/hostile/soak.py [MINUTES [NODES]]

Prints what it sees as it goes and one line at the end; the exit code is 0 where memory has drifted by 5 % at most,
every run ended, no descriptor or thread stayed behind, and a node whose connection was killed answered again.
"""

from __future__ import annotations

import faulthandler
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from ClusterShell.NodeSet import NodeSet

from clusterdeck.console.runs.options import RunOptions
from clusterdeck.console.runs.runs import Run
from clusterdeck.console.session.session import Session
from clusterdeck.console.settings.settings import Settings
from clusterdeck.engine.states import NodeState
from clusterdeck.tests.support.sshd import Sshd

#: Seconds after which a run that has not ended is a deadlock: all threads are shown and the soak fails.
PATIENCE = 60.0
#: Seconds between commands.
PERIOD = 1.0
#: Runs that the session keeps: few, so that its memory is level after half a minute.
KEPT = 30
#: What a node says: some lines, on both streams, not the same each time.
COMMAND = "echo ready; seq 1 40; sleep 0.3; date +%s; echo to stderr >&2"


@dataclass
class Tally:
    """What happened so far."""

    runs: int = 0
    killed: int = 0
    late: int = 0
    states: Counter[str] = field(default_factory=Counter)
    memory: list[tuple[float, int]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def window(self, start: float, stop: float) -> float:
        """The middle of the memory samples (bytes) of this part of the time, 0 to 1."""
        first, last = self.memory[0][0], self.memory[-1][0]
        span = max(last - first, 1e-9)
        return statistics.median(rss for at, rss in self.memory if start <= (at - first) / span <= stop)

    @property
    def drift(self) -> float:
        """Growth of the memory from the second fifth of the time (the first is the warm-up) to the last."""
        return self.window(0.8, 1.0) / self.window(0.2, 0.4) - 1


def make_config(sshd: Sshd, folder: Path, nodes: int) -> Path:
    """The server's client configuration, for this many names."""
    text = sshd.config.read_text().splitlines()
    text[0] = "Host " + " ".join(f"node{number}" for number in range(1, nodes + 1))
    config = folder / "config"
    config.write_text("\n".join(text) + "\n")
    return config


def make_session(config: Path) -> Session:
    settings = Settings()
    for key, value in {
        "ssh.config": str(config),
        "ssh.agent": False,
        "run.fanout": 200,
        "run.timeout": 30.0,
        "run.stderr": True,
        "limits.runs": KEPT,
    }.items():
        settings.set(key, value)
    return Session(settings, asks=False)


def kill_some(sshd: Sshd, most: int) -> int:
    """End some of the server's connections, as a crash of theirs would."""
    found = [process for process in sshd.sessions() if _is_connection(process)]
    doomed = random.sample(found, min(len(found), random.randint(1, most)))
    for process in doomed:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    return len(doomed)


def _is_connection(process: psutil.Process) -> bool:
    try:
        return "sshd" in process.name()
    except psutil.Error:
        return False


def wait_for(session: Session, run: Run, until: float) -> bool:
    """Apply what comes until the run has ended; False at `until` (monotonic)."""
    while run.ended is None:
        if time.monotonic() > until:
            return False
        if session.wait_batch(0.05):
            session.drain(0.05)
    return True


def soak(session: Session, sshd: Sshd, minutes: float, nodes: int) -> Tally:
    """Go on for that long. Raises RuntimeError for a run that does not end."""
    tally = Tally()
    process = psutil.Process()
    names = NodeSet(f"node[1-{nodes}]")
    over = time.monotonic() + minutes * 60
    report = 0.0
    while (begun := time.monotonic()) < over:
        faulthandler.dump_traceback_later(PATIENCE + 10, exit=True)
        run = session.shell(COMMAND, names, RunOptions())
        if tally.runs % 3 == 1:
            # In the middle of things: some nodes have answered, some have not.
            wait_for(session, run, time.monotonic() + random.random() * 0.3)
            tally.killed += kill_some(sshd, 8)
        if not wait_for(session, run, begun + PATIENCE):
            raise RuntimeError(f"run {run.id} did not end: {Counter(NodeState(s).word for s in run.states)}")
        faulthandler.cancel_dump_traceback_later()
        tally.runs += 1
        took = time.monotonic() - begun
        tally.seconds.append(took)
        tally.late += took > PERIOD
        for state in NodeState:
            tally.states[state.word] += run.count(state)
        tally.memory.append((time.monotonic(), process.memory_info().rss))
        if begun > report:
            report = begun + 30
            left = max(0.0, over - begun)
            _say(
                f"{left / 60:5.1f} min to go: {tally.runs} runs, {tally.memory[-1][1] >> 20} MiB, "
                f"{process.num_fds()} descriptors, {process.num_threads()} threads, {dict(tally.states)}"
            )
        while (rest := begun + PERIOD - time.monotonic()) > 0:
            if session.wait_batch(rest):
                session.drain(0.05)
    return tally


def all_answer(session: Session, nodes: int) -> bool:
    """Whether every node answers when nobody kills anything."""
    for _ in range(2):  # what was killed last may be noticed only now
        run = session.shell("true", NodeSet(f"node[1-{nodes}]"), RunOptions())
        if wait_for(session, run, time.monotonic() + PATIENCE) and run.count(NodeState.OK) == nodes:
            return True
    return False


def main(words: list[str]) -> int:
    minutes = float(words[0]) if words else 30.0
    nodes = int(words[1]) if len(words) > 1 else 200
    with tempfile.TemporaryDirectory(prefix="clusterdeck-soak-") as name:
        folder = Path(name)
        os.environ |= {f"CLUSTERDECK_{kind}_DIR": str(folder / kind.lower()) for kind in ("CONFIG", "STATE", "CACHE")}
        (folder / "sshd").mkdir()
        before = (psutil.Process().num_fds(), threading.active_count())
        with Sshd(folder / "sshd", {"MaxStartups": "1000", "LogLevel": "ERROR"}) as sshd:
            session = make_session(make_config(sshd, folder, nodes))
            session.start()
            try:
                tally = soak(session, sshd, minutes, nodes)
                answers = all_answer(session, nodes)
            finally:
                ended = session.close(10)
        deadline = time.monotonic() + 10
        while (after := (psutil.Process().num_fds(), threading.active_count())) > before:
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)
    wrong = [
        text
        for text, bad in (
            (f"memory drifted by {tally.drift:+.1%}", tally.drift > 0.05),
            ("a node did not answer at the end", not answers),
            ("the session did not close", not ended),
            (f"descriptors and threads: {before} before, {after} after", after[0] > before[0] or after[1] > before[1]),
        )
        if bad
    ]
    _say(
        f"SOAK {'failed' if wrong else 'passed'}: {minutes:g} min, {nodes} nodes, {tally.runs} runs, "
        f"{sum(tally.states.values())} commands ({', '.join(f'{k} {v}' for k, v in tally.states.items() if v)}), "
        f"{tally.killed} connections killed, memory {tally.window(0.2, 0.4) / 2**20:.0f} -> "
        f"{tally.window(0.8, 1.0) / 2**20:.0f} MiB ({tally.drift:+.1%}), "
        f"run median {statistics.median(tally.seconds):.2f} s, {tally.late} longer than {PERIOD:g} s, "
        f"0 deadlocks, load {os.getloadavg()[0]:.1f}"
    )
    for text in wrong:
        _say(f"  {text}")
    return 1 if wrong else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
