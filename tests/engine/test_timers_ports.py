"""Timers and ports, with each engine."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from clusterdeck.engine import errors
from clusterdeck.engine.task import Task, task_self
from clusterdeck.engine.timers import EngineTimer
from clusterdeck.tests.engine.conftest import Recorder

pytestmark = pytest.mark.usefixtures("engine")


class Clock:
    """A timer's handler: the moments it fired, seconds since it was made, and what to do then."""

    def __init__(self, action: Callable[[EngineTimer, int], Any] | None = None) -> None:
        self.start = time.monotonic()
        self.times: list[float] = []
        self.action = action

    def ev_timer(self, timer: EngineTimer) -> None:
        self.times.append(time.monotonic() - self.start)
        if self.action is not None:
            self.action(timer, len(self.times))


# -- timers


def test_one_shot(task: Task) -> None:
    clock = Clock(lambda timer, count: None)
    timer = task.timer(0.2, clock)
    assert timer.is_valid()
    task.resume()
    assert len(clock.times) == 1
    assert 0.2 <= clock.times[0] < 10
    assert not timer.is_valid()


def test_zero_delay_and_zero_interval(task: Task) -> None:
    clock = Clock()
    task.timer(0.0, clock, interval=0)
    task.resume()
    assert len(clock.times) == 1


def test_the_delay_counts_from_the_adding(task: Task) -> None:
    order: list[str] = []
    task.timer(0.3, Clock(lambda timer, count: order.append("first")))
    time.sleep(0.3)
    task.timer(0.1, Clock(lambda timer, count: order.append("second")))
    task.resume()
    assert order == ["first", "second"]


def test_repeating_does_not_drift(task: Task) -> None:
    # A busy machine may make any of them late; time spent in handlers would make each later than the one before.
    late: list[float] = []

    def note(timer: EngineTimer, count: int) -> None:
        late.append(clock.times[-1] - 0.1 * count)
        if count == 60 or (count >= 10 and min(late[2:]) < 0.08):
            timer.invalidate()
        else:
            time.sleep(0.05)

    clock = Clock(note)
    task.timer(0.1, clock, interval=0.1)
    task.resume()
    assert min(late) >= 0
    assert min(late[2:]) < 0.08


def test_after_a_stall_it_catches_up_once_per_turn(task: Task) -> None:
    order: list[str] = []

    def slow(timer: EngineTimer, count: int) -> None:
        order.append("fast")
        if count == 1:
            time.sleep(0.35)
        if count == 5:
            timer.invalidate()

    task.timer(0.1, Clock(slow), interval=0.1)
    task.timer(0.15, Clock(lambda timer, count: order.append("other")))
    task.resume()
    assert order == ["fast", "other", "fast", "fast", "fast", "fast"]


@pytest.mark.parametrize("bad", [-1, -0.1])
def test_a_negative_delay(task: Task, bad: float) -> None:
    with pytest.raises(AssertionError, match=str(bad)):
        task.timer(bad, Clock())


def test_a_delay_that_is_no_number(task: Task) -> None:
    with pytest.raises(ValueError, match="soon"):
        EngineTimer("soon", handler=Clock())  # type: ignore[arg-type]


def test_invalidate_in_its_own_handler_and_twice(task: Task) -> None:
    def twice(timer: EngineTimer, count: int) -> None:
        timer.invalidate()
        timer.invalidate()

    clock = Clock(twice)
    timer = task.timer(0.01, clock, interval=0.01)
    task.resume()
    assert len(clock.times) == 1
    assert not timer.is_valid()
    with pytest.raises(errors.EngineIllegalOperationError, match=r"0\.5"):
        timer.set_nextfire(0.5)


def test_of_two_that_expire_together_the_first_cancels_the_second(task: Task) -> None:
    timers: list[EngineTimer] = []
    first = Clock(lambda timer, count: timers[1].invalidate())
    second = Clock(lambda timer, count: timers[0].invalidate())
    timers += [task.timer(0.05, first), task.timer(0.05, second)]
    time.sleep(0.06)
    task.resume()
    assert (len(first.times), len(second.times)) == (1, 0)


def test_set_nextfire_replaces_the_interval(task: Task) -> None:
    clock = Clock(lambda timer, count: timer.set_nextfire(0.1) if count == 2 else None)
    task.timer(0.05, clock, interval=0.05)
    task.resume()
    assert len(clock.times) == 3

    def rearm(timer: EngineTimer, count: int) -> None:
        if count == 1:
            timer.set_nextfire(0.05, 0.05)
        elif count == 4:
            timer.invalidate()

    again = Clock(rearm)
    task.timer(0.01, again)
    task.resume()
    assert len(again.times) == 4


def test_invalidate_after_set_nextfire_wins(task: Task) -> None:
    def both(timer: EngineTimer, count: int) -> None:
        timer.set_nextfire(0.01)
        timer.invalidate()

    clock = Clock(both)
    task.timer(0.01, clock)
    task.resume()
    assert len(clock.times) == 1


def test_autoclose_timers_do_not_fire_when_only_they_are_left(task: Task) -> None:
    clock = Clock()
    timers: list[EngineTimer] = []

    def sleep_past_its_date(_worker: Any) -> None:
        timers.append(task.timer(0.02, clock, interval=0.02, autoclose=True))
        time.sleep(0.05)

    # With the handler's end nothing else is left.
    task.shell("true", handler=Recorder(hup=sleep_past_its_date))
    task.resume()
    assert clock.times == []
    assert not timers[0].is_valid()
    task.timer(0.0, clock, autoclose=True)
    task.resume()
    assert clock.times == []


