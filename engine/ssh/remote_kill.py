"""Ending what runs on a node: a signal request first, then a reaping command over the kept connection, and a report.

Closing a channel does not end the command behind it. OpenSSH starts each session's command as the leader of a process
group whose parent is the connection's own sshd process; a second session of the same connection has that parent, too,
and so finds the group among its siblings: sorted by age they stand in the order in which the commands were started.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..reactor import Deadline
from ..states import Failure
from .command import Command, CommandListener, CommandOptions

if TYPE_CHECKING:
    from .peer import Peer

#: Seconds after which an end that is not confirmed is reported as such.
PATIENCE = 3.0

#: $1: place of the command among its siblings (from 1), $2: how many there should be. Answers `gone`, `left`, `lost`.
#: `ps` with these words is POSIX; age is judged by process number, which is wrong only where numbers ran round.
_SCRIPT = r"""
up=$PPID; me=$$
list() { ps -A -o pid= -o ppid= -o pgid= 2>/dev/null; }
set -- "$1" "$2" $(list | while read p q g; do
  [ "$q" = "$up" ] && [ "$p" != "$me" ] && [ "$p" = "$g" ] && echo "$p"; done | sort -n)
at=$1; all=$2; shift 2
if [ "$#" -eq 0 ]; then echo gone; exit; fi
if [ "$#" -ne "$all" ]; then echo lost; exit; fi
shift $((at - 1)); group=$1
seen() { list | while read p q g; do [ "$g" = "$group" ] && echo x; done | grep -q x; }
alive() { kill -0 -"$group" 2>/dev/null || seen; }
for signal in TERM KILL; do
  kill -$signal -"$group" 2>/dev/null
  for wait in 1 2 3 4 5 6 7 8; do
    alive || { echo gone; exit; }
    sleep 0.05 2>/dev/null || sleep 1
  done
done
echo left
"""


class RemoteKill:
    """Ends one command. `done(confirmed)` is called once, within PATIENCE seconds."""

    def __init__(self, peer: Peer, command: Command, done: Callable[[bool], None]) -> None:
        self._done: Callable[[bool], None] | None = done
        self._command = command
        self._answer = b""
        self._reaper: Command | None = None
        siblings = sorted(peer.running, key=lambda other: other.order)
        place = siblings.index(command) + 1 if command in siblings else 1
        self._timer: Deadline = peer.pool.reactor.call_later(PATIENCE, lambda: self._finish(False))
        command.signal("TERM")
        script = f"exec /bin/sh -c {shlex.quote(_SCRIPT)} reap {place} {max(1, len(siblings))}"
        listener = CommandListener(_nothing, self._said, self._ended)
        self._reaper = Command(peer, script, CommandOptions(), listener, counted=False)
        self._reaper.begin()

    def cancel(self) -> None:
        """Wait no longer; `done` is not called. The reaping command goes on by itself."""
        self._done = None
        self._timer.cancel()

    def _said(self, data: bytes, is_error: bool) -> None:
        if not is_error:
            self._answer = (self._answer + data)[:64]

    def _ended(self, _rc: int | None, _failure: Failure | None) -> None:
        self._finish(self._answer.strip() == b"gone")

    def _finish(self, confirmed: bool) -> None:
        self._timer.cancel()
        done, self._done = self._done, None
        if done is not None:
            done(confirmed)


def _nothing() -> None:
    """Nothing depends on the start."""
