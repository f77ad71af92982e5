"""Standard input of runs: all of it for every node, in bounded memory, at the pace of the slowest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from clusterdeck.console.runs.spool import Spool, SpoolBudget
from clusterdeck.console.session.feeder import Feeder
from clusterdeck.engine.errors import EngineClientNotSupportedError

PIECE = 64 * 1024


class Client:
    """A command that takes input when the test says so."""

    def __init__(self) -> None:
        self.got = bytearray()
        self.taken = 0
        self.ended = False

    def write(self, data: bytes) -> None:
        assert not self.ended
        self.got += data

    def set_write_eof(self) -> None:
        self.ended = True


class Stage:
    """A feeder, its clients, and how often its source may go on."""

    def __init__(self, folder: Path, quota: int) -> None:
        self.refused: list[str] = []
        self.overflows = 0
        self.room = 0
        self.clients: dict[str, Client] = {}
        self.spool = Spool(lambda: folder, quota, SpoolBudget(quota))
        self.feeder = Feeder(lambda: self.spool, self.refused.append, self._overflow)

    def _overflow(self) -> None:
        self.overflows += 1

    def start(self, name: str) -> Client:
        client = self.clients[name] = Client()
        self.feeder.started(name, client)
        return client

    def take(self, name: str) -> None:
        """The command takes all that it has got so far, again and again."""
        client = self.clients[name]
        while client.taken < len(client.got):
            size = len(client.got) - client.taken
            client.taken += size
            self.feeder.written(name, size)

    def feed(self, count: int) -> bytes:
        """Feed pieces while there is room; what was fed."""
        fed = bytearray()
        for number in range(count):
            before = self.room
            data = bytes([number % 251]) * PIECE
            fed += data
            self.feeder.feed(data, self._taken)
            if self.room == before:
                break
        return bytes(fed)

    def _taken(self) -> None:
        self.room += 1


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Stage]:
    return lambda quota=1 << 30: Stage(tmp_path, quota)


def test_everybody_gets_everything(make: Callable[..., Stage]) -> None:
    stage = make()
    stage.feeder.feed(b"before ")
    first = stage.start("n1")
    stage.feeder.feed(b"between ")
    second = stage.start("n2")
    stage.feeder.keep(False)
    stage.feeder.feed(b"after")
    stage.feeder.feed(None)
    for name, client in (("n1", first), ("n2", second)):
        stage.take(name)
        assert bytes(client.got) == b"before between after"
        assert client.ended


def test_the_source_waits_for_the_slowest(make: Callable[..., Stage]) -> None:
    stage = make()
    stage.start("fast")
    stage.start("slow")
    stage.feeder.keep(False)
    fed = stage.feed(1000)
    assert len(fed) < 2 * 1024 * 1024
    stage.take("fast")
    assert stage.room != len(fed) // PIECE
    before = stage.room
    stage.take("slow")
    assert stage.room == before + 1
    assert stage.spool.size == 0
    # Whoever ends holds nobody up any more.
    stage.feed(1000)
    stage.take("fast")
    before = stage.room
    stage.feeder.ended("slow")
    assert stage.room == before + 1


def test_who_starts_later_reads_from_the_disk(make: Callable[..., Stage]) -> None:
    stage = make()
    stage.start("n1")
    fed = bytearray()
    for _ in range(10):
        fed += stage.feed(100)
        stage.take("n1")
    assert stage.spool.size == len(fed) > 10 * 1024 * 1024
    late = stage.start("n2")
    stage.feeder.keep(False)
    fed += stage.feed(1)
    stage.feeder.feed(None)
    for _ in range(2):
        stage.take("n1")
        stage.take("n2")
    assert bytes(late.got) == bytes(stage.clients["n1"].got) == bytes(fed)
    assert late.ended


def test_nobody_has_started_and_much_has_come(make: Callable[..., Stage]) -> None:
    stage = make()
    fed = stage.feed(1000)
    assert len(fed) < 2 * 1024 * 1024
    client = stage.start("n1")
    stage.take("n1")
    assert stage.room == len(fed) // PIECE
    assert bytes(client.got) == fed


def test_a_full_disk_is_told_once(make: Callable[..., Stage]) -> None:
    stage = make(3 * 1024 * 1024)
    stage.start("n1")
    fed = bytearray()
    for _ in range(10):
        fed += stage.feed(100)
        stage.take("n1")
    assert stage.overflows == 1
    assert bytes(stage.clients["n1"].got) == bytes(fed)


def test_a_command_of_several_nodes_gets_it_once(make: Callable[..., Stage]) -> None:
    stage = make()
    client = Client()
    for _ in range(3):
        stage.feeder.started("n[1-3]", client)
    stage.feeder.feed(b"once")
    stage.feeder.ended("n[1-3]")
    stage.feeder.feed(None)
    assert bytes(client.got) == b"once"
    assert client.ended


def test_a_worker_without_input_is_told_once(make: Callable[..., Stage]) -> None:
    class Deaf(Client):
        def write(self, data: bytes) -> None:
            raise EngineClientNotSupportedError("no input stream")

    stage = make()
    stage.feeder.started("n1", Deaf())
    stage.feeder.started("n2", Deaf())
    stage.feeder.keep(False)
    stage.feed(100)
    assert stage.refused == ["no input stream"]
    assert stage.room == 100


def test_a_client_without_input_and_an_empty_source(make: Callable[..., Stage]) -> None:
    """Nothing is lost, so nothing is said."""
    stage = make()

    class Deaf:
        def set_write_eof(self) -> None:
            raise EngineClientNotSupportedError("no input stream")

    stage.feeder.started("n1", Deaf())
    stage.feeder.feed(None)
    assert stage.refused == []


def test_who_closes_its_input_holds_up_nobody(make: Callable[..., Stage]) -> None:
    stage = make()
    stage.start("a")
    stage.start("b")
    stage.feeder.keep(False)
    fed = stage.feed(100)
    stage.take("a")
    room = stage.room
    assert stage.clients["a"].got == fed
    stage.feeder.deaf("b")
    assert stage.room == room + 1
    got = len(stage.clients["b"].got)
    fed += stage.feed(10)
    stage.take("a")
    assert stage.clients["a"].got == fed
    assert len(stage.clients["b"].got) == got
    stage.feeder.ended("b")
    stage.feeder.deaf("b")


def test_the_end_lets_the_source_go(make: Callable[..., Stage]) -> None:
    stage = make()
    stage.start("n1")
    stage.feed(1000)
    before = stage.room
    stage.feeder.close()
    assert stage.room == before + 1
    stage.feed(3)
    assert stage.room == before + 4
