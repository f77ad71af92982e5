"""ExecWorker: substitution, one process for all nodes, copies; and what local commands in general must bear."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from clusterdeck.engine import errors
from clusterdeck.engine.task import Task
from clusterdeck.engine.workers.exec import ExecWorker
from clusterdeck.tests.engine.conftest import Recorder
from clusterdeck.tests.support.processes import runs, wait_gone


def run(task: Task, nodes: Any, **kwargs: Any) -> ExecWorker:
    """Run an ExecWorker to its end."""
    worker = ExecWorker(nodes, kwargs.pop("handler", None), **kwargs)
    task.schedule(worker)
    task.resume()
    return worker


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("echo %h", [b"n1", b"n2"]),
        ("echo %host", [b"n1", b"n2"]),
        ("echo %n-%rank", [b"0-0", b"1-1"]),
        ("echo %h%n", [b"n10", b"n21"]),
        ("echo %{h}s %{host}x %{rank}", [b"n1s n1x 0", b"n2s n2x 1"]),
        ("echo 100%% %%h", [b"100% %h", b"100% %h"]),
        ("echo %hosts", [b"n[1-2]", b"n[1-2]"]),
        ("echo %{hosts}", [b"n[1-2]", b"n[1-2]"]),
    ],
)
def test_substitution(task: Task, command: str, expected: list[bytes]) -> None:
    worker = run(task, "n2,n1", command=command)
    assert [worker.node_buffer("n1"), worker.node_buffer("n2")] == expected


@pytest.mark.parametrize("command", ["date +%Y", "echo %", "echo %{nosuch}", "echo %{h", "echo %hosts %n"])
def test_any_other_percent_sign(task: Task, command: str) -> None:
    with pytest.raises(errors.WorkerError) as caught:
        run(task, "n1", command=command)
    assert command in str(caught.value)
    assert task.run("date +%Y | wc -c").read() == b"5"


def test_one_process_for_all_nodes(task: Task, tmp_path: Path) -> None:
    handler = Recorder()
    worker = run(task, "n[1-2]", command=f"echo x >> {tmp_path}/ran; echo %hosts; exit 4", handler=handler)
    assert (tmp_path / "ran").read_text() == "x\n"
    assert handler.events == [
        *("start", "pickup n1", "pickup n2", "read n1 stdout n[1-2]", "read n2 stdout n[1-2]"),
        *("hup n1 4", "hup n2 4", "close False"),
    ]
    assert [(rc, str(nodes)) for rc, nodes in worker.iter_retcodes()] == [(4, "n[1-2]")]


def test_no_nodes(task: Task) -> None:
    for nodes in (None, ""):
        handler = Recorder()
        worker = run(task, nodes, command="echo foo", handler=handler)
        assert handler.events == []
        assert list(worker.iter_buffers()) == []


def test_missing_arguments() -> None:
    with pytest.raises(ValueError, match=r"n\[1-2\]"):
        ExecWorker("n[1-2]", None)
    with pytest.raises(ValueError, match="destination"):
        ExecWorker("n1", None, source="/etc/hosts")
    with pytest.raises(ValueError, match="/no/such/folder"):
        ExecWorker("n1", None, source="/etc/hosts", dest="/no/such/folder", reverse=True)


def test_copies(task: Task, tmp_path: Path) -> None:
    source = tmp_path / "folder"
    source.mkdir()
    (source / "file").write_text("text")
    run(task, "n[1-2]", source=str(source), dest=f"{tmp_path}/to-%h-%n")
    assert (tmp_path / "to-n1-0" / "file").read_text() == "text"
    assert (tmp_path / "to-n2-1" / "file").read_text() == "text"
    run(task, "n1", source=str(source / "file"), dest=str(tmp_path / "one"))
    assert (tmp_path / "one").read_text() == "text"
    worker = run(task, "n1", source="/no/such/file", dest=str(tmp_path / "two"), stderr=True)
    assert worker.node_retcode("n1") == 1
    assert b"/no/such/file" in (worker.node_error("n1") or b"")


def test_write_reaches_every_node(task: Task) -> None:
    worker = ExecWorker("n[1-3]", None, command="cat")
    worker.write(b"early ")
    task.schedule(worker)
    worker.write(b"late\n")
    worker.set_write_eof()
    task.resume()
    assert [(bytes(message), str(nodes)) for message, nodes in worker.iter_buffers()] == [(b"early late", "n[1-3]")]


def test_a_program_that_cannot_be_started(task: Task) -> None:
    """Return code 255, not an exception."""
    for path in ("/no/such/program", "/etc/hosts", "/etc"):
        task.set_info("ssh_path", path)
        handler = Recorder()
        worker = task.shell("true", nodes="n[1-2]", handler=handler)
        task.resume()
        assert task.max_retcode() == 255
        assert sorted(handler.events) == sorted(
            ["start", "pickup n1", "pickup n2", "hup n1 255", "hup n2 255", "close False"]
        )
        assert [(rc, str(nodes)) for rc, nodes in worker.iter_retcodes()] == [(255, "n[1-2]")]


def test_a_command_that_is_too_long(task: Task) -> None:
    assert task.run("true " + "x" * 300_000).retcode() == 255


def test_an_empty_command() -> None:
    from clusterdeck.engine.workers.popen import WorkerPopen

    with pytest.raises(ValueError, match="''"):
        WorkerPopen("")
    with pytest.raises(ValueError, match="b'true'"):
        WorkerPopen(cast(Any, b"true"))


def test_kill_hits_the_direct_child_only(task: Task, tmp_path: Path) -> None:
    """The background child of a killed command lives on."""
    mark, go_on = tmp_path / "mark", tmp_path / "go_on"
    child = f"(until test -e {go_on}; do sleep 0.02; done; echo alive > {mark}) </dev/null >/dev/null 2>&1"
    task.run(f"{child} & echo begun; exec sleep 60", handler=Recorder(read=lambda worker: worker.abort()))
    go_on.touch()
    deadline = time.monotonic() + 20
    while not mark.exists() and time.monotonic() < deadline:
        time.sleep(0.02)  # nothing but the file tells
    assert mark.read_text() == "alive\n"


def test_what_a_killed_command_started_is_hung_up_where_that_is_asked_for(task: Task, tmp_path: Path) -> None:
    """All but what was meant to outlive it."""
    begun: list[psutil.Process] = []

    def note(worker: Any) -> None:
        begun.append(psutil.Process(int(worker.current_msg)))
        if len(begun) == 2:
            worker.abort()

    script = tmp_path / "stubborn"
    script.write_text("trap '' HUP; echo $$; exec sleep 60\n")  # heard of when nothing can hang it up any more
    task.set_info("hang_up", True)
    was = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever started the suite may ignore it
    try:
        task.run(f"sleep 60 & echo $!; sh {script} & sleep 60", handler=Recorder(read=note))
        plain, stubborn = begun
        assert wait_gone([plain], 20) == []
        assert runs(stubborn)
        stubborn.kill()
    finally:
        signal.signal(signal.SIGHUP, was)


def test_output_kept_open_by_a_background_child_delays_the_end(task: Task) -> None:
    before = time.monotonic()
    worker = task.run("(sleep 0.5; echo late) & echo early; exit 3")
    assert time.monotonic() - before >= 0.5
    assert (worker.read(), worker.retcode()) == (b"early\nlate", 3)


def test_output_closed_long_before_the_end(task: Task, tmp_path: Path) -> None:
    """The loop goes on meanwhile."""
    go_on = tmp_path / "go_on"
    handler = Recorder(timer=lambda _timer: go_on.touch() if len(handler.events) == 4 else None)
    task.timer(0.05, handler, interval=0.05, autoclose=True)
    worker = task.run(f"exec >&- 2>&-; until test -e {go_on}; do sleep 0.02; done; exit 3", timeout=60)
    assert worker.retcode() == 3


def test_a_process_that_had_ended_when_it_is_aborted_gets_its_code(task: Task) -> None:
    """Its output is still held open by a child, so the command is not over."""
    worker = task.shell("sleep 60 & echo $$ $!; exit 6")

    def look(_timer: Any) -> None:
        shell, child = map(int, (worker.read() or b"0 0").split())
        if child and psutil.Process(child).ppid() != shell:
            worker.abort()

    task.timer(0.02, Recorder(timer=look), interval=0.02, autoclose=True)
    task.resume(30)
    assert worker.retcode() == 6
    psutil.Process(int((worker.read() or b"").split()[1])).kill()


def test_signals_have_their_defaults_in_commands(task: Task) -> None:
    """SIGPIPE is ignored by Python, and must not be by what it starts."""
    assert task.run("yes | head -1; echo ${PIPESTATUS:-0}", stderr=True).error() is None


def test_a_command_has_a_session_of_its_own(task: Task) -> None:
    import os

    worker = task.run("ps -o sid= -p $$")
    assert int(worker.read() or b"0") != os.getsid(0)


def test_abort_before_the_start_gives_no_event(task: Task) -> None:
    handler = Recorder()
    worker = task.shell("echo foo", handler=handler)
    worker.abort()
    worker.abort()
    task.resume()
    assert handler.events == []


def test_an_immediate_timeout(task: Task) -> None:
    handler = Recorder()
    task.run("true", handler=handler, timeout=0)
    assert handler.events == ["start", "pickup self", "close True"]
    assert task.run("echo foo", timeout=-1).read() == b"foo"


def test_the_fanout_bounds_what_runs(task: Task) -> None:
    running, highest = [0], [0]

    def change(by: int) -> Any:
        def note(_worker: Any) -> None:
            running[0] += by
            highest[0] = max(highest[0], running[0])

        return note

    task.set_info("fanout", 5)
    handler = Recorder(pickup=change(1), hup=change(-1))
    task.schedule(ExecWorker("n[1-40]", handler, command="sleep 0.02"))
    for _ in range(10):
        task.shell("sleep 0.02", handler=handler)
    task.resume()
    assert (running[0], highest[0]) == (0, 5)


@pytest.mark.parametrize("bad", [0, -2, "many", None, 1.5])
def test_a_bad_fanout_is_named(task: Task, bad: Any) -> None:
    task.set_info("fanout", bad)
    task.shell("true")
    with pytest.raises(errors.EngineIllegalOperationError, match="fanout"):
        task.resume()
    task.set_info("fanout", 64)
    assert task.run("echo fine").read() == b"fine"


@pytest.mark.parametrize("limit", [0, -2, True, 1.5, "2"])
def test_a_workers_own_fanout_that_is_none(limit: Any) -> None:
    worker = ExecWorker("n1", None, command="true")
    with pytest.raises(ValueError, match=re.escape(repr(limit))):
        worker.fanout = limit
    assert worker.fanout is None


def test_ranks_and_fanout_are_set_before_scheduling(task: Task) -> None:
    worker = ExecWorker("n[1-3]", None, command="echo %n")
    worker.set_ranks({"n1": 40, "n3": 42, "other": 7})
    worker.fanout = 1
    task.schedule(worker)
    with pytest.raises(errors.WorkerError, match="scheduled already"):
        worker.fanout = 2
    task.resume()
    assert [worker.node_buffer(node) for node in ("n1", "n2", "n3")] == [b"40", b"1", b"42"]


def test_stopping_some_nodes_of_a_worker(task: Task) -> None:
    left: list[set[str]] = []

    def stop(worker: Any) -> None:
        left.append(worker.abort_nodes({"n1", "n3", "other"}))

    handler = Recorder(read=stop)
    apart = ExecWorker("n[1-3]", handler, command="[ %h != n2 ] || echo go; [ %h = n2 ] || sleep 60")
    shared = ExecWorker("n[1-2]", Recorder(read=stop), command="echo %hosts")
    task.schedule(apart)
    task.resume()
    assert (left, dict(apart.iter_node_retcodes())) == ([set()], {"n2": 0})
    assert handler.events[-1] == "close False"
    task.schedule(shared)
    task.resume()
    assert left[1:] == [{"n1"}, {"n1"}]
    assert dict(shared.iter_node_retcodes()) == {"n1": 0, "n2": 0}


def test_a_workers_own_fanout(task: Task) -> None:
    running, highest = [0], [0]

    def begin(_worker: Any) -> None:
        running[0] += 1
        highest[0] = max(highest[0], running[0])

    def end(_worker: Any) -> None:
        running[0] -= 1

    slow = ExecWorker("n[1-6]", Recorder(pickup=begin, hup=end), command="sleep 0.05")
    slow.fanout = 2
    task.set_info("fanout", 1)
    task.schedule(slow)
    task.shell("sleep 0.05")
    task.resume()
    assert highest[0] == 2
