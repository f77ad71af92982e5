"""What a store must do: every change of a queue in one atomic, non-blocking step.

The manager (manager.py) adds waiting, time limits and the original's interface on top. A store is thread-safe.
Payloads (parameters, results, failures, data items) are opaque to it: `dumps` and `loads` turn Python values into what
it keeps, and are the identity for the memory store.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from ..tasks import ProcessInfo, TaskId, TaskInfo, TaskOptions, TaskState


class Termination(enum.StrEnum):
    """`drain`: hand out what is left, then end. `now`: hand out nothing more."""

    DRAIN = "drain"
    NOW = "now"


class Change(enum.StrEnum):
    """What became possible: a task can be taken, a result fetched, a request added; or everybody looks again."""

    TASK = "task"
    RESULT = "result"
    SPACE = "space"
    ALL = "all"


class Event(NamedTuple):
    """Told to the listener after a change; tag, task id and requester as far as they apply."""

    change: Change
    tag: str = ""
    task_id: str = ""
    requester: str | None = None


Listener = Callable[[Event], None]


class Counts(NamedTuple):
    """Tasks per tag: waiting, running, finished with an outcome that nobody fetched."""

    waiting: dict[str, int]
    running: dict[str, int]
    finished: dict[str, int]


class RawOutcome(NamedTuple):
    """An outcome whose payload is still encoded; the payload of a bad end is a failure."""

    task_id: str
    tag: str
    state: TaskState
    payload: Any


class Claim(NamedTuple):
    """Which result is wanted: by id, by tag, by requester, or (all None) any."""

    task_id: str | None = None
    tag: str | None = None
    requester: str | None = None


ANY_RESULT = Claim()


class Store(Protocol):
    """See the module's text. Unless said otherwise nothing raises but StoreUnavailable."""

    #: Whether other processes change it too: then a change wakes every waiter that it may concern, not one.
    shared: bool

    def dumps(self, value: Any) -> Any:
        """Encode a payload; TypeError or ValueError when it cannot be kept."""

    def loads(self, payload: Any) -> Any:
        """The inverse of `dumps`."""

    def listen(self, listener: Listener) -> None:
        """Call `listener` after changes, in any thread, with no lock of the store held."""

    def watch(self) -> None:
        """Somebody waits or wants to be told: begin to look for changes that other processes make. Idempotent."""

    # -- processes

    def register(self, period: float | None, info: Any) -> int:
        """A new process id. period: promised seconds between pings, None for no promise."""

    def unregister(self, process_id: int) -> bool:
        """Forget a process and give its tasks back; False when it is not known."""

    def ping(self, process_id: int) -> bool:
        """A sign of life; False when the process is not known."""

    def processes(self) -> list[ProcessInfo]:
        """All registered processes, by id."""

    def reap(self) -> None:
        """Give up the processes that were silent too long."""

    def next_deadline(self) -> float:
        """Seconds until `reap` may have something to do, inf for never, 0.0 for now."""

    # -- tasks

    def add(self, tag: str, payload: Any, requester: str | None, options: TaskOptions) -> str:
        """Put a task at the end; its id. QueueFull when the queue is bounded and full."""

    def add_many(self, tag: str, payloads: Iterable[Any], requester: str | None, options: TaskOptions) -> list[str]:
        """The same for several, at one cost; all or none (Redis: of each 10,000, see there)."""

    def take(
        self,
        tags: Sequence[str] | None,
        process_id: int | None,
        node: str | None = None,
        nodes: Collection[str] | None = None,
    ) -> tuple[TaskId, str, Any] | None:
        """Lease the oldest waiting task (of one of `tags`) to a process; UnknownProcess when it is not known.

        node: skip tasks that shall not run there, unless `nodes` is given and all of them are excluded too.
        """

    def finish(self, task_id: str, attempt: int | None, state: TaskState, payload: Any) -> bool:
        """End a leased task; False when `attempt` does not hold it.

        Or one that is LOST, by the attempt that was thought lost, as long as nobody fetched or retried it.
        """

    def give_back(self, task_id: str, attempt: int | None, *, lost: bool = False, not_on: str | None = None) -> bool:
        """Put a leased task back to the front; False when `attempt` does not hold it.

        lost: its worker vanished: that counts, and a task that may not be repeated becomes LOST. not_on: a node to
        avoid from now on.
        """

    def cancel(self, task_id: str) -> bool:
        """End a waiting or leased task as CANCELLED; False when it is neither."""

    def retry(self, task_id: str) -> bool:
        """Put a task that ended badly, and whose outcome nobody fetched, back to the front."""

    def collect(self, claim: Claim) -> RawOutcome | None:
        """Fetch and forget the oldest outcome that fits; None when there is none yet."""

    def peek(self, task_id: str) -> RawOutcome | None:
        """The outcome of a task, which stays where it is; None when there is none (yet, or any more)."""

    def ended_of(self, requester: str) -> list[str]:
        """The tasks of a requester that have an outcome, oldest first."""

    def known(self, task_id: str) -> bool:
        """Whether the task exists (its outcome was not fetched)."""

    def counts(self) -> Counts:
        """Tasks per tag; tags with nothing are left out."""

    def may_add(self) -> bool:
        """Whether there is room for one more; cheap."""

    def may_take(self, tags: Sequence[str] | None) -> bool:
        """Whether `take` would probably succeed; cheap."""

    def may_collect(self, claim: Claim) -> bool:
        """Whether `collect` would probably succeed; cheap."""

    def tasks(self, states: Collection[TaskState], limit: int) -> list[TaskInfo]:
        """At most `limit` tasks in these states, oldest first per state; parameters encoded, None if they are long."""

    # -- data items, life

    def put_data(self, items: dict[str, Any]) -> None:
        """Keep encoded data items by label."""

    def get_data(self, label: str) -> Any:
        """One encoded data item; KeyError."""

    def drop_data(self, label: str) -> None:
        """Forget one; KeyError."""

    def terminate(self, mode: Termination | None) -> None:
        """Set (or with None clear) the mode of termination."""

    def termination(self) -> Termination | None:
        """The mode of termination, None while in service."""

    def pause(self, paused: bool) -> None:
        """Hand out nothing until it is taken back; what is handed out may be ended. Kept where the queue is."""

    def paused(self) -> bool:
        """Whether nothing is handed out for now."""

    def close(self) -> None:
        """Give descriptors back; what is kept stays kept. Idempotent."""
