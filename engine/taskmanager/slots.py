"""Node slots: each free slot of each node takes the next task of the queue; a node that goes gives its tasks back.

A pool has no thread: its owner calls it, and gives `post` so that what happens in other threads comes to the owner's.
Tasks are dictionaries: `command` (run as it is), or `command` with places and `argument`, `number`, `run`; `timeout` in
seconds or "300%"; `retriable`.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace
from typing import Any

from ..states import NodeState
from .errors import StaleTask
from .jobs import CommandEnd, Job, JobState
from .nodes import Node, NodeHealth, Slot
from .slot_line import ADOPTION, DEFAULT_TAG, Post, SlotLine
from .tasks import Failure, TaskState

#: Characters of output kept in the task's result.
RESULT_LIMIT = 64_000
#: Why a job's end is of no use.
TAKEN = "nothing was heard of this console for too long, and its task went to others"
_AWAY = (NodeHealth.RESTING, NodeHealth.DOWN)

__all__ = ["ADOPTION", "DEFAULT_TAG", "Post", "SlotPool"]


class SlotPool(SlotLine):
    """See the module's text, and SlotLine for its nodes. Every method in the owner's thread."""

    # -- ends

    def _ended(self, slot: Slot, job: Job, end: CommandEnd) -> None:
        if slot.job is not job or self._closed:
            return
        state = end.state
        if state is not NodeState.OK and job.cancelled:
            state = NodeState.ABORTED
        elif state is not NodeState.OK and job.timed_out:
            state = NodeState.TIMEOUT
        if state is NodeState.LOST:
            self._lose(slot, job, end)
            return
        # The queue first: if its store is away, nothing has changed here and the owner makes this call again.
        job.ended = True
        told = self._report(job, state, end)
        if told is JobState.RETURNED and state is not NodeState.UNREACHABLE:
            end = replace(end, reason=TAKEN)
        if self._lost.pop(job.task_id, None) is None:
            slot.node.running -= 1
        self._note(slot.node, job, state, end)
        self._tell(job, told, end, final=told is not JobState.RETURNED)
        self._vacate(slot)

    def _report(self, job: Job, state: NodeState, end: CommandEnd) -> JobState:
        """Tell the manager how it ended; what to tell the listener."""
        if state is NodeState.OK:
            held = self.manager.storeResult(job.task_id, self._result(job, end))
            return JobState.DONE if held else self._stale(job)
        if state is NodeState.UNREACHABLE:
            return JobState.RETURNED if self._put_back(job, job.node) else self._stale(job)
        if state is NodeState.ABORTED:
            if job.taken:
                return self._stale(job)
            self.manager.cancel(job.task_id)
            return JobState.CANCELLED
        timed_out = state is NodeState.TIMEOUT
        what = end.reason or f"exit status {end.rc} on {job.node}"
        if timed_out:
            what = f"timed out after {self._clock() - job.clock:.1f} s on {job.node}"
        tail = (end.error or end.output)[-RESULT_LIMIT:].decode("utf-8", "replace")
        try:
            kind = "CommandTimeout" if timed_out else "CommandFailed"
            self.manager.store_exception(job.task_id, Failure(kind, what, tail))
        except StaleTask:
            return self._stale(job)
        return JobState.TIMEOUT if timed_out else JobState.FAILED

    def _stale(self, job: Job) -> JobState:
        """What is told of a task that is not ours any more: it was cancelled, or others have it or its result."""
        outcome = self.manager.peek(job.task_id)
        theirs = self.manager.knows(job.task_id) if outcome is None else outcome.state is not TaskState.CANCELLED
        return JobState.RETURNED if theirs else JobState.CANCELLED

    def _note(self, node: Node, job: Job, state: NodeState, end: CommandEnd) -> None:
        """What it says of the node."""
        if state is NodeState.OK:
            self._successes += 1
            node.succeeded()
            self.runtimes(job.run).add(self._clock() - job.clock)
        elif state is NodeState.UNREACHABLE:
            node.went_down(self._clock(), end.reason or "out of reach")
            self._away.add(node)
        elif state is not NodeState.ABORTED and node.struck(self._clock(), others_succeed=self._successes > node.done):
            self._away.add(node)

    def _vacate(self, slot: Slot) -> None:
        node = slot.node
        if slot.job is not None:
            slot.job.ended = True
            self._jobs.pop(slot.job.task_id, None)
        slot.job = None
        if node.health is not NodeHealth.UP and node.health is not NodeHealth.DRAINING:
            self._sign_off(node)
        self._free_slot(slot)
        self._forget_if_empty(node)
        self.dispatch()

    def _put_back(self, job: Job, not_on: str | None) -> bool:
        """The command was surely not started; False when the task is not ours any more."""
        self._avoiding = self._avoiding or not_on is not None
        try:
            return self.manager.return_task(job.task_id, not_on=not_on)
        except StaleTask:
            return False

    def _lose(self, slot: Slot, job: Job, end: CommandEnd) -> None:
        """The connection went while it ran: elsewhere at once if it may run twice, else hope for the node."""
        node = slot.node
        if job.task_id not in self._lost:
            node.running -= 1
            node.lost += 1
        if node.health is NodeHealth.UP:
            node.went_down(self._clock(), end.reason or "connection lost")
            self._away.add(node)
        self._lost[job.task_id] = (self._clock() + self._adoption, slot)
        if job.retriable:
            self._give_up(slot, job, end)
        else:
            self._tell(job, JobState.LOST, end, final=False)

    def _give_up(self, slot: Slot, job: Job, end: CommandEnd) -> None:
        """Its worker vanished for good: the manager decides (again, LOST, or failed)."""
        self._avoiding = True
        job.ended = True
        with contextlib.suppress(StaleTask):
            self.manager.lose_task(job.task_id, not_on=slot.node.name)
        self._lost.pop(job.task_id, None)
        again = job.retriable
        self._tell(job, JobState.RETURNED if again else JobState.LOST, end, final=not again)
        self._vacate(slot)

    def _adopt(self, task_id: str, slot: Slot, job: Job) -> None:
        # From now on the question's answer decides, however long the command still runs.
        self._lost[task_id] = (math.inf, slot)

        def answered(end: CommandEnd | None) -> None:
            self._post(lambda: self._adopted(slot, job, end))

        self._runner.adopt(job.node, job.slot, job.token, answered)

    def _adopted(self, slot: Slot, job: Job, end: CommandEnd | None) -> None:
        if slot.job is not job or self._closed or job.task_id not in self._lost:
            return
        if end is None:  # it never started: any node may have it
            self._put_back(job, None)
            self._lost.pop(job.task_id)
            self._tell(job, JobState.RETURNED, CommandEnd(NodeState.UNREACHABLE), final=False)
            self._vacate(slot)
        elif end.state in (NodeState.UNREACHABLE, NodeState.LOST):
            # Gone again while asking: hope once more, for as long as the first time.
            self._lost[job.task_id] = (self._clock() + self._adoption, slot)
            slot.node.went_down(self._clock(), end.reason or "connection lost")
            self._away.add(slot.node)
        elif end.rc is None:
            self._give_up(slot, job, end)
        else:
            self._ended(slot, job, end)

    def _result(self, job: Job, end: CommandEnd) -> dict[str, Any]:
        return {
            "rc": end.rc,
            "node": job.node,
            "slot": job.slot,
            "runtime": round(self._clock() - job.clock, 6),
            "stdout": end.output[:RESULT_LIMIT].decode("utf-8", "replace"),
            "stderr": end.error[:RESULT_LIMIT].decode("utf-8", "replace"),
        }

    # -- steering

    def cancel_task(self, task_id: str) -> bool:
        """End a task, running here or waiting; False when it is over."""
        slot = self._jobs.get(task_id)
        if slot is not None and slot.job is not None:
            self._stop(slot, slot.job)
        return self.manager.cancel(task_id) or slot is not None

    def cancel_run(self, run: str) -> int:
        """End the running jobs of a run; how many."""
        ended = [slot for slot in self._jobs.values() if slot.job is not None and slot.job.run == run]
        for slot in ended:
            if slot.job is not None:
                self._stop(slot, slot.job)
        return len(ended)

    def _stop(self, slot: Slot, job: Job) -> None:
        job.cancelled = True
        if job.task_id in self._lost:
            self._ended(slot, job, CommandEnd(NodeState.ABORTED))
        else:
            self._runner.cancel(job.handle)

    def give_up_lost(self, run: str | None = None) -> list[str]:
        """Stop hoping for lost jobs (of a run): their tasks are LOST in the queue now; which."""
        hoped = [(slot, job) for _, slot in self._lost.values() if (job := slot.job) and run in (None, job.run)]
        for slot, job in hoped:
            self._give_up(slot, job, CommandEnd(NodeState.LOST, reason="given up by hand"))
        return [job.task_id for _, job in hoped]

    def retry_lost(self) -> int:
        """Run lost jobs again, anywhere, without waiting for their nodes; how many."""
        return sum(self.manager.retry(task_id) for task_id in reversed(self.give_up_lost()))

    # -- time

    def next_deadline(self) -> float:
        """Seconds until `tick` has something to do, inf for never."""
        now = self._clock()
        moments = [now + 0.5] if self._unlined else []
        moments += [node.until for node in self._away if self._waits(node)]
        moments += [moment for moment, _ in self._lost.values()]
        moments += (self._limits.next_moment(), self._next_ping)
        return max(0.0, min(moments, default=math.inf) - now)

    @staticmethod
    def _waits(node: Node) -> bool:
        return node.health in _AWAY and not node.probing

    def tick(self) -> None:
        """Do what is due: time limits, rests that are over, probes, hopes that are vain."""
        now = self._clock()
        self._ping(now)
        for job in self._limits.passed():
            slot = self._jobs.get(job.task_id)
            if slot is not None and slot.job is job and job.task_id not in self._lost and not job.timed_out:
                job.timed_out = True
                self._runner.cancel(job.handle)
        self._away = {node for node in self._away if node.health in _AWAY and self._nodes.get(node.name) is node}
        for node in [node for node in self._away if self._waits(node) and node.until <= now]:
            if node.health is NodeHealth.RESTING:
                node.came_up(on_trial=True)
                self._line_up(node)
            else:
                self._probe(node)
        for moment, slot in list(self._lost.values()):
            if moment <= now and slot.job is not None:
                self._give_up(slot, slot.job, CommandEnd(NodeState.LOST, reason="its node did not come back in time"))
        if self._unlined:
            self._unlined = False
            for node in self._nodes.values():
                self._line_up(node)
        self.dispatch()

    def _probe(self, node: Node) -> None:
        node.probing = True

        def answered(end: CommandEnd) -> None:
            self._post(lambda: self._probed(node, end))

        self._runner.run(node.name, 0, "true", answered)

    def _probed(self, node: Node, end: CommandEnd) -> None:
        node.probing = False
        if self._closed or node.health is not NodeHealth.DOWN:
            return
        if end.state in (NodeState.OK, NodeState.FAILED):
            self.node_back(node.name)
        else:
            node.still_down(self._clock(), end.reason or "out of reach")

    def close(self) -> None:
        """Stop everything: running commands are ended; their tasks go back, or are LOST if they may not run twice."""
        if self._closed:
            return
        self._closed = True
        self._unsubscribe()
        for slot in list(self._jobs.values()):
            job = slot.job
            if job is not None and job.task_id not in self._lost:
                self._runner.cancel(job.handle)
        for node in self._nodes.values():
            for slot in node.slots:
                if slot.process_id is not None:
                    self.manager.unregister_process(slot.process_id)
                    slot.process_id = None
