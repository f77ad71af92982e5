"""Figures of the full-screen console, in a real pseudo-terminal. `python tests/bench/bench_tui.py [CASE...]`

flood     a generator gives 100,000 lines/s over 1,000 and 10,000 nodes: key to paint, lines lost, memory
filter    every keystroke of some filters over 10,000 nodes: keystroke to paint
start     the real command: first paint, prompt usable
idle      the real command with 1,000 nodes selected: CPU share while nothing happens
memory    10,000 nodes x 1,000 lines of 80 characters: resident memory, and the first line read back
views     the flood over 1,000 nodes in every view: key to paint

Keys are written to the terminal's other end by this process and timed there; the console under test notes when the
frame with their effect was written. Both read the same monotonic clock.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import random
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SIZE = (50, 200)
TEXT = b"the quick brown fox jumps over the lazy dog, and some more output of a node %07d"
LINES_PER_READ = 16


# -- the side that types


class Terminal:
    """A child on a pseudo-terminal; what it writes is read at once and only searched."""

    def __init__(self, command: list[str], environment: dict[str, str], size: tuple[int, int] = SIZE) -> None:
        self.begun = time.monotonic()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, environment)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        self.seen = bytearray()
        self.written = 0
        self._closed = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._closed:
            ready, _, _ = select.select([self.fd], [], [], 0.2)
            if not ready:
                continue
            try:
                data = os.read(self.fd, 1 << 16)
            except OSError:
                return
            if not data:
                return
            self.written += len(data)
            self.seen += data
            if len(self.seen) > 1 << 20:
                del self.seen[: 1 << 19]

    def wait_for(self, text: bytes, timeout: float = 20.0) -> float:
        """Seconds since the start until `text` was written."""
        end = time.monotonic() + timeout
        while text not in self.seen:
            if time.monotonic() > end:
                raise TimeoutError(f"{text!r} never came; last: {bytes(self.seen[-300:])!r}")
            time.sleep(0.002)
        return time.monotonic() - self.begun

    def type(self, keys: bytes) -> float:
        """Press keys; the moment at which they were written."""
        now = time.monotonic()
        os.write(self.fd, keys)
        return now

    def close(self) -> None:
        self._closed = True
        try:
            os.kill(self.pid, signal.SIGTERM)
            for _ in range(100):
                if os.waitpid(self.pid, os.WNOHANG)[0]:
                    break
                time.sleep(0.05)
            else:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        self._thread.join(2)
        os.close(self.fd)


def share(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def told(name: str, values: list[float]) -> str:
    if not values:
        return f"{name}: nothing measured"
    p50, p95, p99 = (share(values, part) * 1000 for part in (0.5, 0.95, 0.99))
    return f"{name}: {len(values)} keys, p50 {p50:.0f} p95 {p95:.0f} p99 {p99:.0f} max {max(values) * 1000:.0f} ms"


@contextmanager
def child(**options: Any) -> Iterator[tuple[Terminal, Path]]:
    """This script as the console under test."""
    with tempfile.TemporaryDirectory(prefix="clusterdeck-bench-") as folder:
        notes = Path(folder) / "notes"
        environment = dict(os.environ) | {
            "TERM": "xterm-256color", "COLORTERM": "truecolor", "CLUSTERDECK_STATE_DIR": folder,
            "CLUSTERDECK_CONFIG_DIR": folder, "CLUSTERDECK_CACHE_DIR": folder,
        }  # fmt: skip
        for name in ("NO_COLOR", "SSH_CONNECTION"):
            environment.pop(name, None)
        command = [sys.executable, __file__, "--child", json.dumps(options | {"notes": str(notes)})]
        terminal = Terminal(command, environment)
        try:
            terminal.wait_for(b"deck>")
            while not notes.exists() or "begun" not in notes.read_text():
                time.sleep(0.1)
            yield terminal, notes
        finally:
            terminal.close()


def effects(notes: Path, kind: str) -> list[float]:
    return [float(line.split()[1]) for line in notes.read_text().splitlines() if line.startswith(kind + " ")]


def press(terminal: Terminal, notes: Path, kind: str, keys: list[bytes], pause: float) -> list[float]:
    """Press keys one by one, each after the effect of the one before; seconds from key to paint."""
    times: list[float] = []
    have = len(effects(notes, kind))
    for key in keys:
        at = terminal.type(key)
        end = at + 5.0
        while len(now := effects(notes, kind)) <= have:
            if time.monotonic() > end:
                raise TimeoutError(f"{key!r} had no effect; notes: {notes.read_text()[-300:]}")
            time.sleep(0.004)
        have += 1
        times.append(now[have - 1] - at)
        time.sleep(pause * random.uniform(0.5, 1.5))
    return times


def flood(nodes: int, rate: int, view: str = "panes", keys: int = 150) -> None:
    with child(nodes=nodes, rate=rate, view=view) as (terminal, notes):
        terminal.type(b"\x0f")  # ctrl+o: from the prompt to the view
        terminal.wait_for(b"Filter")
        terminal.type(b"0")
        terminal.wait_for(b"Order")
        time.sleep(2.5)
        moves = [b"\x1b[B", b"\x1b[A"] * (keys // 2)
        listed = press(terminal, notes, "cursor", moves, 0.05)
        terminal.type(b"\x0f")
        time.sleep(0.3)
        letters = [bytes([97 + number % 26]) for number in range(keys // 2)]
        typed = press(terminal, notes, "prompt", letters, 0.05)
        (last,) = [line for line in notes.read_text().splitlines() if line.startswith("flood ")][-1:]
        print(f"flood {nodes} nodes, {rate} lines/s asked, view {view}")
        print(" ", told("node list", listed))
        print(" ", told("prompt", typed))
        print(" ", last, flush=True)


def filters(nodes: int = 10_000) -> None:
    texts = ["node00[1-40]", "state:failed", "rc:2 node", "node*77", "@rack3", "!@rack1 0042", "/7$/", "n99"]
    with child(nodes=nodes, rate=0, view="panes", groups=True) as (terminal, notes):
        terminal.type(b"\x0f")
        terminal.wait_for(b"Filter")
        terminal.type(b"/")
        terminal.wait_for(b"filter:")
        time.sleep(1.5)
        times: list[float] = []
        for text in texts:
            keys = [bytes([byte]) for byte in text.encode()]
            times += press(terminal, notes, "filter", keys, 0.03)
            times += press(terminal, notes, "filter", [b"\x7f"] * len(keys), 0.03)
        print(told(f"filter over {nodes} nodes", times), flush=True)


def start(times: int = 5) -> None:
    paints, prompts = [], []
    for _ in range(times):
        with tempfile.TemporaryDirectory(prefix="clusterdeck-bench-") as folder:
            terminal = real_console(folder, "node[1-24]")
            try:
                paints.append(terminal.wait_for(b"Nodes" if SIZE[1] < 100 else b"Panes"))
                prompts.append(terminal.wait_for(b"(24)"))
                terminal.wait_for(b"deck ")
                prompts[-1] = time.monotonic() - terminal.begun
            finally:
                terminal.close()
    print(f"first paint: best {min(paints):.2f} median {share(paints, 0.5):.2f} s; "
          f"prompt: best {min(prompts):.2f} median {share(prompts, 0.5):.2f} s", flush=True)  # fmt: skip


def real_console(folder: str, nodes: str) -> Terminal:
    environment = dict(os.environ) | {
        "TERM": "xterm-256color", "CLUSTERDECK_STATE_DIR": folder, "CLUSTERDECK_CONFIG_DIR": folder,
        "CLUSTERDECK_CACHE_DIR": folder,
    }  # fmt: skip
    return Terminal([sys.executable, "-m", "clusterdeck", "-w", nodes], environment)


def idle(seconds: float = 15.0) -> None:
    import psutil

    with tempfile.TemporaryDirectory(prefix="clusterdeck-bench-") as folder:
        terminal = real_console(folder, "node[1-1000]")
        try:
            terminal.wait_for(b"deck ")
            time.sleep(4)
            process = psutil.Process(terminal.pid)
            before, at = process.cpu_times(), time.monotonic()
            time.sleep(seconds)
            after = process.cpu_times()
            used = after.user + after.system - before.user - before.system
            print(f"idle: {used / (time.monotonic() - at) * 100:.2f} % of one core, "
                  f"{process.memory_info().rss >> 20} MB, {process.num_threads()} threads", flush=True)  # fmt: skip
        finally:
            terminal.close()


def memory() -> None:
    with child(nodes=10_000, rate=0, fill=1_000, view="panes") as (terminal, notes):
        end = time.monotonic() + 300
        while not notes.exists() or "filled " not in notes.read_text():
            if time.monotonic() > end:
                raise TimeoutError("never filled")
            time.sleep(0.5)
        print([line for line in notes.read_text().splitlines() if line.startswith("filled")][-1], flush=True)
        del terminal


# -- the console under test


class Feeder(threading.Thread):
    """Stands for the engine: whole lines, a read's worth per chunk, through the session's real outbox."""

    def __init__(self, session: Any, run: Any, rate: int) -> None:
        super().__init__(daemon=True)
        self.session, self.run_model, self.rate = session, run, rate
        self.sent = 0
        self.ending = False

    def batch(self, lines: int, number: int) -> Any:
        from clusterdeck.console.runs.events import Chunk, OutputArrived
        from clusterdeck.console.session.outbox import Batch

        nodes = len(self.run_model.names)
        chunks = []
        for index in range(max(1, lines // LINES_PER_READ)):
            data = b"\n".join([TEXT % (number + index + line) for line in range(LINES_PER_READ)]) + b"\n"
            chunks.append(Chunk((number + index) % nodes, 0, data, LINES_PER_READ))
        self.sent += len(chunks) * LINES_PER_READ
        return Batch((OutputArrived(self.run_model.id, tuple(chunks)),), sum(len(chunk.data) for chunk in chunks)), len(
            chunks
        )

    def run(self) -> None:
        outbox = self.session._outbox
        begun = time.perf_counter()
        number = 0
        while not self.ending:
            wanted = int((time.perf_counter() - begun) * self.rate) - self.sent
            if wanted >= LINES_PER_READ:
                batch, count = self.batch(min(wanted, self.rate // 20), number)
                number += count
                if outbox.put(batch):
                    while outbox.outstanding > 4 << 20 and not self.ending:
                        time.sleep(0.002)
            time.sleep(0.005)


def console(options: dict[str, Any]) -> None:
    import psutil
    from ClusterShell.NodeSet import NodeSet

    from clusterdeck.console.runs.events import NodeChange, NodesChanged
    from clusterdeck.console.runs.options import RunOptions
    from clusterdeck.console.session.launch import RunSpec
    from clusterdeck.console.session.outbox import Batch
    from clusterdeck.console.session.selection import Selection
    from clusterdeck.console.session.session import Session
    from clusterdeck.console.settings.settings import Settings
    from clusterdeck.console.tui.app import ClusterdeckApp
    from clusterdeck.engine.states import NodeState
    from clusterdeck.tests.support.tui import Deck
    from clusterdeck.widgets.node_list import NodeList

    notes = open(options["notes"], "w", buffering=1)  # noqa: SIM115 - as long as the process
    count = options["nodes"]
    nodes = NodeSet(f"node[{1:05}-{count:05}]")
    session = Session(Settings(), selection=Selection(nodes))
    if options.get("groups"):
        racks = {f"rack{number}": NodeSet.fromlist(list(nodes)[number::10]) for number in range(10)}
        plain = session.resolve

        def resolve(expression: str) -> NodeSet:
            return racks[expression[1:]].copy() if expression[1:] in racks else plain(expression)

        session.resolve = resolve  # type: ignore[method-assign]
    run = session.maker.make(RunSpec("shell", "flood", RunOptions()), "flood", nodes)
    session.runs.add(run)
    pending: list[str] = []
    deck = Deck(session, specs=())  # type: ignore[arg-type]

    class Measured(ClusterdeckApp):
        begin: Callable[[], None]
        begun: list[float]

        def on_ready(self) -> None:
            self.begun[0] = time.monotonic()
            self.set_timer(1.0, self.begin)

        def _display(self, *args: Any, **kwargs: Any) -> None:
            super()._display(*args, **kwargs)
            now = time.monotonic()
            for kind in pending:
                notes.write(f"{kind} {now}\n")
            pending.clear()

    deck.app.__class__ = Measured
    watch(NodeList, "move_cursor", pending, "cursor")
    main = deck.app.main
    painter = main.painter
    typed = painter.filter_typed

    def filter_typed(text: str) -> None:
        typed(text)
        pending.append("filter")

    painter.filter_typed = filter_typed  # type: ignore[method-assign, assignment]
    deck_prompt_watch(pending)
    feeder = Feeder(session, run, options["rate"])

    def begin() -> None:
        now = time.monotonic()
        states = [NodeState.RUNNING if options["rate"] else NodeState.OK] * count
        if options.get("groups"):
            states = [NodeState.FAILED if number % 7 == 0 else NodeState.OK for number in range(count)]
        changes = tuple(
            NodeChange(number, state, now, 2 if state is NodeState.FAILED else 0) for number, state in enumerate(states)
        )
        session._outbox.put(Batch((NodesChanged(run.id, changes),), 0))
        main.open_view(options["view"])
        notes.write("begun\n")
        if options["rate"]:
            feeder.start()
            deck.app.set_interval(1.0, report)
        if options.get("fill"):
            threading.Thread(target=fill, daemon=True).start()

    def report() -> None:
        rss = psutil.Process().memory_info().rss >> 20
        missing = feeder.sent - run.lines_total
        took = time.monotonic() - begun[0]
        notes.write(f"flood got {run.lines_total / took:.0f} lines/s, {missing} on their way, rss {rss} MB\n")

    def fill() -> None:
        number = 0
        total = count * options["fill"]
        while feeder.sent < total:
            batch, chunks = feeder.batch(LINES_PER_READ * 200, number)
            number += chunks
            session._outbox.put(batch)
            while session._outbox.outstanding > 4 << 20:
                time.sleep(0.002)
        while run.lines_total < feeder.sent:
            time.sleep(0.1)
        time.sleep(1)
        first = run.lines(0, 0, 1)[0].text
        kept = sum(run.line_count(node) for node in range(count))
        rss = psutil.Process().memory_info().rss >> 20
        notes.write(
            f"filled {run.lines_total} lines, {kept} can be read, rss {rss} MB, first line of node 1: {first!r}\n"
        )

    begun = [time.monotonic()]
    deck.app.begin = begin  # type: ignore[attr-defined]
    deck.app.begun = begun  # type: ignore[attr-defined]
    deck.app.run()
    feeder.ending = True


def watch(owner: type, name: str, pending: list[str], kind: str) -> None:
    plain: Callable[..., Any] = getattr(owner, name)

    def noted(self: Any, *args: Any) -> None:
        plain(self, *args)
        pending.append(kind)

    setattr(owner, name, noted)


def deck_prompt_watch(pending: list[str]) -> None:
    from clusterdeck.widgets.prompt import PromptHost

    plain = PromptHost._show
    last = [""]

    def shown(self: Any) -> None:
        plain(self)
        if self.text != last[0]:
            last[0] = self.text
            pending.append("prompt")

    PromptHost._show = shown  # type: ignore[method-assign]


def floods() -> None:
    flood(1_000, 100_000)
    flood(10_000, 100_000)


def views() -> None:
    for view in ("gathered", "failures", "runs", "diff", "plot"):
        flood(1_000, 100_000, view, 40)


CASES: dict[str, Callable[[], None]] = {
    "flood": floods,
    "filter": filters,
    "start": start,
    "idle": idle,
    "memory": memory,
    "views": views,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", default=[], help=", ".join(CASES))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        console(json.loads(arguments.child))
        return 0
    print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, "
          f"{subprocess.run(['uname', '-sr'], capture_output=True, text=True).stdout.strip()}")  # fmt: skip
    for name in arguments.cases or CASES:
        CASES[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
