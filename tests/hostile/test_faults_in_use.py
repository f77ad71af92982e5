"""Every fault of a connection while the console is in use: it says what happened in a line, and goes on working.

One session with as many nodes as there are faults. They answer; then each turns bad in its way, under the connection
that stands or instead of the next one; then they are well again. Nothing is restarted in between.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet

from clusterdeck.tests.hostile.judge import foreign_in_terminal
from clusterdeck.tests.support.hostile_ssh import FAULTS, HostileServer
from clusterdeck.tests.support.program import PROGRAM
from clusterdeck.tests.support.sshd import Sshd
from clusterdeck.tests.support.terminal import PtyRecorder
from clusterdeck.tests.support.tmux import Tmux

#: Words of the line that tells each fault; before and in the login all are "unreachable".
TOLD: dict[str, str] = {
    "silent": "no answer within .* the server's version",
    "dropped": "ended before the server's version",
    "reset": "ended before the server's version",
    "refuses in words": "it said: Exceeded MaxStartups",
    "nonsense banner": "no answer within|protocol error",
    "old protocol": "speaks SSH-1.5",
    "endless banner": "does not say its version",
    "endless line": "no end of line",
    "dripping banner": "no answer within .* the server's version",
    "hangs after its version": "no answer within .* key exchange",
    "drops after its version": "ended during key exchange",
    "nonsense in key exchange": "during key exchange|key exchange",
    "huge packet in key exchange": "out of bounds",
    "no algorithm in common": "no algorithm in common",
    "hangs in key exchange": "no answer within .* key exchange",
    "drops in key exchange": "ended during key exchange",
    "wrong answer in key exchange": "malformed key exchange",
    "new keys too early": "message 21 where 31 was due",
    "message before keys": "message 52 where 31 was due",
    "goodbye in key exchange": "ended the connection during key exchange: go !",
    "hangs in login": "no answer within .* authentication",
    "drops in login": "ended during authentication",
    "goodbye in login": "too many failures",
    "rejects every key": "key rejected",
}
IN_SESSION: dict[str, str] = {
    # It has admitted sessions before, so it is asked again for two seconds.
    "refuses sessions": "timeout|unreachable: .*refused a session",
    "hangs at the session": "timeout",
    "drops at the session": "lost: .*connection lost",
    "goodbye at the session": "lost: .*connection lost",
    "refuses the request": "unreachable: .*refused to start it",
    "hangs at the request": "timeout: .*not confirmed",
    "drops in the middle": "lost: .*connection lost",
    "resets in the middle": "lost: .*connection lost",
    "closes without a status": "lost: .*without an exit status",
    "hangs before the status": "timeout: .*not confirmed",
    "hangs without a word": "timeout: .*not confirmed",
    "corrupt packet": "lost: .*protocol error",
    "more than the window": "timeout",
    "strange messages": "timeout: .*not confirmed",
    "unknown requests": "timeout: .*not confirmed",
    "cut short message": "lost: .*cut short",
    "killed by a signal": "failed: rc 137",
    "stops reading": "timeout: .*not confirmed",
}
TOLD = {fault: f"unreachable: .*({words})" for fault, words in TOLD.items()} | IN_SESSION
#: The server itself answers nothing more on a connection on which these happened: a new one has to be made.
STUCK = ("hangs at the session", "hangs at the request")


@pytest.fixture
def servers() -> Iterator[dict[str, HostileServer]]:
    """One per fault, all well."""
    made = {fault: HostileServer() for fault in FAULTS}
    yield made
    for server in made.values():
        server.stop()


@pytest.fixture
def argv(servers: dict[str, HostileServer], sshd: Sshd, tmp_path: Path) -> list[str]:
    """A console whose nodes are the servers (bad0, ...) and three of a real sshd."""
    known = tmp_path / "known"
    known.write_text("".join(server.known_hosts for server in servers.values()))
    hosts = "".join(f"Host bad{number}\n Port {server.port}\n" for number, server in enumerate(servers.values()))
    hosts += f"Host bad*\n HostName 127.0.0.1\n UserKnownHostsFile {known}\n IdentityFile {sshd.key}\n"
    config = tmp_path / "ssh_config"
    config.write_text(f"{hosts}Host bad*\n IdentitiesOnly yes\n IdentityAgent none\n{sshd.config.read_text()}")
    options = ["run.connect_timeout=2", f"ssh.config={config}", "screen.output=gathered"]
    options += ["limits.node_memory=64KiB", "limits.run_spool=0"]
    nodes = ["-w", f"bad[0-{len(servers) - 1}],node[1-3]"]
    return [*PROGRAM, "WHAT", *nodes, *(word for option in options for word in ("-O", option))]


class Operator:
    """Types at a prompt, and reads what is written."""

    def __init__(self, terminal: PtyRecorder) -> None:
        self.terminal = terminal
        self.runs = 0
        terminal.wait_for(b"deck ")

    def ask(self, seconds: float) -> int:
        """A command that needs no node is answered in time, whatever goes on meanwhile; where the answer ends."""
        start = len(self.terminal.data)
        number = 1_000_000 + start
        self.terminal.send(f":show {number}\r".encode())
        return self.terminal.wait_for(f"there is no run #{number}".encode(), seconds, start=start)

    def run(self, line: str, seconds: float, *, meanwhile: int = 0) -> str:
        """A command to its end within so many seconds; what was written, without what steers the terminal."""
        self.runs += 1
        start = len(self.terminal.data)
        begun = time.monotonic()
        self.terminal.send(line.encode() + b"\r")
        for _ in range(meanwhile):
            self.ask(20)
        self.terminal.wait_for(f"#{self.runs} ".encode(), seconds - (time.monotonic() - begun), start=start)
        end = self.ask(20)
        return text_of(self.terminal.data[start:end])


def text_of(data: bytes) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b.|\r", "", data.decode("utf-8", "replace"))


def problems(said: str) -> dict[str, str]:
    """What a summary tells of each node that did not do well: a line, and no second one."""
    found: dict[str, str] = {}
    for nodes, count, told in re.findall(r"^  (\S+) \((\d+)\): \S (.*)$", said, re.MULTILINE):
        members = NodeSet(nodes, resolver=RESOLVER_NOGROUP)
        assert len(members) == int(count)
        for node in members:
            assert node not in found, f"{node} is told twice"
            found[node] = told
    return found


def judge(said: str, faults: list[str]) -> None:
    """Each fault as it was, and everybody else well."""
    told = problems(said)
    wrong = [
        f"{fault}: {told.get(node)}"
        for node, fault in ((f"bad{FAULTS.index(fault)}", fault) for fault in faults)
        if re.match(TOLD[fault], told.get(node, "")) is None
    ]
    assert not wrong, f"{wrong}\n{said[-8000:]}"
    assert len(told) == len(faults), told


def in_use(servers: dict[str, HostileServer], operator: Operator, faults: list[str], *, patient: bool) -> None:
    """The nodes are well, turn bad, and are well again. patient: wait for those that need another connection."""
    assert problems(operator.run("echo hello", 20)) == {}
    process = psutil.Process(operator.terminal.process.pid)
    before = process.num_fds(), process.num_threads()
    for fault in faults:
        servers[fault].turn(fault)
    # Until a login is given up, until a command is, and what stopping it may take.
    said = operator.run(":shell --timeout 2.4 -- echo hello", 60, meanwhile=3)
    judge(said, faults)
    assert problems(operator.run(":shell -w node[1-3] -- echo still here", 30)) == {}
    for server in servers.values():
        server.turn("")
    healed = [fault for fault in faults if patient or fault not in STUCK]
    nodes = ",".join(["node[1-3]", *(f"bad{FAULTS.index(fault)}" for fault in healed)])
    assert problems(operator.run(f":shell -w {nodes} -- echo hello", 30)) == {}
    # Connections to as many nodes; a prompt that is shown has three descriptors, and helper threads may still rest.
    assert process.num_fds() <= before[0] + 3
    assert process.num_threads() <= before[1] + 2


def session(
    argv: list[str], folders: dict[str, str], tmp_path: Path, servers: dict[str, HostileServer], faults: list[str]
) -> None:
    # Otherwise nobody but root may look at its descriptors.
    folders["CLUSTERDECK_DEBUG"] = "1"
    argv = ["repl" if word == "WHAT" else word for word in argv]
    with PtyRecorder(argv, columns=200, rows=50, environment=folders, cwd=tmp_path) as terminal:
        in_use(servers, Operator(terminal), faults, patient=len(faults) == 1)
        terminal.send(b":quit\r")
        assert terminal.wait(60) == 0
        assert foreign_in_terminal(terminal.data)[:5] == []
        assert b"Traceback" not in terminal.data
        assert b"mistake" not in terminal.data
    assert not (tmp_path / "state" / "crashes").exists()


def test_all_faults_at_once(
    argv: list[str], folders: dict[str, str], tmp_path: Path, servers: dict[str, HostileServer]
) -> None:
    assert set(TOLD) == set(FAULTS)
    session(argv, folders, tmp_path, servers, list(FAULTS))


@pytest.mark.long
def test_the_screen(
    argv: list[str], folders: dict[str, str], tmp_path: Path, servers: dict[str, HostileServer]
) -> None:
    """The same in the full screen: keys are heard meanwhile, and every node has a line that tells its end."""
    argv = [word for word in argv if word != "WHAT"]
    with Tmux(argv, columns=220, rows=70, environment=folders, cwd=tmp_path) as screen:
        screen.wait_for("node[1-3]")
        screen.line("echo hello")
        screen.wait_for("ok 45")
        for fault, server in servers.items():
            server.turn(fault)
        screen.line(":shell --timeout 1.2 -- echo hello")
        for typed in ("w", "wx", "wxy", "wxyz"):
            begun = time.monotonic()
            screen.send(typed[-1])
            screen.wait_for(f"> {typed}")
            assert time.monotonic() - begun < 1
        screen.key("C-u")
        row = re.compile(r"^ +([!?xT]) (bad\d+) +\S", re.MULTILINE)
        shown = screen.wait_for(lambda shown: len(set(row.findall(shown))) == len(FAULTS), 10)
        assert "the server speaks SSH-1.5" in shown
        assert "Traceback" not in shown
        for server in servers.values():
            server.turn("")
        healed = ",".join(f"bad{number}" for number, fault in enumerate(FAULTS) if fault not in STUCK)
        screen.line(f":shell -w {healed},node[1-3] -- echo hello")
        screen.wait_for(re.compile(r"ok 43\b"), 10)
        screen.line(":quit")
        assert screen.wait_exit() == 0
    assert not (tmp_path / "state" / "crashes").exists()


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault(
    fault: str, argv: list[str], folders: dict[str, str], tmp_path: Path, servers: dict[str, HostileServer]
) -> None:
    session(argv, folders, tmp_path, servers, [fault])
