"""The manager's side of the wire, without descriptors: who may say what, who gets which task, what an end means.

A worker says how many tasks it can take now (credit), gets that many, acknowledges each before it starts it, and stores
its end. When the connection is gone, tasks that it never acknowledged were surely not started and go back unharmed;
the others count as lost. No thread waits for anybody: the owner calls `serve` when the manager has news.
"""

from __future__ import annotations

import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from . import calls
from .errors import FrameError, StaleTask, StoreUnavailable, TaskManagerError, TaskManagerTermination, UnknownProcess
from .frames import MOST_CREDITS, TO_MANAGER, VERSION, Frame, FrameReader, encode
from .manager import TaskManager
from .tasks import Failure, TaskId

#: Seconds within which a peer must have introduced itself.
HELLO_LIMIT = 10.0


class Service:
    """All peers of one manager; every method in the owner's one thread.

    roles: what a peer may be: {"worker"} for peers on other machines, who may do nothing but work; a "client" may add,
    cancel and read.
    """

    def __init__(self, manager: TaskManager, roles: frozenset[str] = frozenset({"worker"})) -> None:
        self.manager = manager
        self.roles = roles
        self.hungry: OrderedDict[Peer, None] = OrderedDict()
        self.waiting: dict[Peer, list[calls.Pending]] = {}
        self.holders: dict[str, Peer] = {}
        self.stopping = False
        self._peers: set[Peer] = set()

    def peer(self, send: Callable[[bytes], None], close: Callable[[], None], label: str = "") -> Peer:
        """A new peer. send: queue bytes for it (never blocks). close: drop the connection."""
        peer = Peer(self, send, close, label)
        self._peers.add(peer)
        return peer

    @property
    def peers(self) -> int:
        """How many are connected."""
        return len(self._peers)

    def all_peers(self) -> list[Peer]:
        """Everybody who is connected."""
        return list(self._peers)

    def forget(self, peer: Peer) -> None:
        """The peer is gone."""
        self._peers.discard(peer)
        self.hungry.pop(peer, None)
        self.waiting.pop(peer, None)

    def serve(self) -> None:
        """Hand out what there is to those with credit, first come first served, and answer those who wait."""
        self._answer_waiting()
        nothing: set[tuple[str, ...] | None] = set()
        for peer in list(self.hungry):
            if peer.tags in nothing:
                continue
            while peer in self.hungry:
                try:
                    if not peer.hand_out():
                        nothing.add(peer.tags)
                        break
                except StoreUnavailable:
                    return  # the next change, or the next look at the clock, tries again

    def tick(self) -> None:
        """Look at the clock: silent processes, peers that never introduced themselves, waits that are over."""
        with contextlib.suppress(StoreUnavailable):
            self.manager.reap()
        now = time.monotonic()
        for peer in [peer for peer in self._peers if not peer.introduced and now - peer.since > HELLO_LIMIT]:
            peer.fault("no introduction")
        self.serve()

    def ended_elsewhere(self, task_id: str) -> None:
        """A task has an outcome; if a peer still holds it, it was cancelled under its hands: tell it."""
        holder = self.holders.get(task_id)
        if holder is not None:
            holder.cancelled(task_id)

    def stop(self) -> None:
        """Ask all workers to leave after the task at hand, also those that come later."""
        self.stopping = True
        for peer in list(self._peers):
            peer.stop()

    def _answer_waiting(self) -> None:
        now = time.monotonic()
        for peer, pending in list(self.waiting.items()):
            left = [each for each in pending if not peer.try_answer(each, now)]
            if left:
                self.waiting[peer] = left
            else:
                self.waiting.pop(peer, None)


