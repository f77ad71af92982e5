"""Commands of the paramiko worker against a real sshd."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from ClusterShell.NodeSet import NodeSet

from clusterdeck.engine.states import FailureKind, NodeState
from clusterdeck.engine.task import Task
from clusterdeck.engine.workers.paramiko import pool_of
from clusterdeck.tests.ssh.conftest import Recorder
from clusterdeck.tests.support.patience import with_time_enough
from clusterdeck.tests.support.processes import everywhere, wait_gone
from clusterdeck.tests.support.sshd import Sshd


def test_status_output_and_kept_connections(ssh_task: Task, recorder: Recorder) -> None:
    told: list[int] = []
    ssh_task.set_info("ssh_live", told.append)
    worker = ssh_task.run("echo out; echo err >&2; exit 3", nodes="node[1-4]", handler=recorder)
    assert {rc: str(nodes) for rc, nodes in worker.iter_retcodes()} == {3: "node[1-4]"}
    assert recorder.states() == {NodeState.FAILED}
    assert sorted(recorder.lines["node2"]) == [b"err", b"out"]
    assert sorted(recorder.connects) == ["node1", "node2", "node3", "node4"]
    assert pool_of(ssh_task).live_count == 4
    assert told == [1, 2, 3, 4]
    second = Recorder()
    ssh_task.run("echo $SSH_CONNECTION", nodes="node[1-4]", handler=second)
    third = Recorder()
    ssh_task.run("echo $SSH_CONNECTION", nodes="node[1-4]", handler=third)
    assert second.connects == []
    assert second.lines == third.lines, "the connection was not kept"
    assert len({line[0] for line in second.lines.values()}) == 4, "nodes share a connection"


def test_stderr_apart(ssh_task: Task, recorder: Recorder) -> None:
    ssh_task.run("echo out; echo err >&2", nodes="node1", handler=recorder, stderr=True)
    assert (recorder.lines["node1"], recorder.errors["node1"]) == ([b"out"], [b"err"])


def test_signal_of_the_command_is_128_plus_its_number(ssh_task: Task) -> None:
    worker = ssh_task.run("kill -TERM $$", nodes="node1")
    assert worker.node_retcode("node1") == 143


def test_input_is_broadcast_and_ends(ssh_task: Task, recorder: Recorder) -> None:
    worker = ssh_task.shell("cat; echo done", nodes="node[1-3]", handler=recorder)
    worker.write(b"one\n")
    worker.write(b"x" * 300_000 + b"\n")
    worker.set_write_eof()
    ssh_task.resume()
    for node in ("node1", "node2", "node3"):
        assert recorder.lines[node] == [b"one", b"x" * 300_000, b"done"]


def test_a_large_output_arrives_whole(ssh_task: Task) -> None:
    worker = ssh_task.run("seq 1 400000", nodes="node[1-2]", timeout=60)
    expected = b"\n".join(b"%d" % n for n in range(1, 400001))
    assert worker.node_buffer("node1") == worker.node_buffer("node2") == expected


def test_environment_and_terminal(ssh_task: Task, make_sshd: Callable[..., Sshd]) -> None:
    from clusterdeck.engine.workers.paramiko import WorkerParamiko

    # An sshd that is not root's gives no terminals: it may not change their owner.
    pty = os.geteuid() == 0
    worker = WorkerParamiko("node1", command='echo "$A-$B"; tty', environment={"A": "x y", "B": "$(id)"}, pty=pty)
    ssh_task.schedule(worker)
    ssh_task.resume()
    lines = (worker.read("node1") or b"").split(b"\n")
    assert lines[0] == b"x y-$(id)"
    assert lines[1].startswith(b"/dev/" if pty else b"not a tty")
    strict = make_sshd(AcceptEnv="LANG", PermitTTY="no")
    told: list[str] = []
    ssh_task.set_info("ssh_notice", told.append)
    ssh_task.set_info("ssh_config", str(strict.config))
    worker = WorkerParamiko("node9", command='echo "$A-$B"', environment={"A": "x y", "B": "it's"}, pty=True)
    ssh_task.schedule(worker)
    ssh_task.resume()
    assert worker.read("node9") == b"x y-it's", "what the server refuses has to go with the command"
    assert len(told) == 1
    assert "gives no terminal" in told[0]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports of ended processes are to be right here, not quick: the machine may be busy."""
    from clusterdeck.engine.ssh import remote_kill

    monkeypatch.setattr(remote_kill, "PATIENCE", 30.0)


