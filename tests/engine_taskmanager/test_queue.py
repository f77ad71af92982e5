"""The task manager's behaviour, the same over every store."""

from __future__ import annotations

import time
from typing import Any

import pytest

from clusterdeck.engine.taskmanager.errors import (
    QueueFull,
    RemoteError,
    StaleTask,
    TaskCancelled,
    TaskLost,
    TaskManagerTermination,
    TaskRaisedException,
    UnknownProcess,
    UnknownTask,
)
from clusterdeck.engine.taskmanager.manager import TaskManager
from clusterdeck.engine.taskmanager.tasks import TaskId, TaskOptions, TaskState
from clusterdeck.tests.support.patience import with_time_enough


def ids(count: int, tag: str = "t") -> list[str]:
    return [f"{tag}_{number}" for number in range(count)]


def test_hands_out_in_the_order_of_requests(manager: TaskManager) -> None:
    for number in range(3):
        manager.add_task_request("t", {"n": number})
    assert [manager.get_any_task(timeout=20) for _ in range(3)] == [(f"t_{n}", "t", {"n": n}) for n in range(3)]


def test_ids_count_over_all_tags(manager: TaskManager) -> None:
    assert [manager.add_task_request(tag) for tag in ("a", "b", "a")] == ["a_0", "b_1", "a_2"]


def test_by_tag_and_by_several_tags(manager: TaskManager) -> None:
    for tag in ("a", "b", "c", "a", "b"):
        manager.add_task_request(tag, tag)
    assert manager.get_task_with_tag("b", timeout=20) == ("b_1", "b")
    assert manager.get_task(("c", "b"), timeout=20) == ("c_2", "c", "c")
    assert manager.get_task(("c", "b"), timeout=20) == ("b_4", "b", "b")
    assert manager.try_task(("c", "b")) is None
    assert manager.try_task(()) is None
    assert [manager.get_any_task(timeout=20)[0] for _ in range(2)] == ["a_0", "a_3"]


def test_a_result_goes_to_whoever_asks_once(manager: TaskManager) -> None:
    manager.add_task_request("t", 1)
    task_id, _, _ = manager.get_any_task(timeout=20)
    assert manager.number_of_tasks() == ({}, {"t": 1}, {})
    manager.store_result(task_id, {"answer": [1, 2.5, None, "\u00fc\x00"]})
    assert manager.number_of_tasks() == ({}, {}, {"t": 1})
    assert manager.get_any_result(timeout=20) == ("t_0", "t", {"answer": [1, 2.5, None, "\u00fc\x00"]})
    assert manager.number_of_tasks() == ({}, {}, {})
    with pytest.raises(TimeoutError):
        manager.get_any_result(timeout=0)


def test_results_by_id_tag_and_requester(manager: TaskManager) -> None:
    pid = manager.register_process(info="asker")
    first = manager.add_task_request("a", 0, requester="me")
    manager.add_task_request("b", 1, pid)
    manager.add_task_request("a", 2)
    manager.add_task_request("b", 3, requester="me")
    for _ in range(4):
        task_id, _, number = manager.get_any_task(timeout=20)
        manager.store_result(task_id, number)
    assert manager.get_result_of(pid, timeout=20) == ("b_1", "b", 1)
    assert manager.get_result_with_tag("b", timeout=20) == ("b_3", 3)
    assert manager.get_result_of("me", timeout=20) == ("a_0", "a", 0)
    with pytest.raises(UnknownTask):
        manager.get_result(first, timeout=20)
    assert manager.get_result("a_2", timeout=20) == 2
    with pytest.raises(UnknownTask):
        manager.get_result("never_77", timeout=20)


