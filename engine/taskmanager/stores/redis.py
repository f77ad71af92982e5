"""The queue in Redis or Valkey: several consoles and workers on many machines share it.

Every change is one Lua script (redis_scripts.py, redis_process_scripts.py). A lost connection is made again by itself;
the call that was under way is repeated under its old number, so nothing happens twice. What survives a crash of the
server is the server's matter: with `appendonly yes` and `appendfsync always` every acknowledged change does, kill -9
of the server included; with `everysec` the last second or two may be lost while the disk is busy.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import secrets
import threading
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from ..errors import QueueFull, StoreUnavailable, UnknownProcess
from ..leases import DEFAULT_FACTOR
from ..tasks import DEFAULT_OPTIONS, ProcessInfo, TaskId, TaskInfo, TaskOptions, TaskState
from . import payloads, redis_probe
from . import redis_process_scripts as process_lua
from . import redis_scripts as lua
from .base import ANY_RESULT, Change, Claim, Counts, Event, Listener, RawOutcome, Termination
from .redis_link import RedisLink

#: Largest payload, bytes: the same as on the wire.
PAYLOAD_LIMIT = 16 * 1024 * 1024
#: Most requests that go in with one script, so all or none of them; it keeps the server busy for some 0.1 s.
BATCH = 10_000


class Script:
    """A script's text and the digest by which the server knows it."""

    __slots__ = ("sha", "text")

    def __init__(self, text: str, prelude: str = lua.FULL) -> None:
        self.text = prelude + text
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


ADD, TAKE, FINISH, GIVE_BACK = (
    Script(lua.ADD),
    Script(lua.TAKE, lua.LEAN),
    Script(lua.FINISH, lua.LEAN),
    Script(lua.GIVE_BACK),
)
CANCEL, RETRY, COLLECT, TASKS = Script(lua.CANCEL), Script(lua.RETRY), Script(lua.COLLECT, lua.LEAN), Script(lua.TASKS)
COUNTS, PROBE = Script(lua.COUNTS), Script(redis_probe.PROBE, lua.LEAN)
TERMINATE, PAUSE = Script(lua.TERMINATE), Script(lua.PAUSE)
REGISTER, UNREGISTER = Script(process_lua.REGISTER), Script(process_lua.UNREGISTER)
PING, REAP, PROCESSES = Script(process_lua.PING), Script(process_lua.REAP), Script(process_lua.PROCESSES)

_CHANGES = frozenset(Change)


