"""Ending what runs on a node: a reaping command over the kept connection, signal requests behind it, and a report.

Closing a channel does not end the command behind it. OpenSSH starts each session's command as the leader of a process
group whose parent is the connection's own sshd process; a second session of the same connection has that parent, too,
and so finds the group among its siblings: sorted by age they stand in the order in which the commands were started.
The reaping command goes first, because a leader that a signal has ended no longer tells which group was its own.
What has left the group (`setsid`) is not found so. It still holds the session open if it inherited the output, and then
the end is not confirmed; a daemon that let go of it was meant to stay.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable

from ..reactor import Deadline
from ..states import Failure
from .command import Command, CommandListener, CommandOptions
from .peer import Peer

#: Seconds after which an end that is not confirmed is reported as such.
PATIENCE = 2.0
#: Seconds after which the signal request is sent as well: the reaping command may have no session, or no `ps`.
_SIGNALS = ((0.4, "TERM"), (1.2, "KILL"))

_AGAIN = 0.1

#: $1: place of the command among its siblings (from 1), $2: how many there should be. Answers `gone`, `left`, `lost`.
#: Dead ones that nobody has waited for yet are not counted. `ps` with these words, but for the state, is
#: POSIX. Age is judged by process number, which is wrong only where numbers ran round.
_SCRIPT = r"""
up=$PPID; me=$$
list() { ps -A -o pid= -o ppid= -o pgid= -o stat= 2>/dev/null || ps -A -o pid= -o ppid= -o pgid= 2>/dev/null; }
set -- "$1" "$2" $(list | while read p q g s; do
  case "$s" in Z*) continue ;; esac
  [ "$q" = "$up" ] && [ "$p" != "$me" ] && [ "$p" = "$g" ] && echo "$p"; done | sort -n)
at=$1; all=$2; shift 2
if [ "$#" -eq 0 ]; then echo gone; exit; fi
if [ "$#" -ne "$all" ]; then echo lost; exit; fi
shift $((at - 1)); group=$1
alive() { list | while read p q g s; do
  case "$g $s" in *" Z"*) ;; "$group "*) echo x ;; esac; done | grep -q x; }
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
        self._gone = False
        self._reaper: Command | None = None
        self._peer = peer
        reactor = peer.pool.reactor
        self._timers: list[Deadline] = [reactor.call_later(PATIENCE, lambda: self._finish(False))]
        for delay, name in _SIGNALS:
            self._timers.append(reactor.call_later(delay, lambda name=name: command.signal(name)))  # type: ignore[misc]
        self._reap()

    def _reap(self) -> None:
        siblings = self._peer.running
        place = siblings.index(self._command) + 1 if self._command in siblings else 1
        self._answer = b""
        script = f"exec /bin/sh -c {shlex.quote(_SCRIPT)} reap {place} {max(1, len(siblings))}"
        listener = CommandListener(_nothing, self._said, self._ended)
        self._reaper = Command(self._peer, script, CommandOptions(), listener, counted=False)
        self._reaper.begin()

    def cancel(self) -> None:
        """Wait no longer; `done` is not called. The reaping command goes on by itself."""
        self._done = None
        self._stop_timers()

    def released(self) -> None:
        """The command's session is closed: nothing there holds its output any more."""
        if self._gone:
            self._finish(True)

    def _said(self, data: bytes, is_error: bool) -> None:
        if not is_error:
            self._answer = (self._answer + data)[:64]

    def _ended(self, _rc: int | None, _failure: Failure | None) -> None:
        if self._answer.strip() == b"lost" and self._done is not None:
            # A neighbour came or went between our count and the node's: count again.
            self._timers.append(self._peer.pool.reactor.call_later(_AGAIN, self._reap))
            return
        self._gone = self._answer.strip() == b"gone"
        if not self._gone or self._command.finished:
            self._finish(self._gone)

    def _stop_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()

    def _finish(self, confirmed: bool) -> None:
        self._stop_timers()
        done, self._done = self._done, None
        if done is not None:
            done(confirmed)


def _nothing() -> None:
    """Nothing depends on the start."""
