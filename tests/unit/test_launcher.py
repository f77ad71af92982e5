"""Launcher: who starts when, within limits, in slices of time, and after a shortage."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from clusterdeck.engine.client import ClientState, EngineClient
from clusterdeck.engine.launcher import Launcher


class Work:
    """Stands for a worker."""

    def __init__(self, fanout: int | None = None) -> None:
        self.fanout = fanout

    def _on_start(self) -> None:
        pass


class Stage:
    """A launcher, a clock that only starting moves, and what has begun."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fanout: int = 64, cost: float = 0.0) -> None:
        self.now = 1000.0
        self.cost = cost
        self.begun: list[EngineClient] = []
        self.on_begin: Callable[[EngineClient], Any] = self.begun.append
        self.launcher = Launcher({"fanout": fanout}.get, self._begin)
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def _begin(self, client: EngineClient) -> None:
        self.now += self.cost
        self.on_begin(client)

    def add(self, count: int, work: Any, kind: type[EngineClient] = EngineClient) -> list[EngineClient]:
        clients = [kind(work, f"n{number}") for number in range(count)]
        for client in clients:
            self.launcher.add(client)
        return clients

    def end(self, client: EngineClient) -> None:
        client.state = ClientState.DONE
        self.launcher.over(client)


@pytest.mark.parametrize("own", [None, 50, -1])
def test_starting_leaves_time_for_the_rest(monkeypatch: pytest.MonkeyPatch, own: int | None) -> None:
    stage = Stage(monkeypatch, cost=0.004)
    stage.add(10, Work(own))
    for expected in (3, 6, 9):
        assert stage.launcher.can_start()
        stage.launcher.start()
        assert len(stage.begun) == expected
    stage.launcher.start()
    assert (len(stage.begun), stage.launcher.has_waiting, stage.launcher.can_start()) == (10, False, False)


def test_preparing_leaves_time_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(EngineClient):
        prepares = True

        def prepare(self) -> bool:
            stage.now += 0.004
            return False

    stage = Stage(monkeypatch)
    clients = stage.add(10, Work(), Slow)
    stage.launcher.start()
    assert [client.state for client in clients].count(ClientState.PREPARING) == 3
    assert stage.launcher.can_start()


def test_a_slot_that_falls_free_while_others_start_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else may come that would make the loop look again."""
    stage = Stage(monkeypatch)
    stage.add(2, Work(1))
    stage.launcher.start()
    (first,) = stage.begun
    assert not stage.launcher.can_start()
    stage.on_begin = lambda _client: stage.end(first)
    stage.add(1, Work())
    stage.launcher.start()
    assert stage.launcher.can_start()


@pytest.mark.parametrize("own", [None, 50, -1])
def test_what_lacks_something_waits_for_what_runs(monkeypatch: pytest.MonkeyPatch, own: int | None) -> None:
    """Under whatever limit the others run; with nothing to wait for it is told so."""
    stage = Stage(monkeypatch)
    answers: list[bool] = []
    first, second, third = stage.add(3, Work(own))

    def begin(client: EngineClient) -> None:
        if client is first or len(answers) > 1:
            stage.begun.append(client)
        else:
            answers.append(stage.launcher.postpone(client))

    stage.on_begin = begin
    stage.launcher.start()
    assert (stage.begun, answers, stage.launcher.can_start()) == ([first], [True], False)
    stage.end(first)
    assert stage.launcher.can_start()
    stage.launcher.start()
    assert answers == [True, False]
    stage.end(second)
    stage.launcher.start()
    assert stage.begun == [first, third]


def test_who_waits_for_a_slot_is_not_gone_through_at_each_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch)
    stage.add(5000, Work(1))
    asked = [0]
    plain = stage.launcher._fanout.free_apart

    def free(what: Any) -> bool:
        asked[0] += 1
        return plain(what)

    monkeypatch.setattr(stage.launcher._fanout, "free_apart", free)
    for _ in range(100):
        stage.launcher.start()
        stage.end(stage.begun[-1])
    assert len(stage.begun) == 100
    assert asked[0] <= 300


def test_clients_that_ended_while_they_waited_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch, fanout=1)
    clients = stage.add(3, Work()) + stage.add(3, Work(1))
    stage.launcher.start()
    assert stage.begun == [clients[3], clients[0]]
    for client in (clients[1], clients[4]):
        client.state = ClientState.DONE
    stage.end(clients[0])
    stage.end(clients[3])
    stage.launcher.start()
    assert stage.begun[2:] == [clients[5], clients[2]]