class Peer:
    """One connection: a state machine fed with bytes. Nothing that the other side sends makes it raise."""

    def __init__(self, service: Service, send: Callable[[bytes], None], close: Callable[[], None], label: str) -> None:
        self._service = service
        self._manager = service.manager
        self._send = send
        self._close = close
        self._label = label
        self._reader = FrameReader(TO_MANAGER)
        self._leases: dict[str, _Lease] = {}
        self._credits = 0
        self._open = True
        self._stopping = service.stopping
        self.role = ""
        self.since = time.monotonic()
        self.tags: tuple[str, ...] | None = None
        self.process_id: int | None = None
        #: Tasks that it ended well, that failed, and that it had begun when the connection went.
        self.counts = (0, 0, 0)

    @property
    def held(self) -> int:
        """Tasks that it has now; from any thread."""
        return len(self._leases)

    @property
    def introduced(self) -> bool:
        """Whether it has said what it is."""
        return bool(self.role)

    def feed(self, data: bytes) -> None:
        """Bytes from the other side. What is wrong with them ends the connection, and nothing else."""
        if not self._open:
            return
        try:
            for frame in self._reader.feed(data):
                if not self._open:
                    return
                self._heard(frame)
        except (FrameError, UnknownProcess) as error:
            self.fault(str(error))
        except StoreUnavailable:
            self.fault("the queue's store is out of reach")

    def lost(self) -> None:
        """The connection is gone: give back what it held. Idempotent."""
        if not self._open:
            return
        self._open = False
        self._service.forget(self)
        for lease in list(reversed(self._leases.values())):
            self._drop(lease)
            with contextlib.suppress(StaleTask, StoreUnavailable):
                if lease.acknowledged:
                    self._count(2)
                    self._manager.lose_task(lease.task_id)
                else:
                    self._manager.return_task(lease.task_id)
        if self.process_id is not None:
            with contextlib.suppress(StoreUnavailable):
                self._manager.unregister_process(self.process_id)
        self._close()

    def fault(self, message: str) -> None:
        """Say why, and end the connection."""
        if self._open:
            self._send(encode("fault", message=message[:1000]))
            self.lost()

    def stop(self) -> None:
        """Ask a worker to leave after the task at hand."""
        self._stopping = True
        self._credits = 0
        self._service.hungry.pop(self, None)
        if self.role == "worker":
            self._send(encode("stop"))

    def cancelled(self, task_id: str) -> None:
        """What it works on is over already: it may drop it."""
        lease = self._leases.get(task_id)
        if lease is not None:
            self._send(encode("cancelled", id=task_id, attempt=lease.task_id.attempt))

    # -- what it says

    def _heard(self, frame: Frame) -> None:
        kind = frame["kind"]
        if kind == "hello":
            self._hello(frame)
        elif not self.introduced:
            raise FrameError("introduction expected")
        elif kind == "call":
            self._call(frame)
        elif self.role != "worker":
            raise FrameError(f"{kind} frame from a client")
        else:
            self._worked(kind, frame)

    def _hello(self, frame: Frame) -> None:
        if self.introduced or frame["role"] not in self._service.roles:
            raise FrameError("introduction refused")
        self.role = frame["role"]
        if self.role == "worker":
            self.tags = None if frame["tags"] is None else tuple(frame["tags"])
            info = f"{self._label} {frame['info']}".strip()
            self.process_id = self._manager.register_process(frame["period"], info)
        self._send(encode("welcome", version=VERSION, process=self.process_id))
        if self._stopping:  # it was asked to before it could hear it
            self.stop()
            return
        self._give_credit(frame["credits"])

    def _worked(self, kind: str, frame: Frame) -> None:
        if self.process_id is not None:
            self._manager.ping(self.process_id)
        if kind == "credit":
            self._give_credit(frame["count"])
        elif kind == "ping":
            self._send(encode("pong"))
        elif kind == "bye":
            self.lost()
        elif kind == "ack":
            lease = self._leases.get(frame["id"])
            if lease is not None and lease.task_id.attempt == frame["attempt"]:
                lease.acknowledged = True
        else:
            self._ended(kind, frame)

    def _give_credit(self, count: int) -> None:
        if self.role != "worker" or count == 0 or self._stopping:
            return
        self._credits = min(self._credits + count, MOST_CREDITS)
        self._service.hungry[self] = None
        self._service.serve()

    def _ended(self, kind: str, frame: Frame) -> None:
        """result, exception or return: only for what this very connection was given and acknowledged."""
        lease = self._leases.get(frame["id"])
        held = lease is not None and lease.task_id.attempt == frame["attempt"] and lease.acknowledged
        if held and lease is not None:
            self._drop(lease)
            try:
                if kind == "result":
                    self._count(0)  # first: who gets the result may look at once
                    self._manager.store_result(lease.task_id, frame["value"])
                elif kind == "exception":
                    self._count(1)
                    self._manager.store_exception(lease.task_id, Failure(**frame["error"]))
                else:
                    self._manager.return_task(lease.task_id)
            except StaleTask:
                held = False
        self._send(encode("stored", id=frame["id"], attempt=frame["attempt"], held=held))

    # -- what it gets

    def hand_out(self) -> bool:
        """Give it one task for one credit; False when there is none for it."""
        try:
            taken = self._manager.try_task(self.tags, self.process_id)
        except UnknownProcess as error:
            self.fault(str(error))
            return True
        if taken is None:
            return False
        task_id, tag, parameters = taken
        try:
            frame = encode("task", id=task_id, attempt=task_id.attempt, tag=tag, parameters=parameters)
        except (TypeError, ValueError) as error:
            self._manager.store_exception(task_id, error)
            return True
        self._credits -= 1
        if self._credits == 0:
            self._service.hungry.pop(self, None)
        else:
            self._service.hungry.move_to_end(self)
        self._leases[task_id] = _Lease(task_id)
        self._service.holders[task_id] = self
        self._send(frame)
        return True

    def _count(self, which: int) -> None:
        counts = list(self.counts)
        counts[which] += 1
        self.counts = (counts[0], counts[1], counts[2])

    def _drop(self, lease: _Lease) -> None:
        del self._leases[lease.task_id]
        if self._service.holders.get(lease.task_id) is self:
            del self._service.holders[lease.task_id]

    # -- calls

    def _call(self, frame: Frame) -> None:
        number, method = frame["number"], frame["method"]
        try:
            pending = calls.begin(self._manager, self.role, method, frame["arguments"], number)
        except (TaskManagerError, TaskManagerTermination, KeyError, ValueError, TypeError) as error:
            self._answer_error(number, error)
            return
        if isinstance(pending, calls.Pending):
            if not self.try_answer(pending, time.monotonic()):
                self._service.waiting.setdefault(self, []).append(pending)
        else:
            self._answer(number, pending.value)

    def try_answer(self, pending: calls.Pending, now: float) -> bool:
        """Answer a call that waits for a result, if it can be now; whether it was."""
        try:
            outcome = self._manager.try_outcome(pending.claim)
        except StoreUnavailable as error:
            self._answer_error(pending.number, error)
            return True
        if outcome is not None:
            self._answer(pending.number, calls.outcome_fields(outcome))
        elif now >= pending.end:
            self._answer_error(pending.number, TimeoutError("nothing came within the time limit"))
        else:
            return False
        return True

    def _answer(self, number: int, value: Any) -> None:
        try:
            self._send(encode("answer", number=number, value=value))
        except (TypeError, ValueError) as error:
            self._answer_error(number, error)

    def _answer_error(self, number: int, error: Exception) -> None:
        failure = Failure.of(error, "")
        fields = {"type_name": failure.type_name, "message": failure.message, "traceback": ""}
        self._send(encode("error", number=number, error=fields))


class _Lease:
    """A task that a peer holds, and whether it said that it has it."""

    __slots__ = ("acknowledged", "task_id")

    def __init__(self, task_id: TaskId) -> None:
        self.task_id = task_id
        self.acknowledged = False
