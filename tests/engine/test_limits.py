"""Few descriptors, many commands, many threads, shortages: nothing is lost, nothing is left."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from clusterdeck.engine import errors
from clusterdeck.engine.task import Task, task_self
from clusterdeck.engine.workers.exec import ExecWorker
from clusterdeck.tests.engine.conftest import Recorder
from clusterdeck.tests.support.patience import with_time_enough


def python(program: str) -> str:
    """What a program prints in an interpreter of its own; it must end well and say nothing on stderr."""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=240, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")
    return answer.stdout


def test_a_worker_with_a_fanout_of_its_own_waits_for_descriptors_as_well() -> None:
    program = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))
from clusterdeck.engine import ExecWorker, NodeSet, task_self
task = task_self()
for fanout in (100, -1):
    worker = ExecWorker(NodeSet("n[1-200]"), None, command="echo foo")
    worker.fanout = fanout
    task.schedule(worker)
    task.resume()
    print([(rc, len(nodes)) for rc, nodes in worker.iter_retcodes()])
"""
    assert python(program).splitlines() == ["[(0, 200)]"] * 2


@pytest.mark.parametrize(("engine", "fanout"), [("epoll", 10), ("poll", 64), ("select", 64)])
def test_two_thousand_commands_with_a_hundred_descriptors(engine: str, fanout: int) -> None:
    """At fanout 64 the descriptors do not suffice: what cannot start waits for what ends."""
    program = f"""
import os, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
from clusterdeck.engine import DEFAULTS, task_self, task_terminate
DEFAULTS.engine = "{engine}"
task = task_self()
task.set_info("fanout", {fanout})
for number in range(2000):
    task.shell("echo foo", key=number, stderr=bool(number % 2))
task.resume()
print(sorted((rc, len(keys)) for rc, keys in task.iter_retcodes()), sum(len(k) for _, k in task.iter_buffers()))
task_terminate()
print([os.readlink(f"/proc/self/fd/{{n}}") for n in os.listdir("/proc/self/fd") if int(n) > 2 and os.path.exists(
    f"/proc/self/fd/{{n}}") and "pipe" in os.readlink(f"/proc/self/fd/{{n}}")])
"""
    assert python(program).splitlines()[:2] == ["[(0, 2000)] 2000", "[]"]


def test_select_with_high_descriptors() -> None:
    """select() takes numbers below 1024 only: what would get a higher one waits, and nothing breaks."""
    program = """
import os, resource
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (2048 if hard < 0 else min(hard, 2048), hard))
from clusterdeck.engine import DEFAULTS, EventHandler, task_self
DEFAULTS.engine = "select"
class Handler(EventHandler):
    def ev_end(self, worker, node, end):
        print(end.rc, end.failure.kind.value, "epoll" in end.failure.reason)
task = task_self()
task.run("true")
held = [os.open("/dev/null", os.O_RDONLY) for _ in range(980)]
for number in range(60):
    task.shell("echo foo; exec >&- 2>&-; sleep 0.1", key=number, stderr=True)
task.resume()
print(sorted((rc, len(keys)) for rc, keys in task.iter_retcodes()), sum(len(k) for _, k in task.iter_buffers()))
held += [os.open("/dev/null", os.O_RDONLY) for _ in range(100)]
task.run("true", handler=Handler())
"""
    assert python(program).splitlines() == ["[(0, 60)] 60", "255 out of descriptors True"]


def test_no_descriptor_at_all_is_a_return_code() -> None:
    """Nothing runs whose end could be waited for: 255, with the reason, and the Task lives on."""
    program = """
import os, resource
from clusterdeck.engine import EventHandler, task_self
class Handler(EventHandler):
    def ev_end(self, worker, node, end):
        print(end.state.word, end.rc, end.failure.kind.value, "ulimit" in end.failure.reason)
task = task_self()
task.run("true")
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
held = []
try:
    while True:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
print(task.run("true", handler=Handler()).retcode())
for fd in held:
    os.close(fd)
print(task.run("echo fine").read())
"""
    assert python(program).splitlines() == ["failed 255 out of descriptors True", "255", "b'fine'"]


def test_without_standard_descriptors() -> None:
    """A daemon may run with 0, 1 and 2 closed: the numbers of pipes must not clash with the command's own."""
    program = """
import os
from clusterdeck.engine import task_self
task = task_self()
saved = [os.dup(n) for n in (0, 1, 2)]
for n in (0, 1, 2): os.close(n)
worker = task.shell("cat; echo err >&2", stderr=True)
worker.write(b"foo")
worker.set_write_eof()
task.resume()
for n, fd in enumerate(saved): os.dup2(fd, n)
print(worker.read(), worker.error(), worker.retcode())
"""
    assert python(program) == "b'foo' b'err' 0\n"


def test_a_task_uses_no_descriptor_before_it_runs(leak_check: None) -> None:
    """Scheduling opens nothing."""
    before = set(os.listdir("/proc/self/fd"))
    task = task_self()
    for _ in range(100):
        task.shell("true")
    assert set(os.listdir("/proc/self/fd")) <= before
    task.abort(kill=True)