def test_original_spelling_is_the_same_queue(manager: TaskManager) -> None:
    pid = manager.registerProcess(watchdog_period=60, info="slave on n1")
    assert manager.numberOfActiveProcesses() == 1
    assert manager.activeProcessInfo(pid) == "slave on n1"
    manager.ping(pid)
    for tag in ("x", "y", "x"):
        manager.addTaskRequest(tag, [1, tag], pid)
    assert manager.numberOfTasks() == ({"x": 2, "y": 1}, {}, {})
    task_id, tag, parameters = manager.getAnyTask(pid)
    assert (task_id, tag, parameters) == ("x_0", "x", [1, "x"])
    assert manager.storeResult(task_id, "r") is True
    assert manager.getAnyResult() == ("x_0", "x", "r")
    task_id, parameters = manager.getTaskWithTag("y", pid)
    assert manager.storeException(task_id, ValueError("no"), "the trace") is True
    with pytest.raises(TaskRaisedException) as raised:
        manager.getResultWithTag("y")
    assert (raised.value.task_id, raised.value.tag, raised.value.traceback) == ("y_1", "y", "the trace")
    assert isinstance(raised.value.exception, ValueError)
    assert str(raised.value.exception) == "no"
    task_id, _ = manager.getTaskWithTag("x", pid)
    assert manager.returnTask(task_id) is True
    assert manager.returnTask(task_id) is False
    manager.storeData(a=1, b=[2])
    assert (manager.retrieveData("a"), manager.retrieveData("b")) == (1, [2])
    manager.deleteData("a")
    with pytest.raises(KeyError):
        manager.retrieveData("a")
    with pytest.raises(KeyError):
        manager.deleteData("a")
    assert manager.unregisterProcess(pid) is True
    assert manager.unregisterProcess(pid) is False


def test_returned_goes_to_the_front_of_both_orders(manager: TaskManager) -> None:
    for number in range(3):
        manager.add_task_request("t", number)
    manager.add_task_request("u", 3)
    taken = [manager.get_any_task(timeout=20)[0] for _ in range(2)]
    manager.return_task(taken[0])
    manager.return_task(taken[1])
    assert manager.get_task_with_tag("t", timeout=20)[0] == "t_1"
    assert [manager.get_any_task(timeout=20)[0] for _ in range(3)] == ["t_0", "t_2", "u_3"]


def test_several_tasks_of_a_lost_process_keep_their_order(manager: TaskManager) -> None:
    pid = manager.register_process()
    manager.add_task_requests("t", range(4))
    for _ in range(3):
        manager.get_any_task(pid, timeout=20)
    assert manager.unregister_process(pid) is True
    assert [manager.get_any_task(timeout=20)[0] for _ in range(4)] == ids(4)


def test_late_result_of_an_earlier_attempt_is_refused(manager: TaskManager) -> None:
    first, second = manager.register_process(), manager.register_process()
    manager.add_task_request("t", 0)
    early, _, _ = manager.get_any_task(first, timeout=20)
    manager.unregister_process(first)
    with pytest.raises(StaleTask):
        manager.store_result(early, "too late, nobody has it")
    late, _, _ = manager.get_any_task(second, timeout=20)
    assert (early, early.attempt, late.attempt) == (late, 1, 2)
    with pytest.raises(StaleTask):
        manager.store_result(early, "too late, another has it")
    with pytest.raises(StaleTask):
        manager.store_exception(early, ValueError("too late"))
    with pytest.raises(StaleTask):
        manager.return_task(early)
    assert manager.storeResult(early, "again") is False
    manager.store_result(late, "right")
    with pytest.raises(StaleTask):
        manager.store_result(late, "twice")
    assert manager.get_any_result(timeout=20)[2] == "right"
    with pytest.raises(StaleTask):
        manager.store_result(late, "after it was fetched")
    with pytest.raises(StaleTask):
        manager.store_result("never_9", "foreign", attempt=1)


def test_without_token_only_a_first_hand_out_is_believed(manager: TaskManager) -> None:
    manager.add_task_request("t", 0)
    manager.get_any_task(timeout=20)
    assert manager.storeResult("t_0", "plain id") is True
    assert manager.get_result("t_0", timeout=20) == "plain id"
    manager.add_task_request("t", 0)
    task_id, _, _ = manager.get_any_task(timeout=20)
    manager.return_task(task_id)
    again, _, _ = manager.get_any_task(timeout=20)
    assert manager.storeResult(str(again), "whose?") is False
    assert manager.store_result(str(again), "mine", attempt=again.attempt) is True


def test_poison_task_fails_after_its_losses(manager: TaskManager) -> None:
    manager.add_task_request("t", 0, options=TaskOptions(max_attempts=2))
    for _ in range(2):
        pid = manager.register_process()
        manager.get_any_task(pid, timeout=20)
        manager.unregister_process(pid)
    assert manager.try_task() is None
    with pytest.raises(TaskRaisedException) as raised:
        manager.get_any_result(timeout=20)
    assert isinstance(raised.value.exception, TaskLost)


def test_returning_is_no_loss(manager: TaskManager) -> None:
    manager.add_task_request("t", 0, options=TaskOptions(max_attempts=1))
    for attempt in range(1, 6):
        task_id, _, _ = manager.get_any_task(timeout=20)
        assert task_id.attempt == attempt
        manager.return_task(task_id)
    assert manager.number_of_tasks()[0] == {"t": 1}


