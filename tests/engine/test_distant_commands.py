"""What ssh, scp, rsh, rcp, pdsh, pdcp and rpdcp are called with, as stand-ins see it; and real copies."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ClusterShell.NodeSet import NodeSet

from clusterdeck.engine import errors
from clusterdeck.engine.task import Task
from clusterdeck.engine.workers.pdsh import WorkerPdsh
from clusterdeck.engine.workers.rsh import WorkerRsh
from clusterdeck.engine.workers.ssh import WorkerSsh
from clusterdeck.tests.engine.conftest import Recorder
from clusterdeck.tests.support.patience import with_time_enough
from clusterdeck.tests.support.sshd import Sshd

Program = Callable[..., str]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Make an executable shell script; by default it prints its arguments, each in brackets."""
    count = [0]

    def make(body: str = 'for word; do printf "[%s]" "$word"; done; echo') -> str:
        count[0] += 1
        path = tmp_path / f"program{count[0]}"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return make


def words(message: bytes | None) -> list[str]:
    """The arguments that a stand-in printed."""
    assert message is not None
    return message.decode()[1:-1].split("][")


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({}, ["-oForwardAgent=no", "-oForwardX11=no", "-oConnectTimeout=10", "-oBatchMode=yes", "n1", "echo %h"]),
        (
            {"ssh_user": "joe", "ssh_options": "-x '-oA=b c'", "connect_timeout": 0},
            ["-x", "-oA=b c", "-oForwardAgent=no", "-oForwardX11=no", "-l", "joe", "-oBatchMode=yes", "n1", "echo %h"],
        ),
    ],
)
def test_ssh(task: Task, program: Program, info: dict[str, Any], expected: list[str]) -> None:
    task.set_info("ssh_path", f"{program()} -fixed")
    for key, value in info.items():
        task.set_info(key, value)
    worker = WorkerSsh("n1", None, command="echo %h")
    task.schedule(worker)
    task.resume()
    assert words(worker.node_buffer("n1")) == ["-fixed", *expected]


@pytest.mark.parametrize(
    ("info", "kwargs", "expected"),
    [
        ({}, {"source": "FILE"}, ["-oConnectTimeout=10", "-oBatchMode=yes", "FILE", "[n1]:/to"]),
        (
            {"ssh_user": "joe", "ssh_options": "-x", "connect_timeout": -1},
            {"source": "FOLDER", "preserve": True},
            ["-x", "-r", "-p", "-oBatchMode=yes", "FOLDER", "joe@[n1]:/to"],
        ),
        (
            {"ssh_user": "joe", "scp_user": "ann", "ssh_options": "-x", "scp_options": "-y -z"},
            {"source": "FILE"},
            ["-y", "-z", "-oConnectTimeout=10", "-oBatchMode=yes", "FILE", "ann@[n1]:/to"],
        ),
    ],
)
def test_scp(
    task: Task, program: Program, tmp_path: Path, info: dict[str, Any], kwargs: dict[str, Any], expected: list[str]
) -> None:
    paths = {"FILE": str(tmp_path / "file"), "FOLDER": str(tmp_path / "folder")}
    Path(paths["FILE"]).write_text("x")
    Path(paths["FOLDER"]).mkdir()
    task.set_info("scp_path", program())
    for key, value in info.items():
        task.set_info(key, value)
    worker = WorkerSsh("n1", None, dest="/to", **(kwargs | {"source": paths[kwargs["source"]]}))
    task.schedule(worker)
    task.resume()
    assert words(worker.node_buffer("n1")) == [paths.get(word, word) for word in expected]


def test_reverse_scp(task: Task, program: Program, tmp_path: Path) -> None:
    task.set_info("scp_path", program())
    task.set_info("connect_timeout", 0)
    worker = task.rcopy("/some/file", str(tmp_path), "n1")
    task.resume()
    assert words(worker.node_buffer("n1"))[-2:] == ["[n1]:/some/file", f"{tmp_path}/file.n1"]
    for worker_class in (WorkerSsh, WorkerRsh, WorkerPdsh):
        with pytest.raises(ValueError, match="/no/such"):
            worker_class("n1", None, source="/x", dest="/no/such", reverse=True)


