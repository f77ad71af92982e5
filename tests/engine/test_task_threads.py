"""Tasks and threads: whose Task it is, running and waiting, pausing, ending, and what is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from clusterdeck.engine import errors
from clusterdeck.engine.defaults import DEFAULTS
from clusterdeck.engine.task import Task, task_cleanup, task_self, task_terminate, task_wait
from clusterdeck.engine.workers.popen import WorkerPopen
from clusterdeck.tests.engine.conftest import Recorder
from clusterdeck.tests.support.patience import with_time_enough


def in_thread(call: Callable[[], Any]) -> Any:
    """What `call` returns or raises in a thread of its own."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(call())
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    assert found, "the thread hangs"
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


def test_one_task_per_thread(task: Task) -> None:
    assert task_self() is task
    assert task.thread is threading.current_thread()
    assert Task(thread=threading.current_thread()) is task
    assert Task(thread_id=threading.get_ident()) is task

    def other() -> Task:
        found = task_self()
        assert found.thread is threading.current_thread()
        task_terminate()
        return found

    assert in_thread(other) is not task


def test_an_unknown_thread_identifier_is_named() -> None:
    with pytest.raises(errors.TaskError, match="4711"):
        Task(thread_id=4711)


def test_a_bare_task_has_a_thread_of_its_own(task: Task, leak_check: None) -> None:
    one, two = Task(), Task()
    assert one is not two
    assert one.thread is not threading.current_thread()
    assert one.thread.name.startswith("Task-")
    assert not one.thread.daemon
    assert not one.running()
    seen: list[Any] = []
    one.shell("echo foo", key="k", handler=Recorder(read=lambda _: seen.append(task_self())))
    one.resume()
    one.join()
    assert one.key_buffer("k") == b"foo"
    assert seen == [one]
    one.shell("echo again", key="k")
    one.resume()
    task_wait()
    assert one.key_buffer("k") == b"again"
    one.abort()
    two.abort(kill=True)
    assert not one.thread.is_alive()
    assert not two.thread.is_alive()
    one.join()
    one.abort()
    assert not one.running()


def test_resume_of_a_dead_task(task: Task) -> None:
    dead = Task()
    dead.abort()
    dead.resume()
    with pytest.raises(errors.TaskError, match="terminated"):
        dead.shell("true")
    with pytest.raises(errors.TaskError, match="terminated"):
        dead.schedule(WorkerPopen("true"))


def test_join_and_wait_do_not_wait_for_idle_tasks(leak_check: None) -> None:
    idle = Task()
    before = time.monotonic()
    idle.join()
    task_wait()
    assert time.monotonic() - before < 20
    idle.abort()


def test_suspend_and_resume(leak_check: None) -> None:
    """A paused Task fires nothing, and counts as unfinished."""
    task = Task()
    assert task.suspend() is False
    handler = Recorder()
    ticks = threading.Event()
    handler.on["timer"] = lambda _: ticks.set()
    task.timer(0.02, handler, interval=0.02)
    task.resume()
    assert ticks.wait(30)
    assert task.suspend() is True
    count = len(handler.events)
    waited = threading.Thread(target=task.join)
    waited.start()
    waited.join(0.3)
    assert waited.is_alive(), "join() came back while the task was suspended"
    assert len(handler.events) == count
    ticks.clear()
    task.resume()
    assert ticks.wait(30)
    task.abort()
    waited.join(30)
    assert not waited.is_alive()


def test_a_suspended_task_can_be_aborted(leak_check: None) -> None:
    task = Task()
    task.timer(60, Recorder())
    task.resume()
    while not task.suspend():
        pass
    task.abort()
    assert not task.thread.is_alive()


def test_resume_in_a_handler(task: Task) -> None:
    task.shell("echo foo", handler=Recorder(read=lambda _: task.resume()))
    with pytest.raises(errors.AlreadyRunningError, match="MainThread"):
        task.resume()
    assert task.run("echo fine").read() == b"fine"


def test_run_in_all_its_forms(task: Task) -> None:
    task.shell("true")
    assert task.run() is None
    for call in (lambda: task.run(0.1), lambda: task.run(timeout=0.1), lambda: task.resume(0.1)):
        task.shell("sleep 20")
        with pytest.raises(errors.TimeoutError):
            call()
    worker = with_time_enough(
        lambda limit: task.run("echo foo; exec sleep 60", timeout=limit), lambda worker: worker.read()
    )
    assert worker.did_timeout()
    assert worker.read() == b"foo"


@pytest.mark.parametrize("bad", ["soon", float("nan"), True, [1]])
def test_a_bad_timeout_is_named(task: Task, bad: Any) -> None:
    with pytest.raises(ValueError, match="timeout must be a number"):
        task.resume(bad)
    with pytest.raises(ValueError, match="timeout must be a number"):
        task.shell("true", timeout=bad)


def test_an_exception_ends_the_thread_and_reaches_excepthook(leak_check: None) -> None:
    class BoomError(Exception):
        pass

    def fail(_worker: Any) -> None:
        raise BoomError("here")

    caught: list[Any] = []
    task = Task()
    task.excepthook = lambda kind, error, trace: caught.append((kind, str(error), trace is not None))
    task.shell("echo foo; exec sleep 20", key="k", handler=Recorder(read=fail))
    task.resume()
    task.join()
    task.thread.join(30)
    assert caught == [(BoomError, "here", True)]
    assert not task.running()
    assert task.key_buffer("k") == b"foo"