def test_task_that_may_not_run_twice_is_lost_and_can_be_retried(manager: TaskManager) -> None:
    pid = manager.register_process()
    manager.add_task_request("t", "rm", requester="me", options=TaskOptions(retriable=False))
    held, _, _ = manager.get_any_task(pid, timeout=20)
    manager.unregister_process(pid)
    (info,) = manager.tasks([TaskState.LOST])
    assert (info.id, info.state, info.losses, info.requester) == ("t_0", TaskState.LOST, 1, "me")
    assert manager.try_task() is None
    assert manager.retry_all() == 1
    again, _, parameters = manager.get_any_task(timeout=20)
    assert (again, parameters, again.attempt) == ("t_0", "rm", 2)
    assert manager.storeResult(held, "late") is False
    manager.store_result(again, "done")
    assert manager.get_result_of("me", timeout=20)[2] == "done"


def test_cancel_waiting_running_and_over(manager: TaskManager) -> None:
    waiting, running = manager.add_task_request("a"), manager.add_task_request("b")
    held, _ = manager.get_task_with_tag("b", timeout=20)
    assert manager.cancel(waiting) is True
    assert manager.cancel(running) is True
    assert manager.cancel(running) is False
    assert manager.cancel("never_5") is False
    assert manager.storeResult(held, 1) is False
    assert manager.number_of_tasks() == ({}, {}, {"a": 1, "b": 1})
    for task_id in (waiting, running):
        with pytest.raises(TaskRaisedException) as raised:
            manager.get_result(task_id, timeout=20)
        assert isinstance(raised.value.exception, TaskCancelled)


def test_cancel_wakes_the_one_who_waits_for_the_result(manager: TaskManager, background: Any) -> None:
    task_id = manager.add_task_request("a")
    call = background(manager.get_result, task_id)
    assert call.waiting
    manager.cancel(task_id)
    with pytest.raises(TaskRaisedException):
        call.result()


def test_bounded_queue(make_manager: Any, background: Any) -> None:
    manager = make_manager(limit=2)
    manager.add_task_requests("t", [0, 1])
    with pytest.raises(QueueFull):
        manager.add_task_request("t", 2)
    with pytest.raises(QueueFull):
        manager.add_task_requests("t", [2, 3])
    with pytest.raises(TimeoutError):
        manager.add_task_request("t", 2, timeout=0.05)
    call = background(manager.add_task_request, "t", 2, timeout=8)
    assert call.waiting
    manager.get_any_task(timeout=20)
    task_id = call.result()
    assert manager.number_of_tasks()[:2] == ({"t": 2}, {"t": 1})
    assert task_id.startswith("t_")


def test_many_requests_are_all_in_or_none(make_manager: Any) -> None:
    manager = make_manager(limit=3000)
    assert manager.add_task_requests("t", range(2500)) == ids(2500)
    with pytest.raises(QueueFull):
        manager.add_task_requests("t", range(501))
    assert manager.number_of_tasks() == ({"t": 2500}, {}, {})
    assert [manager.get_any_task(timeout=20)[2] for _ in range(3)] == [0, 1, 2]


def test_blocked_calls_end_when_something_comes(manager: TaskManager, background: Any) -> None:
    taker = background(manager.get_any_task)
    by_tag = background(manager.get_task_with_tag, "b")
    reader = background(manager.get_result_with_tag, "b")
    assert taker.waiting
    assert by_tag.waiting
    manager.add_task_request("a", 1)
    assert taker.result() == ("a_0", "a", 1)
    manager.add_task_request("b", 2)
    task_id, parameters = by_tag.result()
    manager.store_result(task_id, parameters + 1)
    assert reader.result() == ("b_1", 3)


def test_no_task_waits_while_somebody_waits_for_it(manager: TaskManager, background: Any) -> None:
    wanted: list[tuple[str, ...] | None] = [None, ("a",), ("b",), ("a", "b")] * 3
    calls = [(tags, background(manager.get_task, tags)) for tags in wanted]
    assert calls[-1][1].waiting
    for _ in range(5):
        manager.add_task_request("a")
        manager.add_task_request("b")
    end = time.monotonic() + 30
    while True:
        left = [tags for tags, call in calls if call.thread.is_alive()]
        waiting = manager.number_of_tasks()[0]
        if not any(tags is None or set(tags) & set(waiting) for tags in left if waiting):
            break
        assert time.monotonic() < end, f"{waiting} wait, and so do takers of {left}"
        time.sleep(0.01)
    manager.terminate("now")
    taken = []
    for _, call in calls:
        try:
            taken.append(call.result()[0])
        except TaskManagerTermination:
            continue
    assert len(set(taken)) == len(taken) == 10 - sum(waiting.values())


