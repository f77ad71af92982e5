"""The way out of the engine's thread: batches, coalescing, the limit and its release."""

from __future__ import annotations

import threading
from collections.abc import Callable

from clusterdeck.console.runs.events import NodeChange, NodesChanged, Notice, OutputArrived, RunFinished
from clusterdeck.console.session.outbox import FLUSH_BYTES, EventBatcher, Outbox
from clusterdeck.engine.states import NodeState


class Clock:
    """Keeps what is to be called later."""

    def __init__(self) -> None:
        self.later: list[Callable[[], None]] = []

    def call_later(self, _delay: float, callback: Callable[[], None]) -> object:
        self.later.append(callback)
        return callback

    def tick(self) -> None:
        due, self.later = self.later, []
        for callback in due:
            callback()


def make(limit: int = 10**6) -> tuple[Outbox, EventBatcher, Clock, list[bool]]:
    outbox, clock, held = Outbox(limit), Clock(), list[bool]()
    return outbox, EventBatcher(outbox, clock.call_later, held.append), clock, held


def test_output_of_a_node_is_joined_and_precedes_its_end() -> None:
    outbox, batcher, clock, _ = make()
    batcher.output(1, 0, 0, [b"a"])
    batcher.output(1, 1, 0, [b"x"])
    batcher.output(1, 0, 0, [b"b"])
    batcher.output(1, 0, 1, [b"err"])
    batcher.output(1, 0, 0, [b"c"])
    batcher.change(1, NodeChange(0, NodeState.OK, 1.0, 0))
    assert outbox.pop() == (None, False)
    assert len(clock.later) == 1
    clock.tick()
    batch, _ = outbox.pop()
    assert batch is not None
    output, states = batch.events
    assert isinstance(output, OutputArrived)
    assert isinstance(states, NodesChanged)
    assert [(c.node, c.stream, c.data) for c in output.chunks] == [
        (0, 0, b"a\nb\n"),
        (1, 0, b"x\n"),
        (0, 1, b"err\n"),
        (0, 0, b"c\n"),
    ]


def test_events_keep_their_place_among_output() -> None:
    outbox, batcher, _, _ = make()
    batcher.output(1, 0, 0, [b"a"])
    batcher.event(Notice("info", "between"))
    batcher.output(1, 0, 0, [b"b"])
    batcher.event(RunFinished(1, 1.0), now=True)
    batch, _ = outbox.pop()
    assert batch is not None
    assert [type(event).__name__ for event in batch.events] == [
        "OutputArrived",
        "Notice",
        "OutputArrived",
        "RunFinished",
    ]


def test_much_output_goes_at_once() -> None:
    outbox, batcher, _, _ = make()
    batcher.output(1, 0, 0, [b"x" * FLUSH_BYTES])
    assert outbox.pop()[0] is not None


def test_the_limit_holds_and_half_of_it_releases() -> None:
    outbox, batcher, _, held = make(limit=3 * FLUSH_BYTES)
    for _ in range(5):
        batcher.output(1, 0, 0, [b"x" * FLUSH_BYTES])
    assert held == [True]
    releases = [outbox.pop()[1] for _ in range(5)]
    assert releases.count(True) == 1
    assert outbox.outstanding == 0
    assert outbox.pop() == (None, False)


def test_waiting_ends_with_a_batch_or_the_timeout() -> None:
    outbox, batcher, _, _ = make()
    assert not outbox.wait(0.0)
    thread = threading.Thread(target=lambda: batcher.event(Notice("info", "x"), now=True))
    thread.start()
    assert outbox.wait(30.0)
    thread.join()