def test_somebody_else_reaps(task: Task) -> None:
    """With SIGCHLD ignored the kernel keeps no status: the code is 255, and nothing hangs."""
    import signal

    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert task.run("echo foo; exit 3").retcode() in (3, 255)
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_number_that_may_be_a_strangers_is_not_killed(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command has ended and was reaped by somebody else; what it left behind keeps its output open."""
    import signal

    from clusterdeck.engine.workers import process

    killed: list[int] = []
    monkeypatch.setattr(process, "kill", killed.append)
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        worker = with_time_enough(
            lambda limit: task.run(f"sleep {4 * limit} & echo early", timeout=limit), lambda worker: worker.read()
        )
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert (killed, worker.did_timeout(), worker.read()) == ([], True, b"early")


def test_a_line_without_end_can_be_bounded(task: Task) -> None:
    """The info value line_limit cuts what a node sends without line ends."""
    task.set_info("line_limit", 100_000)
    handler = Recorder()
    worker = task.shell("head -c 1000000 /dev/zero | tr '\\0' x", handler=handler)
    task.resume()
    lines = [event for event in handler.events if event.startswith("read")]
    assert len(lines) > 5
    assert all(len(line) < 200_000 for line in lines)
    assert (worker.read() or b"").replace(b"\n", b"") == b"x" * 1_000_000


def test_eight_threads_submit_abort_and_read(leak_check: None) -> None:
    """Each command ends exactly once; readers never see half a result."""
    task = Task()
    failures: list[BaseException] = []
    task.excepthook = lambda kind, error, trace: failures.append(error)
    ends: dict[Any, int] = {}
    lock = threading.Lock()
    stop = threading.Event()

    class Handler:
        def ev_end(self, worker: Any, node: Any, end: Any) -> None:
            with lock:
                ends[worker] = ends.get(worker, 0) + 1

    handler = Handler()
    made: list[Any] = []

    def submit(seed: int) -> None:
        chance = random.Random(seed)
        try:
            for number in range(40):
                worker = task.shell("echo foo; echo bar", key=(seed, number), handler=handler, timeout=60)
                with lock:
                    made.append(worker)
                if chance.random() < 0.3:
                    worker.abort()
                if chance.random() < 0.3:
                    worker.write(b"x")
                    worker.set_write_eof()
                if chance.random() < 0.2:
                    task.timer(0.01, Recorder(), autoclose=True)
        except BaseException as error:
            failures.append(error)

    def read() -> None:
        try:
            while not stop.is_set():
                for message, keys in task.iter_buffers():
                    assert bytes(message) in (b"foo", b"foo\nbar")
                    assert keys
                for rc, _ in task.iter_retcodes():
                    assert rc == 0
                task.max_retcode()
                task.num_timeout()
                assert task.key_buffer((0, 0)) in (b"", b"foo", b"foo\nbar")
        except BaseException as error:
            failures.append(error)

    keep = task.port(Recorder())
    task.resume()
    submitters = [threading.Thread(target=submit, args=(seed,)) for seed in range(5)]
    readers = [threading.Thread(target=read) for _ in range(3)]
    for thread in submitters + readers:
        thread.start()
    for thread in submitters:
        thread.join(120)
    task.remove_port(keep)
    task.join()
    stop.set()
    for thread in readers:
        thread.join(30)
    assert failures == []
    assert len(made) == 200
    assert set(ends.values()) == {1}
    assert set(ends) == set(made)
    task.abort()


def test_several_tasks_at_once(leak_check: None) -> None:
    tasks = [Task() for _ in range(6)]
    for number, task in enumerate(tasks):
        task.schedule(ExecWorker("n[1-20]", None, command=f"echo {number}-%n"))
        task.resume()
    for task in tasks:
        task.join()
    for number, task in enumerate(tasks):
        assert {bytes(message) for message, _ in task.iter_buffers()} == {
            f"{number}-{rank}".encode() for rank in range(20)
        }
        task.abort()


def test_memory_does_not_grow_with_what_is_done() -> None:
    """Beyond its results (a return code here), a finished command leaves nothing: 3,000 more cost well under 3 MiB."""
    program = """
import gc, os
from clusterdeck.engine import task_self
def rss():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
task = task_self()
class Look:
    sizes = []
    def ev_hup(self, worker, node, rc):
        if node % 500 == 0:
            self.sizes.append(rss())
look = Look()
for number in range(4000):
    task.shell("true", key=number, handler=look)
task.resume()
print(look.sizes[-1] - look.sizes[1])
"""
    assert int(python(program)) < 3 * 1024


def test_killed_processes_are_reaped(leak_check: None) -> None:
    task = task_self()
    for _ in range(30):
        task.shell("exec sleep 60", timeout=0.2)
    before = time.monotonic()
    task.resume()
    assert time.monotonic() - before < 20
    assert task.num_timeout() == 30
    task.abort(kill=True)


def test_processes_that_die_slowly_are_reaped_with_the_task(monkeypatch: pytest.MonkeyPatch, leak_check: None) -> None:
    """The run does not wait for them; the end of the Task does, or `leak_check` finds zombies."""
    monkeypatch.setattr("clusterdeck.engine.loop._REAP_PATIENCE", 0.0)
    task = task_self()
    for _ in range(20):
        task.shell("exec sleep 60", timeout=0.1)
    task.resume()
    task.abort(kill=True)


def test_use_after_the_end_names_the_task() -> None:
    task = task_self()
    task.abort(kill=True)
    for call in (lambda: task.shell("true"), lambda: task.timer(1, Recorder()), task.port, task.resume):
        with pytest.raises(errors.TaskError, match="MainThread"):
            call()
    task.abort()
    task.abort(kill=True)