def test_the_default_excepthook_prints(capfd: pytest.CaptureFixture[str]) -> None:
    task = Task()
    task.shell("echo foo", handler=Recorder(read=lambda _: 1 / 0))
    task.resume()
    task.join()
    task.thread.join(30)
    told = capfd.readouterr().err
    assert "ZeroDivisionError" in told
    assert task.thread.name in told


def test_the_timeout_of_a_threaded_task_reaches_excepthook(leak_check: None) -> None:
    caught: list[Any] = []
    task = Task()
    task.excepthook = lambda kind, error, trace: caught.append(kind)
    task.shell("exec sleep 20")
    task.resume(0.1)
    task.join()
    task.thread.join(30)
    assert caught == [errors.TimeoutError]


def test_abort_of_the_own_stopped_task(task: Task) -> None:
    worker = task.shell("echo foo")
    task.abort()
    assert task_self() is task
    task.resume()
    assert worker.read() is None
    task.abort(kill=True)
    assert task_self() is not task
    task_terminate()


def test_abort_of_another_threads_task() -> None:
    """It ends that task's run, which returns normally, and blocks until then."""
    started, tasks = threading.Event(), []

    def run() -> str:
        tasks.append(task_self())
        tasks[0].shell("exec sleep 60", handler=Recorder(pickup=lambda _: started.set()))
        tasks[0].resume()
        return "returned"

    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(run()))
    thread.start()
    assert started.wait(30)
    tasks[0].abort(kill=True)
    thread.join(30)
    assert found == ["returned"]
    assert not tasks[0].running()


def test_cleanup_kills_every_task(leak_check: None, task: Task, capfd: pytest.CaptureFixture[str]) -> None:
    others = [Task() for _ in range(3)]
    for other in others:
        other.shell("exec sleep 60")
        other.resume()
    task.shell("true")
    in_thread(task_cleanup)
    assert not any(other.thread.is_alive() for other in others)
    assert task_self() is not task
    task_cleanup()
    assert capfd.readouterr().err == ""


def test_an_unknown_engine_or_worker_in_the_defaults() -> None:
    task_terminate()
    for name, value, kind in (
        ("engine", "nosuch", KeyError),
        ("distant_workername", "no.such", ImportError),
        ("local_workername", "sys", ImportError),
    ):
        before = getattr(DEFAULTS, name)
        setattr(DEFAULTS, name, value)
        try:
            with pytest.raises(kind, match=value):
                task_self()
        finally:
            setattr(DEFAULTS, name, before)
        assert task_self().run("echo foo").read() == b"foo"
        task_terminate()


def test_other_threads_calls_are_done_in_the_tasks_thread(task: Task, leak_check: None) -> None:
    """shell, timer, port, set_info and remove_port return at once, and take effect before the first command starts."""
    threads: list[Any] = []
    other = Task()

    def note(_source: Any) -> None:
        threads.append(threading.current_thread())

    port = other.port(Recorder(port=note), autoclose=True)
    timer = other.timer(0.0, Recorder(timer=note))
    worker = other.shell("echo foo", handler=Recorder(start=note))
    other.set_info("fanout", 3)
    assert (timer.is_valid(), worker.started, port.closed) == (True, False, False)
    other.resume()
    other.join()
    assert threads == [other.thread] * 3
    assert other.info("fanout") == 3
    other.remove_port(port)
    other.abort()
    assert port.closed


def test_a_signal_does_not_end_the_loop(task: Task) -> None:
    caught: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: caught.append(number))
    try:
        killer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGUSR1))
        killer.start()
        assert task.run("sleep 0.6; echo done").read() == b"done"
        killer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert caught == [signal.SIGUSR1]


def test_keyboard_interrupt_leaves_resume_and_kills(task: Task) -> None:
    def interrupt(_worker: Any) -> None:
        raise KeyboardInterrupt

    handler = Recorder(read=interrupt)
    with pytest.raises(KeyboardInterrupt):
        task.run("echo foo; exec sleep 60", handler=handler)
    assert handler.events[-1] == "close False"
    assert [bytes(message) for message, _ in task.iter_buffers()] == [b"foo"]
    assert task.run("echo again").read() == b"again"


def test_many_lives_leave_nothing(leak_check: None) -> None:
    for number in range(60):
        task = Task()
        task.shell("true")
        task.shell("exec sleep 60", autoclose=True)
        task.resume()
        if number % 2:
            task.join()
        task.abort()
    for _ in range(60):
        task_self().run("true")
        task_terminate()


def test_a_dead_threads_task_gives_its_descriptors_back(leak_check: None) -> None:
    for _ in range(5):
        in_thread(lambda: task_self().run("true"))
    task_terminate()
    task_self()
    task_terminate()


def test_resources_are_made_once_and_closed_with_the_task() -> None:
    closed: list[str] = []

    class Resource:
        def close(self) -> None:
            closed.append("closed")

    task = task_self()
    first = task.resource("pool", Resource)
    assert task.resource("pool", Resource) is first
    task.abort()
    assert closed == []
    task.abort(kill=True)
    assert closed == ["closed"]


def test_a_process_with_an_idle_task_thread_ends_after_cleanup() -> None:
    program = (
        "from clusterdeck.engine import Task, task_cleanup\n"
        "task = Task(); task.shell('echo foo', key=1); task.resume(); task.join()\n"
        "print(task.key_buffer(1)); task_cleanup()"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert answer.stdout == "b'foo'\n"
    assert answer.stderr == ""
