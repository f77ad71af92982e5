"""A client of a manager that another process serves on a Unix socket (`clusterdeck queue serve`)."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from typing import Any

from .errors import FrameError, StoreUnavailable, TaskCancelled, TaskLost, UnknownTask, remote_exception
from .frames import TO_WORKER, VERSION, Frame, FrameReader, encode
from .peer_user import connect
from .tasks import Failure, Outcome, TaskState


class RemoteQueue:
    """Adds, looks, cancels, fetches. One call at a time; not thread-safe.

    path: the socket. timeout: seconds for an answer. Raises StoreUnavailable when nobody serves there.
    """

    def __init__(self, path: str, *, timeout: float = 10.0) -> None:
        self._timeout = timeout
        self._numbers = itertools.count(1)
        self._frames = FrameReader(TO_WORKER)
        self._ready: list[Frame] = []
        try:
            self._sock = connect(path, timeout)
        except OSError as error:
            raise StoreUnavailable(f"no queue is served at {path}: {error.strerror or error}") from error
        try:
            hello = encode("hello", version=VERSION, role="client", tags=None, credits=0, period=None, info="")
            with contextlib.suppress(OSError):  # it hung up already: then it has said why
                self._sock.sendall(hello)
            self._next("welcome")
        except OSError as error:
            self._sock.close()
            raise StoreUnavailable(f"the queue at {path} does not answer: {error.strerror or error}") from error
        except BaseException:
            self._sock.close()
            raise

    def add(
        self,
        tag: str,
        parameters: Sequence[Any],
        *,
        requester: str | None = None,
        retriable: bool = True,
        max_attempts: int = 3,
    ) -> list[str]:
        """One request per item of `parameters`; their ids."""
        found: list[str] = self._call(
            "add",
            tag=tag,
            parameters=list(parameters),
            requester=requester,
            retriable=retriable,
            max_attempts=max_attempts,
        )
        return found

    def status(self) -> dict[str, Any]:
        """waiting, running, finished (tag -> count), processes, termination, paused."""
        found: dict[str, Any] = self._call("status")
        return found

    def tasks(self, states: Sequence[str] | None = None, limit: int = 1000) -> list[dict[str, Any]]:
        """Tasks in these states (words of TaskState; None: all)."""
        found: list[dict[str, Any]] = self._call("tasks", states=None if states is None else list(states), limit=limit)
        return found

    def outcome(
        self, task_id: str | None = None, *, tag: str | None = None, requester: str | None = None, wait: float = 0.0
    ) -> Outcome | None:
        """Fetch an outcome, waiting at most `wait` seconds; None when none came."""
        try:
            fields = self._call("result", id=task_id, tag=tag, requester=requester, wait=wait, patience=wait)
        except TimeoutError:
            return None
        error = fields["error"]
        failure = None if error is None else Failure(**error)
        state = next(state for state in TaskState if state.word == fields["state"])
        return Outcome(fields["id"], fields["tag"], state, fields["value"], failure)

    def cancel(self, task_id: str) -> bool:
        """End a waiting or running task."""
        return bool(self._call("cancel", id=task_id))

    def retry(self, task_id: str) -> bool:
        """Put a failed, lost or cancelled task back to the front."""
        return bool(self._call("retry", id=task_id))

    def retry_all(self, states: Sequence[str] = ("failed", "lost")) -> int:
        """The same for all tasks in these states; how many."""
        return int(self._call("retry_all", states=list(states)))

    def terminate(self, mode: str | None = "drain") -> None:
        """End the queue: `drain` or `now`; None: take it back."""
        self._call("terminate", mode=mode)

    def pause(self) -> None:
        """Hand out nothing until `resume`."""
        self._call("pause")

    def resume(self) -> None:
        """Take `pause` back."""
        self._call("resume")

    def close(self) -> None:
        """Hang up. Idempotent."""
        self._sock.close()

    def __enter__(self) -> RemoteQueue:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(self, method: str, patience: float = 0.0, **arguments: Any) -> Any:
        number = next(self._numbers)
        try:
            self._sock.settimeout(self._timeout + patience)
            self._sock.sendall(encode("call", number=number, method=method, arguments=arguments))
            answer = self._next("answer", "error")
        except OSError as error:
            raise StoreUnavailable(f"the queue does not answer: {error.strerror or error}") from error
        if answer["number"] != number:
            raise FrameError("an answer to another call")
        if answer["kind"] == "answer":
            return answer["value"]
        raised = answer["error"]
        known = {"UnknownTask": UnknownTask, "TaskLost": TaskLost, "TaskCancelled": TaskCancelled}
        if raised["type_name"] in known:
            raise known[raised["type_name"]](raised["message"])
        raise remote_exception(raised["type_name"], raised["message"], raised["traceback"])

    def _next(self, *kinds: str) -> Frame:
        while not self._ready:
            data = self._sock.recv(65536)
            if not data:
                raise StoreUnavailable("the queue's manager hung up")
            self._ready += self._frames.feed(data)
        frame = self._ready.pop(0)
        if frame["kind"] == "fault":
            raise StoreUnavailable(f"the queue's manager refused: {frame['message']}")
        if frame["kind"] not in kinds:
            raise FrameError(f"a {frame['kind']} frame instead of {' or '.join(kinds)}")
        return frame
