"""Runs of earlier sessions, read while the console is already there: a disk may be slow, or hang."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from .archive import kept_places, kept_runs, last_number

if TYPE_CHECKING:
    from ..session.session import Session

#: Seconds that the end of a session waits for the run that is being read.
_LAST_MOMENTS = 0.5


class EarlierRuns:
    """Reads kept runs into a session, newest first, in a thread that does not keep the program from ending.

    Before the session's first run: its number comes after theirs. warn: hears why they cannot be read; any thread.
    """

    def __init__(self, session: Session, warn: Callable[[str], None]) -> None:
        self._runs = session.runs
        self._maker = session.maker
        self._warn = warn
        self._stopped = False
        self._runs.expect_earlier()
        self._maker.expect_numbers()
        self._thread = threading.Thread(target=self._read, name="clusterdeck-earlier-runs", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Nobody wants the rest any more."""
        self._stopped = True
        self._thread.join(_LAST_MOMENTS)

    def _read(self) -> None:
        try:
            places = kept_places()
            self._maker.number_after(last_number(places))
            for run in kept_runs(places):
                if self._stopped or not self._runs.add_earlier(run):
                    break
        except OSError as error:
            self._warn(f"runs of earlier sessions cannot be read: {error}")
        finally:
            self._maker.number_after(0)
            self._runs.earlier_read()
