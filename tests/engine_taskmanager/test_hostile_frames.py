"""What a hostile worker, client or manager may send: refused, nothing runs, the service goes on for the others."""

from __future__ import annotations

import contextlib
import json
import pickle
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterdeck.engine.taskmanager import peer_user
from clusterdeck.engine.taskmanager.errors import FrameError, StoreUnavailable
from clusterdeck.engine.taskmanager.frames import SIZE_LIMIT, TO_MANAGER, TO_WORKER, FrameReader, encode
from clusterdeck.engine.taskmanager.manager import TaskManager
from clusterdeck.engine.taskmanager.remote import RemoteQueue
from clusterdeck.engine.taskmanager.service import Service
from clusterdeck.engine.taskmanager.sockets import SocketServer
from clusterdeck.engine.taskmanager.workers import serve_socket


class Bomb:
    """Leaves a file behind if anybody unpickles it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def frame(body: bytes | str) -> bytes:
    raw = body.encode() if isinstance(body, str) else body
    return b"%d\n%b\n" % (len(raw), raw)


def hello(**changes: Any) -> bytes:
    fields: dict[str, Any] = {"version": 1, "role": "worker", "tags": None, "credits": 1, "period": None, "info": "x"}
    return frame(json.dumps({"kind": "hello", **fields, **changes}))


def nested(depth: int, opening: str = "[", closing: str = "]") -> str:
    return opening * depth + closing * depth


def result(value: str, task_id: str = '"t_0"', attempt: str = "1") -> bytes:
    return frame(f'{{"kind":"result","id":{task_id},"attempt":{attempt},"value":{value}}}')


GOOD = hello()
#: Sent instead of, or after, an introduction. Each must end the connection.
BROKEN: dict[str, bytes] = {
    "a pickle": pickle.dumps({"kind": "hello"}),
    "a pickle in a frame": frame(pickle.dumps({"kind": "hello"})),
    "marshal bytes": frame(b"\xdb\xda\x04kind"),
    "length of 1 GB": b"1073741824\n",
    "length above the limit": b"%d\n{" % (SIZE_LIMIT + 1),
    "length of twenty digits": b"99999999999999999999\n",
    "negative length": b"-5\n{}\n",
    "length zero": b"0\n\n",
    "leading zero": b"0002\n{}\n",
    "hexadecimal length": b"0x10\n{}\n",
    "length with blanks": b" 2 \n{}\n",
    "length in other digits": "\u0665\n{}\n".encode(),
    "signed length": b"+2\n{}\n",
    "no length": b"\n",
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "binary length": struct.pack(">I", 40) + GOOD,
    "length too short": b"5\n" + GOOD.split(b"\n", 1)[1],
    "body not ended": b"2\n{}x",
    "no JSON": frame("hello"),
    "JSON cut off": frame('{"kind":"hello"'),
    "two values": frame('{"kind":"ping"}{"kind":"ping"}'),
    "NaN": frame('{"kind":"hello","version":NaN}'),
    "Infinity": hello().replace(b"null", b"Infinity"),
    "not UTF-8": frame(b'{"kind":"\xff\xfe"}'),
    "raw text above ASCII": frame('{"kind":"h\u00e9llo"}'),
    "a list": frame("[]"),
    "a string": frame('"hello"'),
    "a number": frame("1e999"),
    "null": frame("null"),
    "no kind": frame("{}"),
    "kind is a list": frame('{"kind":["hello"]}'),
    "kind is null": frame('{"kind":null}'),
    "unknown kind": frame('{"kind":"eval","code":"1"}'),
    "kind of the other side": frame('{"kind":"task","id":"t_0","attempt":1,"tag":"t","parameters":null}'),
    "dunder kind": frame('{"kind":"__class__"}'),
    "field twice": frame('{"kind":"ping","kind":"bye"}'),
    "40 deep": frame(nested(40)),
    "100,000 deep": frame(nested(100_000)),
    "100,000 objects deep": frame('{"a":' * 100_000),
    "deep and never closed": frame("[" * 5_000_000),
    "more values than anybody needs": frame("[" + "0," * 2_100_000 + "0]"),
    "huge integer": frame('{"kind":"credit","count":' + "9" * 5000 + "}"),
    "unknown field": hello(extra=1),
    "missing field": frame('{"kind":"hello","version":1}'),
    "another version": hello(version=2),
    "version true": hello(version=True),
    "another role": hello(role="manager"),
    "client where only workers may": hello(role="client"),
    "tags not a list": hello(tags="t"),
    "tags empty": hello(tags=[]),
    "a tag that is a path": hello(tags=["../../etc/passwd"]),
    "a tag with a newline": hello(tags=["a\nb"]),
    "a tag that is a dictionary": hello(tags=[{}]),
    "a million tags": hello(tags=["t"] * 100_000),
    "too much credit": hello(credits=10**9),
    "negative credit": hello(credits=-1),
    "credit in words": hello(credits="1"),
    "period zero": hello(period=0),
    "period negative": hello(period=-1.5),
    "long info": hello(info="x" * 10_000),
    "work before the introduction": frame('{"kind":"credit","count":1}'),
    "result before the introduction": result("1"),
    "introduced twice": GOOD + GOOD,
    "result without value": GOOD + frame('{"kind":"result","id":"t_0","attempt":1}'),
    "id that is a path": GOOD + result("1", '"../x_0"'),
    "id with a newline": GOOD + result("1", '"t\\n_0"'),
    "id that is a number": GOOD + result("1", "0"),
    "id without number": GOOD + result("1", '"t_"'),
    "attempt zero": GOOD + result("1", attempt="0"),
    "attempt in words": GOOD + result("1", attempt='"1"'),
    "attempt that is a fraction": GOOD + result("1", attempt="1.0"),
    "attempt above everything": GOOD + result("1", attempt="1" + "0" * 40),
    "result nested too deeply": GOOD + result(nested(33)),
    "exception that is code": GOOD + frame('{"kind":"exception","id":"t_0","attempt":1,"error":"os.system(1)"}'),
    "exception with more fields": GOOD
    + frame(
        '{"kind":"exception","id":"t_0","attempt":1,"error":'
        '{"type_name":"X","message":"","traceback":"","__reduce__":[]}}'
    ),
    "call that is a path": GOOD + frame('{"kind":"call","number":1,"method":7,"arguments":{}}'),
    "call with a list": GOOD + frame('{"kind":"call","number":1,"method":"status","arguments":[]}'),
}


@pytest.fixture
def manager() -> TaskManager:
    return TaskManager()


class Wire:
    """A peer of a service, and what it was sent."""

    def __init__(self, service: Service) -> None:
        self.sent = b""
        self.closed = False
        self.peer = service.peer(self._send, self._close, "test")

    def _send(self, data: bytes) -> None:
        self.sent += data

    def _close(self) -> None:
        self.closed = True

    def frames(self) -> list[dict[str, Any]]:
        data, self.sent = self.sent, b""
        return FrameReader(TO_WORKER).feed(data)


def test_there_are_enough_of_them() -> None:
    assert len(BROKEN) >= 50


@pytest.mark.parametrize("name", BROKEN)
def test_broken_frames_end_the_connection_and_nothing_else(name: str, manager: TaskManager) -> None:
    service = Service(manager)
    honest, hostile = Wire(service), Wire(service)
    honest.peer.feed(hello(credits=0))
    data = BROKEN[name]
    for start in range(0, len(data), 65536):
        hostile.peer.feed(data[start : start + 65536])
    if not hostile.closed:  # it only promised more; then it must not have got anything
        hostile.peer.lost()
        assert name in ("length of 1 GB",), f"{name} was accepted"
    assert service.peers == 1
    manager.add_task_request("t", 1)
    honest.peer.feed(encode("credit", count=1))
    assert [each["kind"] for each in honest.frames()] == ["welcome", "task"]


def test_pieces_of_any_size_make_the_same_frames() -> None:
    data = b"".join(encode("credit", count=number) for number in range(1, 30))
    for size in (1, 2, 3, 7, 50):
        reader = FrameReader(TO_MANAGER)
        frames = [each for at in range(0, len(data), size) for each in reader.feed(data[at : at + size])]
        assert [each["count"] for each in frames] == list(range(1, 30))
        assert not reader.partial


def test_brackets_in_strings_are_no_nesting() -> None:
    text = "[" * 500 + '\\"{' * 500
    (found,) = FrameReader(TO_MANAGER).feed(encode("result", id="t_0", attempt=1, value=[text]))
    assert found["value"] == [text]


def test_own_frames_keep_the_limits() -> None:
    with pytest.raises(ValueError, match="nested"):
        encode("result", id="t_0", attempt=1, value=json.loads(nested(40)))
    with pytest.raises(ValueError, match="bytes"):
        encode("result", id="t_0", attempt=1, value="x" * (SIZE_LIMIT + 1))
    for value in (float("nan"), b"bytes", {1, 2}, object()):
        with pytest.raises((TypeError, ValueError)):
            encode("result", id="t_0", attempt=1, value=value)


def took(wire: Wire) -> dict[str, Any]:
    (task,) = [each for each in wire.frames() if each["kind"] == "task"]
    return task


def lease(task: dict[str, Any]) -> dict[str, Any]:
    return {"id": task["id"], "attempt": task["attempt"]}


def test_a_result_counts_only_from_the_one_who_holds_the_task(manager: TaskManager) -> None:
    service = Service(manager)
    owner, thief = Wire(service), Wire(service)
    manager.add_task_request("t", 1)
    owner.peer.feed(hello())
    thief.peer.feed(hello(credits=0))
    task = took(owner)
    forged = [{**lease(task), "attempt": number} for number in (1, 2, 3)]
    for lie in forged:
        thief.peer.feed(encode("ack", **lie))
        thief.peer.feed(encode("result", **lie, value="stolen"))
        thief.peer.feed(encode("return", **lie))
    assert [each["held"] for each in thief.frames() if each["kind"] == "stored"] == [False] * 6
    owner.peer.feed(encode("result", **lease(task), value="not acknowledged"))
    assert owner.frames()[-1]["held"] is False
    owner.peer.feed(encode("ack", **lease(task)))
    owner.peer.feed(encode("result", **lease(task), value="right"))
    owner.peer.feed(encode("result", **lease(task), value="replayed"))
    assert [each["held"] for each in owner.frames()] == [True, False]
    assert manager.get_any_result(timeout=0)[2] == "right"
    assert manager.try_outcome() is None


def test_a_stale_result_after_the_task_went_on(manager: TaskManager) -> None:
    service = Service(manager)
    first, second = Wire(service), Wire(service)
    manager.add_task_request("t", 1)
    first.peer.feed(hello())
    early = took(first)
    first.peer.feed(encode("ack", **lease(early)))
    first.peer.lost()
    second.peer.feed(hello())
    late = took(second)
    assert (late["id"], late["attempt"]) == (early["id"], early["attempt"] + 1)
    second.peer.feed(encode("ack", **lease(early)))
    second.peer.feed(encode("result", **lease(early), value="stale"))
    assert second.frames()[-1]["held"] is False
    first.peer.feed(encode("result", **lease(early), value="from the dead"))
    assert manager.number_of_tasks() == ({}, {"t": 1}, {})


def test_end_of_a_connection_gives_back_what_was_not_begun(manager: TaskManager) -> None:
    service = Service(manager)
    wire = Wire(service)
    wire.peer.feed(hello(credits=3))
    manager.add_task_requests("t", range(3), options=_once())
    service.serve()
    tasks = [each for each in wire.frames() if each["kind"] == "task"]
    wire.peer.feed(encode("ack", **lease(tasks[1])))
    wire.peer.lost()
    assert [each.id for each in manager.tasks()] == ["t_0", "t_2", "t_1"]
    assert [each.state.word for each in manager.tasks()] == ["waiting", "waiting", "lost"]
    assert manager.processes() == []


def test_workers_that_come_after_the_stop_are_asked_to_leave_too(manager: TaskManager) -> None:
    service = Service(manager)
    early = Wire(service)
    early.peer.feed(hello())
    service.stop()
    late = Wire(service)
    late.peer.feed(hello())
    manager.add_task_request("t", 0)
    service.serve()
    for wire in (early, late):
        assert [each["kind"] for each in wire.frames()] == ["welcome", "stop"]
    assert manager.number_of_tasks() == ({"t": 1}, {}, {})


def _once() -> Any:
    from clusterdeck.engine.taskmanager.tasks import TaskOptions

    return TaskOptions(retriable=False)


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("add", {"tag": "shell", "parameters": [{"command": "id"}]}),
        ("status", {}),
        ("terminate", {"mode": "now"}),
        ("cancel", {"id": "t_0"}),
        ("put_data", {"label": "x", "value": 1}),
        ("__init__", {}),
        ("close", {}),
        ("get_data", {"label": 7}),
        ("get_data", {"label": "a", "more": 1}),
        ("get_data", {}),
        ("get_data", {"label": "missing"}),
    ],
)
def test_a_worker_may_not_manage(manager: TaskManager, method: str, arguments: dict[str, Any]) -> None:
    service = Service(manager)
    wire = Wire(service)
    manager.store_data(a=1)
    wire.peer.feed(hello(credits=0))
    wire.peer.feed(encode("call", number=5, method=method, arguments=arguments))
    answer = wire.frames()[-1]
    assert (answer["kind"], answer["number"]) == ("error", 5)
    assert manager.status().termination is None
    assert not wire.closed


def test_parameters_that_no_frame_can_carry_fail_their_task(manager: TaskManager) -> None:
    service = Service(manager)
    wire = Wire(service)
    manager.add_task_request("t", object())
    manager.add_task_request("t", "fine")
    wire.peer.feed(hello())
    assert took(wire)["parameters"] == "fine"
    assert manager.try_outcome().state.word == "failed"  # type: ignore[union-attr]


# -- over a real socket


@pytest.fixture
def server(manager: TaskManager, tmp_path: Path) -> Iterator[SocketServer]:
    server = SocketServer(manager, str(tmp_path / "q"), most_peers=50).start()
    yield server
    server.close()


def dial(server: SocketServer) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(10)
    sock.connect(server.path)
    return sock


def test_pickles_are_not_read(server: SocketServer, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    with dial(server) as sock:
        sock.sendall(frame(pickle.dumps(Bomb(trap))))
        assert b"fault" in sock.recv(65536)
        assert sock.recv(10) == b""
    with RemoteQueue(server.path) as client:
        assert client.status()["processes"] == []
    assert not trap.exists()


def test_one_gigabyte_is_refused_before_it_is_read(server: SocketServer) -> None:
    with dial(server) as sock:
        sock.sendall(b"1073741824\n")
        assert b"fault" in sock.recv(65536)


def test_more_connections_than_allowed_do_not_stop_service(server: SocketServer) -> None:
    with RemoteQueue(server.path) as client:
        idle = [dial(server) for _ in range(200)]
        assert client.add("t", [1]) == ["t_0"]
        assert server.peers <= 50
        with pytest.raises(StoreUnavailable, match="too many connections"):
            RemoteQueue(server.path)
        for sock in idle:
            sock.close()
    end = time.monotonic() + 20
    while True:  # hung up connections may still stand in the line before ours
        try:
            with RemoteQueue(server.path) as other:
                assert other.cancel("t_0")
                return
        except StoreUnavailable:
            assert time.monotonic() < end


def test_socket_is_private(server: SocketServer) -> None:
    assert Path(server.path).stat().st_mode & 0o777 == 0o600


def test_peer_of_another_user_is_hung_up_on(server: SocketServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from clusterdeck.engine.taskmanager import sockets

    monkeypatch.setattr(sockets, "same_user", lambda _sock: False)
    with dial(server) as sock:
        assert sock.recv(10) == b""
    monkeypatch.undo()
    with RemoteQueue(server.path) as client:
        assert client.status()["waiting"] == {}


def test_kernel_tells_the_peers_user(server: SocketServer) -> None:
    import os

    from clusterdeck.engine.taskmanager.peer_user import peer_uid

    with dial(server) as sock:
        assert peer_uid(sock) == os.geteuid()


def test_nothing_is_said_to_another_users_queue(
    server: SocketServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work.py").write_text("def do_t(): pass\n")
    monkeypatch.setattr(peer_user, "same_user", lambda _sock: False)
    with pytest.raises(StoreUnavailable, match="another user serves there"):
        RemoteQueue(server.path)
    with pytest.raises(PermissionError, match="another user serves there"):
        serve_socket(server.path, [str(tmp_path / "work.py")])


def test_what_moved_into_the_place_of_the_socket_stays(manager: TaskManager, tmp_path: Path) -> None:
    first = SocketServer(manager, str(tmp_path / "q")).start()
    Path(first.path).unlink()
    second = SocketServer(manager, first.path).start()
    first.close()
    with RemoteQueue(second.path) as client:
        assert client.status()["waiting"] == {}
    second.close()
    assert not Path(second.path).exists()


def test_a_stopped_server_is_nobodys_place(tmp_path: Path) -> None:
    """One that accepts nobody, with a full backlog: it is there all the same, and nobody waits for it."""
    with contextlib.ExitStack() as open_ones, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "q"))
        listener.listen(0)
        for _ in range(2):
            sock = open_ones.enter_context(socket.socket(socket.AF_UNIX))
            sock.setblocking(False)
            sock.connect_ex(str(tmp_path / "q"))
        with pytest.raises(StoreUnavailable, match="another manager serves there"):
            SocketServer(TaskManager(), str(tmp_path / "q"))


def test_a_second_server_does_not_take_the_socket(server: SocketServer, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="another manager"):
        SocketServer(TaskManager(), server.path)
    (tmp_path / "file").write_text("precious")
    with pytest.raises(StoreUnavailable, match="something else"):
        SocketServer(TaskManager(), str(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "precious"
    with RemoteQueue(server.path) as client:
        assert client.status()["waiting"] == {}


def test_a_client_refuses_a_hostile_manager(tmp_path: Path) -> None:
    import threading

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "q"))
    listener.listen()

    def lie() -> None:
        sock, _ = listener.accept()
        sock.recv(65536)
        sock.sendall(frame('{"kind":"welcome","version":1,"process":null,"code":"1"}'))
        sock.close()

    thread = threading.Thread(target=lie)
    thread.start()
    with pytest.raises(FrameError):
        RemoteQueue(str(tmp_path / "q"))
    thread.join()
    listener.close()
