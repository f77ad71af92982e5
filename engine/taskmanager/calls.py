"""What a peer may ask of the manager beside working: a short list of methods, each with checked arguments."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from .manager import TaskManager
from .stores.base import Claim
from .tasks import Outcome, TaskOptions, TaskState, check_name

#: Most tasks that one call may add or list.
MOST_TASKS = 100_000
#: Longest wait for a result, seconds.
WAIT_LIMIT = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call gave at once."""

    value: Any


@dataclass(frozen=True, slots=True)
class Pending:
    """A call that waits for an outcome until `end` (monotonic seconds)."""

    number: int
    claim: Claim
    end: float


def begin(manager: TaskManager, role: str, method: str, arguments: dict[str, Any], number: int) -> Answer | Pending:
    """Do a call, or say what it waits for. Raises what the manager raises; ValueError for what is not allowed."""
    allowed = _WORKER if role == "worker" else _CLIENT
    if method not in allowed:
        raise ValueError(f"no method {method!r} for a {role}")
    fields = allowed[method]
    unknown = arguments.keys() - fields.keys()
    if unknown:
        raise ValueError(f"{method}: unknown arguments {sorted(unknown)}")
    for name, kinds in fields.items():
        if name in arguments and type(arguments[name]) not in kinds:
            raise ValueError(f"{method}: {name} has the wrong type")
    if method == "result":
        return _claim(arguments, number)
    return Answer(_METHODS[method](manager, **arguments))


def outcome_fields(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON: id, tag, state, value, error."""
    failure = outcome.failure
    error = None
    if failure is not None:
        error = {"type_name": failure.type_name, "message": failure.message, "traceback": failure.traceback}
    fields = {"id": outcome.task_id, "tag": outcome.tag, "state": outcome.state.word, "value": outcome.value}
    return {**fields, "error": error}


def _claim(arguments: dict[str, Any], number: int) -> Pending:
    wait = min(max(0.0, float(arguments.get("wait", 0.0))), WAIT_LIMIT)
    claim = Claim(arguments.get("id"), arguments.get("tag"), arguments.get("requester"))
    return Pending(number, claim, time.monotonic() + wait)


def _add(
    manager: TaskManager,
    tag: str,
    parameters: list[Any],
    requester: str | None = None,
    retriable: bool = True,
    max_attempts: int = 3,
) -> list[str]:
    if not 1 <= len(parameters) <= MOST_TASKS or not 1 <= max_attempts <= 1000:
        raise ValueError(f"add: 1 to {MOST_TASKS} tasks, max_attempts 1 to 1000")
    if requester is not None:
        check_name(requester, "requester")
    options = TaskOptions(retriable, max_attempts)
    return manager.add_task_requests(tag, parameters, requester=requester, options=options)


def _status(manager: TaskManager) -> dict[str, Any]:
    status = manager.status()
    return {**asdict(status), "processes": [asdict(each) for each in status.processes]}


def _states(words: list[str] | None) -> list[TaskState]:
    by_word = {state.word: state for state in TaskState}
    return list(TaskState) if words is None else [by_word[word] for word in words]


def _tasks(manager: TaskManager, states: list[str] | None = None, limit: int = 1000) -> list[dict[str, Any]]:
    found = manager.tasks(_states(states), max(0, min(limit, MOST_TASKS)))
    return [{**asdict(replace(each, parameters=each.text)), "state": each.state.word} for each in found]


_TEXT, _WHOLE = (str,), (int,)
Fields = dict[str, tuple[type, ...]]
_METHODS: dict[str, Callable[..., Any]] = {
    "add": _add,
    "status": _status,
    "tasks": _tasks,
    "cancel": lambda manager, id: manager.cancel(id),  # noqa: A006 - the wire's name
    "retry": lambda manager, id: manager.retry(id),  # noqa: A006
    "retry_all": lambda manager, states=None: manager.retry_all(_states(states or ["failed", "lost"])),
    "terminate": lambda manager, mode="drain": manager.terminate(mode),
    "pause": lambda manager: manager.pause(),
    "resume": lambda manager: manager.resume(),
    "get_data": lambda manager, label: manager.retrieve_data(label),
    "put_data": lambda manager, label, value: manager.store_data(**{label: value}),
    "drop_data": lambda manager, label: manager.delete_data(label),
}
_ANY = (str, int, float, bool, list, dict, type(None))
#: Arguments and their types, per method. A worker on another machine may read shared items and nothing more: what it
#: could add would run elsewhere.
_WORKER: dict[str, Fields] = {"get_data": {"label": _TEXT}}
_CLIENT: dict[str, Fields] = {
    **_WORKER,
    "add": {
        "tag": _TEXT,
        "parameters": (list,),
        "requester": (str, type(None)),
        "retriable": (bool,),
        "max_attempts": _WHOLE,
    },
    "status": {},
    "tasks": {"states": (list, type(None)), "limit": _WHOLE},
    "result": {
        "id": (str, type(None)),
        "tag": (str, type(None)),
        "requester": (str, type(None)),
        "wait": (int, float),
    },
    "cancel": {"id": _TEXT},
    "retry": {"id": _TEXT},
    "retry_all": {"states": (list, type(None))},
    "terminate": {"mode": (str, type(None))},
    "pause": {},
    "resume": {},
    "put_data": {"label": _TEXT, "value": _ANY},
    "drop_data": {"label": _TEXT},
}