class RedisStore:
    """See the module's text and `Store`.

    link: the connections. name: the queue's name; queues of one server are apart by it. limit, factor: as MemoryStore.
    Raises StoreUnavailable when the server cannot be reached for `patience` seconds (of the link).
    """

    shared = True

    def __init__(
        self, link: RedisLink, *, name: str = "default", limit: int | None = None, factor: float = DEFAULT_FACTOR
    ) -> None:
        self._link = link
        self._prefix = f"clusterdeck:{{{name}}}:"  # braces: one slot of a Redis cluster
        self._limit = limit
        self._factor = factor
        self._listener: Listener | None = None
        self._next_reap = 0.0
        self._callers = threading.local()
        self._watching = threading.Lock()
        self._watcher: threading.Thread | None = None
        self._closed = False
        link.check()
        self._probe()
        if limit is not None:
            link.command("SET", self._prefix + "bounded", limit)

    @classmethod
    def at(cls, address: str, *, name: str = "default", limit: int | None = None, **options: Any) -> RedisStore:
        """From "redis://host:port/db", "rediss://..." (TLS) or "unix:///path"; options: see RedisLink."""
        factor = options.pop("factor", DEFAULT_FACTOR)
        return cls(RedisLink(address, **options), name=name, limit=limit, factor=factor)

    def dumps(self, value: Any) -> str:
        text = payloads.dumps(value)
        if len(text) > PAYLOAD_LIMIT:
            raise ValueError(f"{len(text)} bytes: at most {PAYLOAD_LIMIT} go into the queue")
        return text

    def loads(self, payload: Any) -> Any:
        return payloads.loads(payload)

    def _run(self, script: Script, *arguments: Any) -> Any:
        """One script, exactly once, whatever happens to the connection."""
        caller = self._callers
        if getattr(caller, "process", None) != os.getpid():  # a process that was forked off is another caller
            caller.process, caller.name, caller.numbers = os.getpid(), secrets.token_hex(8), itertools.count(1)
        return self._link.script(script.text, script.sha, self._prefix, caller.name, next(caller.numbers), *arguments)

    def _probe(self) -> None:
        """Try whether the server does all that the scripts need: one that stops in the middle leaves half a change."""
        self._link.try_listening(self._prefix + "wake")
        answers = [each.decode("utf-8", "replace") for each in self._run(PROBE)]
        if answers:
            raise StoreUnavailable(f"{self._link.label}: {redis_probe.denied(list(_rows(answers, 2)))}")

    # -- being told

    def listen(self, listener: Listener) -> None:
        self._listener = listener

    def watch(self) -> None:
        with self._watching:
            if self._closed or (self._watcher is not None and self._watcher.is_alive()):
                return
            ready = threading.Event()
            self._watcher = threading.Thread(target=self._follow, args=(ready,), name="redis-wake", daemon=True)
            self._watcher.start()
        ready.wait(1.0)

    def _follow(self, ready: threading.Event) -> None:
        for message in self._link.messages(self._prefix + "wake", ready):
            listener = self._listener
            if listener is None:
                continue
            change, _, rest = message.partition("|")
            parts = rest.split("|")
            if change in _CHANGES and len(parts) == 3:
                listener(Event(Change(change), parts[0], parts[1], parts[2] or None))

    # -- processes

    def register(self, period: float | None, info: Any) -> int:
        silence = "" if period is None else max(1, round(period * self._factor * 1000))
        return int(self._run(REGISTER, silence, "" if period is None else period, self.dumps(info)))

    def unregister(self, process_id: int) -> bool:
        return bool(self._run(UNREGISTER, process_id) == b"1")

    def ping(self, process_id: int) -> bool:
        return bool(self._run(PING, process_id))

    def processes(self) -> list[ProcessInfo]:
        found = self._run(PROCESSES)
        processes = []
        for pid, facts, silent, running in _rows(found, 4):
            known = json.loads(facts)
            info = self.loads(known["info"])
            processes.append(ProcessInfo(int(pid), info, known.get("period"), int(silent) / 1000, int(running)))
        return sorted(processes, key=lambda process: process.id)

    def reap(self) -> None:
        wait = self._run(REAP)
        self._next_reap = math.inf if wait < 0 else time.monotonic() + wait / 1000 + 0.001

    def next_deadline(self) -> float:
        return max(0.0, self._next_reap - time.monotonic())

    # -- tasks

    def add(self, tag: str, payload: Any, requester: str | None, options: TaskOptions = DEFAULT_OPTIONS) -> str:
        return self._add(tag, [payload], requester, options)[0]

    def add_many(
        self, tag: str, payloads: Iterable[Any], requester: str | None, options: TaskOptions = DEFAULT_OPTIONS
    ) -> list[str]:
        todo = list(payloads)
        if len(todo) <= BATCH:
            return self._add(tag, todo, requester, options) if todo else []
        # Several scripts, as none shall keep the server from everybody for seconds: if it goes in between, some are in.
        # Room for all is looked for first; others may take it meanwhile.
        counts = self.counts() if self._limit is not None else None
        if counts is not None and self._limit is not None and sum(counts.waiting.values()) + len(todo) > self._limit:
            raise QueueFull(f"no room for {len(todo)} tasks: at most {self._limit} may wait")
        ids: list[str] = []
        for start in range(0, len(todo), BATCH):
            ids += self._add(tag, todo[start : start + BATCH], requester, options)
        return ids

    def _add(self, tag: str, batch: list[Any], requester: str | None, options: TaskOptions) -> list[str]:
        limit = -1 if self._limit is None else self._limit
        avoid = json.dumps(sorted(options.not_on)) if options.not_on else ""
        facts = (limit, tag, requester or "", int(options.retriable), options.max_attempts, avoid)
        ids: str = self._run(ADD, *facts, *batch).decode()
        if not ids:
            raise QueueFull(f"{self._limit} tasks are waiting already")
        return ids.split(" ")

    def take(
        self,
        tags: Sequence[str] | None,
        process_id: int | None,
        node: str | None = None,
        nodes: Collection[str] | None = None,
    ) -> tuple[TaskId, str, Any] | None:
        if tags is not None and not tags:
            return None
        among = "" if nodes is None else json.dumps(sorted(nodes))
        words = ("" if process_id is None else process_id, node or "", among, *(tags or ()))
        found = self._run(TAKE, *words)
        while found and found[0] == b"reap":
            self.reap()
            found = self._run(TAKE, *words)
        if not found:
            return None
        if found[0] == b"unknown":
            raise UnknownProcess(process_id)
        task_id = found[0].decode()
        return TaskId(task_id, int(found[1])), task_id.rpartition("_")[0], found[2].decode()

    def finish(self, task_id: str, attempt: int | None, state: TaskState, payload: Any) -> bool:
        return bool(self._run(FINISH, task_id, "" if attempt is None else attempt, int(state), payload) == b"1")

    def give_back(self, task_id: str, attempt: int | None, *, lost: bool = False, not_on: str | None = None) -> bool:
        token = "" if attempt is None else attempt
        return bool(self._run(GIVE_BACK, task_id, token, int(lost), not_on or "") == b"1")

    def cancel(self, task_id: str) -> bool:
        return bool(self._run(CANCEL, task_id) == b"1")

    def retry(self, task_id: str) -> bool:
        return bool(self._run(RETRY, task_id) == b"1")

    def collect(self, claim: Claim = ANY_RESULT) -> RawOutcome | None:
        how, what = "any", ""
        if claim.task_id is not None:
            how, what = "id", claim.task_id
        elif claim.requester is not None:
            how, what = "requester", claim.requester
        elif claim.tag is not None:
            how, what = "tag", claim.tag
        found = self._run(COLLECT, how, what)
        if not found:
            return None
        task_id = found[0].decode()
        return RawOutcome(task_id, task_id.rpartition("_")[0], TaskState(int(found[1])), found[2].decode())

    def peek(self, task_id: str) -> RawOutcome | None:
        state, value = self._link.command("HMGET", f"{self._prefix}t:{task_id}", "s", "v")
        if state is None or int(state) < TaskState.DONE:
            return None
        return RawOutcome(task_id, task_id.rpartition("_")[0], TaskState(int(state)), value.decode())

    def ended_of(self, requester: str) -> list[str]:
        return [task.decode() for task in self._link.command("ZRANGE", f"{self._prefix}q:{requester}", 0, -1)]

    def known(self, task_id: str) -> bool:
        return bool(self._link.command("EXISTS", f"{self._prefix}t:{task_id}"))

    def counts(self) -> Counts:
        counts = Counts({}, {}, {})
        for tag, *numbers in _rows(self._run(COUNTS), 4):
            for column, number in zip(counts, numbers, strict=True):
                if number:
                    column[tag.decode()] = number
        return counts

    def may_add(self) -> bool:
        return self._limit is None or self._link.command("ZCARD", self._prefix + "w") < self._limit

    def may_take(self, tags: Sequence[str] | None) -> bool:
        lanes = ["w"] if tags is None else [f"w:{tag}" for tag in tags]
        return any(self._link.command("EXISTS", self._prefix + lane) for lane in lanes)

    def may_collect(self, claim: Claim) -> bool:
        if claim.task_id is not None:
            state = self._link.command("HGET", f"{self._prefix}t:{claim.task_id}", "s")
            return state is not None and int(state) >= TaskState.DONE
        lane = f"q:{claim.requester}" if claim.requester else f"f:{claim.tag}" if claim.tag else "f"
        return bool(self._link.command("EXISTS", self._prefix + lane))

    def tasks(self, states: Collection[TaskState], limit: int) -> list[TaskInfo]:
        wanted = "".join(str(int(state)) for state in states)
        return [_info(row) for row in self._run(TASKS, limit, wanted)]

    # -- data items, life

    def put_data(self, items: dict[str, Any]) -> None:
        if items:
            pairs = itertools.chain.from_iterable(items.items())
            self._link.command("HSET", self._prefix + "data", *pairs)

    def get_data(self, label: str) -> Any:
        value = self._link.command("HGET", self._prefix + "data", label)
        if value is None:
            raise KeyError(label)
        return value.decode()

    def drop_data(self, label: str) -> None:
        if not self._link.command("HDEL", self._prefix + "data", label):
            raise KeyError(label)

    def terminate(self, mode: Termination | None) -> None:
        self._run(TERMINATE, "" if mode is None else mode.value)

    def termination(self) -> Termination | None:
        mode = self._link.command("GET", self._prefix + "end")
        return None if mode is None else Termination(mode.decode())

    def pause(self, paused: bool) -> None:
        self._run(PAUSE, "1" if paused else "")

    def paused(self) -> bool:
        return bool(self._link.command("EXISTS", self._prefix + "pause"))

    def close(self) -> None:
        with self._watching:
            self._closed = True
            watcher, self._watcher = self._watcher, None
        self._link.close()
        if watcher is not None and watcher is not threading.current_thread():
            watcher.join(2.0)


def _rows(flat: list[Any], width: int) -> Iterable[tuple[Any, ...]]:
    return zip(*[iter(flat)] * width, strict=True)


def _info(row: list[Any]) -> TaskInfo:
    task_id = row[0].decode()
    state, attempt, losses = TaskState(int(row[1])), int(row[2]), int(row[3])
    owner = int(row[4]) if row[4] else None
    requester = row[5].decode() if row[5] else None
    added, started, ended = (int(each) / 1000 if each else 0.0 for each in row[6:9])
    facts = (state, attempt, losses, owner, requester, added, started, ended)
    return TaskInfo(task_id, task_id.rpartition("_")[0], *facts, parameters=row[9].decode() if row[9] else None)
