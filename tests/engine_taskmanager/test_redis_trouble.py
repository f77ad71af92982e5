"""A Redis server that refuses, breaks, forgets or is the wrong one: one clear line, and nothing half done."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from clusterdeck.engine.taskmanager.errors import StoreUnavailable
from clusterdeck.engine.taskmanager.manager import TaskManager
from clusterdeck.engine.taskmanager.stores import redis_link
from clusterdeck.engine.taskmanager.stores.redis_refusals import evicts, meaning

from .conftest import RedisServer


@pytest.fixture
def client(own_redis: RedisServer) -> Iterator[Any]:
    made: Any = redis.Redis(unix_socket_path=str(own_redis.socket))
    yield made
    made.close()


def refused(address: str, **options: Any) -> str:
    """What is said when the store cannot be opened."""
    with pytest.raises(StoreUnavailable) as caught:
        TaskManager(address, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_user_who_may_not_do_all_is_refused_before_anything_is_done(own_redis: RedisServer, client: Any) -> None:
    user = {"username": "bob", "password": "secret"}
    rules = ["on", ">secret", "~clusterdeck:*", "&clusterdeck:*", "+@all"]
    client.execute_command("ACL", "SETUSER", "bob", *rules, "-publish", "-zadd")
    assert "its user may not run PUBLISH ZADD here" in refused(own_redis.address, **user)
    client.execute_command("ACL", "SETUSER", "bob", "resetkeys", "+@all", "~other:*")
    assert "access one of the keys" in refused(own_redis.address, **user)
    client.execute_command("ACL", "SETUSER", "bob", "resetkeys", "~clusterdeck:*", "-subscribe")
    assert "(ACL): this user has no permissions to run the 'subscribe' command" in refused(own_redis.address, **user)
    client.execute_command("ACL", "SETUSER", "bob", "+@all", "-evalsha")
    assert "may not do all that a queue needs (ACL)" in refused(own_redis.address, **user)
    assert "another name or password" in refused(own_redis.address, username="bob", password="wrong")
    assert client.keys("*") == []
    client.execute_command("ACL", "SETUSER", "bob", "reset", *rules, "-info")
    with TaskManager(own_redis.address, **user) as manager:  # that is all a queue needs
        assert manager.add_task_request("t") == "t_0"


def test_the_wrong_server_is_refused(own_redis: RedisServer, client: Any) -> None:
    client.execute_command("REPLICAOF", "127.0.0.1", "1")
    assert "it is a read-only replica; name the primary" in refused(own_redis.address)
    client.execute_command("REPLICAOF", "NO", "ONE")
    client.config_set("maxmemory", "1gb")
    client.config_set("maxmemory-policy", "allkeys-lru")
    assert "set its maxmemory-policy to noeviction" in refused(own_redis.address)
    client.config_set("maxmemory-policy", "volatile-lru")
    TaskManager(own_redis.address).close()
    with pytest.raises(ValueError, match=r"an option behind \? that is not known.*colour"):
        TaskManager(own_redis.address + "?colour=blue")


def test_a_server_that_becomes_a_replica_is_left_for_the_one_that_takes_over(
    own_redis: RedisServer, client: Any
) -> None:
    with TaskManager(own_redis.address) as manager:
        manager.add_task_request("t")
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(StoreUnavailable, match="read-only replica"):
            manager.add_task_request("t")
        client.execute_command("REPLICAOF", "NO", "ONE")
        assert manager.add_task_request("t") == "t_1"


def test_with_its_memory_full_the_queue_can_be_worked_off(own_redis: RedisServer, client: Any) -> None:
    with TaskManager(own_redis.address) as manager:
        manager.add_task_requests("t", range(3))
        client.config_set("maxmemory", "1")
        with pytest.raises(StoreUnavailable, match=r"its memory is full \(maxmemory\)"):
            manager.add_task_request("t")
        with TaskManager(own_redis.address) as another:  # who wants to look may come, and workers may
            worker = another.register_process(30)
            another.ping(worker)
            for number in range(3):
                task_id, _, value = another.get_any_task(worker, timeout=0)
                assert another.store_result(task_id, value)
                assert manager.get_any_result(timeout=0)[2] == number
            assert another.unregister_process(worker)
        client.config_set("maxmemory", "0")
        assert manager.add_task_request("t") == "t_3"


def test_a_key_of_another_program_is_told(own_redis: RedisServer, client: Any) -> None:
    client.set("clusterdeck:{mine}:w", "not ours")
    with (
        TaskManager(own_redis.address, name="mine") as manager,
        pytest.raises(StoreUnavailable, match="another program writes there; use another queue"),
    ):
        manager.try_task()


def test_scripts_that_the_server_forgot_are_told_again(own_redis: RedisServer, client: Any) -> None:
    with TaskManager(own_redis.address) as manager:
        for number in range(3):
            client.script_flush()
            assert manager.add_task_request("t") == f"t_{number}"
            assert manager.get_any_task(timeout=0)[0] == f"t_{number}"


def test_many_broken_connections_cost_one_pause(own_redis: RedisServer, client: Any) -> None:
    """As many as there were threads at work: tried one after the other, they would use up all the patience."""
    with TaskManager(own_redis.address, patience=5.0) as manager:
        link = manager._store._link  # type: ignore[attr-defined]
        together = threading.Barrier(40)

        def work() -> None:
            connection = link._connection()
            connection.connect()
            together.wait(20)
            link._idle.append(connection)

        threads = [threading.Thread(target=work) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        client.client_kill_filter(_type="normal", skipme=True)
        assert manager.add_task_request("t") == "t_0"


class DeafProxy:
    """Between a client and the server; it can stop to pass on, as a network does that was cut: nobody hears of it."""

    def __init__(self, server: RedisServer, path: str) -> None:
        self._server = server
        #: Of the newest connection.
        self.deaf = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(50)
        self._socks = [self._listener]
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def _start(self, work: Callable[..., None], *arguments: Any) -> None:
        self._threads.append(threading.Thread(target=work, args=arguments, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        try:
            while True:
                here, _ = self._listener.accept()
                there = socket.socket(socket.AF_UNIX)
                there.connect(str(self._server.socket))
                self._socks += [here, there]
                deaf = self.deaf = threading.Event()
                for pair in ((here, there), (there, here)):
                    self._start(self._pass, *pair, deaf)
        except OSError:
            return

    def _pass(self, source: socket.socket, target: socket.socket, deaf: threading.Event) -> None:
        try:
            while data := source.recv(65536):
                if not deaf.is_set():
                    target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def close(self) -> None:
        for sock in self._socks:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(20)


def test_news_come_again_after_a_connection_went_deaf(own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_link, "QUIET", 0.05)
    proxy = DeafProxy(own_redis, str(own_redis.folder / "proxy"))
    heard: list[str] = []
    with (
        TaskManager(f"unix://{own_redis.folder / 'proxy'}", timeout=0.2) as manager,
        TaskManager(own_redis.address) as other,
    ):
        manager.subscribe(lambda event: heard.append(event.task_id))
        wait_for(lambda: heard == [""])  # it listens: anything may have changed before
        proxy.deaf.set()
        wait_for(lambda: heard == ["", ""])
        other.add_task_request("t")
        wait_for(lambda: "t_0" in heard)
    proxy.close()


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_process_that_was_forked_off_is_another_client(own_redis: RedisServer) -> None:
    """Else both would number their calls alike, and get each other's answers; and read from one connection."""
    with TaskManager(own_redis.address) as manager:
        manager.add_task_requests("t", range(40))
        taken = [manager.get_any_task(timeout=0)[0] for _ in range(2)]
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()

        def work() -> None:
            theirs.send([str(manager.get_any_task(timeout=0)[0]) for _ in range(15)])
            os._exit(0)

        child = context.Process(target=work)
        child.start()
        taken += [manager.get_any_task(timeout=0)[0] for _ in range(15)]
        assert ours.poll(30)
        taken += ours.recv()
        child.join(20)
        assert len(set(taken)) == len(taken) == 32


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (redis.exceptions.MovedError("5061 10.0.0.7:7001"), "does not hold the queue; name 10.0.0.7:7001"),
        (redis.exceptions.ResponseError("MISCONF Redis is configured to save RDB snapshots, but"), "a full disk?"),
        (redis.exceptions.MasterDownError("Link with MASTER is down"), "name the primary"),
        (redis.exceptions.ResponseError("ERR of a new\nkind script: 12ab, on @user_script:1."), "ERR of a new kind"),
    ],
)
def test_other_refusals(error: Exception, told: str) -> None:
    assert told in meaning(error)
    assert not evicts("maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n")
