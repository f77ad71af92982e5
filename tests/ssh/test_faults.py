"""Every fault of the hostile server, for commands and both kinds of copies: told apart, in time, others untouched."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterdeck.engine.states import FailureKind, NodeEnd, NodeState
from clusterdeck.engine.task import Task, task_self
from clusterdeck.engine.workers.paramiko import WorkerParamiko, pool_of
from clusterdeck.tests.ssh.conftest import Recorder
from clusterdeck.tests.support.hostile_ssh import FAULTS, LATER, RAW, HostileServer
from clusterdeck.tests.support.patience import with_time_enough
from clusterdeck.tests.support.sshd import Sshd

_CONNECT = 1.5
B, K, A = FailureKind.BANNER, FailureKind.KEX, FailureKind.AUTHENTICATION
LOST, REFUSED, COPY = FailureKind.CONNECTION_LOST, FailureKind.CHANNEL_REFUSED, FailureKind.COPY
UNREACHABLE, TIMEOUT = NodeState.UNREACHABLE, NodeState.TIMEOUT

#: Ends of a command; a copy's where they differ.
EXPECTED: dict[str, tuple[NodeState, set[FailureKind | None]]] = {
    **dict.fromkeys(list(RAW)[:9], (UNREACHABLE, {B})),
    **dict.fromkeys(list(RAW)[9:], (UNREACHABLE, {K})),
    "hangs in login": (UNREACHABLE, {A}),
    "drops in login": (UNREACHABLE, {A}),
    "goodbye in login": (UNREACHABLE, {A}),
    "rejects every key": (UNREACHABLE, {A}),
    "refuses sessions": (UNREACHABLE, {REFUSED}),
    "hangs at the session": (TIMEOUT, {None}),
    "drops at the session": (NodeState.LOST, {LOST}),
    "goodbye at the session": (NodeState.LOST, {LOST}),
    "refuses the request": (UNREACHABLE, {REFUSED}),
    "hangs at the request": (TIMEOUT, {None, FailureKind.COMMAND_TIMEOUT}),
    "drops in the middle": (NodeState.LOST, {LOST}),
    "resets in the middle": (NodeState.LOST, {LOST}),
    "closes without a status": (NodeState.LOST, {LOST}),
    "hangs before the status": (TIMEOUT, {FailureKind.COMMAND_TIMEOUT}),
    "hangs without a word": (TIMEOUT, {FailureKind.COMMAND_TIMEOUT}),
    "corrupt packet": (NodeState.LOST, {LOST}),
    # All of it is taken and the window given back, so the flood goes on until the command's time is over.
    "more than the window": (TIMEOUT, {FailureKind.COMMAND_TIMEOUT}),
    "strange messages": (TIMEOUT, {FailureKind.COMMAND_TIMEOUT}),
    "unknown requests": (TIMEOUT, {FailureKind.COMMAND_TIMEOUT}),
    "cut short message": (NodeState.LOST, {LOST}),
    "killed by a signal": (NodeState.FAILED, {None}),
    "stops reading": (TIMEOUT, {FailureKind.COMMAND_TIMEOUT}),
}
#: Faults of a session: the command's time runs, and the end of the remote process is waited for.
IN_SESSION = LATER[4:]
#: In a copy the server's words are not SFTP, and a session that ends is the copy's failure.
IN_COPIES: dict[str, tuple[NodeState, set[FailureKind | None]]] = {
    "closes without a status": (NodeState.FAILED, {COPY}),
    "killed by a signal": (NodeState.FAILED, {COPY}),
    "hangs before the status": (NodeState.FAILED, {COPY}),
    "more than the window": (NodeState.FAILED, {COPY}),
    **dict.fromkeys(
        ("hangs at the request", "hangs without a word", "strange messages", "unknown requests", "stops reading"),
        (TIMEOUT, {None}),
    ),
}


@pytest.fixture
def servers() -> Iterator[dict[str, HostileServer]]:
    made = {fault: HostileServer(fault) for fault in FAULTS}
    yield made
    for server in made.values():
        server.stop()


def _world(task: Task, sshd: Sshd, folder: Path, servers: dict[str, HostileServer]) -> dict[str, str]:
    names = {f"bad{number}": fault for number, fault in enumerate(servers)}
    hosts = "".join(f"Host bad{n}\n Port {server.port}\n" for n, server in enumerate(servers.values()))
    hosts += f"Host bad*\n HostName 127.0.0.1\n IdentityFile {sshd.key}\n UserKnownHostsFile {folder}/known\n"
    (folder / "known").write_text("".join(server.known_hosts for server in servers.values()))
    hosts += "Host bad*\n IdentitiesOnly yes\n IdentityAgent none\n"
    (folder / "config").write_text(hosts + sshd.config.read_text())
    task.set_info("ssh_config", str(folder / "config"))
    task.set_info("connect_timeout", _CONNECT)
    task.set_info("fanout", 200)
    return names


def _wrong_ends(task: Task, names: dict[str, str], folder: Path, mode: str, connect: float) -> list[str]:
    """What did not end as it should, with so many seconds to connect and twice as many for the command."""
    recorder, finished = Recorder(), dict[str, float]()
    ended, command = recorder.ev_end, 2 * connect

    def ev_end(worker: object, node: str, end: NodeEnd) -> None:
        finished[node] = time.monotonic()
        ended(worker, node, end)

    recorder.ev_end = ev_end  # type: ignore[method-assign]
    paths = {"source": f"{folder}/source", "dest": f"{folder}/{'back' if mode == 'rcopy' else 'target'}"}
    words: dict[str, Any] = {"command": "echo hello"} if mode == "run" else paths
    worker = WorkerParamiko(",".join([*names, "node[1-6]"]), recorder, command, reverse=mode == "rcopy", **words)
    task.set_info("connect_timeout", connect)
    started = time.monotonic()
    task.schedule(worker)
    task.resume()
    assert set(recorder.ends) == {*names, *(f"node{n}" for n in range(1, 7))}
    wrong = [f"node{n}: {recorder.ends[f'node{n}']}" for n in range(1, 7) if recorder.ends[f"node{n}"].rc != 0]
    for node, fault in names.items():
        end = recorder.ends[node]
        state, kinds = (IN_COPIES if mode != "run" else {}).get(fault, EXPECTED[fault])
        kind = None if end.failure is None else end.failure.kind
        if (end.state, kind) != (state, kind) or kind not in kinds:
            wrong.append(f"{fault}: {end}")
        # What goes wrong before there is a session has no more than the time to connect.
        limit = connect + 2 + (command if fault in IN_SESSION else 0)
        if finished[node] - started > limit:
            wrong.append(f"{fault}: took {finished[node] - started:.1f} s of {limit} s")
        if end.failure is not None:
            assert end.failure.reason.isprintable(), "the reason carries control characters"
            assert node in end.failure.reason
    if mode == "run" and worker.read("node1") != b"hello":
        wrong.append(f"node1 said {worker.read('node1')!r}")
    return wrong


@pytest.mark.parametrize("mode", ["run", "copy", "rcopy"])
def test_faults(
    sshd: Sshd, leak_check: None, servers: dict[str, HostileServer], task: Task, tmp_path: Path, mode: str
) -> None:
    assert len(FAULTS) == len(EXPECTED) >= 25
    (tmp_path / "source").write_bytes(os.urandom(200_000))
    (tmp_path / "back").mkdir()

    def attempt(connect: float) -> list[str]:
        own = task_self()
        own.set_default("distant_workername", "paramiko")
        try:
            return _wrong_ends(own, _world(own, sshd, tmp_path, servers), tmp_path, mode, connect)
        finally:
            own.abort(kill=True)  # the next attempt begins with connections of its own

    # The servers share this process and its interpreter lock with the client: on a busy machine they get more time.
    wrong = with_time_enough(attempt, lambda wrong: not wrong, (_CONNECT, 4 * _CONNECT, 16 * _CONNECT))
    assert not wrong, "\n".join(wrong)


def test_nothing_is_left_behind(
    task: Task, sshd: Sshd, tmp_path: Path, servers: dict[str, HostileServer], recorder: Recorder
) -> None:
    names = _world(task, sshd, tmp_path, servers)
    quick = [node for node, fault in names.items() if fault not in LATER and "hang" not in fault]
    before = len(os.listdir("/proc/self/fd"))
    others = set(threading.enumerate())
    for _ in range(3):
        task.run("true", nodes=",".join([*quick, "node[1-3]"]), timeout=3)
    pool_of(task).close()
    deadline = time.monotonic() + 30
    for thread in set(threading.enumerate()) - others:
        if thread.name.startswith("ssh-"):
            thread.join(max(0.0, deadline - time.monotonic()))
            assert not thread.is_alive()
    # The servers' own ends of connections are in this process, too: wait until they have noticed.
    while len(os.listdir("/proc/self/fd")) > before + 5 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(os.listdir("/proc/self/fd")) <= before + 5


def test_a_repetition_that_runs_out_of_time_gives_the_first_reason(
    task: Task, sshd: Sshd, tmp_path: Path, recorder: Recorder
) -> None:
    """A server drops one connection and admits no other: "no connection in time" would hide what happened."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)

        def drop() -> None:
            listener.accept()[0].close()
            for _ in range(4):  # the queue of the kernel is full: nobody else gets through
                filler = stack.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())

        thread = threading.Thread(target=drop)
        thread.start()
        config = tmp_path / "config"
        config.write_text(
            f"Host bad\n HostName 127.0.0.1\n Port {listener.getsockname()[1]}\n{sshd.config.read_text()}"
        )
        task.set_info("ssh_config", str(config))
        task.set_info("connect_timeout", 3)
        task.run("true", nodes="bad", handler=recorder)
        thread.join()
    failure = recorder.ends["bad"].failure
    assert failure is not None
    assert failure.kind is FailureKind.BANNER
    assert "ended before" in failure.reason