def test_timeouts_are_kept(manager: TaskManager) -> None:
    for call in (manager.get_any_task, manager.get_any_result):
        start = time.monotonic()
        with pytest.raises(TimeoutError):
            call(timeout=0.1)
        assert 0.09 <= time.monotonic() - start < 20.0


def test_drain_hands_out_what_is_left(manager: TaskManager) -> None:
    manager.add_task_requests("t", [0, 1])
    running, _, _ = manager.get_any_task(timeout=20)
    manager.terminate()
    task_id, _, _ = manager.get_any_task(timeout=20)
    manager.store_result(task_id, 1)
    with pytest.raises(TaskManagerTermination):
        manager.get_any_task()
    assert manager.get_any_result() == ("t_1", "t", 1)
    with pytest.raises(TimeoutError):  # one still runs: its result is worth waiting for
        manager.get_any_result(timeout=0.05)
    manager.store_result(running, 0)
    assert manager.get_any_result() == ("t_0", "t", 0)
    with pytest.raises(TaskManagerTermination):
        manager.get_any_result()


def test_drain_reaches_those_who_wait(manager: TaskManager, background: Any) -> None:
    calls = [background(manager.get_any_task), background(manager.get_any_result), background(manager.get_any_task)]
    assert all(call.waiting for call in calls)
    manager.terminate()
    for call in calls:
        with pytest.raises(TaskManagerTermination):
            call.result()


def test_now_cuts(manager: TaskManager, background: Any) -> None:
    pid = manager.register_process()
    manager.add_task_requests("t", [0, 1])
    held, _, _ = manager.get_any_task(pid, timeout=20)
    reader = background(manager.get_any_result)
    assert reader.waiting
    manager.terminate("now")
    with pytest.raises(TaskManagerTermination):
        reader.result()
    with pytest.raises(TaskManagerTermination):
        manager.get_any_task(pid)
    with pytest.raises(TaskManagerTermination):
        manager.add_task_request("t", 2)
    assert manager.store_result(held, "kept all the same") is True
    manager.terminate(None)
    assert manager.get_any_result(timeout=20)[2] == "kept all the same"
    assert manager.get_any_task(pid, timeout=20)[2] == 1
    with pytest.raises(ValueError, match="later"):
        manager.terminate("later")


def taken(manager: TaskManager, period: float) -> tuple[int, TaskId]:
    """A process with this watchdog period that has taken a task; where it was given up before, with a longer one."""
    pid = manager.register_process(watchdog_period=period)
    try:
        return pid, manager.get_any_task(pid, timeout=20)[0]
    except UnknownProcess:
        return taken(manager, 3 * period)


def test_silent_process_is_given_up_and_told(make_manager: Any) -> None:
    manager = make_manager(factor=2.0)
    manager.add_task_request("t", 0)
    start = time.monotonic()
    pid, held = taken(manager, 0.1)
    task_id, _, _ = manager.get_any_task(timeout=60)  # nobody pings: the wait itself notices
    assert time.monotonic() - start >= 0.15
    assert task_id == held
    with pytest.raises(UnknownProcess):
        manager.ping(pid)
    with pytest.raises(UnknownProcess):
        manager.get_any_task(pid, timeout=20)
    with pytest.raises(UnknownProcess):
        manager.active_process_info(pid)


def test_pings_keep_a_process(make_manager: Any) -> None:
    """Five periods with a ping in each, where four in silence are too many; a busy machine gets longer ones."""
    manager: TaskManager = make_manager(factor=4.0)
    manager.add_task_request("t", 0)

    def kept(period: float) -> TaskId | None:
        pid, heard = manager.register_process(watchdog_period=period), time.monotonic()
        try:
            held, _, _ = manager.get_any_task(pid, timeout=20)
            for _ in range(7):
                time.sleep(0.7 * period)
                before = time.monotonic()
                manager.ping(pid)
                heard = before
        except UnknownProcess:
            assert time.monotonic() - heard > 3 * period
            return None
        return held

    held = with_time_enough(kept, bool)
    assert held is not None
    manager.store_result(held, "alive")
    assert manager.get_any_result(timeout=20)[2] == "alive"


