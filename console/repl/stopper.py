"""What Ctrl-C does: stops runs, newest first, and never leaves."""

from __future__ import annotations

from collections.abc import Callable

from ...engine.text import clean_text_line
from ..session.service import Service

_SHOWN = 40


class Stopper:
    """Any thread; does not wait. say: tells the operator one line."""

    def __init__(self, session: Service, say: Callable[[str], None]) -> None:
        self._session = session
        self._say = say
        self._stopped: set[int] = set()

    def has_stopped(self, run: int) -> bool:
        """Whether a run was stopped here."""
        return run in self._stopped

    def stop_run(self) -> bool:
        """Stop the newest run that nobody has stopped yet; all of them again when that was done before.

        False when nothing runs.
        """
        running = self._session.runs.running
        if not running:
            return False
        for run in reversed(running):
            if self.stop(run.id):
                return True
        self._session.abort()
        self._say(f"still stopping {', '.join(f'#{run.id}' for run in running[:10])}")
        return True

    def stop(self, number: int) -> bool:
        """Stop a run that goes on; False when it does not, or was stopped before."""
        run = self._session.runs.get(number)
        if run is None or run.ended is not None or number in self._stopped:
            return False
        self._stopped.add(number)
        self._session.abort(number)
        line = clean_text_line(run.line)
        self._say(f"stopping #{number} {line if len(line) <= _SHOWN else line[: _SHOWN - 3] + '...'}")
        return True
