"""Defaults, info, debugging, topologies and the public names."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import ClusterShell.Defaults
import pytest

import clusterdeck.engine as public
from clusterdeck.engine import defaults
from clusterdeck.engine.task import Task, task_self
from clusterdeck.engine.workers.exec import ExecWorker
from clusterdeck.engine.workers.pdsh import WorkerPdsh
from clusterdeck.engine.workers.popen import WorkerPopen
from clusterdeck.engine.workers.rsh import WorkerRsh
from clusterdeck.engine.workers.ssh import WorkerSsh

DEFAULTS = {
    "stderr": False,
    "stdin": True,
    "stdout_msgtree": True,
    "stderr_msgtree": True,
    "engine": "auto",
    "port_qlimit": 100,
    "auto_tree": True,
    "local_workername": "exec",
    "distant_workername": "ssh",
    "local_worker": ExecWorker,
    "distant_worker": WorkerSsh,
}
INFO = {
    "debug": False,
    "fanout": 64,
    "grooming_delay": 0.25,
    "connect_timeout": 10,
    "command_timeout": 0,
    "ssh_path": None,
    "pdsh_path": None,
}


@pytest.mark.parametrize("key", DEFAULTS)
def test_initial_defaults(task: Task, key: str) -> None:
    assert task.default(key) == DEFAULTS[key]


@pytest.mark.parametrize("key", INFO)
def test_initial_info(task: Task, key: str) -> None:
    assert task.info(key) == INFO[key]


def test_any_key(task: Task) -> None:
    assert (task.info("USER_x"), task.info("USER_x", 3), task.default("USER_y", 4)) == (None, 3, 4)
    task.set_info("USER_x", [1])
    task.set_default("USER_y", {})
    assert (task.info("USER_x", 3), task.default("USER_y", 4)) == ([1], {})


def test_the_defaults_are_clustershells_own() -> None:
    assert defaults.DEFAULTS is ClusterShell.Defaults.DEFAULTS
    assert public.DEFAULTS is ClusterShell.Defaults.DEFAULTS


def test_a_task_keeps_the_defaults_it_was_made_with(tmp_path: Path) -> None:
    file = tmp_path / "defaults.conf"
    file.write_text("[task.default]\nstderr: true\ndistant_workername: rsh\n[task.info]\nfanout: 3\nssh_user: joe\n")
    given = defaults.Defaults([str(file)])
    task = Task(defaults=given)
    try:
        assert (task.default("stderr"), task.default("distant_worker"), task.info("fanout")) == (True, WorkerRsh, 3)
        given.fanout = 99
        assert task.info("fanout") == 3
        assert task_self(defaults=given).info("fanout") == 99
        assert task_self(defaults=defaults.DEFAULTS).info("fanout") == 99
        task_self().abort(kill=True)
        assert task_self().info("fanout") == 64
    finally:
        task.abort()
        task_self().abort(kill=True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ssh", WorkerSsh),
        ("rsh", WorkerRsh),
        ("pdsh", WorkerPdsh),
        ("exec", ExecWorker),
        ("popen", WorkerPopen),
        ("clusterdeck.engine.workers.rsh", WorkerRsh),
        ("ClusterShell.Worker.Pdsh", WorkerPdsh),
    ],
)
def test_worker_names(task: Task, name: str, expected: type) -> None:
    task.set_default("distant_workername", name)
    assert task.default("distant_worker") is expected
    assert task.default("distant_workername") == name


def test_the_paramiko_worker_by_name(task: Task) -> None:
    task.set_default("distant_workername", "paramiko")
    assert task.default("distant_worker").__name__ == "WorkerParamiko"


def test_a_worker_module_of_the_users(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    class Custom(ExecWorker):
        pass

    module = types.ModuleType("site_worker")
    module.WORKER_CLASS = Custom  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "site_worker", module)
    task.set_default("distant_workername", "site_worker")
    worker = task.shell("echo %h", nodes="n1")
    task.resume()
    assert isinstance(worker, Custom)
    assert worker.node_buffer("n1") == b"n1"


@pytest.mark.parametrize("name", ["nosuch", "no.such.module", "sys", "", 7])
def test_an_unknown_worker_is_named_and_changes_nothing(task: Task, name: Any) -> None:
    with pytest.raises(ImportError, match=str(name) or "unknown worker"):
        task.set_default("distant_workername", name)
    assert task.default("distant_worker") is WorkerSsh
    assert task.default("distant_workername") == "ssh"


def test_debug_lines(task: Task) -> None:
    told: list[str] = []
    task.set_info("print_debug", lambda task, text: told.append(text))
    task.run("echo quiet")
    assert told == []
    task.set_info("debug", True)
    task.run("echo foo")
    assert told[0] == "POPEN: echo foo"
    assert "b'foo'" in told[1]
    told.clear()
    task.run("echo %h", nodes="n1", remote=False)
    assert told[0] == "EXECCLIENT: echo n1"
    task.set_info("ssh_path", "/bin/echo")
    told.clear()
    task.run("uname", nodes="n1")
    assert told[0].startswith("SSHCLIENT: /bin/echo")


def test_debug_goes_to_stdout_by_default(task: Task, capsys: pytest.CaptureFixture[str]) -> None:
    task.set_info("debug", True)
    task.run("/bin/echo test")
    assert capsys.readouterr().out.splitlines()[0] == "POPEN: /bin/echo test"


@pytest.mark.parametrize("tree", [True, False, None])
def test_without_a_topology_tree_makes_no_difference(task: Task, tree: bool | None) -> None:
    worker = task.shell("echo %h", nodes="n1", remote=False, tree=tree)
    task.resume()
    assert worker.node_buffer("n1") == b"n1"


def test_a_topology_is_read_and_said_not_to_be_followed(task: Task, tmp_path: Path) -> None:
    host = os.uname().nodename.partition(".")[0]
    file = tmp_path / "topology.conf"
    file.write_text(f"[routes]\n{host}: gateway1\ngateway1: node[1-8]\n")
    task.load_topology(str(file))
    assert task.topology is not None
    with pytest.warns(RuntimeWarning, match="ProxyJump"):
        worker = task.shell("echo %h", nodes="node1", remote=False)
    task.shell("true", nodes="node1", remote=False, tree=False)
    task.resume()
    assert worker.node_buffer("node1") == b"node1"


def test_a_topology_is_found_where_clustershell_finds_it(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert any(path.endswith("clustershell/topology.conf") for path in Task.TOPOLOGY_CONFIGS)
    for name in ("first", "last"):
        (tmp_path / name).write_text(f"[routes]\n{os.uname().nodename.partition('.')[0]}: {name}\n{name}: node[1-8]\n")
    monkeypatch.setattr(Task, "TOPOLOGY_CONFIGS", [str(tmp_path / name) for name in ("first", "last", "missing")])
    task.set_default("auto_tree", False)
    task.shell("true", nodes="node1", remote=False)
    assert task.topology is None
    with pytest.warns(RuntimeWarning, match="directly"):
        task.shell("true", nodes="node1", remote=False, tree=True)
    assert "last" in str(task.topology)


def test_every_public_name_can_be_imported() -> None:
    for name in public.__all__:
        assert hasattr(public, name)
    assert public.WorkerParamiko.__name__ == "WorkerParamiko"
    assert set(public.__all__) <= set(dir(public))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = public.no_such_name
    assert public.WorkerBadArgumentError is ValueError
    assert (public.MODE_DEFER, public.MODE_SHIFT, public.MODE_TRACE) == (0, 1, 2)
    assert (public.FANOUT_UNLIMITED, public.FANOUT_DEFAULT) == (-1, None)
    identifiers = [engine.identifier for engine in (public.EngineSelect, public.EnginePoll, public.EngineEPoll)]
    assert identifiers == ["select", "poll", "epoll"]


TREES = {
    "TaskError": "TaskException",
    "TimeoutError": "TaskError",
    "AlreadyRunningError": "TaskError",
    "TaskMsgTreeError": "TaskError",
    "WorkerError": "WorkerException",
    "EngineClientEOF": "EngineClientException",
    "EngineClientError": "EngineClientException",
    "EngineClientNotSupportedError": "EngineClientError",
    "EngineAbortException": "EngineException",
    "EngineTimeoutException": "EngineException",
    "EngineNotSupportedError": "EngineException",
    "EngineIllegalOperationError": "EngineException",
    "EngineAlreadyRunningError": "EngineIllegalOperationError",
}


@pytest.mark.parametrize("name", TREES)
def test_exception_trees(name: str) -> None:
    assert issubclass(getattr(public, name), getattr(public, TREES[name]))


def test_a_star_import_of_task_gives_what_scripts_expect() -> None:
    names: dict[str, Any] = {}
    exec("from clusterdeck.engine.task import *", names)
    expected = {"Task", "task_self", "task_wait", "task_terminate", "task_cleanup", "TimeoutError", "WorkerPopen"}
    assert expected | {"EventHandler", "NodeSet", "MsgTree", "DEFAULTS", "EngineTimer"} <= set(names)


def test_importing_the_package_costs_next_to_nothing() -> None:
    program = "import sys, clusterdeck.engine; print(sorted(m for m in sys.modules if 'engine.' in m or 'Shell' in m))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"
    program = "import sys, clusterdeck.engine.task; print('paramiko' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "False\n"
