"""Signals that ask a process without an operator to end, as exceptions: what runs is ended in order."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..exits import ExitCode


class Interrupted(BaseException):
    """A signal asked the process to end; `code` is the exit code for it."""

    def __init__(self, code: ExitCode) -> None:
        super().__init__(code.name)
        self.code = code


@contextmanager
def termination_as_exception() -> Iterator[None]:
    """SIGTERM and SIGHUP end the run as Ctrl-C does, with their own exit code; main thread only."""

    def raise_it(_number: int, _frame: Any) -> None:
        raise Interrupted(ExitCode.TERMINATED)

    old = {number: signal.signal(number, raise_it) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