def test_rsh_reads_the_code_behind_its_marker(task: Task, program: Program) -> None:
    """The stand-in runs the command as rsh would, and gives 0 itself."""
    body = 'echo "$1 $2 $3 $4"; while [ $# -gt 1 ]; do shift; done; sh -c "$1"; exit 0'
    task.set_info("rsh_path", program(body))
    task.set_info("rsh_user", "joe")
    task.set_info("rsh_options", "-n")
    task.set_default("distant_worker", WorkerRsh)
    worker = task.shell("printf foo; exit 7", nodes="n[1-2]")
    assert isinstance(worker, WorkerRsh)
    task.resume()
    assert (worker.node_buffer("n1") or b"").startswith(b"-l joe -n n1")
    # The command runs in a subshell of its own: `exit` would leave the echo out.
    assert worker.node_retcode("n2") == 7
    assert (worker.node_buffer("n2") or b"").endswith(b"\nfoo")


def test_rsh_that_fails_itself(task: Task, program: Program) -> None:
    task.set_info("rsh_path", program("echo no route >&2; exit 68"))
    worker = WorkerRsh("n1", None, command="true")
    task.schedule(worker)
    task.resume()
    assert (worker.node_retcode("n1"), worker.node_buffer("n1")) == (68, b"no route")


def test_pdsh(task: Task, program: Program) -> None:
    """Lines by node, ends by pdsh's own messages, rc 0 for the rest."""
    body = """
echo "n1: one"; echo "n2: $*"; echo "n1: two: three"; echo "n3:"
echo "pdsh@host: n2: ssh exited with exit code 5" >&2
echo "n1: err" >&2; echo "junk" >&2
echo "n1: $PDSH_SSH_ARGS_APPEND"
"""
    task.set_info("pdsh_path", program(body))
    task.set_info("command_timeout", 9)
    task.set_info("fanout", 7)
    handler = Recorder()
    worker = WorkerPdsh("n[1-3]", handler, command="echo %h", stderr=True)
    task.schedule(worker)
    task.resume()
    assert worker.node_buffer("n2") == b"-b -f 7 -u 9 -w n[1-3] echo %h"
    assert worker.node_buffer("n1") == b"one\ntwo: three\n-o ConnectTimeout=10"
    assert (worker.node_buffer("n3"), worker.node_error("n1"), worker.node_error("n2")) == (b"", b"err", None)
    assert dict(worker.iter_node_retcodes()) == {"n1": 0, "n2": 5, "n3": 0}
    assert handler.events[:4] == ["start", "pickup n1", "pickup n2", "pickup n3"]
    assert sorted(event for event in handler.events if event.startswith("hup")) == ["hup n1 0", "hup n2 5", "hup n3 0"]
    assert handler.events[-1] == "close False"


@pytest.mark.parametrize(("own", "of_task", "expected"), [(None, 7, 7), (2, 7, 2), (None, -1, 3), (-1, 7, 3)])
def test_fanout_of_pdsh(task: Task, program: Program, own: int | None, of_task: int, expected: int) -> None:
    """It is pdsh that starts the nodes' commands, so a worker's own limit goes to it, and no limit is their number."""
    task.set_info("pdsh_path", program('echo "n1: $3"'))
    task.set_info("fanout", of_task)
    worker = WorkerPdsh("n[1-3]", None, command="x")
    worker.fanout = own
    task.schedule(worker)
    task.resume()
    assert worker.node_buffer("n1") == b"%d" % expected


def test_pdsh_has_no_input(task: Task, program: Program) -> None:
    task.set_info("pdsh_path", program("cat; echo n1: done"))
    worker = WorkerPdsh("n1", None, command="x")
    with pytest.raises(errors.EngineClientNotSupportedError, match="pdsh"):
        worker.write(b"foo")
    with pytest.raises(errors.EngineClientNotSupportedError, match="pdsh"):
        worker.set_write_eof()
    task.set_default("distant_workername", "pdsh")
    other = task.shell("x", nodes="n1", stdin=False)
    task.resume(20)
    assert other.node_buffer("n1") == b"done"


def test_pdsh_that_cannot_start_or_times_out(task: Task, program: Program) -> None:
    task.set_info("pdsh_path", "/no/such/pdsh")
    worker = WorkerPdsh("n[1-2]", None, command="x")
    task.schedule(worker)
    task.resume()
    assert [(rc, str(nodes)) for rc, nodes in worker.iter_retcodes()] == [(255, "n[1-2]")]
    task.set_info("pdsh_path", program("echo n1: foo; exec sleep 60"))
    handler = Recorder()

    def attempt(limit: float) -> WorkerPdsh:
        worker = WorkerPdsh("n[1-2]", handler, command="x", timeout=limit)
        task.schedule(worker)
        task.resume()
        return worker

    worker = with_time_enough(attempt, lambda worker: worker.node_buffer("n1"))
    assert (worker.num_timeout(), worker.node_buffer("n1")) == (2, b"foo")
    assert handler.events[-1] == "close True"


