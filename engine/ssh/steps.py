"""SFTP work written one step after the other, run by answers: a generator that yields requests.

A step is `reply = yield request`; an error of the server's is raised at the yield. `Steps` drives the generator without
a thread, and tells `done(error)` once: None, an SftpError, or what the generator raised itself.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

from . import wire
from .sftp import ATTRS, DATA, FX_EOF, HANDLE, NAME, Attributes, SftpClient, SftpError, read_attributes, status


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `eof` is the answer that is given for the server's end-of-file status."""

    kind: int
    fields: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait until `start(resume)` has its `resume` called: for work that is pipelined apart from the steps."""

    start: Callable[[Callable[[Exception | None], None]], None]


@dataclass(frozen=True, slots=True)
class Name:
    """An entry of a directory."""

    name: bytes
    attributes: Attributes


Reply = bytes | Attributes | list[Name] | None
Work = Generator[Request | Pause, Reply, None]


class Steps:
    """Runs one generator over one client."""

    def __init__(self, client: SftpClient, work: Work, done: Callable[[Exception | None], None]) -> None:
        self._client = client
        self._work = work
        self._done = done
        self._over = False

    def start(self) -> None:
        """Take the first step."""
        self._step(None, None)

    def stop(self) -> None:
        """Take no further step; `done` is not called. The generator's clean-up runs."""
        self._over = True
        self._work.close()

    def _step(self, reply: Reply, error: Exception | None) -> None:
        if self._over:
            return
        try:
            wanted = self._work.throw(error) if error is not None else self._work.send(reply)
        except StopIteration:
            self._over = True
            self._done(None)
            return
        except (SftpError, OSError, CopyRefusedError, wire.WireError) as problem:
            self._over = True
            self._done(problem)
            return
        if isinstance(wanted, Pause):
            wanted.start(lambda problem: self._step(None, problem))
        else:
            self._client.ask(wanted.kind, self._answered, wanted.fields)

    def _answered(self, kind: int, fields: wire.Reader) -> None:
        error = status(kind, fields)
        if error is not None:
            self._step(None, error)
            return
        self._step(decode(kind, fields), None)


class CopyRefusedError(Exception):
    """A copy that will not be made as asked; the message names the file and the reason."""


def decode(kind: int, fields: wire.Reader) -> Reply:
    """What an answer carries."""
    if kind in (HANDLE, DATA):
        return fields.string()
    if kind == ATTRS:
        return read_attributes(fields)
    if kind == NAME:
        found = []
        for _ in range(fields.u32()):
            name = fields.string()
            fields.string()
            found.append(Name(name, read_attributes(fields)))
        return found
    return None


def is_eof(error: SftpError) -> bool:
    """Whether a status only means that there is no more."""
    return error.code == FX_EOF
