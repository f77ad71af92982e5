"""The getters of Task and workers: what they return where there is something, nothing, and where it cannot be known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from ClusterShell.NodeSet import NodeSet

from clusterdeck.engine import errors
from clusterdeck.engine.gather import MsgTreeElem
from clusterdeck.engine.task import Task
from clusterdeck.engine.workers.exec import ExecWorker
from clusterdeck.engine.workers.popen import WorkerPopen
from clusterdeck.engine.workers.stream import StreamWorker
from clusterdeck.tests.engine.conftest import Recorder
from clusterdeck.tests.support.patience import with_time_enough


def by_text(pairs: Iterable[tuple[Any, Any]]) -> dict[bytes, list[str]]:
    """(message, keys) pairs as a dict."""
    found: dict[bytes, list[str]] = {}
    for message, keys in pairs:
        assert bytes(message) not in found, "one message came twice"
        found[bytes(message)] = sorted(keys)
    return found


def by_code(pairs: Iterable[tuple[int, Any]]) -> dict[int, list[str]]:
    """(return code, keys) pairs as a dict."""
    return {rc: sorted(keys) for rc, keys in pairs}


@pytest.fixture
def worker(task: Task) -> ExecWorker:
    """Nodes n1 to n4: n1 and n2 say the same, n3 something else and rc 3, n4 nothing on stdout and rc 3."""
    worker = ExecWorker(
        "n[1-4]",
        handler=None,
        command='case %h in n4) echo bad >&2; exit 3;; n3) echo "three"; exit 3;; *) echo same; echo lines;; esac',
        stderr=True,
    )
    task.schedule(worker)
    task.resume()
    return worker


def test_worker_getters(worker: ExecWorker) -> None:
    assert by_text(worker.iter_buffers()) == {b"same\nlines": ["n1", "n2"], b"three": ["n3"]}
    assert all(isinstance(nodes, NodeSet) for _, nodes in worker.iter_buffers())
    assert all(isinstance(message, MsgTreeElem) for message, _ in worker.iter_buffers())
    assert by_text(worker.iter_errors()) == {b"bad": ["n4"]}
    assert {node: bytes(elem) for node, elem in worker.iter_node_buffers()} == {
        "n1": b"same\nlines",
        "n2": b"same\nlines",
        "n3": b"three",
    }
    assert {node: bytes(elem) for node, elem in worker.iter_node_errors(["n1", "n4"])} == {"n4": b"bad"}
    assert by_code(worker.iter_retcodes()) == {0: ["n1", "n2"], 3: ["n3", "n4"]}
    assert dict(worker.iter_node_retcodes()) == {"n1": 0, "n2": 0, "n3": 3, "n4": 3}
    assert (worker.node_buffer("n1"), worker.node_error("n4")) == (b"same\nlines", b"bad")
    assert (worker.node_error_buffer("n4"), worker.read("n3")) == (b"bad", b"three")
    assert (worker.node_buffer("n4"), worker.node_error("n1"), worker.node_buffer("nx")) == (None, None, None)
    assert (worker.node_retcode("n3"), worker.node_rc("n1")) == (3, 0)
    with pytest.raises(KeyError, match="nx"):
        worker.node_retcode("nx")
    assert (worker.num_timeout(), list(worker.iter_keys_timeout()), worker.did_timeout()) == (0, [], False)


def test_match_keys_of_workers(worker: ExecWorker) -> None:
    assert by_text(worker.iter_buffers(["n1", "n3"])) == {b"same\nlines": ["n1"], b"three": ["n3"]}
    assert by_text(worker.iter_buffers(NodeSet("n[1,4]"))) == {b"same\nlines": ["n1"]}
    assert list(worker.iter_buffers([])) == []
    assert by_code(worker.iter_retcodes("n[1,3]")) == {0: ["n1"], 3: ["n3"]}
    assert by_code(worker.iter_retcodes(["n3"])) == {3: ["n3"]}
    assert by_code(worker.iter_retcodes([])) == {0: ["n1", "n2"], 3: ["n3", "n4"]}
    lazy = worker.iter_buffers("n1")
    with pytest.raises(TypeError, match="n1"):
        next(lazy)


def test_task_getters(task: Task, worker: ExecWorker) -> None:
    assert by_text(task.iter_buffers()) == {b"same\nlines": ["n1", "n2"], b"three": ["n3"]}
    assert by_text(task.iter_errors()) == {b"bad": ["n4"]}
    assert all(isinstance(keys, list) for _, keys in task.iter_buffers())
    assert (task.key_buffer("n1"), task.node_buffer("n4"), task.key_buffer("nx")) == (b"same\nlines", b"", b"")
    assert (task.key_error("n4"), task.node_error("n1"), task.key_error("nx")) == (b"bad", b"", b"")
    assert (task.key_retcode("n3"), task.node_retcode("n1"), task.max_retcode()) == (3, 0, 3)
    with pytest.raises(KeyError, match="nx"):
        task.key_retcode("nx")
    # With match_keys every code comes, also without keys.
    assert by_code(task.iter_retcodes(["n1"])) == {0: ["n1"], 3: []}
    assert by_code(task.iter_retcodes([])) == by_code(task.iter_retcodes())
    assert by_text(task.iter_buffers(["n3"])) == {b"three": ["n3"]}
    assert len(list(task.iter_buffers([]))) == 2
    for call in (task.iter_buffers, task.iter_errors):
        with pytest.raises(TypeError, match="n1"):
            call("n1")


def test_several_workers_share_keys(task: Task) -> None:
    """Keys of different workers are merged, messages of one key joined with nothing, codes by their maximum."""
    for command in ("echo one; exit 1", "echo two; exit 5"):
        task.schedule(ExecWorker("n[1-2]", handler=None, command=command))
    local = task.shell("echo one", key="n1")
    task.resume()
    assert sorted(task.key_buffer("n1")) == sorted(b"oneonetwo")
    assert (task.key_retcode("n1"), task.key_retcode("n2")) == (5, 5)
    assert by_text(task.iter_buffers()) == {b"one": ["n1", "n1", "n2"], b"two": ["n1", "n2"]}
    local.flush_buffers()
    assert by_text(task.iter_buffers()) == {b"one": ["n1", "n2"], b"two": ["n1", "n2"]}
    task.flush_buffers()
    assert list(task.iter_buffers()) == []
    assert task.max_retcode() == 5


def test_a_local_worker_is_its_own_key(task: Task) -> None:
    worker = task.shell("echo foo; echo bar >&2; exit 2", stderr=True)
    keyed = task.shell("echo foo", key=("any", "key"))
    task.resume()
    assert (worker.read(), worker.error(), worker.read(sname="stderr"), worker.retcode()) == (b"foo", b"bar", b"bar", 2)
    assert (worker.key, keyed.key) == (None, ("any", "key"))
    assert task.key_buffer(worker) == task.key_buffer(("any", "key")) == b"foo"
    groups = list(task.iter_buffers())
    assert [bytes(message) for message, _ in groups] == [b"foo"]
    assert set(groups[0][1]) == {worker, ("any", "key")}


def test_flush_of_one_worker(task: Task) -> None:
    first, second = (task.shell("echo foo; echo bar >&2", stderr=True) for _ in range(2))
    task.resume()
    first.flush_buffers()
    assert (first.read(), second.read(), first.error()) == (None, b"foo", b"bar")
    second.flush_errors()
    assert (first.error(), second.error()) == (b"bar", None)
    task.flush_errors()
    assert first.error() is None


@pytest.mark.parametrize(
    "getter",
    [
        lambda w: w.read("n1"),
        lambda w: w.node_buffer("n1"),
        lambda w: w.node_retcode("n1"),
        lambda w: list(w.iter_buffers()),
        lambda w: list(w.iter_retcodes()),
        lambda w: w.num_timeout(),
        lambda w: w.did_timeout(),
        lambda w: w.flush_buffers(),
    ],
)
def test_an_unscheduled_worker_has_no_results(getter: Callable[[Any], Any]) -> None:
    worker = ExecWorker("n1", handler=None, command="true")
    with pytest.raises(errors.WorkerError, match="not scheduled"):
        getter(worker)
    worker.abort()


def test_scheduling_twice(task: Task) -> None:
    worker = WorkerPopen("true")
    task.schedule(worker)
    with pytest.raises(errors.WorkerError, match="scheduled already"):
        task.schedule(worker)
    other = Task()
    with pytest.raises(errors.WorkerError, match="scheduled already"):
        other.schedule(worker)
    other.abort()


def test_streams_that_are_not_recorded(task: Task) -> None:
    task.set_default("stdout_msgtree", False)
    worker = task.shell("echo foo; echo bar >&2", stderr=True)
    task.resume()
    for call in (task.iter_buffers, lambda: task.key_buffer(worker), worker.read):
        with pytest.raises(errors.TaskMsgTreeError, match="stdout"):
            call()
    assert worker.error() == b"bar"
    task.set_default("stdout_msgtree", True)
    assert list(task.iter_buffers()) == []
    assert worker.read() is None


def test_recording_switched_in_a_handler(task: Task) -> None:
    """From the next message on; what was recorded stays readable."""

    def switch(value: bool) -> Callable[[Any], None]:
        return lambda worker: worker.task.set_default("stdout_msgtree", value)

    off = task.shell("echo one; sleep 0.2; echo two", handler=Recorder(read=switch(False)))
    task.resume()
    assert [bytes(message) for message, _ in task.iter_buffers()] == [b"one"]
    assert off.read() == b"one"
    on = task.shell("echo one; echo two", handler=Recorder(read=switch(True)))
    task.resume()
    assert on.read() == b"two"


def test_a_renamed_stream_is_not_recorded(task: Task) -> None:
    handler = Recorder()
    worker = task.shell("echo foo", handler=handler)
    worker.SNAME_STDOUT = "other"
    task.resume()
    assert "read self other foo" in handler.events
    assert list(task.iter_buffers()) == []
    with pytest.raises(errors.TaskMsgTreeError, match="other"):
        worker.read(sname="other")
    task.set_default("other_msgtree", True)
    again = task.shell("echo foo")
    again.SNAME_STDOUT = "other"
    task.resume()
    assert again.read(sname="other") == b"foo"


def test_timeouts_are_counted_per_worker_and_key(task: Task) -> None:
    def attempt(limit: float) -> list[ExecWorker]:
        workers = [ExecWorker("n[1-3]", handler=None, command="exec sleep %n00", timeout=limit) for _ in range(2)]
        for worker in workers:
            task.schedule(worker)
        task.resume()
        return workers

    workers = with_time_enough(attempt, lambda workers: all(dict(each.iter_node_retcodes()) for each in workers))
    assert task.num_timeout() == 4
    assert sorted(task.iter_keys_timeout()) == ["n2", "n2", "n3", "n3"]
    assert sorted(workers[0].iter_keys_timeout()) == ["n2", "n3"]
    assert by_code(workers[0].iter_retcodes()) == {0: ["n1"]}
    with pytest.raises(KeyError):
        workers[0].node_retcode("n2")


def test_no_return_code_of_streams(task: Task) -> None:
    import os

    reader, writer = os.pipe()
    os.write(writer, b"foo\n")
    os.close(writer)
    worker = StreamWorker(handler=None)
    worker.set_reader("stdout", reader)
    task.schedule(worker)
    task.resume()
    assert worker.read() == b"foo"
    assert task.max_retcode() is None


def test_elements_stay_as_they_were_handed_out(task: Task) -> None:
    """An element read in a handler does not grow with later lines."""
    seen: list[tuple[bytes, MsgTreeElem]] = []

    def keep(worker: Any) -> None:
        seen.extend((bytes(message), message) for message, _ in worker.task.iter_buffers())

    task.shell("echo one; echo two; echo three", handler=Recorder(read=keep))
    task.resume()
    assert [text for text, _ in seen] == [b"one", b"one\ntwo", b"one\ntwo\nthree"]
    assert [bytes(element) for _, element in seen] == [text for text, _ in seen]


def test_a_limit_of_what_is_kept(task: Task) -> None:
    """Events bring everything; of the message a prefix stays, and what was left out is counted."""
    task.set_info("buffer_limit", 1000)
    handler = Recorder()
    large = task.shell("seq 1 5000", key="large", handler=handler)
    small = task.shell("seq 1 10; echo e >&2", key="small", stderr=True)
    task.resume()
    whole = b"".join(b"%d\n" % number for number in range(1, 5001))
    assert large.read() == whole[:1000].removesuffix(b"\n")
    assert len([event for event in handler.events if event.startswith("read")]) == 5000
    assert (small.read() or b"").splitlines()[-1] == b"10"
    assert list(task.iter_cut()) == [("large", len(whole) - 1001 + whole[:1000].endswith(b"\n"))]
    task.set_info("buffer_limit", None)
    task.run("seq 1 5000", key="large")
    assert task.key_buffer("large") == whole[:-1]
    assert list(task.iter_cut()) == []