def _alive(marker: str) -> list[psutil.Process]:
    return everywhere(lambda words: marker in words)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    "command",
    [
        "sleep {}",
        "sleep {} & wait",
        "trap '' TERM; sleep {}; sleep {}",
        "sh -c \"trap '' TERM; sleep {}; sleep {}\" & wait",
    ],
)
def test_timeout_ends_the_remote_process(ssh_task: Task, recorder: Recorder, command: str) -> None:
    marker = f"98{time.monotonic_ns() % 10**9}"
    worker = ssh_task.run(command.replace("{}", marker), nodes="node[1-3]", handler=recorder, timeout=1.0)
    assert worker.num_timeout() == 3
    assert recorder.states() == {NodeState.TIMEOUT}
    assert {end.failure for end in recorder.ends.values()} == {None}, "each end was to be confirmed"
    assert not _alive(marker)


def test_of_a_hundred_that_are_stopped_those_that_live_on_are_named(ssh_task: Task) -> None:
    """sshd takes no signal for root's sessions, so this rests on the reaping command. At least 99 are to end."""
    marker = f"94{time.monotonic_ns() % 10**9}"
    recorders = []
    for _ in range(4):
        recorder = Recorder()
        recorders.append(recorder)
        worker = ssh_task.shell(f"echo started; sleep {marker}", nodes="node[1-25]", handler=recorder)
        recorder.on_lines = lambda _w, _n, r=recorder, w=worker: w.abort() if len(r.lines) == 25 else None
        ssh_task.resume()
    ends = [end for recorder in recorders for end in recorder.ends.values()]
    assert [end.state for end in ends] == [NodeState.ABORTED] * 100
    said = sum(end.failure is not None and "not confirmed" in end.failure.reason for end in ends)
    # What is only late is gone in a moment.
    left = wait_gone(_alive(marker), 20)
    assert len(left) <= min(1, said), f"{len(left)} live on, {said} were said to"


