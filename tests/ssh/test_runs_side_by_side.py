"""Runs that overlap and want the same nodes otherwise: user, configuration, time to connect, rules for host keys."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from clusterdeck.engine.ssh.window import Window
from clusterdeck.engine.states import FailureKind, NodeEnd, NodeState
from clusterdeck.engine.task import Task
from clusterdeck.engine.workers.paramiko import WorkerParamiko, pool_of
from clusterdeck.tests.ssh.conftest import Recorder
from clusterdeck.tests.support.patience import with_time_enough
from clusterdeck.tests.support.sshd import Sshd


class Timed(Recorder):
    """Knows when each node ended, in seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.started = time.monotonic()
        self.times: dict[str, float] = {}

    def ev_end(self, worker: Any, node: str, end: NodeEnd) -> None:
        self.times[node] = time.monotonic() - self.started
        super().ev_end(worker, node, end)


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(512)
        yield int(listener.getsockname()[1])


def _schedule(task: Task, nodes: str, infos: Mapping[str, Any], command: str = "true", **keywords: Any) -> Timed:
    recorder = Timed()
    worker = WorkerParamiko(nodes, recorder, 20, command=command, **keywords)
    worker.infos = infos
    task.schedule(worker)
    return recorder


def test_each_run_has_its_own_time_to_connect(ssh_task: Task, sshd: Sshd, silent: int, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(f"Host dead*\n HostName 127.0.0.1\n Port {silent}\n{sshd.config.read_text()}")
    ssh_task.set_info("ssh_config", str(config))
    ssh_task.set_info("connect_timeout", 2.0)
    short = _schedule(ssh_task, "dead[1-3]", {"connect_timeout": 0.5})
    long = _schedule(ssh_task, "dead[1-3]", {})
    ssh_task.resume()
    for recorder, seconds in ((short, 0.5), (long, 2.0)):
        assert recorder.states() == {NodeState.UNREACHABLE}
        assert recorder.kind("dead1") is FailureKind.BANNER
        assert all(seconds <= spent < seconds + 20 for spent in recorder.times.values()), recorder.times
        failure = recorder.ends["dead1"].failure
        assert failure is not None
        assert f"within {seconds:g} s" in failure.reason
    assert max(short.times.values()) < min(long.times.values())


def test_another_run_does_not_lend_its_time(ssh_task: Task, sshd: Sshd, silent: int, tmp_path: Path) -> None:
    """A run that comes while a node is being dialled for another one waits as long as it was told, from then."""
    config = tmp_path / "config"
    config.write_text(f"Host dead*\n HostName 127.0.0.1\n Port {silent}\n{sshd.config.read_text()}")
    ssh_task.set_info("ssh_config", str(config))
    later: list[Timed] = []

    class Handler:
        def ev_timer(self, timer: Any) -> None:
            later.append(_schedule(ssh_task, "dead1", {"connect_timeout": 1.0}))

    ssh_task.timer(0.7, Handler())
    first = _schedule(ssh_task, "dead1", {"connect_timeout": 1.2})
    ssh_task.resume()
    assert first.times["dead1"] >= 1.2
    assert later[0].times["dead1"] >= 1.0
    assert first.started + first.times["dead1"] < later[0].started + later[0].times["dead1"]


def test_each_run_has_its_own_user_and_configuration(ssh_task: Task, sshd: Sshd, tmp_path: Path) -> None:
    marked = tmp_path / "marked"
    marked.write_text(f"SetEnv MARK=marked\n{sshd.config.read_text()}")
    plain = _schedule(ssh_task, "node[1-4]", {}, "echo $MARK.")
    other = _schedule(ssh_task, "node[1-4]", {"ssh_config": str(marked)}, "echo $MARK.")
    stranger = _schedule(ssh_task, "node[1-4]", {"ssh_user": "nobody-here"})
    keyword = _schedule(ssh_task, "node[1-4]", {}, user="nobody-there")
    ssh_task.resume()
    assert plain.lines == {f"node{n}": [b"."] for n in range(1, 5)}
    assert other.lines == {f"node{n}": [b"marked."] for n in range(1, 5)}
    for recorder, user in ((stranger, "nobody-here"), (keyword, "nobody-there")):
        failure = recorder.ends["node2"].failure
        assert failure is not None
        assert failure.kind is FailureKind.AUTHENTICATION
        assert f"login as {user} failed" in failure.reason
    assert pool_of(ssh_task).live_count == 8, "each configuration has connections of its own"
    again = _schedule(ssh_task, "node[1-4]", {"ssh_config": str(marked)}, "echo $MARK.")
    ssh_task.resume()
    assert again.connects == []


def test_each_run_has_its_own_rule_for_host_keys(ssh_task: Task, sshd: Sshd, tmp_path: Path) -> None:
    known = tmp_path / "known"
    strict = {"ssh_known_hosts": (str(known),), "ssh_host_keys": "refuse"}
    refused = _schedule(ssh_task, "node[1-2]", strict)
    usual = _schedule(ssh_task, "node[1-2]", {})
    ssh_task.resume()
    assert {refused.kind(node) for node in refused.ends} == {FailureKind.HOST_KEY_UNKNOWN}
    assert usual.states() == {NodeState.OK}
    assert not known.exists()


def test_an_edited_configuration_counts_for_the_next_run(
    ssh_task: Task, sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clusterdeck.engine.ssh import directory

    monkeypatch.setattr(directory, "_RECHECK", 0.0)
    config = tmp_path / "config"
    config.write_text(sshd.config.read_text())
    ssh_task.set_info("ssh_config", str(config))
    before = _schedule(ssh_task, "node1", {}, "echo $MARK.")
    ssh_task.resume()
    config.write_text(f"SetEnv MARK=new\n{sshd.config.read_text()}")
    after = _schedule(ssh_task, "node1", {}, "echo $MARK.")
    ssh_task.resume()
    assert (before.lines, after.lines) == ({"node1": [b"."]}, {"node1": [b"new."]})


def test_silent_nodes_do_not_stand_in_the_way(ssh_task: Task, sshd: Sshd, silent: int, tmp_path: Path) -> None:
    """Silent nodes at the end of a long queue are given up as if they had been first."""
    config = tmp_path / "config"
    config.write_text(f"Host dead*\n HostName 127.0.0.1\n Port {silent}\n{sshd.config.read_text()}")
    ssh_task.set_info("ssh_config", str(config))
    ssh_task.set_info("ssh_window", 8)
    unused = iter(range(1, 65))

    def attempt(limit: float) -> tuple[set[NodeState], bool, bool]:
        """How the others ended; whether they ended in time; whether the silent ones did."""
        nodes = [f"node{n}" for n in itertools.islice(unused, 16)]
        recorder = _schedule(ssh_task, ",".join([*nodes, "dead[1-8]"]), {"connect_timeout": limit})
        ssh_task.resume()
        quick = max(recorder.times[node] for node in nodes) < limit
        return {recorder.ends[node].state for node in nodes}, quick, max(recorder.times.values()) < 2 * limit

    expected = ({NodeState.OK}, True, True)
    assert with_time_enough(attempt, lambda found: found == expected) == expected


def test_the_window(ssh_task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    from clusterdeck.engine.ssh import window as module

    monkeypatch.setattr(module, "LEND_AFTER", 0.2)
    reactor = pool_of(ssh_task).reactor
    begun: list[int] = []
    window = Window(reactor, lambda: 2)
    places = [window.ask(lambda n=n: begun.append(n)) for n in range(6)]  # type: ignore[misc]
    assert begun == []
    reactor.turn(0)
    assert begun == [0, 1]
    places[2].free()  # nobody wants it any more
    places[0].free()
    places[0].free()
    reactor.turn(0)
    assert begun == [0, 1, 3]
    places[3].keep()  # at work: it is not lent
    deadline = time.monotonic() + 30
    while len(begun) < 4 and time.monotonic() < deadline:
        reactor.turn(0.05)
    assert begun == [0, 1, 3, 4], "a place that stalls is lent to the next"
    assert window.under_way == 3
    for place in places:
        place.free()
    reactor.turn(0)
    assert begun == [0, 1, 3, 4]
    assert window.idle