def test_all_timers_die_with_the_run(task: Task) -> None:
    timer = task.timer(60, Clock())
    with pytest.raises(errors.TimeoutError):
        task.resume(0.05)
    assert not timer.is_valid()


def test_timers_of_other_threads(task: Task) -> None:
    clock, made = Clock(), []
    thread = threading.Thread(target=lambda: made.append(task.timer(0.2, clock)))

    def start(timer: EngineTimer, count: int) -> None:
        thread.start()
        thread.join()

    task.timer(0.0, Clock(start))
    task.resume()
    assert len(clock.times) == 1
    assert not made[0].is_valid()


def test_a_timer_cannot_be_added_twice(task: Task) -> None:
    timer = EngineTimer(1.0, handler=Clock())
    task.engine.add_timer(timer)
    with pytest.raises(errors.EngineIllegalOperationError):
        task.engine.add_timer(timer)
    task.engine.remove_timer(timer)
    task.resume()


def test_the_fanout_can_be_lowered_by_a_timer(task: Task) -> None:
    running, highest, lowered = [0], [0], [False]

    def begin(_worker: Any) -> None:
        running[0] += 1
        if lowered[0]:
            highest[0] = max(highest[0], running[0])

    def end(_worker: Any) -> None:
        running[0] -= 1

    def lower(timer: EngineTimer, count: int) -> None:
        task.set_info("fanout", 1)
        lowered[0] = True

    task.set_info("fanout", 8)
    for _ in range(24):
        task.shell("sleep 0.05", handler=Recorder(pickup=begin, hup=end))
    task.timer(0.02, Clock(lower), autoclose=True)
    task.resume()
    assert lowered[0]
    assert highest[0] == 1


# -- ports


def test_messages_arrive_in_order_in_the_tasks_thread(leak_check: None) -> None:
    task = Task()
    got: queue.Queue[Any] = queue.Queue()

    class Handler:
        def ev_port_start(self, port: Any) -> None:
            got.put("started")

        def ev_msg(self, port: Any, msg: Any) -> None:
            assert threading.current_thread() is task.thread
            got.put(msg)

    port = task.port(Handler())
    assert port.msg_send("early")
    task.resume()
    assert [got.get(timeout=30) for _ in range(2)] == ["started", "early"]
    assert port.msg({"any": "object"})
    for number in range(250):
        assert port.msg_send(number)
    assert [got.get(timeout=30) for _ in range(251)] == [{"any": "object"}, *range(250)]
    task.abort()
    assert port.closed
    assert port.msg("late") is False
    assert port.msg_send("late") is False


def test_msg_returns_when_taken_before_ev_msg_is_over(leak_check: None) -> None:
    task = Task()
    go, inside = threading.Event(), threading.Event()

    class Handler:
        def ev_msg(self, port: Any, msg: Any) -> None:
            inside.set()
            assert go.wait(30)

    port = task.port(Handler())
    task.resume()
    assert port.msg("one") is True
    assert inside.wait(30)
    go.set()
    task.abort()


def test_a_full_queue_blocks_the_sender(leak_check: None) -> None:
    task = Task()
    task.set_default("port_qlimit", 3)
    seen: list[int] = []

    class Handler:
        def ev_msg(self, port: Any, msg: Any) -> None:
            seen.append(msg)

    port = task.port(Handler(), autoclose=True)
    sent: list[int] = []

    def send() -> None:
        for number in range(5):
            port.msg_send(number)
            sent.append(number)

    sender = threading.Thread(target=send)
    sender.start()
    deadline = time.monotonic() + 20
    while len(sent) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    sender.join(0.2)
    assert sender.is_alive()
    assert sent == [0, 1, 2]
    # One who waits learns that the port is closed.
    answers: list[bool] = []
    waiter = threading.Thread(target=lambda: answers.append(port.msg("wait")))
    waiter.start()
    task.abort()
    sender.join(30)
    waiter.join(30)
    assert answers == [False]


def test_a_port_keeps_the_task_running_until_removed(task: Task) -> None:
    port = task.port(Recorder())
    order: list[str] = []

    def remove(timer: EngineTimer, count: int) -> None:
        order.append("remove")
        task.remove_port(port)

    task.timer(0.1, Clock(remove))
    task.resume()
    assert order == ["remove"]
    assert port.msg("x") is False
    autoclose = task.port(Recorder(), autoclose=True)
    task.resume()
    assert not autoclose.closed


def test_sending_in_the_own_thread_does_not_block(task: Task) -> None:
    handler = Recorder()
    task.set_default("port_qlimit", 2)
    port = task.port(handler)
    handler.on["port"] = lambda source: [port.msg(number) for number in range(5)]
    handler.on["msg"] = lambda source: task.remove_port(port) if len(handler.events) == 6 else None
    task.resume()
    assert handler.events == ["port", *(f"msg {number}" for number in range(5))]


@pytest.mark.parametrize("bad", [0, -5])
def test_a_bad_queue_limit_is_named(task: Task, bad: int) -> None:
    task.set_default("port_qlimit", bad)
    with pytest.raises(ValueError, match=str(bad)):
        task.port(Recorder())


def test_two_tasks_send_to_each_other(leak_check: None) -> None:
    one, two = Task(), Task()
    done = threading.Event()
    ports: list[Any] = []

    class Bounce:
        def __init__(self, to: int) -> None:
            self.to = to

        def ev_msg(self, port: Any, msg: int) -> None:
            if msg == 200:
                done.set()
            else:
                ports[self.to].msg_send(msg + 1)

    ports += [one.port(Bounce(1)), two.port(Bounce(0))]
    one.resume()
    two.resume()
    ports[0].msg_send(0)
    assert done.wait(20)
    one.abort()
    two.abort()
    assert task_self() not in (one, two)
    task_self().abort(kill=True)