def test_what_has_left_its_group_and_holds_the_output_is_not_confirmed(
    ssh_task: Task, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clusterdeck.engine.ssh import remote_kill

    monkeypatch.setattr(remote_kill, "PATIENCE", 1.0)
    recorder.on_lines = lambda worker, node: worker.abort() if len(recorder.lines) == 2 else None
    ssh_task.run("setsid sh -c 'echo $$; exec sleep 100'", nodes="node[1-2]", handler=recorder)
    for node in ("node1", "node2"):
        os.kill(int(recorder.lines[node][0]), signal.SIGKILL)
    assert recorder.states() == {NodeState.ABORTED}
    assert all("not confirmed" in str(end.failure) for end in recorder.ends.values()), recorder.ends


@pytest.mark.usefixtures("patient")
def test_abort_ends_only_its_own_command(ssh_task: Task, recorder: Recorder) -> None:
    marker = f"97{time.monotonic_ns() % 10**9}"
    other = Recorder()
    keep = ssh_task.shell("echo ready; sleep 1.2; echo kept", nodes="node[1-2]", handler=other)
    doomed = ssh_task.shell(f"echo started; sleep {marker}", nodes="node[1-2]", handler=recorder)
    recorder.on_lines = lambda worker, node: doomed.abort() if len(recorder.lines) == 2 else None
    ssh_task.resume()
    assert recorder.states() == {NodeState.ABORTED}
    assert not _alive(marker)
    assert {end.failure for end in recorder.ends.values()} == {None}
    assert other.states() == {NodeState.OK}
    assert keep.read("node1") == b"ready\nkept"


def test_a_connection_lost_while_running(make_sshd: Callable[..., Sshd], task: Task, recorder: Recorder) -> None:
    server = make_sshd()
    task.set_info("ssh_config", str(server.config))
    recorder.on_lines = lambda worker, node: server.kill_connections() if len(recorder.lines) == 2 else None
    task.run("echo started; sleep 100", nodes="node[1-2]", handler=recorder, timeout=20)
    assert recorder.states() == {NodeState.LOST}
    assert recorder.kind("node1") is FailureKind.CONNECTION_LOST
    assert recorder.ends["node1"].rc is None


def test_dead_connections_are_redialled_before_a_command(
    make_sshd: Callable[..., Sshd], task: Task, recorder: Recorder
) -> None:
    server = make_sshd()
    task.set_info("ssh_config", str(server.config))
    task.run("true", nodes="node[1-3]")
    server.kill_connections()
    worker = task.run("echo again", nodes="node[1-3]", handler=recorder)
    assert recorder.states() == {NodeState.OK}
    assert worker.read("node3") == b"again"


def test_one_session_at_a_time(make_sshd: Callable[..., Sshd], task: Task) -> None:
    server = make_sshd(MaxSessions="1")
    task.set_info("ssh_config", str(server.config))
    workers = [task.shell(f"sleep 0.1; echo {number}", nodes="node[1-2]") for number in range(4)]
    task.resume()
    assert [worker.read("node2") for worker in workers] == [b"0", b"1", b"2", b"3"]
    assert pool_of(task).live_count == 2


def test_a_server_that_admits_no_session(make_sshd: Callable[..., Sshd], task: Task, recorder: Recorder) -> None:
    server = make_sshd(MaxSessions="0")
    task.set_info("ssh_config", str(server.config))
    task.run("true", nodes="node1", handler=recorder)
    assert recorder.kind("node1") is FailureKind.CHANNEL_REFUSED
    assert recorder.ends["node1"].state is NodeState.UNREACHABLE


def test_many_starts_at_a_server_with_few_places(
    make_sshd: Callable[..., Sshd], task: Task, recorder: Recorder
) -> None:
    server = make_sshd(MaxStartups="4:80:8")
    task.set_info("ssh_config", str(server.config))
    task.set_info("connect_timeout", 30)
    task.run("true", nodes="node[1-32]", handler=recorder)
    assert recorder.states() == {NodeState.OK}


def test_dead_nodes_do_not_hold_up_the_others(ssh_task: Task, sshd: Sshd, tmp_path: Path, recorder: Recorder) -> None:
    import socket

    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    silent.listen(64)
    config = tmp_path / "config"
    config.write_text(f"Host dead*\n HostName 127.0.0.1\n Port {silent.getsockname()[1]}\n" + sshd.config.read_text())
    ssh_task.set_info("ssh_config", str(config))
    ssh_task.set_info("ssh_window", 4)
    unused = iter(range(1, 65))

    def attempt(limit: float) -> tuple[set[FailureKind | None], set[NodeState]]:
        """How the dead ones and the others ended."""
        recorder.ends.clear()
        nodes = [f"node{n}" for n in itertools.islice(unused, 12)]
        ssh_task.set_info("connect_timeout", limit)
        ssh_task.run("true", nodes=",".join(["dead[1-12]", *nodes]), handler=recorder)
        kinds = {recorder.kind(node) for node in NodeSet("dead[1-12]")}
        return kinds, {recorder.ends[node].state for node in nodes}

    expected = ({FailureKind.BANNER}, {NodeState.OK})
    assert with_time_enough(attempt, lambda found: found == expected) == expected
    silent.close()


def test_names_that_are_no_names(ssh_task: Task, recorder: Recorder) -> None:
    from clusterdeck.engine.workers.paramiko import WorkerParamiko

    nodes = NodeSet.fromlist(["-oProxyCommand=x", "a;b"])
    ssh_task.schedule(WorkerParamiko(nodes, handler=recorder, command="true"))
    ssh_task.resume()
    assert {end.state for end in recorder.ends.values()} == {NodeState.UNREACHABLE}
    assert {recorder.kind(node) for node in recorder.ends} == {FailureKind.CONFIGURATION}


def test_a_refused_connection_and_an_unknown_name(ssh_task: Task, tmp_path: Path, recorder: Recorder) -> None:
    config = tmp_path / "config"
    config.write_text("Host refused\n HostName 127.0.0.1\n Port 1\nHost *\n IdentityAgent none\n")
    ssh_task.set_info("ssh_config", str(config))
    worker = ssh_task.run("true", nodes="refused,name.invalid", handler=recorder)
    assert recorder.kind("refused") is FailureKind.REFUSED
    assert recorder.kind("name.invalid") is FailureKind.DNS
    assert worker.node_retcode("refused") == 255


@pytest.mark.parametrize("engine", ["select", "poll"])
def test_other_backends(sshd: Sshd, engine: str) -> None:
    import threading

    found: list[bytes | None] = []

    def work() -> None:
        from clusterdeck.engine.task import task_self

        task = task_self()
        task.set_info("ssh_config", str(sshd.config))
        task.set_default("distant_workername", "paramiko")
        task.set_default("engine", engine)
        found.append(task.run("seq 1 1000", nodes="node1").read("node1"))
        task.abort(kill=True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert found == [b"\n".join(b"%d" % n for n in range(1, 1001))]


def test_held_output_is_pushed_back_and_lost_nowhere(ssh_task: Task) -> None:
    """While output is held, what a node sends stays with the node: only what was on its way arrives."""
    held: list[int] = []

    class Counter:
        received = 0

        def ev_lines(self, worker: Any, node: str, sname: str, lines: list[bytes]) -> None:
            self.received += sum(map(len, lines)) + len(lines)
            if not held:
                held.append(self.received)
                ssh_task.hold_output(True)
                ssh_task.timer(1.0, self)

        def ev_timer(self, timer: Any) -> None:
            held.append(self.received)
            ssh_task.hold_output(False)

    counter = Counter()
    ssh_task.set_default("stdout_msgtree", False)
    worker = ssh_task.run("seq 1 2000000", nodes="node[1-2]", handler=counter, timeout=60)
    assert {rc for rc, _ in worker.iter_retcodes()} == {0}
    assert held[1] - held[0] < 2_000_000, "output went on while it was held"
    assert counter.received == 2 * 14_888_896
