"""`clusterdeck repl`: the same commands as the full-screen console, in a plain terminal or from a pipe.

When standard input is not a terminal its lines are played one after the other, without a prompt and without what a
prompt is made of, and the exit code tells of the first that could not be done.
"""

from __future__ import annotations

import os
import sys

from ..session.session import Session
from .streams import on_terminal


def run(session: Session) -> int:
    """The REPL on a session; returns the exit code. Uses standard input, output and error as they are."""
    if on_terminal(sys.stdin) and (on_terminal(sys.stdout) or on_terminal(sys.stderr)):
        from .interactive import Interactive

        return Interactive(session).run()
    from .played import Played

    with open(os.devnull, "w") as nowhere:  # a stream that was closed by whoever started us
        return Played(session, sys.stdin, sys.stdout or nowhere, sys.stderr or nowhere).run()