@pytest.mark.parametrize(
    ("reverse", "key", "expected"),
    [
        (False, "pdcp_path", ["-b", "-f", "64", "-t", "10", "-w", "n1", "-p", "SOURCE", "/to"]),
        (True, "rpdcp_path", ["-b", "-f", "64", "-t", "10", "-w", "n1", "-r", "-p", "SOURCE", "DEST"]),
    ],
)
def test_pdcp(task: Task, program: Program, tmp_path: Path, reverse: bool, key: str, expected: list[str]) -> None:
    source = tmp_path / "file"
    source.write_text("x")
    dest = str(tmp_path) if reverse else "/to"
    task.set_info(key, program('printf "n1: "; for word; do printf "[%s]" "$word"; done; echo'))
    worker = WorkerPdsh("n1", None, source=str(source), dest=dest, reverse=reverse, preserve=True)
    task.schedule(worker)
    task.resume()
    names = {"SOURCE": str(source), "DEST": dest}
    assert words(worker.node_buffer("n1")) == [names.get(word, word) for word in expected]


# -- the real thing


@pytest.fixture
def real(task: Task, sshd: Sshd) -> Task:
    """The Task on the test server, by OpenSSH's programs."""
    task.set_info("ssh_options", sshd.ssh_options)
    task.set_info("connect_timeout", 60)
    return task


def test_copies_there_and_back(real: Task, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_text("text")
    os.utime(folder / "file", (1_000_000_000, 1_000_000_000))
    there, back = tmp_path / "there", tmp_path / "back"
    back.mkdir()
    real.copy(str(folder), str(there), "node1", preserve=True)
    real.resume()
    assert (there / "file").read_text() == "text"
    assert (there / "file").stat().st_mtime == 1_000_000_000
    worker = real.rcopy(str(folder / "file"), str(back), nodes=NodeSet("node[1-2]"))
    real.resume()
    assert real.max_retcode() == 0
    assert (worker.source, worker.dest) == (str(folder / "file"), str(back))
    assert sorted(path.name for path in back.iterdir()) == ["file.node1", "file.node2"]
    real.rcopy(str(folder), str(back), nodes="node3")
    real.resume()
    assert (back / "folder.node3" / "file").read_text() == "text"


def test_a_copy_to_a_node_that_does_not_answer(real: Task, tmp_path: Path) -> None:
    """Its message is that node's output; the others succeed."""
    source = tmp_path / "file"
    source.write_text("x")
    for stderr in (False, True):
        worker = real.copy(str(source), str(tmp_path / "to"), "node1,no-such-host.invalid", stderr=stderr)
        real.resume()
        told, silent = (worker.node_error, worker.node_buffer) if stderr else (worker.node_buffer, worker.node_error)
        assert told("no-such-host.invalid")
        assert silent("no-such-host.invalid") is None
        assert worker.node_retcode("node1") == 0
        assert worker.node_retcode("no-such-host.invalid") != 0


def test_arguments_of_copies(task: Task) -> None:
    with pytest.raises(AssertionError):
        task.copy("/etc/hosts", "/tmp/x", None)
    with pytest.raises(AssertionError, match="key"):
        task.shell("true", nodes="n1", key="k")


def test_real_pdsh_over_ssh(task: Task, sshd: Sshd, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """One pdsh process, with the test server's configuration put in front of ssh's arguments."""
    monkeypatch.setenv("PDSH_RCMD_TYPE", "ssh")
    monkeypatch.setenv("PDSH_SSH_ARGS_APPEND", f"-F {sshd.config}")
    worker = WorkerPdsh("node[1-3]", None, command="echo %%h=%h; exit 3", stderr=True)
    task.schedule(worker)
    task.resume(120)
    assert {rc: str(nodes) for rc, nodes in worker.iter_retcodes()} == {3: "node[1-3]"}
    assert sorted(bytes(message) for message, _ in worker.iter_buffers()) == [
        b"%h=node1",
        b"%h=node2",
        b"%h=node3",
    ]
