"""The nodes of a slot pool: how many slots, how healthy, when to try again."""

from __future__ import annotations

from enum import StrEnum

from .jobs import Job, NodeView

#: Jobs in a row that must fail on a node, while others succeed elsewhere, before it rests.
STRIKES = 5
#: Seconds of rest: first, longest; doubled each time.
FIRST_REST = 1.0
LONGEST_REST = 60.0


class NodeHealth(StrEnum):
    """UP: takes jobs. RESTING: after failures, until a moment. DOWN: out of reach. DRAINING: takes no more jobs."""

    UP = "up"
    RESTING = "resting"
    DOWN = "down"
    DRAINING = "draining"


class Slot:
    """One place for a job on a node. process_id: under which it is registered, None while the node is away."""

    __slots__ = ("free", "job", "node", "number", "process_id")

    def __init__(self, node: Node, number: int) -> None:
        self.node = node
        self.number = number
        self.process_id: int | None = None
        self.job: Job | None = None
        #: Whether it stands in the pool's line of free slots.
        self.free = False


class Node:
    """One node and its slots. Times: monotonic seconds, given by the caller."""

    __slots__ = (
        "done", "failed", "health", "leaving", "lost", "name", "ping_at", "probing", "reason", "rest", "running",
        "slots", "strikes", "tags", "trial", "until", "used",
    )  # fmt: skip

    def __init__(self, name: str, count: int, tags: tuple[str, ...]) -> None:
        self.name = name
        self.tags = tags
        self.slots = [Slot(self, number) for number in range(1, count + 1)]
        self.health = NodeHealth.UP
        self.running = 0
        self.done = 0
        self.failed = 0
        self.lost = 0
        self.strikes = 0
        self.rest = FIRST_REST
        self.until = 0.0
        #: When its slots give their next sign of life.
        self.ping_at = 0.0
        self.reason = ""
        #: After a rest one job at a time, until one succeeds.
        self.trial = False
        self.probing = False
        #: Whether a job was ever begun on it.
        self.used = False
        #: Draining because it was removed: forgotten when its last job ended.
        self.leaving = False

    @property
    def takes(self) -> bool:
        """Whether a free slot of it may take a job now."""
        return self.health is NodeHealth.UP and not (self.trial and self.running > 0)

    def succeeded(self) -> None:
        """A job ended well."""
        self.done += 1
        self.strikes = 0
        self.trial = False
        self.rest = FIRST_REST

    def struck(self, now: float, *, others_succeed: bool) -> bool:
        """A job failed; whether the node rests from now on.

        It does not when nobody succeeds: then the command is to blame, not the node.
        """
        self.failed += 1
        self.strikes += 1
        if self.health is not NodeHealth.UP or not others_succeed or not (self.trial or self.strikes >= STRIKES):
            return False
        self._away(NodeHealth.RESTING, now, f"{self.strikes} jobs in a row failed here while others succeed")
        return True

    def went_down(self, now: float, reason: str) -> None:
        """It cannot be reached."""
        if self.health is not NodeHealth.DOWN:
            self._away(NodeHealth.DOWN, now, reason)

    def still_down(self, now: float, reason: str) -> None:
        """A probe failed."""
        self._away(NodeHealth.DOWN, now, reason)

    def came_up(self, *, on_trial: bool = False) -> None:
        """It can be used again."""
        self.health = NodeHealth.UP
        self.trial = on_trial
        self.reason = ""
        if not on_trial:
            self.rest = FIRST_REST

    def _away(self, health: NodeHealth, now: float, reason: str) -> None:
        self.health = health
        self.reason = reason
        self.until = now + self.rest
        self.rest = min(self.rest * 2, LONGEST_REST)

    def view(self, now: float) -> NodeView:
        """A look at it."""
        away = self.health in (NodeHealth.RESTING, NodeHealth.DOWN)
        retry_in = max(0.0, self.until - now) if away else 0.0
        counts = (len(self.slots), self.running, self.done, self.failed, self.lost)
        return NodeView(self.name, self.health.value, *counts, retry_in, self.reason)
