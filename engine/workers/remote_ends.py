"""What the end of an ssh, rsh or pdsh process tells about its node, as far as these programs say."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..states import Failure, FailureKind, NodeEnd, NodeState
from ..text import clean_line

#: Lines of ssh's own messages that are looked at, from the last one on.
REMEMBERED = 20
_QUOTE = 200

_UNREACHABLE, _LOST = NodeState.UNREACHABLE, NodeState.LOST
#: OpenSSH's messages (ssh.c, sshconnect.c, packet.c, clientloop.c; tried with 9.2): the first one that is found counts.
_MESSAGES: tuple[tuple[re.Pattern[bytes], NodeState, FailureKind], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), state, kind)
    for pattern, state, kind in (
        (rb"host identification has changed", _UNREACHABLE, FailureKind.HOST_KEY_CHANGED),
        (rb"revoked host key|host key .*revoked", _UNREACHABLE, FailureKind.HOST_KEY_REVOKED),
        (rb"host key verification failed|no .* host key is known", _UNREACHABLE, FailureKind.HOST_KEY_UNKNOWN),
        (rb"permission denied \(|too many authentication failures", _UNREACHABLE, FailureKind.AUTHENTICATION),
        (rb"could not resolve hostname", _UNREACHABLE, FailureKind.DNS),
        (rb"banner exchange|kex_exchange_identification", _UNREACHABLE, FailureKind.BANNER),
        (rb"unable to negotiate|no matching .* found", _UNREACHABLE, FailureKind.KEX),
        (rb"connect to .*connection refused", _UNREACHABLE, FailureKind.REFUSED),
        (rb"connect to .*no route to host", _UNREACHABLE, FailureKind.UNREACHABLE),
        (rb"connect to .*network is unreachable", _UNREACHABLE, FailureKind.NO_ROUTE),
        (rb"connect to .*timed out", _UNREACHABLE, FailureKind.CONNECT_TIMEOUT),
        (rb"bad configuration option|terminating, .* bad configuration", _UNREACHABLE, FailureKind.CONFIGURATION),
        (
            rb"connection to .* closed by remote|client_loop: |timeout, server .* not resp",
            _LOST,
            FailureKind.CONNECTION_LOST,
        ),
        (
            rb"connection (closed|reset) by .* port|ssh_dispatch_run_fatal|received disconnect",
            _UNREACHABLE,
            FailureKind.KEX,
        ),
    )
)


def ssh_end(node: str, program: str, lines: Sequence[bytes]) -> NodeEnd:
    """What a return code of 255 means; lines: the last ones that the program printed, its own messages among them."""
    for pattern, state, kind in _MESSAGES:
        for line in reversed(lines):
            if pattern.search(line):
                said = clean_line(line[:_QUOTE]).strip()
                rc = 255 if state is _UNREACHABLE else None
                return NodeEnd(state, rc, Failure(kind, f"{node}: {program}: {said}"))
    reason = f"{node}: {program} ended with 255: its own message, if there is one, is the output"
    return NodeEnd(_UNREACHABLE, 255, Failure(FailureKind.UNREACHABLE, reason))


def unconfirmed(node: str, program: str, end: NodeEnd) -> NodeEnd:
    """The end of a node whose local process was killed: nobody knows of the remote one."""
    kind = FailureKind.COMMAND_TIMEOUT if end.state is NodeState.TIMEOUT else FailureKind.INTERNAL
    reason = f"{node}: {program} was stopped here; what runs there may go on (the paramiko worker ends it)"
    return NodeEnd(end.state, end.rc, Failure(kind, reason))