def test_short_period_is_noticed_beside_a_long_one(make_manager: Any) -> None:
    manager = make_manager(factor=2.0)
    manager.register_process(watchdog_period=3600)
    manager.add_task_request("t", 0)
    taken(manager, 0.05)
    manager.get_any_task(timeout=60)


def test_process_ids_are_never_used_again(manager: TaskManager) -> None:
    assert [manager.register_process(info=n) for n in range(3)] == [0, 1, 2]
    manager.unregister_process(1)
    assert manager.register_process() == 3
    assert [process.id for process in manager.processes()] == [0, 2, 3]
    assert manager.active_process_info(2) == 2


def test_nodes_to_avoid(manager: TaskManager) -> None:
    manager.add_task_request("t", 0, options=TaskOptions(not_on=frozenset({"n1"})))
    manager.add_task_request("t", 1)
    assert manager.get_any_task(timeout=0) == ("t_0", "t", 0)
    manager.return_task("t_0", attempt=1, not_on="n2")
    assert manager.try_task(node="n1") == ("t_1", "t", 1)
    manager.return_task("t_1", attempt=1)
    assert manager.try_task(("t",), node="n2") == ("t_1", "t", 1)
    assert manager.try_task(node="n2") is None
    assert manager.try_task(node="n2", nodes=["n1", "n2", "n3"]) is None
    assert manager.try_task(node="n2", nodes=["n1", "n2"]) == ("t_0", "t", 0)


def test_views_of_the_queue(manager: TaskManager) -> None:
    before = time.time()
    manager.add_task_requests("t", range(5), requester="me")
    pid = manager.register_process(watchdog_period=50, info={"node": "n1"})
    held, _, _ = manager.get_any_task(pid, timeout=20)
    other, _, _ = manager.get_any_task(pid, timeout=20)
    manager.store_exception(other, RuntimeError("x"))
    found = {info.id: info for info in manager.tasks()}
    assert [found[f"t_{n}"].state.word for n in range(5)] == ["running", "failed", "waiting", "waiting", "waiting"]
    assert (found[held].owner, found[held].attempt, found["t_2"].owner) == (pid, 1, None)
    assert before - 1 < found[held].added <= found[held].started + 0.01 <= time.time() + 1
    assert found["t_1"].ended > 0 == found["t_2"].ended
    assert len(manager.tasks(limit=2)) == 2
    status = manager.status()
    assert (status.waiting, status.running, status.finished) == ({"t": 3}, {"t": 1}, {"t": 1})
    (process,) = status.processes
    assert (process.id, process.info, process.period, process.running) == (pid, {"node": "n1"}, 50, 1)
    assert 0 <= process.silent < 5


def test_listeners_hear_of_changes(manager: TaskManager, background: Any) -> None:
    import queue

    heard: queue.Queue[str] = queue.Queue()
    end = manager.subscribe(lambda event: heard.put(f"{event.change.value} {event.tag} {event.task_id}"))
    manager.add_task_request("t", 0)
    while heard.get(timeout=30) != "task t t_0":
        pass
    task_id, _, _ = manager.get_any_task(timeout=20)
    manager.store_result(task_id, 0)
    while heard.get(timeout=30) != "result t t_0":
        pass
    end()


@pytest.mark.parametrize("tag", ["", "a b", "a\n", "-x", "x" * 81, "\u00fc", 7, None, "a|b", "../x", "a\x00"])
def test_tags_are_names(manager: TaskManager, tag: Any) -> None:
    with pytest.raises(ValueError, match="tag"):
        manager.add_task_request(tag, 0)
    assert manager.number_of_tasks() == ({}, {}, {})


def test_unknown_exception_types_come_back_as_data(make_manager: Any) -> None:
    if make_manager.kind == "memory":
        expected: type[BaseException] = ExoticError
    else:
        expected = RemoteError
    manager = make_manager()
    manager.add_task_request("t", 0)
    task_id, _, _ = manager.get_any_task(timeout=20)
    manager.store_exception(task_id, ExoticError("boom"))
    with pytest.raises(TaskRaisedException) as raised:
        manager.get_any_result(timeout=20)
    assert isinstance(raised.value.exception, expected)
    assert "boom" in str(raised.value.exception)
    assert "ExoticError" in raised.value.traceback


class ExoticError(Exception):
    pass
