"""The memory store with an SQLite journal: what was acknowledged survives kill -9 of the manager at any moment.

Each change is one transaction, written (WAL mode) before it is made in memory and before the call returns. One manager
owns a journal at a time; others reach the queue through it (`clusterdeck queue serve`). With `synchronous=normal`
(default) a crash of the *machine* may lose the last moments; `synchronous=full` asks the disk each time.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from ..errors import StoreUnavailable
from ..leases import DEFAULT_FACTOR, Processes
from ..tasks import Failure, TaskOptions, TaskState
from . import payloads
from .memory import LOST_MESSAGE, MemoryStore
from .records import Task

#: Changes of the schema get a new number; a journal of another number is refused, never guessed at.
SCHEMA_VERSION = 1

#: How many task numbers are written down as spent at once.
NUMBERS_AHEAD = 10_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks(
  number INTEGER PRIMARY KEY, tag TEXT NOT NULL, state INTEGER NOT NULL, attempt INTEGER NOT NULL DEFAULT 0,
  losses INTEGER NOT NULL DEFAULT 0, place INTEGER NOT NULL, added REAL NOT NULL, started REAL NOT NULL DEFAULT 0,
  ended REAL NOT NULL DEFAULT 0, retriable INTEGER NOT NULL, max_attempts INTEGER NOT NULL, not_on TEXT NOT NULL,
  requester TEXT, result TEXT, payload TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS data(label TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counters(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
_ADDED = (
    "INSERT INTO tasks(number,tag,state,place,added,retriable,max_attempts,not_on,requester,payload)"
    " VALUES(?,?,0,?,?,?,?,?,?,?)"
)
_LEASED = "UPDATE tasks SET state=1,attempt=?,started=? WHERE number=?"
_WAITING = "UPDATE tasks SET state=0,place=?,losses=?,not_on=?,result=NULL,started=0,ended=0 WHERE number=?"
_ENDED = "UPDATE tasks SET state=?,result=?,losses=?,ended=? WHERE number=?"
_COUNTER = "INSERT INTO counters VALUES(?,?) ON CONFLICT(name) DO UPDATE SET value=excluded.value"
_ITEM = "INSERT INTO data VALUES(?,?) ON CONFLICT(label) DO UPDATE SET value=excluded.value"


class SQLiteJournal:
    """Writes changes to the file; see `Journal`. The caller holds the store's lock."""

    def __init__(self, path: str, synchronous: str) -> None:
        if synchronous not in ("normal", "full"):
            raise ValueError(f"synchronous={synchronous!r}: use normal or full")
        self.path = path
        self._reserved = 0
        try:
            # Parameters may hold secrets: the file is its owner's from the first byte on.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._base = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            what = error.strerror if isinstance(error, OSError) else error
            raise StoreUnavailable(f"journal {path}: {what}") from error
        try:
            self._begin(synchronous)
        except sqlite3.Error as error:
            self._base.close()
            hint = "; another manager has it open" if "locked" in str(error) else ""
            raise StoreUnavailable(f"journal {path}: {error}{hint}") from error
        except StoreUnavailable:
            self._base.close()
            raise

    def _begin(self, synchronous: str) -> None:
        """Take the lock, now rather than at the first request, and make the tables."""
        run = self._base.execute
        run("PRAGMA locking_mode=EXCLUSIVE")
        run("PRAGMA journal_mode=WAL")
        run(f"PRAGMA synchronous={synchronous}")
        run("BEGIN IMMEDIATE").execute("COMMIT")
        (version,) = run("PRAGMA user_version").fetchone()
        if version not in (0, SCHEMA_VERSION):
            raise StoreUnavailable(f"journal {self.path}: format {version}, this program writes {SCHEMA_VERSION}")
        self._base.executescript(_SCHEMA + f"PRAGMA user_version={SCHEMA_VERSION};")

    def _write(self, statement: str, values: Sequence[Any]) -> None:
        try:
            self._base.execute(statement, values)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"journal {self.path}: {error}") from error

    def _write_all(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        try:
            self._base.execute("BEGIN")
            self._base.executemany(statement, rows)
            self._base.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                self._base.execute("ROLLBACK")
            raise StoreUnavailable(f"journal {self.path}: {error}") from error

    def added(self, tasks: Sequence[Task]) -> None:
        if tasks and tasks[-1].number >= self._reserved:
            self.next_task(tasks[-1].number + NUMBERS_AHEAD)
        rows = [
            (t.number, t.tag, t.place, t.added, t.retriable, t.max_attempts, _nodes(t.not_on), t.requester, t.payload)
            for t in tasks
        ]
        if len(rows) == 1:
            self._write(_ADDED, rows[0])
        else:
            self._write_all(_ADDED, rows)

    def leased(self, task: Task, attempt: int, started: float) -> None:
        self._write(_LEASED, (attempt, started, task.number))

    def waiting(self, task: Task, place: int, losses: int, not_on: frozenset[str]) -> None:
        self._write(_WAITING, (place, losses, _nodes(not_on), task.number))

    def ended(self, task: Task, state: TaskState, payload: Any, losses: int, ended: float) -> None:
        self._write(_ENDED, (int(state), payload, losses, ended, task.number))

    def dropped(self, task: Task) -> None:
        self._write("DELETE FROM tasks WHERE number=?", (task.number,))

    def next_process(self, process_id: int) -> None:
        self._write(_COUNTER, ("process", process_id))

    def next_task(self, number: int) -> None:
        """Task numbers below this are spent, also when their tasks are gone: no id ever means two tasks."""
        self._reserved = number
        self._write(_COUNTER, ("task", number))

    def paused(self, paused: bool) -> None:
        self._write(_COUNTER, ("paused", int(paused)))

    def put_data(self, items: dict[str, Any]) -> None:
        self._write_all(_ITEM, list(items.items()))

    def drop_data(self, label: str) -> None:
        self._write("DELETE FROM data WHERE label=?", (label,))

    # -- reading, once at the start

    def counters(self) -> dict[str, int]:
        """Next process id ("process"), next task number ("task"), whether it is paused ("paused"); 0 if never told."""
        found = dict(self._base.execute("SELECT name, value FROM counters").fetchall())
        self._reserved = found.get("task", 0)
        return found

    def data(self) -> dict[str, str]:
        """All data items."""
        return dict(self._base.execute("SELECT label, value FROM data").fetchall())

    def tasks(self) -> Iterator[Task]:
        """All tasks: running ones first (they go back in front), then by place, finished ones by their end."""
        order = (
            "ORDER BY CASE state WHEN 1 THEN 0 WHEN 0 THEN 1 ELSE 2 END, CASE WHEN state<2 THEN place ELSE ended END"
        )
        columns = "number,tag,payload,requester,retriable,max_attempts,not_on,state,attempt,losses,place,added,started"
        for row in self._base.execute(f"SELECT {columns},ended,result FROM tasks {order},number"):
            options = TaskOptions(bool(row[4]), row[5], frozenset(json.loads(row[6])))
            task = Task(row[0], row[1], row[2], row[3], options)
            task.state = TaskState(row[7])
            task.attempt, task.losses, task.place, task.added, task.started, task.ended, task.result = row[8:]
            yield task

    def close(self) -> None:
        """Close the file; idempotent."""
        self._base.close()


class SQLiteStore(MemoryStore):
    """See the module's text and `Store`.

    What was running when the manager ended goes back to the front, or becomes LOST when it may not be run twice.
    """

    def __init__(
        self, path: str, *, limit: int | None = None, factor: float = DEFAULT_FACTOR, synchronous: str = "normal"
    ) -> None:
        super().__init__(limit=limit, factor=factor)
        self._closed = False
        self._file = SQLiteJournal(path, synchronous)
        try:
            self._load()
        except (sqlite3.Error, ValueError, TypeError) as error:
            self._file.close()
            raise StoreUnavailable(f"journal {path} cannot be read: {error}") from error

    @classmethod
    def at(cls, address: str, **options: Any) -> SQLiteStore:
        """From "sqlite:///path" (absolute: four slashes), or "sqlite:/absolute/path" with one."""
        parts = urlsplit(address)
        single = not address.partition(":")[2].startswith("//")
        path = unquote(parts.path if single else parts.path.removeprefix("/"))
        if parts.netloc or not path or (single and not path.startswith("/")):
            raise ValueError(
                f"store {address!r}: use sqlite:///relative/path or sqlite:////absolute/path (or sqlite:/absolute/path)"
            )
        return cls(path, **{**dict(parse_qsl(parts.query)), **options})

    def dumps(self, value: Any) -> str:
        return payloads.dumps(value)

    def loads(self, payload: Any) -> Any:
        return payloads.loads(payload)

    def _load(self) -> None:
        counters = self._file.counters()
        self._processes = Processes(self._processes.factor, counters.get("process", 0))
        self._numbers = itertools.count(counters.get("task", 0))
        self._data = dict(self._file.data())
        self._paused = bool(counters.get("paused", 0))
        running: list[Task] = []
        lowest = 0
        for task in self._file.tasks():
            self._tasks[task.id] = task
            lowest = min(lowest, task.place)
            if task.state is TaskState.LEASED:
                running.append(task)
            elif task.state is TaskState.WAITING:
                self._waiting.append(task.tag, task.id, task)
            else:
                self._outcomes.add(task)
        self._fronts = itertools.count(lowest - 1, -1)
        self._journal = self._file
        for task in reversed(running):
            self._running[task.tag] = self._running.get(task.tag, 0) + 1
            # Its worker did not vanish, the manager did: that is no mark against the task, but it may have run.
            if task.retriable:
                self._to_front(task, task.losses, task.not_on)
            else:
                self._end(task, TaskState.LOST, self.dumps(Failure("TaskLost", LOST_MESSAGE)), task.losses)
        self._events.clear()

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                with contextlib.suppress(StoreUnavailable):  # then the numbers set aside are passed over
                    self._file.next_task(next(self._numbers))
                self._file.close()


def _nodes(nodes: frozenset[str]) -> str:
    return json.dumps(sorted(nodes)) if nodes else "[]"
