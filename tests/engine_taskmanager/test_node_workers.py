"""Python workers on real sshd nodes: they join and leave while tasks run, and come back after a lost connection."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterdeck.engine.states import NodeState
from clusterdeck.engine.task import Task
from clusterdeck.engine.taskmanager.errors import TaskRaisedException
from clusterdeck.engine.taskmanager.manager import TaskManager
from clusterdeck.engine.taskmanager.stdio_peers import StdioPeers
from clusterdeck.tests.engine_taskmanager.nodes import cut
from clusterdeck.tests.support.sshd import Sshd

PROGRAM = f"{sys.executable} -m clusterdeck"
MODULE = """
import sys
def do_square(number):
    print("this must not get onto the wire")
    return number * number
def do_break():
    raise ValueError("no")
"""


def test_python_workers_over_ssh(ssh_task: Task, tmp_path: Path) -> None:
    module = tmp_path / "tasks_of_mine.py"
    module.write_text(MODULE)
    ends: list[tuple[str, NodeState, bytes]] = []
    over = threading.Semaphore(0)

    def ended(node: str, end: Any, errors: bytes) -> None:
        ends.append((node, end.state, errors))
        over.release()

    manager = TaskManager()
    peers = StdioPeers(manager, ssh_task, worker="paramiko", on_end=ended)
    peers.start(["node1", "node2"], [str(module)], slots=2, program=PROGRAM)
    ids = manager.add_task_requests("square", [[n] for n in range(50)])
    found = dict(manager.get_result_with_tag("square", timeout=60) for _ in ids)
    assert found == {task_id: n * n for n, task_id in enumerate(ids)}
    manager.add_task_request("break", None)
    with pytest.raises(TaskRaisedException, match="ValueError: no"):
        manager.get_result_with_tag("break", timeout=60)
    peers.stop()
    for _ in range(2):
        assert over.acquire(timeout=20)
    assert sorted(node for node, state, _ in ends if state is NodeState.OK) == ["node1", "node2"]
    assert manager.processes() == []
    peers.close()


def test_python_worker_whose_connection_is_cut_gives_its_task_back(
    make_sshd: Callable[..., Sshd], task: Task, tmp_path: Path
) -> None:
    server = make_sshd()
    task.set_info("ssh_config", str(server.config))
    module, gate = tmp_path / "slow.py", tmp_path / "gate"
    module.write_text(
        f"import os, time\ndef do_wait():\n    while not os.path.exists({str(gate)!r}): time.sleep(0.05)\n"
    )
    manager = TaskManager()
    peers = StdioPeers(manager, task, worker="paramiko")
    peers.start(["node1"], [str(module)], program=PROGRAM)
    manager.add_task_request("wait", None)
    while manager.number_of_tasks()[1] != {"wait": 1}:
        time.sleep(0.02)
    cut(server)
    task_id, _ = manager.get_task_with_tag("wait", timeout=60)
    assert task_id == "wait_0"
    gate.touch()
    peers.close()


def until(condition: Callable[[], object]) -> None:
    """Wait for something that nobody tells."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def peers(ssh_task: Task) -> Iterator[StdioPeers]:
    manager = TaskManager()
    peers = StdioPeers(manager, ssh_task, worker="paramiko")
    peers.manager = manager  # type: ignore[attr-defined]
    yield peers
    peers.stop()
    until(lambda: not peers.nodes())
    peers.close()


def states(peers: StdioPeers) -> dict[str, str]:
    return {view.name: view.state for view in peers.nodes()}


def test_nodes_join_and_leave_while_tasks_run(peers: Any, tmp_path: Path) -> None:
    manager: TaskManager = peers.manager
    gate = tmp_path / "gate"
    (tmp_path / "m.py").write_text(
        "import os, time\ndef do_where(wait):\n"
        f"    while wait and not os.path.exists({str(gate)!r}): time.sleep(0.02)\n    return os.getpid()\n"
    )
    peers.start(["node1"], [str(tmp_path / "m.py")], slots=2, program=PROGRAM)
    manager.add_task_requests("where", [[True]] * 2 + [[False]] * 4)
    until(lambda: [view.running for view in peers.nodes()] == [2])
    peers.start(["node1", "node2"], [str(tmp_path / "m.py")], program=PROGRAM)  # the first has one already
    found = {manager.get_result_with_tag("where", timeout=60)[1] for _ in range(4)}
    assert len(found) == 1  # all by the one that joined
    assert [(view.name, view.slots, view.done) for view in peers.nodes()] == [("node1", 2, 0), ("node2", 1, 4)]
    assert peers.leave(["node1", "nobody"]) == ["node1"]
    until(lambda: states(peers)["node1"] == "draining")
    manager.add_task_request("where", [False])
    assert manager.get_result_with_tag("where", timeout=60)[1] in found
    gate.touch()
    assert {manager.get_result_with_tag("where", timeout=60)[1] for _ in range(2)}.isdisjoint(found)
    until(lambda: states(peers) == {"node2": "up"})


def test_a_node_that_comes_back_works_again(make_sshd: Callable[..., Sshd], task: Task, tmp_path: Path) -> None:
    server = make_sshd()
    task.set_info("ssh_config", str(server.config))
    (tmp_path / "m.py").write_text("def do_double(n): return 2 * n\n")
    manager = TaskManager()
    peers = StdioPeers(manager, task, worker="paramiko")
    peers.start(["node1"], [str(tmp_path / "m.py")], program=PROGRAM)
    manager.add_task_request("double", 4)
    assert manager.get_any_result(timeout=60)[2] == 8
    cut(server)
    until(lambda: states(peers)["node1"] == "down")
    manager.add_task_request("double", 5)
    assert manager.get_any_result(timeout=60)[2] == 10
    (view,) = peers.nodes()
    assert (view.state, view.done, view.failed, view.lost) == ("up", 2, 0, 0)
    peers.stop()
    until(lambda: not peers.nodes())
    peers.close()


def test_a_worker_that_cannot_work_is_told_and_not_tried_again(ssh_task: Task, tmp_path: Path) -> None:
    ends: list[tuple[str, NodeState]] = []
    manager = TaskManager()
    peers = StdioPeers(
        manager, ssh_task, worker="paramiko", on_end=lambda node, end, _errors: ends.append((node, end.state))
    )
    peers.start(["node1"], [str(tmp_path / "none.py")], program=PROGRAM)
    peers.start(["node2"], [str(tmp_path / "none.py")], program="/no/such/clusterdeck")
    until(lambda: len(ends) == 2)
    assert sorted(ends) == [("node1", NodeState.FAILED), ("node2", NodeState.FAILED)]
    reasons = {view.name: (view.state, view.reason) for view in peers.nodes()}
    assert reasons["node1"][0] == reasons["node2"][0] == "gone"
    assert "none.py" in reasons["node1"][1]
    assert "/no/such/clusterdeck" in reasons["node2"][1]
    assert peers.leave(["node1", "node2"]) == ["node1", "node2"]
    until(lambda: not peers.nodes())
    peers.close()
