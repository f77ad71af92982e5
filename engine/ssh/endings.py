"""Why a connection ended: the kind of failure and its one line, by the phase in which it happened."""

from __future__ import annotations

from ..states import Failure, FailureKind
from .failures import quote
from .phases import Phase
from .stream import CarrierError

_KINDS = {
    Phase.BANNER: FailureKind.BANNER,
    Phase.KEX: FailureKind.KEX,
    Phase.AUTHENTICATION: FailureKind.AUTHENTICATION,
    Phase.READY: FailureKind.CONNECTION_LOST,
    Phase.CLOSED: FailureKind.CONNECTION_LOST,
}


def hung_up(label: str, phase: Phase, error: Exception | None, said: str) -> Failure:
    """The stream ended. error: None for an orderly end; said: the server's words where no version came."""
    words = str(error.strerror or error) if isinstance(error, OSError) else "the server closed it"
    if phase is Phase.BANNER and isinstance(error, CarrierError) and error.in_vain:
        return Failure(FailureKind.CONFIGURATION, f"{label}: {words}")
    if phase is Phase.BANNER:
        more = f"; it said: {quote(said)}" if said else ""
        reason = f"{label}: connection ended before the server's version came ({words}){more}"
    elif phase is Phase.READY:
        reason = f"{label}: connection lost ({words})"
    else:
        reason = f"{label}: connection ended during {phase.value} ({words})"
    return Failure(_KINDS[phase], reason)


def dismissed(label: str, phase: Phase, words: bytes) -> Failure:
    """The server said that it ends the connection, in `words`."""
    return Failure(_KINDS[phase], f"{label}: the server ended the connection during {phase.value}: {quote(words)}")


def malformed(label: str, phase: Phase, error: Exception) -> Failure:
    """The server said something that is not SSH."""
    return Failure(_KINDS[phase], f"{label}: protocol error during {phase.value}: {error}")


def silent(label: str, phase: Phase, seconds: float) -> Failure:
    """A deadline passed."""
    return Failure(_KINDS[phase], f"{label}: no answer within {seconds:g} s in the phase: {phase.value}")
